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
