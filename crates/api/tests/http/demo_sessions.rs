use chrono::Duration;
use demo_reset_domain::DEFAULT_UNDO_WINDOW;
use serde_json::{Value, json};

use crate::fixture::{
    ANN, BEN, Backend, CASE, Client, FREE_RIU, INVESTIGATION, RIU, Server, UNKNOWN, on_each_database,
};

on_each_database! {
    a_session_is_made_on_first_use_and_counts_its_changes,
    twenty_first_requests_at_once_make_one_session,
    the_preview_tells_what_a_reset_would_do,
    a_reset_without_its_confirmation_changes_nothing,
    a_reset_shows_the_base_again_and_an_undo_gives_everything_back,
    a_reset_of_nothing_archives_nothing,
    a_reset_can_be_undone_until_its_window_closes,
    an_undo_names_what_conflicts_and_changes_nothing,
    wrong_undo_requests_are_refused,
    verify_compares_every_table_with_the_manifest,
    archives_are_listed_newest_first_with_what_can_be_done,
}

/// One of every change that a user can make.
async fn change_everything(client: &Client) {
    client
        .patch("/cases/00000000-0000-7000-8000-000000000202", json!({ "status": "CLOSED" }))
        .await
        .expect(200);
    let case = client.create("/cases", json!({ "details": "mine" })).await;
    let at = |path: &str| format!("/cases/{case}/{path}");
    client.create(&at("subjects"), json!({ "name": "x", "role": "OTHER" })).await;
    client.create(&at("messages"), json!({ "direction": "OUTBOUND", "content": "x" })).await;
    let investigation = client.create(&at("investigations"), json!({})).await;
    client.create(&format!("/investigations/{investigation}/notes"), json!({ "content": "x" })).await;
    client.create(&at("rius"), json!({ "riuId": FREE_RIU })).await;
    client.patch(&format!("/rius/{RIU}"), json!({ "status": "CLOSED" })).await.expect(200);
    client.delete(&format!("/investigations/{INVESTIGATION}")).await.expect(204);
}

/// Everything that a client can see.
async fn world(client: &Client) -> Vec<Value> {
    let mut seen = Vec::new();
    for list in ["/cases", "/rius", "/investigations"] {
        seen.push(client.get(list).await.expect(200));
    }
    let cases = seen[0]["items"].as_array().unwrap().clone();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        for list in ["subjects", "messages", "investigations", "rius", "activity"] {
            seen.push(client.get(&format!("/cases/{id}/{list}")).await.expect(200));
        }
    }
    seen
}

fn counts(audit: bool) -> Value {
    let mut counts = json!({
        "cases": 2, "investigations": 2, "rius": 1, "subjects": 1, "messages": 1, "notes": 2,
        "associations": 1,
    });
    if audit {
        counts["auditLogs"] = 9.into();
    }
    counts
}

fn no_counts() -> Value {
    json!({
        "cases": 0, "investigations": 0, "rius": 0, "subjects": 0, "messages": 0, "notes": 0,
        "associations": 0, "auditLogs": 0,
    })
}

async fn a_session_is_made_on_first_use_and_counts_its_changes(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let fresh = ann.get("/demo/session").await.expect(200);
    assert_eq!(fresh["totalChanges"], 0);
    assert_eq!(fresh["createdAt"], "2026-02-02T09:00:00.123456Z");
    change_everything(&ann).await;
    let session = ann.get("/demo/session").await.expect(200);
    assert_eq!(session["sessionId"], fresh["sessionId"]);
    assert_eq!(session["changes"], counts(false));
    assert_eq!(session["totalChanges"], 10);
    let ben = server.sign_in(BEN).await.get("/demo/session").await.expect(200);
    assert_ne!(ben["sessionId"], session["sessionId"]);
    assert_eq!(ben["totalChanges"], 0);
    server.clock.advance(Duration::minutes(2));
    let later = ann.get("/demo/session").await.expect(200);
    assert_eq!(later["lastActivityAt"], "2026-02-02T09:02:00.123456Z");
    assert_eq!(later["createdAt"], fresh["createdAt"]);
}

async fn twenty_first_requests_at_once_make_one_session(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let ann = ann.clone();
            actix_web::rt::spawn(async move { ann.get("/demo/session").await.expect(200) })
        })
        .collect();
    let mut sessions = Vec::new();
    for answer in asked {
        sessions.push(answer.await.unwrap()["sessionId"].clone());
    }
    sessions.dedup();
    assert_eq!(sessions.len(), 1);
}

async fn the_preview_tells_what_a_reset_would_do(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    change_everything(&ann).await;
    let mut preview = ann.get("/demo/reset/preview").await.expect(200);
    assert!(preview["message"].as_str().unwrap().contains("10 change(s)"));
    preview["message"] = "".into();
    let expected = json!({
        "message": "", "willDelete": counts(false), "totalItems": 10, "baseDataPreserved": true,
        "undoAvailable": true, "undoWindowHours": 24, "confirmationRequired": true,
        "confirmationToken": "CONFIRM_RESET",
    });
    assert_eq!(preview, expected);
}

async fn a_reset_without_its_confirmation_changes_nothing(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    change_everything(&ann).await;
    let before = world(&ann).await;
    for body in ["", "{}", "[]", "{", r#"{"confirmationToken":"yes"}"#, r#"{"confirmationToken":5}"#] {
        let refused = ann.post_text("/demo/reset", body).await;
        assert_eq!(refused.problem(400), "confirmation_required", "{body}");
    }
    let unknown = json!({ "confirmationToken": "CONFIRM_RESET", "force": true });
    assert_eq!(ann.post("/demo/reset", unknown).await.invalid_fields(), ["force"]);
    assert_eq!(world(&ann).await, before);
}

async fn a_reset_shows_the_base_again_and_an_undo_gives_everything_back(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let base = world(&ann).await;
    change_everything(&ann).await;
    change_everything(&ben).await;
    let (anns, bens) = (world(&ann).await, world(&ben).await);

    let reset = ann.reset().await;
    assert_eq!(reset["success"], true);
    assert_eq!(reset["deletedCounts"], counts(true));
    assert!(reset["archiveId"].is_string());
    assert_eq!(reset["undoExpiresAt"], "2026-02-03T09:00:00.123456Z");
    assert!(reset["durationMs"].as_f64().unwrap() > 0.0);
    let verification = json!({
        "method": "seal", "baseDataIntact": true, "userChangesCleared": true,
        "counts": {
            "baseRius": 2, "baseCases": 4, "baseInvestigations": 1, "baseSubjects": 1, "baseMessages": 1,
            "baseNotes": 1, "baseAssociations": 1, "userRius": 0, "userCases": 0, "userInvestigations": 0,
            "userSubjects": 0, "userMessages": 0, "userNotes": 0, "userAssociations": 0,
        },
    });
    assert_eq!(reset["verification"], verification);
    assert_eq!(world(&ann).await, base);
    assert_eq!(world(&ben).await, bens);

    let undo = ann.post_text("/demo/undo", "").await.expect(200);
    assert_eq!((&undo["success"], &undo["restoredCounts"]), (&json!(true), &counts(true)));
    assert_eq!(world(&ann).await, anns);
    assert_eq!(world(&ben).await, bens);
    assert_eq!(ann.post_text("/demo/undo", "").await.problem(400), "nothing_to_undo");
    let again = ann.post("/demo/undo", json!({ "archiveId": reset["archiveId"] })).await;
    assert_eq!(again.problem(409), "already_restored");
}

async fn a_reset_of_nothing_archives_nothing(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let reset = ann.reset().await;
    assert_eq!(reset["deletedCounts"], no_counts());
    assert_eq!((&reset["archiveId"], &reset["undoExpiresAt"]), (&Value::Null, &Value::Null));
    assert_eq!(ann.post("/demo/undo", json!({})).await.problem(400), "nothing_to_undo");
}

async fn a_reset_can_be_undone_until_its_window_closes(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    ann.create("/cases", json!({ "details": "x" })).await;
    ann.reset().await;
    server.clock.advance(DEFAULT_UNDO_WINDOW);
    let ann = server.sign_in(ANN).await;
    assert_eq!(ann.post("/demo/undo", json!({})).await.problem(410), "undo_expired");
    server.clock.advance(-Duration::microseconds(1));
    ann.post("/demo/undo", json!({})).await.expect(200);
    assert_eq!(ann.total("/cases").await, 4);
}

async fn an_undo_names_what_conflicts_and_changes_nothing(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/cases/{CASE}");
    ann.patch(&path, json!({ "summary": "first" })).await.expect(200);
    ann.reset().await;
    ann.patch(&path, json!({ "summary": "second" })).await.expect(200);
    let refused = ann.post("/demo/undo", json!({})).await;
    assert_eq!(refused.problem(409), "undo_conflict");
    let conflict = json!({ "entityType": "case", "entityId": CASE, "reason": "same_record" });
    assert_eq!(refused.json()["conflicts"], json!([conflict]));
    assert_eq!(ann.get(&path).await.expect(200)["summary"], "second");
    let undo = ann.post("/demo/undo", json!({ "onConflict": "restoreArchived" })).await.expect(200);
    assert!(undo["replacedArchiveId"].is_string());
    assert_eq!(ann.get(&path).await.expect(200)["summary"], "first");
}

async fn wrong_undo_requests_are_refused(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    assert_eq!(ann.post("/demo/undo", json!({ "archiveId": "x" })).await.invalid_fields(), ["archiveId"]);
    assert_eq!(ann.post("/demo/undo", json!({ "onConflict": "x" })).await.invalid_fields(), ["onConflict"]);
    assert_eq!(ann.post("/demo/undo", json!({ "all": 1 })).await.invalid_fields(), ["all"]);
    assert_eq!(ann.post_text("/demo/undo", "{").await.problem(400), "malformed_json");
    let unknown = ann.post("/demo/undo", json!({ "archiveId": UNKNOWN })).await;
    assert_eq!(unknown.problem(400), "nothing_to_undo");
}

async fn verify_compares_every_table_with_the_manifest(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let untouched = ann.get("/demo/verify").await.expect(200);
    assert_eq!(untouched["method"], "fingerprint");
    assert_eq!(
        (&untouched["baseDataIntact"], &untouched["userChangesCleared"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(untouched["counts"]["baseCases"], 4);
    let tables = untouched["tables"].as_array().unwrap();
    let cases = tables.iter().find(|table| table["table"] == "cases").unwrap();
    let expected = json!({ "table": "cases", "expectedRows": 4, "rows": 4, "fingerprintMatches": true });
    assert_eq!(cases, &expected);
    change_everything(&ann).await;
    let changed = ann.get("/demo/verify").await.expect(200);
    assert_eq!((&changed["baseDataIntact"], &changed["userChangesCleared"]), (&json!(true), &json!(false)));
    assert_eq!((&changed["counts"]["userCases"], &changed["counts"]["userRius"]), (&json!(2), &json!(1)));
}

async fn archives_are_listed_newest_first_with_what_can_be_done(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    for _ in 0..2 {
        ann.create("/cases", json!({ "details": "x" })).await;
        ann.reset().await;
        server.clock.advance(Duration::minutes(1));
    }
    ann.post("/demo/undo", json!({})).await.expect(200);
    let items = ann.get("/demo/archives").await.expect(200)["items"].clone();
    assert_eq!((&items[0]["state"], &items[1]["state"]), (&json!("restored"), &json!("available")));
    assert_eq!(items[0]["archivedAt"], "2026-02-02T09:01:00.123456Z");
    assert_eq!(items[1]["counts"]["cases"], 1);
    assert_eq!(server.sign_in(BEN).await.get("/demo/archives").await.expect(200), json!({ "items": [] }));
}
