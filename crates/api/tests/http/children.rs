use serde_json::{Value, json};

use crate::fixture::{
    ANN, ASSOCIATION, Backend, CASE, FREE_RIU, INVESTIGATION, MESSAGE, NOTE, RIU, SUBJECT, Server, UNKNOWN,
    on_each_database,
};

on_each_database! {
    a_subject_lives_a_life,
    a_message_lives_a_life,
    an_investigation_lives_a_life,
    a_note_lives_a_life,
    an_association_lives_a_life,
    base_children_can_be_edited_and_deleted,
    investigations_are_numbered_within_their_case,
    the_parent_in_the_path_and_in_the_body_must_agree,
    a_message_says_what_it_said,
    a_riu_is_linked_to_a_case_once,
    the_activity_of_a_case_covers_what_hangs_on_it_and_is_read_only,
}

/// Creates under a parent, reads, lists, edits and deletes one record, and checks the audit trail of its case.
async fn lives_a_life(backend: Backend, collection: &str, single: &str, body: Value, patch: Value) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let case_before = ann.get(&format!("/cases/{CASE}")).await.expect(200);
    let before = ann.total(collection).await;
    server.clock.advance(chrono::Duration::seconds(1));
    let answer = ann.post(collection, body.clone()).await;
    let made = answer.expect(201);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    let path = format!("{single}/{}", made["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), format!("/api/v1{path}"));
    assert_eq!(ann.get(&path).await.expect(200), made);
    let listed = ann.get(collection).await.expect(200);
    assert_eq!(listed["total"], before + 1);
    assert_eq!(listed["items"][0], made);
    let edited = ann.patch(&path, patch.clone()).await.expect(200);
    for (name, value) in patch.as_object().unwrap() {
        assert_eq!(&edited[name], value, "{name}");
    }
    assert_eq!(ann.delete(&path).await.expect(204), Value::Null);
    ann.get(&path).await.problem(404);
    assert_eq!(ann.total(collection).await, before);
    assert_eq!(ann.total(&format!("/cases/{CASE}/activity")).await, 4);
    assert_eq!(ann.get(&format!("/cases/{CASE}")).await.expect(200), case_before);
}

async fn a_subject_lives_a_life(backend: Backend) {
    let body = json!({
        "name": "Mia", "role": "WITNESS", "employeeId": "00000000-0000-7000-8000-0000000000e1",
        "relationship": "vendor", "department": "Sales", "location": "Berlin", "jobTitle": "Clerk",
        "managerName": "Zoe", "notes": "tall",
    });
    let patch = json!({ "name": "Mia B.", "employeeId": null });
    lives_a_life(backend, &format!("/cases/{CASE}/subjects"), "/subjects", body, patch).await;
}

async fn a_message_lives_a_life(backend: Backend) {
    let body = json!({
        "direction": "OUTBOUND", "content": "Hello", "subject": "Re:", "senderType": "SYSTEM", "isRead": false,
    });
    lives_a_life(backend, &format!("/cases/{CASE}/messages"), "/messages", body, json!({ "isRead": true }))
        .await;
}

async fn an_investigation_lives_a_life(backend: Backend) {
    let body = json!({
        "investigationType": "LIMITED", "department": "LEGAL", "status": "ASSIGNED", "slaStatus": "WARNING",
        "primaryInvestigatorId": "00000000-0000-7000-8000-0000000000a2",
        "dueDate": "2026-03-01T00:00:00.000000Z", "findingsSummary": "a", "findingsDetail": "b",
        "outcome": "INSUFFICIENT_EVIDENCE", "rootCause": "c", "lessonsLearned": "d",
        "closedAt": "2026-03-02T00:00:00.000000Z",
    });
    let patch = json!({ "status": "CLOSED", "dueDate": null });
    lives_a_life(backend, &format!("/cases/{CASE}/investigations"), "/investigations", body, patch).await;
}

async fn a_note_lives_a_life(backend: Backend) {
    let body = json!({ "content": "Seen", "noteType": "FOLLOW_UP", "visibility": "PRIVATE" });
    let patch = json!({ "content": "Seen twice", "visibility": "ALL" });
    lives_a_life(backend, &format!("/investigations/{INVESTIGATION}/notes"), "/notes", body, patch).await;
}

async fn an_association_lives_a_life(backend: Backend) {
    let body = json!({ "riuId": FREE_RIU, "associationType": "MERGED_FROM", "notes": "same till" });
    let patch = json!({ "associationType": "RELATED", "notes": null });
    lives_a_life(backend, &format!("/cases/{CASE}/rius"), "/associations", body, patch).await;
}

async fn base_children_can_be_edited_and_deleted(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for (path, patch) in [
        (format!("/subjects/{SUBJECT}"), json!({ "name": "Moritz" })),
        (format!("/messages/{MESSAGE}"), json!({ "isRead": true })),
        (format!("/notes/{NOTE}"), json!({ "content": "closed" })),
        (format!("/investigations/{INVESTIGATION}"), json!({ "rootCause": "haste" })),
        (format!("/associations/{ASSOCIATION}"), json!({ "notes": "sure" })),
    ] {
        let edited = ann.patch(&path, patch).await.expect(200);
        assert_eq!(edited["changeKind"], "edited", "{path}");
        ann.delete(&path).await.expect(204);
        ann.get(&path).await.problem(404);
    }
}

async fn investigations_are_numbered_within_their_case(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/cases/{CASE}/investigations");
    let second = ann.post(&path, json!({})).await.expect(201);
    assert_eq!(second["investigationNumber"], 2);
    let third = ann.post("/investigations", json!({ "caseId": CASE })).await.expect(201);
    assert_eq!(third["investigationNumber"], 3);
    ann.delete(&format!("/investigations/{}", third["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(ann.post(&path, json!({})).await.expect(201)["investigationNumber"], 4);
    assert_eq!(ann.post("/investigations", json!({})).await.invalid_fields(), ["caseId"]);
    assert_eq!(ann.post("/investigations", json!({ "caseId": UNKNOWN })).await.invalid_fields(), ["caseId"]);
}

async fn the_parent_in_the_path_and_in_the_body_must_agree(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/cases/{CASE}/investigations");
    ann.post(&path, json!({ "caseId": CASE })).await.expect(201);
    assert_eq!(ann.post(&path, json!({ "caseId": UNKNOWN })).await.invalid_fields(), ["caseId"]);
    let moved = ann.patch(&format!("/investigations/{INVESTIGATION}"), json!({ "caseId": CASE })).await;
    assert_eq!(moved.invalid_fields(), ["caseId"]);
}

async fn a_message_says_what_it_said(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let path = format!("/messages/{MESSAGE}");
    let refused = ann.patch(&path, json!({ "content": "No news?" })).await;
    assert_eq!(refused.problem(409), "immutable_content");
    let read = ann.patch(&path, json!({ "isRead": true })).await.expect(200);
    assert_eq!(read["readAt"], "2026-02-02T09:00:00.123456Z");
    server.clock.advance(chrono::Duration::seconds(1));
    assert_eq!(ann.patch(&path, json!({ "isRead": true })).await.expect(200), read);
    let unread = ann.patch(&path, json!({ "isRead": false })).await.expect(200);
    assert_eq!(unread["readAt"], Value::Null);
    let sent = json!({ "direction": "INBOUND", "content": "x", "isRead": true });
    let sent = ann.post(&format!("/cases/{CASE}/messages"), sent).await.expect(201);
    assert_eq!(sent["readAt"], sent["createdAt"]);
}

async fn a_riu_is_linked_to_a_case_once(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/cases/{CASE}/rius");
    assert_eq!(ann.post(&path, json!({ "riuId": RIU })).await.problem(409), "already_exists");
    assert_eq!(ann.post(&path, json!({ "riuId": UNKNOWN })).await.invalid_fields(), ["riuId"]);
    assert_eq!(ann.post(&path, json!({})).await.invalid_fields(), ["riuId"]);
    ann.delete(&format!("/associations/{ASSOCIATION}")).await.expect(204);
    ann.post(&path, json!({ "riuId": RIU })).await.expect(201);
}

async fn the_activity_of_a_case_covers_what_hangs_on_it_and_is_read_only(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    server.clock.advance(chrono::Duration::seconds(1));
    ann.patch(&format!("/notes/{NOTE}"), json!({ "content": "y" })).await.expect(200);
    let activity = ann.get(&format!("/cases/{CASE}/activity")).await.expect(200);
    assert_eq!(activity["items"][0]["entityType"], "note");
    assert_eq!(activity["items"][0]["actionDescription"], "Updated general note: content");
    assert_eq!(activity["items"][1]["isBaseData"], true);
    let refused = ann.post(&format!("/cases/{CASE}/activity"), json!({})).await;
    assert_eq!(refused.problem(405), "method_not_allowed");
}
