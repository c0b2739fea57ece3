use serde_json::{Value, json};

use crate::fixture::{
    ANN, BEN, Backend, CASE, CATEGORY, Client, GIL, INVESTIGATION, MESSAGE, NOTE, SUBJECT, Server,
    on_each_database,
};

on_each_database! {
    words_find_base_records_and_the_sessions_own_edits,
    words_find_what_hangs_on_a_record,
    words_find_nothing_of_another_organization,
    a_list_shows_the_newest_first_and_counts_them_all,
    every_order_walks_through_everything_once,
    an_edited_base_record_stands_in_the_list_once_and_where_it_belongs_now,
    filters_narrow_the_list_and_its_total,
    wrong_parameters_are_named,
    a_cursor_holds_only_for_its_own_list_and_order,
}

fn numbers(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["referenceNumber"].as_str().unwrap().to_owned()).collect()
}

/// All items, page by page.
async fn walk(client: &Client, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}{cursor}")).await.expect(200);
        all.extend(numbers(&page));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn a_list_shows_the_newest_first_and_counts_them_all(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let page = ann.get("/cases?limit=2").await.expect(200);
    assert_eq!(numbers(&page), ["CASE-2026-00003", "CASE-2026-00002"]);
    assert_eq!(page["total"], 3);
    let cursor = page["nextCursor"].as_str().unwrap();
    let last = ann.get(&format!("/cases?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!(numbers(&last), ["CASE-2026-00001"]);
    assert_eq!((&last["nextCursor"], &last["total"]), (&Value::Null, &json!(3)));
}

async fn every_order_walks_through_everything_once(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    // All at the same time, so that only the id tells them apart.
    for _ in 0..5 {
        ann.create("/cases", json!({ "details": "x" })).await;
    }
    for sort in ["createdAt", "updatedAt", "referenceNumber"] {
        let up = walk(&ann, &format!("/cases?limit=3&sort={sort}")).await;
        let mut down = walk(&ann, &format!("/cases?limit=3&sort=-{sort}")).await;
        assert_eq!(up.len(), 8, "{sort}");
        down.reverse();
        assert_eq!(up, down, "{sort}");
    }
    let by_number = walk(&ann, "/cases?limit=1&sort=referenceNumber").await;
    assert!(by_number.is_sorted());
}

async fn an_edited_base_record_stands_in_the_list_once_and_where_it_belongs_now(backend: Backend) {
    let server = Server::on(backend).await;
    let ann = server.sign_in(ANN).await;
    ann.patch(&format!("/cases/{CASE}"), json!({ "status": "CLOSED" })).await.expect(200);
    let closed = ann.get("/cases?status=CLOSED&sort=-updatedAt").await.expect(200);
    assert_eq!(numbers(&closed), ["CASE-2026-00001", "CASE-2026-00003"]);
    assert_eq!(ann.total("/cases").await, 3);
    assert_eq!(ann.total("/cases?status=NEW").await, 0);
    assert_eq!(server.sign_in(BEN).await.total("/cases?status=NEW").await, 1);
}

async fn filters_narrow_the_list_and_its_total(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let expect = async |query: &str, expected: &[&str]| {
        let page = ann.get(&format!("/cases?{query}")).await.expect(200);
        assert_eq!(numbers(&page), expected, "{query}");
        assert_eq!(page["total"], expected.len(), "{query}");
    };
    expect("status=OPEN", &["CASE-2026-00002"]).await;
    expect("severity=LOW", &["CASE-2026-00003", "CASE-2026-00002"]).await;
    expect("severity=LOW&status=CLOSED", &["CASE-2026-00003"]).await;
    expect(&format!("categoryId={CATEGORY}"), &["CASE-2026-00001"]).await;
    expect("createdFrom=2026-01-02T09:00:00Z&createdTo=2026-01-02T10:00:00%2B01:00", &["CASE-2026-00002"])
        .await;
    expect("createdFrom=2026-01-04T00:00:00Z", &[]).await;
}

async fn wrong_parameters_are_named(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("sort=severity", "sort"),
        ("status=new", "status"),
        ("categoryId=x", "categoryId"),
        ("createdFrom=today", "createdFrom"),
        ("cursor=abc", "cursor"),
        ("offset=3", "offset"),
        ("limit=1&limit=2", "limit"),
    ] {
        assert_eq!(ann.get(&format!("/cases?{query}")).await.invalid_fields(), [field], "{query}");
    }
    assert_eq!(ann.get(&format!("/cases/{CASE}?limit=1")).await.invalid_fields(), ["limit"]);
    assert_eq!(ann.get(&format!("/cases/{CASE}/subjects?status=NEW")).await.invalid_fields(), ["status"]);
}

async fn a_cursor_holds_only_for_its_own_list_and_order(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let page = ann.get("/cases?limit=1").await.expect(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    ann.get(&format!("/cases?cursor={cursor}")).await.expect(200);
    for other in [format!("/cases?sort=createdAt&cursor={cursor}"), format!("/rius?cursor={cursor}")] {
        assert_eq!(ann.get(&other).await.invalid_fields(), ["cursor"]);
    }
}

async fn words_find_base_records_and_the_sessions_own_edits(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let found = async |client: &Client, q: &str| {
        let page = client.get(&format!("/cases?q={q}")).await.expect(200);
        assert_eq!(page["total"], page["items"].as_array().unwrap().len(), "{q}");
        numbers(&page)
    };
    assert_eq!(found(&ann, "CASH").await, ["CASE-2026-00001"]);
    assert_eq!(found(&ann, "order%20invoice").await, ["CASE-2026-00002"]);
    assert_eq!(found(&ann, "2026-00003").await, ["CASE-2026-00003"]);
    assert!(found(&ann, "cash%20invoice").await.is_empty());
    assert_eq!(found(&ann, "mis").await, ["CASE-2026-00001"], "a word is found by its beginning");
    assert!(found(&ann, "issing").await.is_empty());
    for nothing in ["%25", "%20", "%22*", "'"] {
        assert_eq!(found(&ann, nothing).await.len(), 3, "{nothing} has no word that could be looked for");
    }
    // What an edit takes away is not found any more, and what it brings is: in this session alone.
    ann.patch(&format!("/cases/{CASE}"), json!({ "details": "Ünïcode is missing" })).await.expect(200);
    assert!(found(&ann, "cash").await.is_empty());
    assert_eq!(found(&ann, "%C3%9Cn%C3%AFcode").await, ["CASE-2026-00001"]);
    assert_eq!(found(&ben, "cash").await, ["CASE-2026-00001"]);
    ann.create("/cases", json!({ "details": "x", "summary": "More cash" })).await;
    assert_eq!(found(&ann, "cash").await, ["CASE-2026-00004"]);
    assert_eq!(found(&ann, "cash&status=CLOSED").await.len(), 0);
    for list in ["/rius?q=till", "/rius?q=again"] {
        assert!(ann.total(list).await > 0, "{list}");
    }
    assert_eq!(ann.total("/investigations?q=nowhere").await, 0);
    let long = "x".repeat(501);
    assert_eq!(ann.get(&format!("/cases?q={long}")).await.invalid_fields(), ["q"]);
}

async fn words_find_nothing_of_another_organization(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, gil) = (server.sign_in(ANN).await, server.sign_in(GIL).await);
    for (mine, other, question) in [
        (&ann, &gil, "/cases?q=cash"),
        (&gil, &ann, "/cases?q=another"),
        (&ann, &gil, "/rius?q=till"),
        (&ann, &gil, "/employees?q=zoe"),
    ] {
        assert!(mine.total(question).await > 0, "{question}");
        let page = other.get(question).await.expect(200);
        assert_eq!((&page["total"], &page["items"]), (&json!(0), &json!([])), "{question}");
    }
}

async fn words_find_what_hangs_on_a_record(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    for (list, single, patch) in [
        (format!("/cases/{CASE}/subjects"), format!("/subjects/{SUBJECT}"), json!({ "jobTitle": "Zöllner" })),
        (
            format!("/investigations/{INVESTIGATION}/notes"),
            format!("/notes/{NOTE}"),
            json!({ "content": "Zöllner" }),
        ),
    ] {
        let all = ann.total(&list).await;
        assert_eq!(ann.total(&format!("{list}?q=z%C3%B6lln")).await, 0, "{list}");
        ann.patch(&single, patch).await.expect(200);
        let found = ann.get(&format!("{list}?q=z%C3%B6lln")).await.expect(200);
        assert_eq!(
            (&found["total"], &found["items"][0]["changeKind"]),
            (&json!(1), &json!("edited")),
            "{list}"
        );
        assert_eq!(ben.total(&format!("{list}?q=z%C3%B6lln")).await, 0, "{list}");
        assert_eq!(ann.total(&list).await, all);
    }
    let messages = format!("/cases/{CASE}/messages");
    assert_eq!(ann.total(&format!("{messages}?q=news")).await, 1);
    assert_eq!(ann.total(&format!("{messages}?q=news%20nowhere")).await, 0);
    ann.delete(&format!("/messages/{MESSAGE}")).await.expect(204);
    assert_eq!(ann.total(&format!("{messages}?q=news")).await, 0);
    let activity = format!("/cases/{CASE}/activity");
    assert_eq!(ann.total(&format!("{activity}?q=deleted")).await, 1);
    assert!(ann.total(&activity).await > 1);
    let reports = format!("/cases/{CASE}/rius");
    assert_eq!(ann.total(&format!("{reports}?q=nowhere")).await, 0);
    assert_eq!(ann.get(&format!("{reports}?q=%00")).await.invalid_fields(), ["q"]);
}
