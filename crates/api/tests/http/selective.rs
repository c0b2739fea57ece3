use serde_json::{Value, json};

use crate::fixture::{
    ANN, BEN, Backend, CASE, FREE_RIU, INVESTIGATION, NOTE, Server, UNKNOWN, on_each_database,
};

on_each_database! {
    a_reset_of_one_record_leaves_the_others,
    what_depends_on_a_record_is_reset_with_it,
    a_reset_of_one_record_can_be_undone,
    records_of_others_are_not_reset,
    wrong_records_are_named_and_nothing_is_reset,
    a_value_that_is_taken_meanwhile_stands_in_the_way,
}

fn records(records: &[(&str, &str)]) -> Value {
    let records: Vec<Value> =
        records.iter().map(|(kind, id)| json!({ "entityType": kind, "entityId": id })).collect();
    json!({ "confirmationToken": "CONFIRM_RESET", "records": records })
}

async fn a_reset_of_one_record_leaves_the_others(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let base = ann.get(&format!("/cases/{CASE}")).await.expect(200);
    ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "mine" })).await.expect(200);
    ann.patch(&format!("/rius/{FREE_RIU}"), json!({ "status": "CLOSED" })).await.expect(200);
    let reset = ann.post("/demo/reset", records(&[("case", &CASE.to_uppercase())])).await.expect(200);
    assert_eq!((&reset["deletedCounts"]["cases"], &reset["deletedCounts"]["rius"]), (&json!(1), &json!(0)));
    assert_eq!(reset["verification"]["userChangesCleared"], false);
    assert_eq!(ann.get(&format!("/cases/{CASE}")).await.expect(200), base);
    assert_eq!(ann.get(&format!("/rius/{FREE_RIU}")).await.expect(200)["status"], "CLOSED");
    let nothing = ann.post("/demo/reset", records(&[("case", CASE)])).await.expect(200);
    assert_eq!((&nothing["archiveId"], &nothing["deletedCounts"]["cases"]), (&Value::Null, &json!(0)));
}

async fn what_depends_on_a_record_is_reset_with_it(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let case = ann.create("/cases", json!({ "details": "mine" })).await;
    let investigation = ann.create(&format!("/cases/{case}/investigations"), json!({})).await;
    ann.create(&format!("/investigations/{investigation}/notes"), json!({ "content": "x" })).await;
    ann.delete(&format!("/investigations/{INVESTIGATION}")).await.expect(204);
    ann.get(&format!("/notes/{NOTE}")).await.problem(404);
    let both = records(&[("case", &case), ("investigation", INVESTIGATION)]);
    let reset = ann.post("/demo/reset", both).await.expect(200);
    let counts = &reset["deletedCounts"];
    assert_eq!(
        (&counts["cases"], &counts["investigations"], &counts["notes"]),
        (&json!(1), &json!(2), &json!(2))
    );
    ann.get(&format!("/cases/{case}")).await.problem(404);
    ann.get(&format!("/notes/{NOTE}")).await.expect(200);
    assert_eq!(ann.get("/demo/session").await.expect(200)["totalChanges"], 0);
}

async fn a_reset_of_one_record_can_be_undone(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let path = format!("/cases/{CASE}");
    let mine = ann.patch(&path, json!({ "summary": "mine" })).await.expect(200);
    ann.create("/cases", json!({ "details": "another" })).await;
    let reset = ann.post("/demo/reset", records(&[("case", CASE)])).await.expect(200);
    let undo = ann.post("/demo/undo", json!({ "archiveId": reset["archiveId"] })).await.expect(200);
    assert_eq!(undo["restoredCounts"]["cases"], 1);
    assert_eq!(ann.get(&path).await.expect(200), mine);
    assert_eq!(ann.total("/cases").await, 4);
}

async fn records_of_others_are_not_reset(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let bens = ben.create("/cases", json!({ "details": "Ben's" })).await;
    for id in [&bens, UNKNOWN] {
        let reset = ann.post("/demo/reset", records(&[("case", id)])).await.expect(200);
        assert_eq!(reset["archiveId"], Value::Null);
    }
    ben.get(&format!("/cases/{bens}")).await.expect(200);
}

async fn wrong_records_are_named_and_nothing_is_reset(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "mine" })).await.expect(200);
    let ask = async |records: Value| {
        let body = json!({ "confirmationToken": "CONFIRM_RESET", "records": records });
        ann.post("/demo/reset", body).await.invalid_fields()
    };
    for wrong in [json!([]), json!("case"), json!(null), json!(vec![json!({}); 201])] {
        assert_eq!(ask(wrong).await, ["records"]);
    }
    assert_eq!(ask(json!([5])).await, ["records[0]"]);
    let right = json!({ "entityType": "case", "entityId": CASE });
    assert_eq!(
        ask(json!([right, { "entityType": "user", "entityId": CASE }])).await,
        ["records[1].entityType"]
    );
    assert_eq!(ask(json!([{ "entityType": "case", "entityId": "1" }])).await, ["records[0].entityId"]);
    assert_eq!(ask(json!([{}])).await, ["records[0].entityType", "records[0].entityId"]);
    let unknown = json!([{ "entityType": "case", "entityId": CASE, "force": true }]);
    assert_eq!(ask(unknown).await, ["records[0].force"]);
    let unconfirmed = json!({ "records": [right] });
    assert_eq!(ann.post("/demo/reset", unconfirmed).await.problem(400), "confirmation_required");
    assert_eq!(ann.get("/demo/session").await.expect(200)["totalChanges"], 1);
}

async fn a_value_that_is_taken_meanwhile_stands_in_the_way(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let links = format!("/cases/{CASE}/rius");
    let base = ann.get(&links).await.expect(200)["items"][0].clone();
    ann.delete(&format!("/associations/{}", base["id"].as_str().unwrap())).await.expect(204);
    // The same link again: it takes the place of the deleted one.
    let again = ann.create(&links, json!({ "riuId": base["riuId"] })).await;
    let refused = ann.post("/demo/reset", records(&[("association", base["id"].as_str().unwrap())])).await;
    assert_eq!(refused.problem(409), "reset_conflict");
    let conflict = json!({ "entityType": "association", "entityId": again, "reason": "unique_clash" });
    assert_eq!(refused.json()["conflicts"], json!([conflict]));
    assert_eq!(ann.get(&format!("/associations/{again}")).await.expect(200)["changeKind"], "created");
}
