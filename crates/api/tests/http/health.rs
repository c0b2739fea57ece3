use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::Server;

#[actix_web::test]
async fn a_server_over_a_sealed_base_is_healthy_and_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.expect(200), json!({ "status": "ok" }));
    assert_eq!(server.get("/readyz").await.expect(200), json!({ "status": "ready" }));
    let head = server.send(TestRequest::with_uri("/healthz").method(Method::HEAD)).await;
    assert_eq!(head.status, 200);
}

#[actix_web::test]
async fn the_document_and_its_pages_are_served() {
    let server = Server::start().await;
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
