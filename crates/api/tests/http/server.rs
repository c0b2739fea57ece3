use std::io::{Read, Write};
use std::net::TcpStream;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use chrono::DateTime;
use demo_reset_api::{ServeError, ServerConfig, bind, serve};

use crate::fixture::{Backend, Server, database, no_limits, on_each_database};

on_each_database! {
    the_server_answers_on_its_socket,
    two_servers_over_one_database_accept_each_others_tokens,
}

#[actix_web::test]
async fn a_taken_port_is_told_with_its_address() {
    let listener = bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let error = bind(&address).unwrap_err();
    assert!(matches!(&error, ServeError::AddressInUse { .. }), "{error:?}");
    assert!(error.to_string().contains(&address), "{error}");
    assert!(matches!(bind("nowhere.invalid:1"), Err(ServeError::Bind { .. })));
}

async fn the_server_answers_on_its_socket(backend: Backend) {
    let (database, _folder) = database(backend, DateTime::UNIX_EPOCH);
    let listener = bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = ServerConfig { workers: 1, ..ServerConfig::default() };
    let server = actix_web::rt::spawn(serve(database, listener, config));
    let asked = actix_web::web::block(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let text = asked.await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("{\"status\":\"ok\"}"), "{text}");
    server.abort();
}

#[actix_web::test]
async fn only_configured_origins_may_call_from_a_page() {
    let config = ServerConfig {
        cors_origins: vec!["https://demo.example".to_owned()],
        sign_in_limits: no_limits(),
        ..ServerConfig::default()
    };
    let server = Server::with(Backend::Sqlite, config).await;
    let from = |origin: &'static str| {
        server.send(TestRequest::get().uri("/healthz").insert_header(("origin", origin)))
    };
    let allowed = from("https://demo.example").await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://demo.example");
    assert_eq!(from("https://evil.example").await.header("access-control-allow-origin"), "");
}

/// What a browser asks before a page of another origin may send this.
fn preflight(origin: &str, method: &str, header: &str) -> TestRequest {
    TestRequest::with_uri("/api/v1/cases")
        .method(Method::OPTIONS)
        .insert_header(("origin", origin))
        .insert_header(("access-control-request-method", method))
        .insert_header(("access-control-request-headers", header))
}

#[actix_web::test]
async fn a_page_may_send_what_the_api_takes_and_nothing_else() {
    let config = ServerConfig {
        cors_origins: vec!["https://demo.example".to_owned()],
        sign_in_limits: no_limits(),
        ..ServerConfig::default()
    };
    let server = Server::with(Backend::Sqlite, config).await;
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        for header in ["authorization", "content-type", "if-match", "if-none-match", "idempotency-key"] {
            let answer = server.send(preflight("https://demo.example", method, header)).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{method} {header}");
            assert_eq!(answer.header("access-control-allow-origin"), "https://demo.example");
            assert!(answer.header("access-control-allow-methods").contains(method), "{method}");
            assert!(answer.header("access-control-allow-headers").contains(header), "{header}");
        }
    }
    for (origin, method, header) in [
        ("https://evil.example", "GET", "authorization"),
        ("https://demo.example.evil.example", "GET", "authorization"),
        ("http://demo.example", "GET", "authorization"),
        ("null", "GET", "authorization"),
        ("https://demo.example", "PUT", "authorization"),
        ("https://demo.example", "GET", "x-user"),
    ] {
        let answer = server.send(preflight(origin, method, header)).await;
        assert_eq!(answer.problem(400), "preflight_refused", "{origin} {method} {header}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let closed = Server::on(Backend::Sqlite).await;
    let answer = closed.send(preflight("https://demo.example", "GET", "authorization")).await;
    assert_eq!(answer.problem(400), "preflight_refused", "no origin is allowed unless one is configured");
}

async fn two_servers_over_one_database_accept_each_others_tokens(backend: Backend) {
    let first = Server::on(backend).await;
    let token = first.sign_in(crate::fixture::ANN).await.token;
    let second = first.again(ServerConfig::default()).await;
    let request = TestRequest::get().uri("/api/v1/auth/me");
    let bearer = ("authorization", format!("Bearer {token}"));
    second.send(request.insert_header(bearer.clone())).await.expect(200);
    let config = ServerConfig { signing_key: Some("another".to_owned()), ..ServerConfig::default() };
    let third = first.again(config).await;
    third.send(TestRequest::get().uri("/api/v1/auth/me").insert_header(bearer)).await.problem(401);
}
