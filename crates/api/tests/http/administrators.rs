use chrono::Duration;
use serde_json::json;

use crate::fixture::{ANN, BEN, Backend, CASE, GIL, Server, UNKNOWN, on_each_database};

on_each_database! {
    only_administrators_administer,
    stats_cover_the_administrators_own_organization,
    sessions_are_listed_page_by_page_the_most_recently_active_first,
    an_administrators_reset_can_be_undone_by_the_user,
    cleanup_purges_what_has_expired_in_the_administrators_organization,
}

async fn only_administrators_administer(backend: Backend) {
    let server = Server::on(backend).await;
    let ben = server.sign_in(BEN).await;
    for path in ["/demo/admin/stats", "/demo/admin/sessions"] {
        assert_eq!(ben.get(path).await.problem(403), "forbidden");
        assert_eq!(server.get(&format!("/api/v1{path}")).await.problem(401), "unauthorized");
    }
    let reset = format!("/demo/admin/sessions/{UNKNOWN}/reset");
    for path in [reset.as_str(), "/demo/admin/cleanup"] {
        let body = json!({ "confirmationToken": "CONFIRM_RESET" });
        assert_eq!(ben.post(path, body).await.problem(403), "forbidden");
    }
}

async fn stats_cover_the_administrators_own_organization(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben, gil) = (server.sign_in(ANN).await, server.sign_in(BEN).await, server.sign_in(GIL).await);
    ben.delete(&format!("/cases/{CASE}")).await.expect(204);
    ben.reset().await;
    ben.create("/cases", json!({ "details": "x" })).await;
    gil.create("/cases", json!({ "details": "x" })).await;
    let stats = ann.get("/demo/admin/stats").await.expect(200);
    let expected = json!({
        "base": {
            "cases": 4, "investigations": 1, "rius": 2, "subjects": 1, "messages": 1, "notes": 1,
            "associations": 1, "auditLogs": 1,
        },
        "sessions": { "total": 1, "active7d": 1, "stale30d": 0 },
        "changes": {
            "cases": 1, "investigations": 0, "rius": 0, "subjects": 0, "messages": 0, "notes": 0,
            "associations": 0, "auditLogs": 1,
        },
        "archives": { "available": 1, "expired": 0, "restored": 0 },
        "lastCleanupAt": null,
    });
    assert_eq!(stats, expected);
}

async fn sessions_are_listed_page_by_page_the_most_recently_active_first(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben, gil) = (server.sign_in(ANN).await, server.sign_in(BEN).await, server.sign_in(GIL).await);
    ben.create("/cases", json!({ "details": "x" })).await;
    gil.get("/demo/session").await.expect(200);
    server.clock.advance(Duration::minutes(5));
    ann.get("/demo/session").await.expect(200);
    let first = ann.get("/demo/admin/sessions?limit=1").await.expect(200);
    assert_eq!(first["total"], 2);
    assert_eq!(first["items"][0]["userId"], "00000000-0000-7000-8000-0000000000a1");
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = ann.get(&format!("/demo/admin/sessions?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!(second["nextCursor"], serde_json::Value::Null);
    assert_eq!(second["items"][0]["userId"], "00000000-0000-7000-8000-0000000000a2");
    assert_eq!(second["items"][0]["totalChanges"], 1);
    assert_eq!(second["items"][0]["lastActivityAt"], "2026-02-02T09:00:00.123456Z");
    for (query, field) in [("limit=0", "limit"), ("cursor=x", "cursor"), ("sort=x", "sort")] {
        let refused = ann.get(&format!("/demo/admin/sessions?{query}")).await;
        assert_eq!(refused.invalid_fields(), [field]);
    }
}

async fn an_administrators_reset_can_be_undone_by_the_user(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben, gil) = (server.sign_in(ANN).await, server.sign_in(BEN).await, server.sign_in(GIL).await);
    ben.create("/cases", json!({ "details": "x" })).await;
    let session = ben.session_id().await;
    let path = format!("/demo/admin/sessions/{session}/reset");
    let confirmed = json!({ "confirmationToken": "CONFIRM_RESET" });
    assert_eq!(ann.post(&path, json!({})).await.problem(400), "confirmation_required");
    assert_eq!(gil.post(&path, confirmed.clone()).await.problem(404), "not_found");
    let unknown = format!("/demo/admin/sessions/{UNKNOWN}/reset");
    assert_eq!(ann.post(&unknown, confirmed.clone()).await.problem(404), "not_found");
    assert_eq!(
        ann.post("/demo/admin/sessions/x/reset", confirmed.clone()).await.problem(400),
        "malformed_id"
    );
    assert_eq!(ben.total("/cases").await, 4);
    let reset = ann.post(&path, confirmed).await.expect(200);
    assert_eq!(reset["deletedCounts"]["cases"], 1);
    assert_eq!(ben.total("/cases").await, 3);
    ben.post("/demo/undo", json!({})).await.expect(200);
    assert_eq!(ben.total("/cases").await, 4);
}

async fn cleanup_purges_what_has_expired_in_the_administrators_organization(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, gil) = (server.sign_in(ANN).await, server.sign_in(GIL).await);
    for client in [&ann, &gil] {
        client.create("/cases", json!({ "details": "x" })).await;
        client.reset().await;
    }
    server.clock.advance(Duration::hours(24));
    let ann = server.sign_in(ANN).await;
    let report = ann.post("/demo/admin/cleanup", json!({})).await.expect(200);
    let expected = json!({
        "archivesPurged": 1, "changesPurged": 2, "sessionsArchived": 0, "sessionsRemoved": 0,
    });
    assert_eq!(report, expected);
    assert_eq!(ann.get("/demo/archives").await.expect(200), json!({ "items": [] }));
    let gil = server.sign_in(GIL).await;
    assert_eq!(gil.get("/demo/archives").await.expect(200)["items"][0]["state"], "expired");
}
