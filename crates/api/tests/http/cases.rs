use serde_json::{Value, json};

use crate::fixture::{
    ANN, BEN, Backend, CASE, CATEGORY, Client, FOREIGN_CASE, FOREIGN_CATEGORY, GIL, Server, UNKNOWN,
    on_each_database,
};

on_each_database! {
    a_case_keeps_every_field_it_is_given,
    a_case_needs_only_its_details,
    wrong_values_are_all_named_and_nothing_is_written,
    a_reference_to_something_unknown_or_foreign_is_named,
    an_edit_changes_only_the_fields_given,
    an_edit_that_changes_nothing_writes_nothing,
    fields_of_the_server_cannot_be_edited,
    every_write_leaves_one_audit_entry,
    deleting_a_case_takes_everything_that_hangs_on_it_along,
    a_case_of_another_organization_or_session_does_not_exist,
    reference_numbers_are_never_given_twice,
}

/// Every field that a case can be given.
fn every_field() -> Value {
    json!({
        "details": "Ünïcødé 🚩",
        "summary": "short",
        "status": "OPEN",
        "severity": "CRITICAL",
        "caseType": "RFI",
        "sourceChannel": "HOTLINE",
        "reporterType": "IDENTIFIED",
        "reporterName": "Ray",
        "reporterEmail": "ray@acme.example",
        "reporterPhone": "+1 555 0100",
        "categoryId": CATEGORY,
        "locationId": "00000000-0000-7000-8000-0000000000d1",
        "outcome": "INCONCLUSIVE",
        "outcomeNotes": "who knows",
        "tags": ["a", "b"],
        "aiSummary": "a machine says",
        "riskScore": 100,
        "slaDueAt": "2026-03-01T00:00:00.000000Z",
        "closedAt": "2026-03-02T00:00:00.500000Z",
    })
}

async fn a_case_keeps_every_field_it_is_given(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let answer = ann.post("/cases", every_field()).await;
    let case = answer.expect(201);
    for (name, value) in every_field().as_object().unwrap() {
        assert_eq!(&case[name], value, "{name}");
    }
    assert_eq!(case["referenceNumber"], "CASE-2026-00004");
    assert_eq!(case["createdAt"], "2026-02-02T09:00:00.123456Z");
    assert_eq!(case["updatedAt"], case["createdAt"]);
    assert_eq!(case["createdById"], "00000000-0000-7000-8000-0000000000a1");
    assert_eq!((&case["isBaseData"], &case["changeKind"]), (&json!(false), &json!("created")));
    let session = ann.get("/demo/session").await.expect(200);
    assert_eq!(case["demoUserSessionId"], session["sessionId"]);
    let location = answer.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    assert_eq!(ann.get(&location).await.expect(200), case);
}

async fn a_case_needs_only_its_details(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let case = ann.post("/cases", json!({ "details": "x" })).await.expect(201);
    let expected = [
        ("status", json!("NEW")),
        ("severity", json!("MEDIUM")),
        ("caseType", json!("REPORT")),
        ("sourceChannel", json!("DIRECT_ENTRY")),
        ("reporterType", json!("ANONYMOUS")),
        ("tags", json!([])),
        ("summary", Value::Null),
        ("riskScore", Value::Null),
        ("closedAt", Value::Null),
    ];
    for (name, value) in expected {
        assert_eq!(case[name], value, "{name}");
    }
}

async fn wrong_values_are_all_named_and_nothing_is_written(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let wrong = json!({
        "details": "x".repeat(50_001),
        "status": "new",
        "riskScore": 101,
        "tags": "a",
        "slaDueAt": "soon",
        "categoryId": "1",
        "referenceNumber": "CASE-1",
        "colour": "red",
    });
    let mut fields = ann.post("/cases", wrong).await.invalid_fields();
    fields.sort();
    assert_eq!(
        fields,
        ["categoryId", "colour", "details", "referenceNumber", "riskScore", "slaDueAt", "status", "tags"]
    );
    assert_eq!(ann.post("/cases", json!({})).await.invalid_fields(), ["details"]);
    ann.post("/cases", json!({ "details": "é".repeat(50_000) })).await.expect(201);
    assert_eq!(ann.total("/cases").await, 4);
}

async fn a_reference_to_something_unknown_or_foreign_is_named(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for id in [UNKNOWN, FOREIGN_CATEGORY] {
        let body = json!({ "details": "x", "categoryId": id, "locationId": id });
        assert_eq!(ann.post("/cases", body).await.invalid_fields(), ["categoryId", "locationId"]);
        let patch = ann.patch(&format!("/cases/{CASE}"), json!({ "categoryId": id })).await;
        assert_eq!(patch.invalid_fields(), ["categoryId"]);
    }
}

async fn an_edit_changes_only_the_fields_given(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let path = format!("/cases/{CASE}");
    let before = ann.get(&path).await.expect(200);
    assert_eq!(before["isBaseData"], true);
    server.clock.advance(chrono::Duration::seconds(1));
    let patch = json!({ "status": "OPEN", "categoryId": null, "riskScore": 5 });
    let after = ann.patch(&path, patch).await.expect(200);
    let mut expected = before.clone();
    expected["status"] = "OPEN".into();
    expected["categoryId"] = Value::Null;
    expected["riskScore"] = 5.into();
    expected["updatedAt"] = "2026-02-02T09:00:01.123456Z".into();
    expected["isBaseData"] = false.into();
    expected["changeKind"] = "edited".into();
    expected["demoUserSessionId"] = after["demoUserSessionId"].clone();
    assert_eq!(after, expected);
    assert_eq!(ann.get(&path).await.expect(200), after);
    let ben = server.sign_in(BEN).await;
    assert_eq!(ben.get(&path).await.expect(200), before);
}

async fn an_edit_that_changes_nothing_writes_nothing(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/cases/{CASE}");
    for patch in [json!({}), json!({ "status": "NEW", "summary": null })] {
        let case = ann.patch(&path, patch).await.expect(200);
        assert_eq!(case["isBaseData"], true);
    }
    assert_eq!(ann.get("/demo/session").await.expect(200)["totalChanges"], 0);
    assert_eq!(ann.total(&format!("{path}/activity")).await, 1);
}

async fn fields_of_the_server_cannot_be_edited(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for field in ["id", "createdAt", "updatedById", "isBaseData", "colour"] {
        let patch = ann.patch(&format!("/cases/{CASE}"), json!({ field: "x" })).await;
        assert_eq!(patch.invalid_fields(), [field]);
    }
    let null = ann.patch(&format!("/cases/{CASE}"), json!({ "details": null, "severity": null })).await;
    assert_eq!(null.invalid_fields(), ["details", "severity"]);
}

async fn every_write_leaves_one_audit_entry(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let id = ann.create("/cases", json!({ "details": "x" })).await;
    let activity = format!("/cases/{id}/activity");
    server.clock.advance(chrono::Duration::seconds(1));
    ann.patch(&format!("/cases/{id}"), json!({ "status": "OPEN", "riskScore": 1 })).await.expect(200);
    let items = ann.get(&activity).await.expect(200)["items"].clone();
    let actions: Vec<&str> =
        items.as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["UPDATED", "CREATED"]);
    let changes = json!({
        "status": { "old": "NEW", "new": "OPEN" },
        "riskScore": { "old": null, "new": 1 },
    });
    assert_eq!(items[0]["changes"], changes);
    assert_eq!(items[0]["actorName"], "Ann Archer");
    assert_eq!(items[0]["entityId"], id.as_str());
    assert_eq!(items[1]["actionDescription"], "Created case CASE-2026-00004");
    assert_eq!(items[1]["changes"], Value::Null);
}

async fn deleting_a_case_takes_everything_that_hangs_on_it_along(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let path = format!("/cases/{CASE}");
    assert_eq!(ann.delete(&path).await.expect(204), Value::Null);
    for gone in [
        path.clone(),
        format!("{path}/subjects"),
        format!("/subjects/{}", crate::fixture::SUBJECT),
        format!("/messages/{}", crate::fixture::MESSAGE),
        format!("/investigations/{}", crate::fixture::INVESTIGATION),
        format!("/notes/{}", crate::fixture::NOTE),
        format!("/associations/{}", crate::fixture::ASSOCIATION),
    ] {
        assert_eq!(ann.get(&gone).await.problem(404), "not_found", "{gone}");
        ben.get(&gone).await.expect(200);
    }
    assert_eq!(ann.delete(&path).await.problem(404), "not_found");
    let changes = ann.get("/demo/session").await.expect(200)["changes"].clone();
    let one_each = json!({
        "cases": 1, "investigations": 1, "rius": 0, "subjects": 1, "messages": 1, "notes": 1,
        "associations": 1,
    });
    assert_eq!(changes, one_each);
}

async fn a_case_of_another_organization_or_session_does_not_exist(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben, gil) = (server.sign_in(ANN).await, server.sign_in(BEN).await, server.sign_in(GIL).await);
    let bens = ben.create("/cases", json!({ "details": "Ben's" })).await;
    let mut unknown = refusals(&ann, UNKNOWN).await;
    for id in [FOREIGN_CASE, &bens] {
        assert_eq!(refusals(&ann, id).await, unknown, "{id}");
    }
    unknown.sort();
    assert_eq!(gil.get(&format!("/cases/{FOREIGN_CASE}")).await.expect(200)["isBaseData"], true);
}

async fn refusals(client: &Client, id: &str) -> Vec<String> {
    let path = format!("/cases/{id}");
    let subject = json!({ "name": "x", "role": "OTHER" });
    let answers = [
        client.get(&path).await,
        client.patch(&path, json!({ "status": "OPEN" })).await,
        client.delete(&path).await,
        client.get(&format!("{path}/activity")).await,
        client.post(&format!("{path}/subjects"), subject).await,
    ];
    answers.iter().map(|answer| answer.problem(404)).collect()
}

async fn reference_numbers_are_never_given_twice(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let number = |case: Value| case["referenceNumber"].as_str().unwrap().to_owned();
    let first = ann.post("/cases", json!({ "details": "x" })).await.expect(201);
    assert_eq!(number(first.clone()), "CASE-2026-00004");
    ann.reset().await;
    let second = ann.post("/cases", json!({ "details": "x" })).await.expect(201);
    assert_eq!(number(second.clone()), "CASE-2026-00005");
    ann.delete(&format!("/cases/{}", second["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(number(ann.post("/cases", json!({ "details": "x" })).await.expect(201)), "CASE-2026-00006");
    ann.post("/demo/undo", json!({})).await.expect(200);
    assert_eq!(ann.total("/cases").await, 5);
}
