//! `Idempotency-Key`: a repeated request gets the answer of the first one.

use chrono::Duration;
use demo_reset_api::ServerConfig;
use serde_json::{Value, json};

use crate::fixture::{ANN, BEN, Backend, Client, Server, no_limits, on_each_database};

on_each_database! {
    a_repeated_reset_is_answered_again_and_resets_nothing,
    another_server_gives_the_same_answer,
    a_repeated_undo_is_answered_again,
    a_key_stands_for_one_request,
    a_refused_request_can_be_repeated,
    a_key_is_forgotten_after_a_day,
    a_key_is_one_users_own,
    simultaneous_repetitions_do_the_work_once,
    a_key_that_cannot_be_kept_is_refused,
}

const KEY: (&str, &str) = ("idempotency-key", "a-1");

fn confirmed() -> Value {
    json!({ "confirmationToken": "CONFIRM_RESET" })
}

async fn with_one_case(backend: Backend) -> (Server, Client) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    ann.create("/cases", json!({ "details": "x" })).await;
    (server, ann)
}

async fn a_repeated_reset_is_answered_again_and_resets_nothing(backend: Backend) {
    let (_server, ann) = with_one_case(backend).await;
    let first = ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200);
    assert_eq!(first["deletedCounts"]["cases"], 1);
    let newer = ann.create("/cases", json!({ "details": "newer" })).await;
    let quoted = ("idempotency-key", "\"a-1\"");
    for key in [KEY, quoted] {
        assert_eq!(ann.post_with("/demo/reset", confirmed(), key).await.expect(200), first);
    }
    ann.get(&format!("/cases/{newer}")).await.expect(200);
    let other = ann.post_with("/demo/reset", confirmed(), ("idempotency-key", "a-2")).await.expect(200);
    assert_ne!(other["archiveId"], first["archiveId"]);
}

async fn another_server_gives_the_same_answer(backend: Backend) {
    let (server, ann) = with_one_case(backend).await;
    let first = ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200);
    let config = ServerConfig { sign_in_limits: no_limits(), ..ServerConfig::default() };
    let elsewhere = Client { server: server.again(config).await, token: ann.token.clone() };
    elsewhere.create("/cases", json!({ "details": "newer" })).await;
    assert_eq!(elsewhere.post_with("/demo/reset", confirmed(), KEY).await.expect(200), first);
    assert_eq!(elsewhere.total("/cases").await, 4);
}

async fn a_repeated_undo_is_answered_again(backend: Backend) {
    let (_server, ann) = with_one_case(backend).await;
    ann.reset().await;
    let first = ann.post_with("/demo/undo", json!({}), KEY).await.expect(200);
    assert_eq!(ann.post_with("/demo/undo", json!({}), KEY).await.expect(200), first);
    assert_eq!(ann.post("/demo/undo", json!({})).await.problem(400), "nothing_to_undo");
}

async fn a_key_stands_for_one_request(backend: Backend) {
    let (_server, ann) = with_one_case(backend).await;
    ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200);
    let id = ann.create("/cases", json!({ "details": "newer" })).await;
    let mut other = confirmed();
    other["records"] = json!([{ "entityType": "case", "entityId": id }]);
    let refused = ann.post_with("/demo/reset", other, KEY).await;
    assert_eq!(refused.problem(422), "idempotency_key_reused");
    assert_eq!(ann.post_with("/demo/undo", json!({}), KEY).await.problem(422), "idempotency_key_reused");
    ann.get(&format!("/cases/{id}")).await.expect(200);
}

async fn a_refused_request_can_be_repeated(backend: Backend) {
    let (_server, ann) = with_one_case(backend).await;
    assert_eq!(ann.post_with("/demo/undo", json!({}), KEY).await.problem(400), "nothing_to_undo");
    ann.reset().await;
    ann.post_with("/demo/undo", json!({}), KEY).await.expect(200);
}

async fn a_key_is_forgotten_after_a_day(backend: Backend) {
    let (server, ann) = with_one_case(backend).await;
    let first = ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200);
    server.clock.advance(Duration::hours(24) - Duration::microseconds(1));
    let ann = server.sign_in(ANN).await;
    assert_eq!(ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200), first);
    server.clock.advance(Duration::microseconds(1));
    let later = ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200);
    assert_eq!(later["archiveId"], Value::Null);
}

async fn a_key_is_one_users_own(backend: Backend) {
    let (server, ann) = with_one_case(backend).await;
    ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200);
    let ben = server.sign_in(BEN).await;
    let bens = ben.post_with("/demo/reset", confirmed(), KEY).await.expect(200);
    assert_eq!(bens["archiveId"], Value::Null);
}

async fn simultaneous_repetitions_do_the_work_once(backend: Backend) {
    let (_server, ann) = with_one_case(backend).await;
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let ann = ann.clone();
            actix_web::rt::spawn(
                async move { ann.post_with("/demo/reset", confirmed(), KEY).await.expect(200) },
            )
        })
        .collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    assert!(answers[0]["archiveId"].is_string());
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert_eq!(ann.get("/demo/archives").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn a_key_that_cannot_be_kept_is_refused(backend: Backend) {
    let (_server, ann) = with_one_case(backend).await;
    let long = "x".repeat(256);
    for key in ["", "\"\"", "a b", &long] {
        let refused = ann.post_with("/demo/reset", confirmed(), ("idempotency-key", key)).await;
        assert_eq!(refused.invalid_fields(), ["Idempotency-Key"], "{key}");
    }
    assert_eq!(ann.total("/cases").await, 4);
}
