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
use crate::fixture::{
    ANN, ASSOCIATION, Backend, CASE, CATEGORY, Client, INVESTIGATION, MESSAGE, NOTE, RIU, SUBJECT, Server,
};
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

/// A user who has edited a case, and the session that holds the edit.
async fn worker(server: &Server) -> (Client, String) {
    let ann = server.sign_in(ANN).await;
    ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "mine" })).await.expect(200);
    let session = ann.session_id().await;
    (ann, session)
}

#[actix_web::test]
async fn no_handler_runs_what_materializes_a_view() {
    let server = Server::on(Backend::Sqlite).await;
    let (ann, session) = worker(&server).await;
    let views: Vec<String> = EntityKind::ALL.iter().map(|kind| kind.table().to_owned()).collect();
    let selects: Vec<String> = all_statements(&ann, &session)
        .await
        .into_iter()
        .filter(|statement| {
            let lower = statement.trim_start().to_lowercase();
            lower.starts_with("select") || lower.starts_with("with")
        })
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

#[actix_web::test]
async fn what_handlers_run_over_views_stays_prepared() {
    for (backend, mark) in [(Backend::Sqlite, '`'), (Backend::Postgres, '"')] {
        if !backend.is_there() {
            continue;
        }
        let server = Server::on(backend).await;
        let (ann, session) = worker(&server).await;
        let mut all = all_statements(&ann, &session).await;
        for (path, patch) in [
            (format!("/cases/{CASE}"), json!({ "summary": "mine" })),
            (format!("/rius/{RIU}"), json!({ "status": "CLOSED" })),
            (format!("/investigations/{INVESTIGATION}"), json!({ "rootCause": "haste" })),
            (format!("/messages/{MESSAGE}"), json!({ "isRead": true })),
            (format!("/subjects/{SUBJECT}"), json!({ "name": "Moritz" })),
            (format!("/notes/{NOTE}"), json!({ "content": "closed" })),
            (format!("/associations/{ASSOCIATION}"), json!({ "notes": "sure" })),
        ] {
            let (answer, statements) = statements::of(&server.home, ann.patch(&path, patch)).await;
            answer.expect(200);
            all.extend(statements);
        }
        let views = EntityKind::ALL.map(|kind| format!("{mark}{}{mark}", kind.table()));
        let over_views: Vec<String> =
            all.into_iter().filter(|statement| views.iter().any(|view| statement.contains(view))).collect();
        for verb in ["INSERT INTO", "UPDATE", "DELETE FROM"] {
            let is_seen = |view: &&String| {
                over_views.iter().any(|statement| statement.starts_with(&format!("{verb} {view}")))
            };
            let unseen: Vec<&String> = views.iter().filter(|view| !is_seen(view)).collect();
            assert!(unseen.is_empty(), "{verb} {unseen:?}");
        }
        let anew: Vec<&String> =
            over_views.iter().filter(|statement| !statements::is_kept(statement)).collect();
        assert!(anew.is_empty(), "{} of {}: {anew:#?}", anew.len(), over_views.len());
    }
}

#[actix_web::test]
async fn words_lead_to_the_rows_that_have_them() {
    let server = Server::on(Backend::Sqlite).await;
    let (ann, session) = worker(&server).await;
    let id = SessionId(Uuid::parse_str(&session).unwrap());
    for list in
        ["/cases?q=cash", "/cases?q=cash&status=NEW&sort=referenceNumber", "/rius?q=till", "/employees?q=z"]
    {
        let (_, statements) = statements::of(&server.home, ann.get(list)).await;
        let by_words: Vec<&String> =
            statements.iter().filter(|statement| statement.contains("demo_has_words")).collect();
        assert!(by_words.len() >= 2, "a count and a page: {statements:#?}");
        for statement in by_words {
            let plan = plan(&server, id, statement);
            for step in &plan {
                let is_whole = step.starts_with("SCAN") && !step.contains("VIRTUAL TABLE INDEX 0:M");
                // What a session is bound to, and the base that it is over, are one row; the session's own changes are few.
                let is_small = ["demo_binding", "demo_connection", "CONSTANT ROW", "SUBQUERY"]
                    .iter()
                    .any(|few| step.contains(few));
                assert!(!is_whole || is_small, "{list}: {statement}\n{plan:#?}");
            }
        }
    }
}

#[actix_web::test]
async fn a_second_list_counts_the_sessions_own_changes_alone() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        if !backend.is_there() {
            continue;
        }
        let server = Server::on(backend).await;
        let ann = server.sign_in(ANN).await;
        ann.get("/demo/session").await.expect(200);
        let counts = async |question: &str| {
            let (page, statements) = statements::of(&server.home, ann.get(question)).await;
            let total = page.expect(200)["total"].as_i64().unwrap();
            let counts: Vec<String> = statements
                .into_iter()
                .filter(|statement| statement.to_lowercase().contains("count(*)"))
                .collect();
            let of_base: Vec<&String> = counts
                .iter()
                .filter(|count| count.contains("base.\"cases\")") || count.contains("public.\"cases\")"))
                .collect();
            let of_list = |count: &&String| count.starts_with("with ") || count.starts_with("select base_id");
            (total, of_base.len(), counts.iter().filter(of_list).count())
        };
        for question in ["/cases", "/cases?severity=HIGH", "/cases?q=cash"] {
            let (total, of_base, all) = counts(question).await;
            assert_eq!((of_base, all), (1, 2), "{question}: the base, and what the session changes of it");
            // Another page of the same, and in another order.
            assert_eq!(
                counts(&format!("{question}{}limit=1&sort=createdAt", mark(question))).await,
                (total, 0, 1)
            );
        }
        ann.patch(&format!("/cases/{CASE}"), json!({ "severity": "LOW", "details": "x" })).await.expect(200);
        for (question, total) in [("/cases", 3), ("/cases?severity=HIGH", 0), ("/cases?q=cash", 0)] {
            assert_eq!(counts(question).await, (total, 0, 1), "{question}: what it hides, and what it shows");
        }
    }
}

fn mark(question: &str) -> char {
    if question.contains('?') { '&' } else { '?' }
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
