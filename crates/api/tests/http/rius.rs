use serde_json::{Value, json};

use crate::fixture::{ANN, ASSOCIATION, Backend, CASE, RIU, Server, on_each_database};

on_each_database! {
    a_riu_needs_details_type_and_channel,
    only_the_status_of_a_riu_can_be_edited,
    deleting_a_riu_takes_its_associations_along_but_not_the_case,
}

fn minimal() -> Value {
    json!({ "details": "x", "type": "INCIDENT_FORM", "sourceChannel": "EMAIL" })
}

async fn a_riu_needs_details_type_and_channel(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let riu = ann.post("/rius", minimal()).await.expect(201);
    assert_eq!(riu["referenceNumber"], "RIU-2026-00003");
    assert_eq!((&riu["status"], &riu["severity"]), (&json!("RECEIVED"), &json!("MEDIUM")));
    assert_eq!(riu["type"], "INCIDENT_FORM");
    assert_eq!(ann.get(&format!("/rius/{}", riu["id"].as_str().unwrap())).await.expect(200), riu);
    assert_eq!(ann.post("/rius", json!({})).await.invalid_fields(), ["details", "type", "sourceChannel"]);
}

async fn only_the_status_of_a_riu_can_be_edited(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/rius/{RIU}");
    let before = ann.get(&path).await.expect(200);
    for field in ["details", "type", "severity", "reporterName", "riskScore"] {
        let refused = ann.patch(&path, json!({ "status": "IN_QA", field: before[field] })).await;
        assert_eq!(refused.problem(409), "immutable_content", "{field}");
    }
    assert_eq!(ann.patch(&path, json!({ "status": "DONE" })).await.invalid_fields(), ["status"]);
    assert_eq!(ann.get(&path).await.expect(200), before);
    let after = ann.patch(&path, json!({ "status": "IN_QA" })).await.expect(200);
    assert_eq!((&after["status"], &after["changeKind"]), (&json!("IN_QA"), &json!("edited")));
}

async fn deleting_a_riu_takes_its_associations_along_but_not_the_case(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    ann.delete(&format!("/rius/{RIU}")).await.expect(204);
    ann.get(&format!("/associations/{ASSOCIATION}")).await.problem(404);
    assert_eq!(ann.get(&format!("/cases/{CASE}")).await.expect(200)["isBaseData"], true);
    assert_eq!(ann.total(&format!("/cases/{CASE}/rius")).await, 0);
}
