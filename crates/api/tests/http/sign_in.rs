use std::num::NonZeroU32;

use actix_web::test::TestRequest;
use chrono::Duration;
use demo_reset_api::{ServerConfig, SignInLimits, set_demo_password, set_first_demo_password};
use serde_json::json;

use crate::fixture::{ANN, Backend, PASSWORD, Server, on_each_database};
use crate::statements;

on_each_database! {
    sign_in_gives_a_token_and_the_user,
    an_unknown_address_and_a_wrong_password_are_answered_alike,
    sign_in_names_the_fields_that_are_wrong,
    everything_else_needs_a_token,
    a_token_expires,
    sign_in_attempts_are_limited_for_each_account,
    sign_in_attempts_are_limited_for_each_address,
    the_first_password_stays_until_another_is_set,
}

async fn sign_in_gives_a_token_and_the_user(backend: Backend) {
    let server = Server::on(backend).await;
    let answer = server.login(ANN, PASSWORD).await;
    let body = answer.expect(200);
    assert_eq!(body["tokenType"], "Bearer");
    assert_eq!(body["expiresIn"], 3600);
    let user = json!({
        "id": "00000000-0000-7000-8000-0000000000a1",
        "email": ANN,
        "firstName": "Ann",
        "lastName": "Archer",
        "role": "SYSTEM_ADMIN",
        "organizationId": "00000000-0000-7000-8000-0000000000a0",
    });
    assert_eq!(body["user"], user);
    assert_eq!(answer.header("cache-control"), "no-store");
    let me = server.sign_in(" Ann@ACME.example ").await.get("/auth/me").await.expect(200);
    assert_eq!(me, user);
}

async fn an_unknown_address_and_a_wrong_password_are_answered_alike(backend: Backend) {
    let server = Server::on(backend).await;
    let mut wrong = server.login(ANN, "guess").await;
    let mut unknown = server.login("nobody@acme.example", PASSWORD).await;
    assert_eq!(wrong.problem(401), "wrong_credentials");
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    for answer in [&mut wrong, &mut unknown] {
        let mut body = answer.json();
        body["requestId"] = "".into();
        answer.text = body.to_string();
    }
    assert_eq!(wrong.text, unknown.text);
    // Nor by the time that they take: the password is checked in either case.
    let (_, of_wrong) = statements::of(&server.home, server.login(ANN, "guess")).await;
    let (_, of_unknown) = statements::of(&server.home, server.login("nobody@acme.example", PASSWORD)).await;
    assert!(of_wrong.len() > 1, "{of_wrong:#?}");
    assert_eq!(of_wrong, of_unknown);
}

async fn sign_in_names_the_fields_that_are_wrong(backend: Backend) {
    let server = Server::on(backend).await;
    let post = |body| server.send(TestRequest::post().uri("/api/v1/auth/login").set_json(body));
    assert_eq!(post(json!({ "email": ANN })).await.invalid_fields(), ["password"]);
    assert_eq!(post(json!({ "email": 1, "password": "" })).await.invalid_fields(), ["email", "password"]);
    // U+0000, which PostgreSQL takes in no text.
    let nul = json!({ "email": "ann\0@acme.example", "password": "\0" });
    assert_eq!(post(nul).await.invalid_fields(), ["email", "password"]);
    // Limits are in characters, as the document says.
    let long = |count: usize| json!({ "email": "ü".repeat(count), "password": PASSWORD });
    post(long(320)).await.problem(401);
    assert_eq!(post(long(321)).await.invalid_fields(), ["email"]);
    let unknown = json!({ "email": ANN, "password": PASSWORD, "otp": 1 });
    assert_eq!(post(unknown).await.invalid_fields(), ["otp"]);
}

async fn everything_else_needs_a_token(backend: Backend) {
    let server = Server::on(backend).await;
    for path in ["/auth/me", "/demo/session", "/cases", "/users", "/cases/1/subjects"] {
        assert_eq!(server.get(&format!("/api/v1{path}")).await.problem(401), "unauthorized", "{path}");
    }
    let with = |value: &str| {
        server.send(TestRequest::get().uri("/api/v1/auth/me").insert_header(("authorization", value)))
    };
    for wrong in ["", "Bearer", "Bearer ", "Bearer a.b.c", "Basic YTpi"] {
        assert_eq!(with(wrong).await.problem(401), "unauthorized", "{wrong}");
    }
    let token = server.sign_in(ANN).await.token;
    with(&format!("bearer {token}")).await.expect(200);
}

async fn a_token_expires(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    server.clock.advance(Duration::minutes(59));
    ann.get("/auth/me").await.expect(200);
    server.clock.advance(Duration::minutes(1));
    assert_eq!(ann.get("/auth/me").await.problem(401), "unauthorized");
}

async fn sign_in_attempts_are_limited_for_each_account(backend: Backend) {
    // One a minute: a second one is not let through before, however slow the machine is.
    let limits = SignInLimits { per_account: NonZeroU32::MIN, per_address: NonZeroU32::new(100).unwrap() };
    let server =
        Server::with(backend, ServerConfig { sign_in_limits: limits, ..ServerConfig::default() }).await;
    server.login(ANN, "guess").await.problem(401);
    let refused = server.login(&ANN.to_uppercase(), PASSWORD).await;
    assert_eq!(refused.problem(429), "too_many_requests");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    server.login("ben@acme.example", PASSWORD).await.expect(200);
}

async fn sign_in_attempts_are_limited_for_each_address(backend: Backend) {
    let limits = SignInLimits { per_address: NonZeroU32::MIN, per_account: NonZeroU32::new(100).unwrap() };
    let server =
        Server::with(backend, ServerConfig { sign_in_limits: limits, ..ServerConfig::default() }).await;
    let from = |last: u8, email: &str| {
        let body = json!({ "email": email, "password": "guess" });
        let request = TestRequest::post().uri("/api/v1/auth/login").set_json(body);
        server.send(request.peer_addr(([10, 0, 0, last], 40_000).into()))
    };
    from(1, "a@acme.example").await.problem(401);
    let refused = from(1, "b@acme.example").await;
    assert_eq!(refused.problem(429), "too_many_requests");
    assert!(refused.header("ratelimit-policy").starts_with("\"sign-in-address\";q=1;w=60"));
    from(2, "b@acme.example").await.problem(401);
}

async fn the_first_password_stays_until_another_is_set(backend: Backend) {
    let server = Server::on(backend).await;
    assert!(!set_first_demo_password(&server.database, "other").unwrap());
    server.login(ANN, "other").await.problem(401);
    set_demo_password(&server.database, "other").unwrap();
    server.login(ANN, "other").await.expect(200);
    server.login(ANN, PASSWORD).await.problem(401);
}
