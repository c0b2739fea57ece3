use chrono::Duration;
use serde_json::{Value, json};

use crate::fixture::{
    ANN, ASSOCIATION, BEN, Backend, CASE, CATEGORY, Client, FREE_RIU, MESSAGE, SUBJECT, Server, UNKNOWN,
    on_each_database,
};

on_each_database! {
    changes_tell_every_field_that_differs_from_the_base,
    changes_are_listed_newest_first_and_page_by_page,
    changes_of_one_kind_or_one_record_can_be_asked_for,
    values_read_as_they_do_in_the_record_itself,
    an_archive_shows_complete_records,
    an_archive_is_read_page_by_page,
    archives_of_others_do_not_exist,
    wrong_parameters_of_the_history_are_named,
}

fn field(change: &Value, name: &str) -> Value {
    let fields = change["fields"].as_array().unwrap();
    fields.iter().find(|field| field["name"] == name).cloned().unwrap_or(Value::Null)
}

async fn changes(client: &Client) -> Vec<Value> {
    client.get("/demo/changes").await.expect(200)["items"].as_array().unwrap().clone()
}

async fn changes_tell_every_field_that_differs_from_the_base(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    assert_eq!(ann.get("/demo/changes").await.expect(200), json!({ "items": [], "nextCursor": null }));
    ann.patch(&format!("/cases/{CASE}"), json!({ "status": "OPEN", "tags": ["a"], "categoryId": null }))
        .await
        .expect(200);
    server.clock.advance(Duration::seconds(1));
    let created = ann
        .create(
            "/rius",
            json!({
                "details": "New", "type": "HOTLINE_REPORT", "sourceChannel": "PHONE",
            }),
        )
        .await;
    server.clock.advance(Duration::seconds(1));
    ann.delete(&format!("/subjects/{SUBJECT}")).await.expect(204);

    let [deleted, made, edited] = changes(&ann).await.try_into().unwrap();
    assert_eq!((&edited["entityType"], &edited["entityId"]), (&json!("case"), &json!(CASE)));
    assert_eq!((&edited["label"], &edited["kind"]), (&json!("CASE-2026-00001"), &json!("edited")));
    assert_eq!(edited["changedAt"], "2026-02-02T09:00:00.123456Z");
    let names: Vec<&Value> =
        edited["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert_eq!(names, ["categoryId", "status", "tags", "updatedAt"]);
    assert_eq!(field(&edited, "status"), json!({ "name": "status", "base": "NEW", "current": "OPEN" }));
    assert_eq!(field(&edited, "tags"), json!({ "name": "tags", "base": [], "current": ["a"] }));
    assert_eq!(
        field(&edited, "categoryId"),
        json!({ "name": "categoryId", "base": CATEGORY, "current": null })
    );

    assert_eq!((&made["entityId"], &made["kind"]), (&json!(created), &json!("created")));
    let details = json!({ "name": "details", "base": null, "current": "New" });
    assert_eq!(field(&made, "details"), details);
    assert_eq!(field(&made, "type")["current"], "HOTLINE_REPORT");
    assert_eq!(field(&made, "summary"), Value::Null, "a field that is null on both sides does not differ");

    assert_eq!((&deleted["label"], &deleted["kind"]), (&json!("Max"), &json!("deleted")));
    assert_eq!(field(&deleted, "name"), json!({ "name": "name", "base": "Max", "current": null }));
    assert!(changes(&server.sign_in(BEN).await).await.is_empty());
}

async fn changes_are_listed_newest_first_and_page_by_page(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(ann.create("/cases", json!({ "details": number.to_string() })).await);
        // Pairs at the same time, which only their keys tell apart.
        server.clock.advance(Duration::seconds(number % 2));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ann.get(&format!("/demo/changes?limit=2{cursor}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["entityId"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let total = ann.get("/demo/session").await.expect(200)["totalChanges"].as_u64().unwrap();
    assert_eq!(seen.len() as u64, total);
    assert_eq!(seen[0], made[6]);
    seen.sort();
    made.sort();
    assert_eq!(seen, made);
}

async fn changes_of_one_kind_or_one_record_can_be_asked_for(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    ann.patch(&format!("/cases/{CASE}"), json!({ "status": "OPEN" })).await.expect(200);
    let created = ann.create("/cases", json!({ "details": "x" })).await;
    ann.delete(&format!("/messages/{MESSAGE}")).await.expect(204);
    let asked = async |client: &Client, query: &str| {
        let page = client.get(&format!("/demo/changes?{query}")).await.expect(200);
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["entityId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut cases = asked(&ann, "entityType=case").await;
    cases.sort();
    let mut expected = [CASE.to_owned(), created];
    expected.sort();
    assert_eq!(cases, expected);
    assert_eq!(asked(&ann, "entityType=message").await, [MESSAGE]);
    assert_eq!(asked(&ann, "kind=deleted").await, [MESSAGE]);
    assert_eq!(asked(&ann, "entityType=case&kind=edited").await, [CASE]);
    assert!(asked(&ann, "entityType=case&kind=deleted").await.is_empty());
    let upper = CASE.to_uppercase();
    assert_eq!(asked(&ann, &format!("entityType=case&entityId={upper}")).await, [CASE]);
    let nothing = format!("entityType=case&entityId={MESSAGE}");
    assert!(asked(&ann, &nothing).await.is_empty());
    assert!(asked(&ben, &format!("entityType=case&entityId={CASE}")).await.is_empty());
    for (query, field) in [
        ("entityType=user".to_owned(), "entityType"),
        (format!("entityId={CASE}"), "entityType"),
        ("entityType=case&entityId=1".to_owned(), "entityId"),
        ("kind=moved".to_owned(), "kind"),
    ] {
        assert_eq!(ann.get(&format!("/demo/changes?{query}")).await.invalid_fields(), [field], "{query}");
    }
}

async fn values_read_as_they_do_in_the_record_itself(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/messages/{MESSAGE}");
    let before = ann.get(&path).await.expect(200);
    let after = ann.patch(&path, json!({ "isRead": true })).await.expect(200);
    let change = changes(&ann).await.remove(0);
    for (record, side) in [(&before, "base"), (&after, "current")] {
        for name in ["isRead", "readAt"] {
            assert_eq!(field(&change, name)[side], record[name], "{name} {side}");
        }
    }
    assert_eq!(change["label"], "Any news?");
}

async fn an_archive_shows_complete_records(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    let case = ann.patch(&format!("/cases/{CASE}"), json!({ "status": "OPEN" })).await.expect(200);
    let link = ann.get(&format!("/associations/{ASSOCIATION}")).await.expect(200);
    ann.delete(&format!("/associations/{ASSOCIATION}")).await.expect(204);
    let reset = ann.reset().await;
    let path = format!("/demo/archives/{}", reset["archiveId"].as_str().unwrap());
    let archive = ann.get(&path).await.expect(200);
    assert_eq!((&archive["archiveId"], &archive["state"]), (&reset["archiveId"], &json!("available")));
    assert_eq!((&archive["counts"], &archive["nextCursor"]), (&reset["deletedCounts"], &Value::Null));
    let items = archive["items"].as_array().unwrap();
    let types: Vec<&Value> = items.iter().map(|item| &item["entityType"]).collect();
    assert_eq!(types, ["auditLog", "auditLog", "case", "association"]);
    for (item, record) in [(&items[2], &case), (&items[3], &link)] {
        let snapshot = item["snapshot"].as_object().unwrap();
        for (name, value) in record.as_object().unwrap() {
            let is_tracking = ["isBaseData", "changeKind", "demoUserSessionId"].contains(&name.as_str());
            assert_eq!(snapshot.get(name), if is_tracking { None } else { Some(value) }, "{name}");
        }
    }
    assert_eq!((&items[2]["kind"], &items[3]["kind"]), (&json!("edited"), &json!("deleted")));
    ann.post("/demo/undo", json!({})).await.expect(200);
    let restored = ann.get(&path).await.expect(200);
    assert_eq!((&restored["state"], &restored["items"]), (&json!("restored"), &json!([])));
}

async fn an_archive_is_read_page_by_page(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for _ in 0..3 {
        ann.create("/cases", json!({ "details": "x" })).await;
    }
    let id = ann.reset().await["archiveId"].as_str().unwrap().to_owned();
    let whole = ann.get(&format!("/demo/archives/{id}")).await.expect(200)["items"].clone();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ann.get(&format!("/demo/archives/{id}?limit=4{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 6);
    assert_eq!(Value::from(seen), whole);
}

async fn archives_of_others_do_not_exist(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    ann.patch(&format!("/rius/{FREE_RIU}"), json!({ "status": "CLOSED" })).await.expect(200);
    let id = ann.reset().await["archiveId"].as_str().unwrap().to_owned();
    for path in [format!("/demo/archives/{id}"), format!("/demo/archives/{UNKNOWN}")] {
        assert_eq!(ben.get(&path).await.problem(404), "not_found");
    }
    assert_eq!(ben.get("/demo/archives/x").await.problem(400), "malformed_id");
}

async fn wrong_parameters_of_the_history_are_named(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    ann.create("/cases", json!({ "details": "x" })).await;
    let id = ann.reset().await["archiveId"].as_str().unwrap().to_owned();
    for path in ["/demo/changes".to_owned(), format!("/demo/archives/{id}")] {
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=1&limit=2", "limit"),
            ("cursor=abc", "cursor"),
            ("cursor=WzFd", "cursor"),
            ("sort=x", "sort"),
        ] {
            assert_eq!(ann.get(&format!("{path}?{query}")).await.invalid_fields(), [name], "{path} {query}");
        }
    }
    // A time beyond all time, of the right form.
    let far = "WzkyMjMzNzIwMzY4NTQ3NzU4MDcsImNhc2VzIiwiW10iXQ";
    let refused = ann.get(&format!("/demo/changes?cursor={far}")).await;
    assert_eq!(refused.invalid_fields(), ["cursor"]);
    // U+0000, which PostgreSQL takes in no text.
    for path in [
        "/demo/changes?cursor=WzEsImNhc2VzIiwiYVx1MDAwMCJd".to_owned(),
        format!("/demo/archives/{id}?cursor=WyJjYXNlcyIsImFcdTAwMDAiXQ"),
    ] {
        assert_eq!(ann.get(&path).await.invalid_fields(), ["cursor"], "{path}");
    }
}
