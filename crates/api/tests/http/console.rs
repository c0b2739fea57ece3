use actix_web::test::TestRequest;
use demo_reset_api::ServerConfig;
use serde_json::json;

use crate::fixture::{ANN, Backend, Server, no_limits, on_each_database};

on_each_database! {
    demo_people_are_told_only_where_the_server_is_told_to_offer_them,
    cases_are_counted_by_month_and_severity_as_the_session_sees_them,
    verification_tells_how_many_sessions_are_at_work,
}

/// Where the page finds its script.
fn script(page: &str) -> String {
    let start = page.find("/console/").unwrap();
    let version: String = page[start..].split('/').nth(2).unwrap().to_owned();
    format!("/console/{version}/main.js")
}

#[actix_web::test]
async fn the_console_is_a_page_that_runs_nothing_but_its_own_scripts() {
    let server = Server::on(Backend::Sqlite).await;
    let page = server.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let known = TestRequest::get().uri("/").insert_header(("if-none-match", page.header("etag")));
    assert_eq!(server.send(known).await.status, 304);
}

#[actix_web::test]
async fn files_of_the_console_are_kept_for_good_under_the_version_of_all_of_them() {
    let server = Server::on(Backend::Sqlite).await;
    let path = script(&server.get("/").await.text);
    let file = server.get(&path).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(server.get("/console/0000000000000000/main.js").await.problem(404), "no_route");
    assert_eq!(server.get(&path.replace("main.js", "../main.rs")).await.problem(404), "no_route");
}

async fn demo_people_are_told_only_where_the_server_is_told_to_offer_them(backend: Backend) {
    let server = Server::on(backend).await;
    assert_eq!(server.get("/api/v1/auth/demo-people").await.problem(404), "no_route");
    let config = ServerConfig { demo_people: true, sign_in_limits: no_limits(), ..ServerConfig::default() };
    let offering = Server::with(backend, config).await.get("/api/v1/auth/demo-people").await.expect(200);
    let ann = json!({
        "email": ANN,
        "firstName": "Ann",
        "lastName": "Archer",
        "role": "SYSTEM_ADMIN",
        "organization": "Acme",
    });
    assert_eq!(offering["items"][0], ann);
    assert_eq!(offering["items"].as_array().unwrap().len(), 3);
}

async fn cases_are_counted_by_month_and_severity_as_the_session_sees_them(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let january = |low: u64, high: u64| json!({ "month": "2026-01", "bySeverity": { "LOW": low, "MEDIUM": 0, "HIGH": high, "CRITICAL": 0 } });
    assert_eq!(ann.get("/cases/statistics").await.expect(200)["months"], json!([january(2, 1)]));
    ann.patch(&format!("/cases/{}", crate::fixture::CASE), json!({ "severity": "LOW" })).await.expect(200);
    assert_eq!(ann.get("/cases/statistics").await.expect(200)["months"], json!([january(3, 0)]));
}

async fn verification_tells_how_many_sessions_are_at_work(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    server.sign_in(crate::fixture::BEN).await.get("/demo/session").await.expect(200);
    assert_eq!(ann.get("/demo/verify").await.expect(200)["sessionsAtWork"], 2);
    server.clock.advance(chrono::Duration::minutes(15));
    assert_eq!(ann.get("/demo/verify").await.expect(200)["sessionsAtWork"], 1);
}
