use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::{Backend, Server, on_each_database};

on_each_database! {
    a_server_over_a_sealed_base_is_healthy_and_ready,
    the_document_and_its_pages_are_served,
}

async fn a_server_over_a_sealed_base_is_healthy_and_ready(backend: Backend) {
    let server = Server::on(backend).await;
    assert_eq!(server.get("/healthz").await.expect(200), json!({ "status": "ok" }));
    assert_eq!(server.get("/readyz").await.expect(200), json!({ "status": "ready" }));
    let head = server.send(TestRequest::with_uri("/healthz").method(Method::HEAD)).await;
    assert_eq!(head.status, 200);
}

async fn the_document_and_its_pages_are_served(backend: Backend) {
    let server = Server::on(backend).await;
    let document = server.get("/openapi.json").await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    let redirect = server.get("/docs").await;
    assert_eq!((redirect.status, redirect.header("location")), (308, "/docs/"));
    let page = server.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"));
    let script = server.get("/docs/swagger-initializer.js").await;
    assert!(script.text.contains("/openapi.json"), "{}", script.text);
}
