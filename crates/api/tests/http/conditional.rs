use actix_web::http::header::{HeaderValue, IF_MATCH};
use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::{ANN, BEN, Backend, CASE, Server, on_each_database};

on_each_database! {
    a_record_that_the_caller_has_is_not_sent_again,
    a_list_has_another_version_when_a_record_changes,
    a_write_does_not_overwrite_what_the_caller_has_not_seen,
    a_malformed_precondition_names_no_version,
}

async fn a_record_that_the_caller_has_is_not_sent_again(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for path in [format!("/cases/{CASE}"), "/cases".to_owned(), "/categories".to_owned()] {
        let first = ann.get(&path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"'), "{tag}");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = ann.get_with(&path, ("if-none-match", &known)).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{path} {known}");
            assert_eq!(again.header("etag"), tag);
        }
        ann.get_with(&path, ("if-none-match", "\"x\"")).await.expect(200);
    }
}

async fn a_list_has_another_version_when_a_record_changes(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let before = ann.get("/cases").await.header("etag").to_owned();
    ann.patch(&format!("/cases/{CASE}"), json!({ "riskScore": 1 })).await.expect(200);
    ann.get_with("/cases", ("if-none-match", &before)).await.expect(200);
}

async fn a_write_does_not_overwrite_what_the_caller_has_not_seen(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let path = format!("/cases/{CASE}");
    let seen = ann.get(&path).await.header("etag").to_owned();
    let edited = ann.patch_with(&path, json!({ "riskScore": 1 }), ("if-match", &seen)).await;
    edited.expect(200);
    let now = edited.header("etag").to_owned();
    assert_eq!(ann.get(&path).await.header("etag"), now);
    let stale = ann.patch_with(&path, json!({ "riskScore": 2 }), ("if-match", &seen)).await;
    assert_eq!(stale.problem(412), "precondition_failed");
    assert_eq!(ann.delete_with(&path, ("if-match", &seen)).await.problem(412), "precondition_failed");
    let weak = ann.delete_with(&path, ("if-match", &format!("W/{now}"))).await;
    assert_eq!(weak.problem(412), "precondition_failed");
    assert_eq!(ann.get(&path).await.expect(200)["riskScore"], 1);
    ann.patch_with(&path, json!({ "riskScore": 3 }), ("if-match", "*")).await.expect(200);
    let now = ann.get(&path).await.header("etag").to_owned();
    ann.delete_with(&path, ("if-match", &now)).await.expect(204);
    assert_eq!(server.sign_in(BEN).await.get(&path).await.header("etag"), seen);
}

async fn a_malformed_precondition_names_no_version(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let refused = ann.delete_with(&format!("/cases/{CASE}"), ("if-match", "not quoted")).await;
    assert_eq!(refused.problem(412), "precondition_failed");
    // Bytes that are no text.
    let request = TestRequest::delete()
        .uri(&format!("/api/v1/cases/{CASE}"))
        .insert_header(("authorization", format!("Bearer {}", ann.token)))
        .insert_header((IF_MATCH, HeaderValue::from_bytes(b"\"\xe9\"").unwrap()));
    assert_eq!(ann.server.send(request).await.problem(412), "precondition_failed");
}
