use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::{ANN, Backend, CASE, Server, on_each_database};

on_each_database! {
    an_unknown_address_is_a_problem_too,
    a_wrong_method_is_told_the_right_ones,
    a_malformed_id_is_told_from_an_unknown_one,
    a_malformed_body_is_told_from_wrong_values,
    a_body_of_another_type_is_refused,
    a_body_over_one_mebibyte_is_refused,
    every_answer_carries_the_id_of_its_request,
    answers_forbid_browsers_to_guess_frame_or_run,
    text_with_a_nul_is_refused,
}

async fn an_unknown_address_is_a_problem_too(backend: Backend) {
    let server = Server::on(backend).await;
    for path in
        ["/nothing", "/api/v1", "/api/v1/nothing", "/api/v1/demo/nothing", "/api/v1/cases/", "/docs/nothing"]
    {
        assert_eq!(server.get(path).await.problem(404), "no_route", "{path}");
    }
}

async fn a_wrong_method_is_told_the_right_ones(backend: Backend) {
    let server = Server::on(backend).await;
    for (method, path, allow) in [
        (Method::PUT, "/api/v1/cases", "GET, HEAD, POST"),
        (Method::POST, "/api/v1/cases/1", "GET, HEAD, PATCH, DELETE"),
        (Method::GET, "/api/v1/demo/reset", "POST"),
        (Method::DELETE, "/healthz", "GET, HEAD"),
    ] {
        let answer = server.send(TestRequest::with_uri(path).method(method)).await;
        assert_eq!(answer.problem(405), "method_not_allowed", "{path}");
        assert_eq!(answer.header("allow"), allow);
    }
}

async fn a_malformed_id_is_told_from_an_unknown_one(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for path in ["/cases/1", "/cases/1/subjects", "/notes/x", "/cases/%00", "/rius/0190d5c0-zzzz"] {
        assert_eq!(ann.get(path).await.problem(400), "malformed_id", "{path}");
    }
    ann.get(&format!("/cases/{}", CASE.to_uppercase())).await.expect(200);
}

async fn a_malformed_body_is_told_from_wrong_values(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for body in ["", "{", "{\"details\":}", "\u{1}", "{\"details\": 1e999}"] {
        assert_eq!(ann.post_text("/cases", body).await.problem(400), "malformed_json", "{body}");
    }
    assert_eq!(ann.post_text("/cases", "[]").await.invalid_fields(), ["body"]);
}

async fn a_body_of_another_type_is_refused(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let request = TestRequest::post()
        .uri("/api/v1/cases")
        .insert_header(("authorization", format!("Bearer {}", ann.token)))
        .insert_header(("content-type", "text/plain"))
        .set_payload(json!({ "details": "x" }).to_string());
    assert_eq!(ann.server.send(request).await.problem(415), "unsupported_media_type");
}

async fn a_body_over_one_mebibyte_is_refused(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let body = format!("{{\"details\":\"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(ann.post_text("/cases", &body).await.problem(413), "body_too_large");
}

async fn every_answer_carries_the_id_of_its_request(backend: Backend) {
    let server = Server::on(backend).await;
    let sent =
        server.send(TestRequest::get().uri("/nothing").insert_header(("x-request-id", "trace-7"))).await;
    assert_eq!((sent.header("x-request-id"), &sent.json()["requestId"]), ("trace-7", &json!("trace-7")));
    let odd = server.send(TestRequest::get().uri("/nothing").insert_header(("x-request-id", "a b\"c"))).await;
    assert_eq!(odd.header("x-request-id").len(), 36);
    assert_eq!(odd.json()["requestId"], odd.header("x-request-id"));
}

async fn answers_forbid_browsers_to_guess_frame_or_run(backend: Backend) {
    let server = Server::on(backend).await;
    for path in ["/healthz", "/nothing"] {
        let answer = server.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
}

async fn text_with_a_nul_is_refused(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    assert_eq!(ann.post("/cases", json!({ "details": "a\0b" })).await.invalid_fields(), ["details"]);
    let refused = ann.patch(&format!("/cases/{CASE}"), json!({ "tags": ["a\0"] })).await;
    assert_eq!(refused.invalid_fields(), ["tags"]);
}
