//! Metrics, limits and the scheduled cleanup.

use std::num::NonZeroU32;
use std::time::Duration as StdDuration;

use chrono::Duration;
use demo_reset_api::error::ApiError;
use demo_reset_api::{AppState, Engine, ServerConfig, System};
use demo_reset_persistence::{AnyConnection, Database, Error, OpenOptions};
use serde_json::{Value, json};

use crate::contract::take_connections;
use crate::fixture::{ANN, BEN, Backend, CASE, Server, no_limits, on_each_database};

on_each_database! {
    metrics_count_requests_by_route_and_status,
    metrics_tell_of_sessions_changes_resets_and_undos,
    a_scheduled_cleanup_is_seen_in_the_stats_and_the_metrics,
    writes_beyond_the_limit_are_refused_and_others_go_on,
    a_full_session_is_told_so_and_can_be_reset,
    requests_beyond_the_connections_wait_for_their_turn,
    a_write_whose_turn_does_not_come_in_time_is_not_done_later,
    work_that_panics_takes_neither_a_thread_nor_a_connection_with_it,
}

/// The value of one line of the metrics.
async fn figure(server: &Server, line: &str) -> f64 {
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain"));
    let value = answer.text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{line} is not in\n{}", answer.text)).parse().unwrap()
}

async fn metrics_count_requests_by_route_and_status(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    for path in [format!("/cases/{CASE}"), format!("/cases/{CASE}"), "/cases/x".to_owned()] {
        ann.get(&path).await;
    }
    server.get("/nothing").await.problem(404);
    let line = |route: &str, status: u16| {
        format!("http_requests_total{{method=\"GET\",route=\"{route}\",status=\"{status}\"}}")
    };
    assert_eq!(figure(&server, &line("/api/v1/cases/{id}", 200)).await, 2.0);
    assert_eq!(figure(&server, &line("/api/v1/cases/{id}", 400)).await, 1.0);
    assert_eq!(figure(&server, &line("none", 404)).await, 1.0);
    let latency = "http_request_duration_seconds_count{method=\"GET\",route=\"/api/v1/cases/{id}\"}";
    assert_eq!(figure(&server, latency).await, 3.0);
    assert_eq!(figure(&server, "demo_reset_database_up").await, 1.0);
    let pool = if backend == Backend::Sqlite { "readers" } else { "connections" };
    let max = format!("demo_reset_connections{{pool=\"{pool}\",state=\"max\"}}");
    assert_eq!(figure(&server, &max).await, 8.0);
}

async fn metrics_tell_of_sessions_changes_resets_and_undos(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    ann.create("/cases", json!({ "details": "x" })).await;
    ben.create("/cases", json!({ "details": "x" })).await;
    ben.create("/cases", json!({ "details": "x" })).await;
    assert_eq!(figure(&server, "demo_reset_sessions{state=\"total\"}").await, 2.0);
    assert_eq!(figure(&server, "demo_reset_live_changes{table=\"cases\"}").await, 3.0);
    assert_eq!(figure(&server, "demo_reset_largest_layer_changes").await, 4.0);
    let key = ("idempotency-key", "once");
    let confirmed = json!({ "confirmationToken": "CONFIRM_RESET" });
    for _ in 0..2 {
        ann.post_with("/demo/reset", confirmed.clone(), key).await.expect(200);
    }
    assert_eq!(figure(&server, "demo_reset_resets_total").await, 1.0, "a repeated request is no reset");
    assert_eq!(figure(&server, "demo_reset_changes_reset_total").await, 2.0);
    assert_eq!(figure(&server, "demo_reset_archives{state=\"available\"}").await, 1.0);
    ann.post("/demo/undo", json!({})).await.expect(200);
    assert_eq!(figure(&server, "demo_reset_undos_total").await, 1.0);
}

async fn a_scheduled_cleanup_is_seen_in_the_stats_and_the_metrics(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    assert_eq!(ann.get("/demo/admin/stats").await.expect(200)["lastCleanupAt"], Value::Null);
    ann.create("/cases", json!({ "details": "x" })).await;
    ann.reset().await;
    server.clock.advance(Duration::hours(24));
    server.state.clean_up().await;
    assert_eq!(figure(&server, "demo_reset_cleanups_total{outcome=\"done\"}").await, 1.0);
    assert_eq!(figure(&server, "demo_reset_cleaned_total{what=\"archives\"}").await, 1.0);
    assert_eq!(figure(&server, "demo_reset_last_cleanup_timestamp_seconds").await, 1_770_109_200.0);
    let ann = server.sign_in(ANN).await;
    let stats = ann.get("/demo/admin/stats").await.expect(200);
    assert_eq!(stats["lastCleanupAt"], "2026-02-03T09:00:00.123456Z");
    assert_eq!(stats["archives"]["expired"], 0);
}

async fn writes_beyond_the_limit_are_refused_and_others_go_on(backend: Backend) {
    let config = ServerConfig {
        writes_per_second: NonZeroU32::new(1).unwrap(),
        sign_in_limits: no_limits(),
        ..ServerConfig::default()
    };
    let server = Server::with(backend, config).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let mut refused = None;
    // On a slow machine a second may pass between two writes, but not between all of them.
    for _ in 0..50 {
        let answer = ann.patch(&format!("/cases/{CASE}"), json!({})).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.problem(429), "too_many_requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-policy"), "\"writes\";q=1;w=1");
    assert_eq!(refused.header("ratelimit"), "\"writes\";r=0;t=1");
    ben.create("/cases", json!({ "details": "x" })).await;
    ann.get("/cases").await.expect(200);
}

async fn a_full_session_is_told_so_and_can_be_reset(backend: Backend) {
    let mut server = Server::on(backend).await;
    let attach = demo_reset_compliance::attach_options();
    let options = OpenOptions { attach, max_layer_changes: 4, ..Default::default() };
    let database = Database::open(&server.home.url(), options, demo_now()).unwrap();
    let engine = Engine::with(database, server.clock.clone(), std::sync::Arc::new(System));
    let config = ServerConfig { sign_in_limits: no_limits(), ..ServerConfig::default() };
    server.serve(AppState::new(engine, &config).unwrap()).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    for _ in 0..2 {
        // Each leaves an audit entry too.
        ann.create("/cases", json!({ "details": "x" })).await;
    }
    let refused = ann.post("/cases", json!({ "details": "x" })).await;
    assert_eq!(refused.problem(409), "layer_full");
    assert!(refused.json()["detail"].as_str().unwrap().contains("4 changes"));
    assert_eq!(ann.total("/cases").await, 5);
    ben.create("/cases", json!({ "details": "x" })).await;
    ann.reset().await;
    ann.create("/cases", json!({ "details": "x" })).await;
}

async fn requests_beyond_the_connections_wait_for_their_turn(backend: Backend) {
    let one = OpenOptions { readers: 1, ..OpenOptions::default() };
    let config = ServerConfig { sign_in_limits: no_limits(), ..ServerConfig::default() };
    let ann = Server::opened(backend, one, config).await.sign_in(ANN).await;
    let ask = |number: usize| {
        let ann = ann.clone();
        actix_web::rt::spawn(async move {
            match number % 4 {
                0 => ann.post("/cases", json!({ "details": "x" })).await.expect(201),
                _ => ann.get("/cases?limit=1").await.expect(200),
            };
        })
    };
    let asked: Vec<_> = (0..60).map(ask).collect();
    for answered in asked {
        answered.await.unwrap();
    }
    assert_eq!(ann.total("/cases").await, 3 + 15);
}

async fn a_write_whose_turn_does_not_come_in_time_is_not_done_later(backend: Backend) {
    let brief =
        OpenOptions { readers: 1, connection_timeout: StdDuration::from_secs(1), ..OpenOptions::default() };
    let config = ServerConfig { sign_in_limits: no_limits(), ..ServerConfig::default() };
    let ann = Server::opened(backend, brief, config).await.sign_in(ANN).await;
    let taken = take_connections(&ann.server.database, backend);
    let asked: Vec<_> = (0..3)
        .map(|_| {
            let ann = ann.clone();
            actix_web::rt::spawn(async move { ann.post("/cases", json!({ "details": "x" })).await })
        })
        .collect();
    for answered in asked {
        answered.await.unwrap().expect(503);
    }
    drop(taken);
    assert_eq!(ann.total("/cases").await, 3);
}

async fn work_that_panics_takes_neither_a_thread_nor_a_connection_with_it(backend: Backend) {
    let one = OpenOptions { readers: 1, ..OpenOptions::default() };
    let server = Server::opened(backend, one, ServerConfig::default()).await;
    let engine = Engine::new(server.database.clone());
    for _ in 0..3 {
        let panics = |_: &mut AnyConnection| -> Result<(), Error> { panic!("as this test wants it") };
        let broken = engine.reading(move |engine| engine.database().read_base(panics)).await;
        assert!(matches!(broken, Err(ApiError::Internal(_))), "{broken:?}");
    }
    engine.reading(|engine| engine.database().ready()).await.unwrap();
}

fn demo_now() -> chrono::DateTime<chrono::Utc> {
    "2026-02-02T09:00:00.123456Z".parse().unwrap()
}
