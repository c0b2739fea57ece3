//! The statements of handlers: on SQLite a view on the right of a LEFT JOIN, a correlated aggregate over a view and
//! `max()` over a view are thousands of times slower than what they look like, so no handler runs one.

use std::collections::BTreeSet;

use demo_reset_compliance::EntityKind;
use demo_reset_domain::SessionId;
use demo_reset_persistence::Error;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::json;
use uuid::Uuid;

use crate::contract::Asked;
use crate::document::Operation;
use crate::fixture::{ANN, Backend, CASE, CATEGORY, Client, Server};
use crate::statements;

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The queries of every way to ask an operation that its parameters offer.
fn questions(operation: &Operation) -> Vec<String> {
    let mut questions = vec![String::new()];
    for parameter in operation.described["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] != "query" {
            continue;
        }
        let name = parameter["name"].as_str().unwrap();
        if let Some(words) = parameter["schema"]["enum"].as_array() {
            questions.extend(words.iter().map(|word| format!("?{name}={}", word.as_str().unwrap())));
            continue;
        }
        match name {
            "categoryId" => questions.push(format!("?{name}={CATEGORY}")),
            "createdFrom" | "createdTo" => questions.push(format!("?{name}=2026-01-02T00:00:00Z")),
            "q" => questions.push("?q=cash".to_owned()),
            "entityId" => questions.push(format!("?entityType=case&entityId={CASE}")),
            "limit" => questions.push("?limit=1".to_owned()),
            "cursor" => {}
            other => panic!("{}: nobody knows how to ask for {other}", operation.id),
        }
    }
    questions
}

/// Every statement that any handler runs.
async fn all_statements(client: &Client, session: &str) -> BTreeSet<String> {
    let server = &client.server;
    let archive = client.reset().await["archiveId"].as_str().unwrap().to_owned();
    let mut all = BTreeSet::new();
    for operation in Operation::all().iter().filter(|operation| !operation.is_public()) {
        for question in questions(operation) {
            let mut asked = Asked::of(operation, &archive, session);
            asked.add(&question);
            let asking = async {
                let first = server.send(asked.signed(client)).await;
                assert!(first.status < 300, "{} {question}: {}", operation.id, first.text);
                if operation.method == actix_web::http::Method::GET && !question.contains("sort") {
                    return;
                }
                // The page after it is asked in another way.
                let cursor = first.text.contains("nextCursor").then(|| first.json()["nextCursor"].clone());
                if let Some(cursor) = cursor.as_ref().and_then(|cursor| cursor.as_str()) {
                    asked.add(&format!("&cursor={cursor}"));
                    server.send(asked.signed(client)).await.expect(200);
                }
            };
            all.extend(statements::of(&server.home, asking).await.1);
            if operation.is_write() {
                client.reset().await;
            }
        }
    }
    all
}

#[actix_web::test]
async fn no_handler_runs_what_materializes_a_view() {
    let server = Server::on(Backend::Sqlite).await;
    let ann = server.sign_in(ANN).await;
    ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "mine" })).await.expect(200);
    let session = ann.get("/demo/session").await.expect(200)["sessionId"].as_str().unwrap().to_owned();
    let views: Vec<String> = EntityKind::ALL.iter().map(|kind| kind.table().to_owned()).collect();
    let selects: Vec<String> = all_statements(&ann, &session)
        .await
        .into_iter()
        .filter(|statement| statement.trim_start().to_lowercase().starts_with("select"))
        .filter(|statement| views.iter().any(|view| statement.contains(&format!("`{view}`"))))
        .collect();
    assert!(selects.len() > 60, "{}", selects.len());
    let id = SessionId(Uuid::parse_str(&session).unwrap());
    for statement in &selects {
        let lower = statement.to_lowercase();
        assert!(!lower.contains("left join") && !lower.contains("left outer join"), "{statement}");
        assert!(!lower.contains("max(") && !lower.contains("min("), "{statement}");
        let plan = plan(&server, id, statement);
        assert!(!is_slow(&plan), "{statement}\n{plan:#?}");
    }
    // What such a statement would look like.
    for wrong in [
        "select count(*) from `users` left join `cases` on `cases`.`id` = `users`.`id`",
        "select (select count(*) from `cases` where `cases`.`created_by_id` = `users`.`id`) from `users`",
    ] {
        let plan = plan(&server, id, wrong);
        assert!(is_slow(&plan), "{wrong}\n{plan:#?}");
    }
}

/// Whether a view is written out, or indexed for this one statement.
fn is_slow(plan: &[String]) -> bool {
    plan.iter().any(|step| step.starts_with("MATERIALIZE") || step.contains("AUTOMATIC"))
}

fn plan(server: &Server, session: SessionId, statement: &str) -> Vec<String> {
    let explain = diesel::sql_query(format!("explain query plan {statement}"));
    let steps =
        server.database.read(session, |conn| explain.load::<Step>(conn).map_err(Error::from)).unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}
