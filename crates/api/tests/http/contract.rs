//! The OpenAPI document is complete: every documented answer really occurs, and its examples are real.

use std::num::NonZeroU32;
use std::sync::mpsc;
use std::time::Duration as StdDuration;

use actix_web::test::TestRequest;
use chrono::Duration;
use demo_reset_api::{ServerConfig, SignInLimits};
use demo_reset_compliance::session_key;
use demo_reset_domain::SessionId;
use demo_reset_persistence::{Database, OpenOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::document::{Operation, resolved, validator};
use crate::fixture::{
    ANN, ASSOCIATION, Answer, BEN, Backend, CASE, Client, FREE_RIU, INVESTIGATION, MESSAGE, NOTE, PASSWORD,
    RIU, SUBJECT, Server, UNKNOWN, no_limits, on_each_database,
};

on_each_database! {
    every_documented_answer_occurs,
}

#[test]
fn every_example_is_what_its_schema_describes() {
    let mut examples = 0;
    let mut check = |place: &str, content: &'static Value| {
        for (_, content) in content.as_object().into_iter().flatten() {
            let named =
                content["examples"].as_object().into_iter().flatten().map(|(_, named)| &named["value"]);
            for example in content.get("example").into_iter().chain(named) {
                let problems: Vec<String> = validator(&content["schema"])
                    .iter_errors(example)
                    .map(|error| error.to_string())
                    .collect();
                assert!(problems.is_empty(), "{place}: {problems:?}: {example}");
                examples += 1;
            }
        }
    };
    for operation in Operation::all() {
        check(operation.id, &operation.described["requestBody"]["content"]);
        for (status, response) in operation.described["responses"].as_object().unwrap() {
            let content = &resolved(response)["content"];
            check(&format!("{} {status}", operation.id), content);
            for (media_type, content) in content.as_object().into_iter().flatten() {
                let has_example = content.get("example").or(content.get("examples")).is_some();
                assert!(has_example || !media_type.ends_with("json"), "{} {status}", operation.id);
            }
        }
    }
    assert!(examples > 500, "{examples}");
}

#[test]
fn every_link_leads_to_an_operation_and_gives_it_parameters_that_it_has() {
    let operations = Operation::all();
    let mut links = 0;
    for operation in &operations {
        for (_, response) in operation.described["responses"].as_object().unwrap() {
            for (name, link) in response["links"].as_object().into_iter().flatten() {
                let target = operations.iter().find(|other| link["operationId"] == other.id).unwrap();
                for (parameter, _) in link["parameters"].as_object().into_iter().flatten() {
                    assert!(target.path.contains(&format!("{{{parameter}}}")), "{} {name}", operation.id);
                }
                links += 1;
            }
        }
    }
    assert!(links > 30, "{links}");
}

/// Asks for one operation.
pub struct Asked<'a> {
    operation: &'a Operation,
    path: String,
    body: Option<Value>,
}

impl<'a> Asked<'a> {
    /// The operation with ids of records that exist and the body of its example, made to name records that exist.
    pub fn of(operation: &'a Operation, archive: &str, session: &str) -> Self {
        let id = match operation.path.trim_start_matches("/api/v1").split('/').nth(1).unwrap_or_default() {
            "cases" => CASE,
            "rius" => RIU,
            "investigations" => INVESTIGATION,
            "subjects" => SUBJECT,
            "messages" => MESSAGE,
            "notes" => NOTE,
            "associations" => ASSOCIATION,
            "demo" if operation.path.contains("/archives/") => archive,
            "demo" => session,
            _ => "",
        };
        let mut body = operation.body();
        if let Some(body) = &mut body {
            for (field, value) in [("riuId", FREE_RIU), ("caseId", CASE), ("investigationId", INVESTIGATION)]
            {
                if body.get(field).is_some() {
                    body[field] = value.into();
                }
            }
            if operation.id == "login" {
                *body = json!({ "email": ANN, "password": PASSWORD });
            }
        }
        Self { operation, path: operation.path.replace("{id}", id).replace("{parent}", id), body }
    }

    /// With another id in the path.
    pub fn with_id(mut self, id: &str) -> Self {
        self.path = self.operation.path.replace("{id}", id).replace("{parent}", id);
        self
    }

    /// With more at the end of the address.
    pub fn add(&mut self, query: &str) {
        self.path.push_str(query);
    }

    /// Without a token.
    pub fn request(&self) -> TestRequest {
        let request = TestRequest::with_uri(&self.path).method(self.operation.method.clone());
        match &self.body {
            Some(body) => request.set_json(body),
            None => request,
        }
    }

    /// With the token of `client`.
    pub fn signed(&self, client: &Client) -> TestRequest {
        self.request().insert_header(("authorization", format!("Bearer {}", client.token)))
    }
}

/// Everything that the answers need: a world in which something can be undone, and servers under strain.
struct Worlds {
    ann: Client,
    ben: Client,
    /// One write a second, one attempt to sign in.
    limited: Server,
    /// Layers that hold nothing.
    full: Server,
    archive: String,
    session: String,
}

impl Worlds {
    fn asked<'a>(&self, operation: &'a Operation) -> Asked<'a> {
        Asked::of(operation, &self.archive, &self.session)
    }
}

async fn every_documented_answer_occurs(backend: Backend) {
    let config =
        || ServerConfig { sign_in_limits: no_limits(), demo_people: true, ..ServerConfig::default() };
    let server = Server::with(backend, config()).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let one = NonZeroU32::MIN;
    let limits = SignInLimits { per_address: one, per_account: one };
    let limited = ServerConfig { writes_per_second: one, sign_in_limits: limits, ..config() };
    let limited = server.again(limited).await;
    limited.login(ANN, PASSWORD).await.expect(200);
    let full = OpenOptions { max_layer_changes: 0, ..OpenOptions::default() };
    let full = server.again_with(full, config()).await;
    let starved =
        OpenOptions { readers: 1, connection_timeout: StdDuration::from_secs(1), ..OpenOptions::default() };
    let starved = Server::opened(backend, starved, config()).await.sign_in(ANN).await;
    let taken = take_connections(&starved.server.database, backend);

    ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "archived" })).await.expect(200);
    let archive = ann.reset().await["archiveId"].as_str().unwrap().to_owned();
    let session = ann.session_id().await;
    let worlds = Worlds { ann, ben, limited, full, archive, session };

    let (mut occurred, mut missing, mut waiting) = (0, Vec::new(), Vec::new());
    for operation in Operation::all() {
        for status in operation.statuses() {
            occurred += 1;
            if status == 503 {
                // Each waits for a connection, so all of them wait at the same time.
                let (starved, asked) = (starved.server.clone(), worlds.asked(&operation).signed(&starved));
                let waits = actix_web::rt::spawn(async move { starved.send(asked).await });
                waiting.push((operation.id, waits));
                continue;
            }
            let answer = provoke(&worlds, &operation, status).await;
            if answer.status != status {
                missing.push(format!("{} {status}: got {} {}", operation.id, answer.status, answer.text));
            }
            if operation.is_write() {
                worlds.ann.reset().await;
            }
        }
    }
    for (id, waits) in waiting {
        let answer = waits.await.unwrap();
        if answer.status != 503 {
            missing.push(format!("{id} 503: got {} {}", answer.status, answer.text));
        }
    }
    assert!(missing.is_empty(), "documented, and does not occur:\n{}", missing.join("\n"));
    assert!(occurred > 300, "{occurred}");
    drop(taken);
}

/// Holds every connection of the database until what is returned is dropped.
pub(crate) fn take_connections(database: &Database, backend: Backend) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (taken, is_taken) = mpsc::channel();
    let reads = database.clone();
    let key = session_key(Uuid::from_u128(1), Uuid::from_u128(2)).unwrap();
    let now = chrono::DateTime::UNIX_EPOCH;
    let session = database.session(&key, SessionId(Uuid::from_u128(3)), now).unwrap();
    let writes = database.clone();
    std::thread::spawn(move || {
        let hold = |_: &mut demo_reset_persistence::AnyConnection| {
            taken.send(()).unwrap();
            // Ends when the sender is gone.
            let _ = released.recv();
            Ok::<_, demo_reset_persistence::Error>(())
        };
        if backend == Backend::Postgres {
            return reads.read_base(hold).unwrap();
        }
        writes.write(session.id, now, |_| reads.read_base(hold)).unwrap();
    });
    is_taken.recv().unwrap();
    release
}

async fn provoke(worlds: &Worlds, operation: &Operation, status: u16) -> Answer {
    let Worlds { ann, ben, limited, full, .. } = worlds;
    let server = &ann.server;
    let mut asked = worlds.asked(operation);
    let has_body = asked.body.is_some();
    match (operation.id, status) {
        ("login", 401) => server.login(ANN, "guess").await,
        ("login", 429) => limited.login(ANN, PASSWORD).await,
        ("listDemoPeople", 404) => {
            let shy = server.again(ServerConfig::default()).await;
            shy.send(asked.request()).await
        }
        ("undo", _) if matches!(status, 200 | 400 | 409 | 410) => provoke_undo(worlds, status).await,
        ("reset" | "resetSession", 409) => {
            let clash = clash(ann).await;
            asked.body = Some(clash);
            let answer = server.send(asked.signed(ann)).await;
            ann.reset().await;
            answer
        }
        (_, 200 | 201 | 204 | 308) => server.send(asked.signed(ann)).await,
        (_, 304) => {
            let now = server.send(asked.signed(ann)).await;
            let version = now.header("etag").to_owned();
            server.send(asked.signed(ann).insert_header(("if-none-match", version))).await
        }
        (_, 400) if has_body => {
            let request = asked.signed(ann).insert_header(("content-type", "application/json"));
            server.send(request.set_payload("{")).await
        }
        (_, 400) => server.send(asked.with_id("42").signed(ann)).await,
        (_, 401) => server.send(asked.request()).await,
        (_, 403) => server.send(asked.signed(ben)).await,
        (_, 404) => server.send(asked.with_id(UNKNOWN).signed(ann)).await,
        (_, 409) => full.send(asked.signed(ann)).await,
        (_, 412) => server.send(asked.signed(ann).insert_header(("if-match", "\"other\""))).await,
        (_, 413) => {
            let request = asked.signed(ann).insert_header(("content-type", "application/json"));
            server.send(request.set_payload(vec![b' '; 1024 * 1024 + 1])).await
        }
        (_, 415) => {
            let request = asked.signed(ann).insert_header(("content-type", "text/plain"));
            server.send(request.set_payload("status=NEW")).await
        }
        (_, 422) if has_body => {
            asked.body.as_mut().unwrap()["somethingElse"] = 1.into();
            server.send(asked.signed(ann)).await
        }
        (_, 422) => {
            asked.path.push_str("?somethingElse=1");
            server.send(asked.signed(ann)).await
        }
        (_, 429) => {
            // At the same time: on a slow machine one after the other may take longer than the limit's second.
            let (server, request) = (limited.clone(), asked.signed(ann));
            let other = actix_web::rt::spawn(async move { server.send(request).await });
            let one = limited.send(asked.signed(ann)).await;
            let other = other.await.unwrap();
            if one.status == 429 { one } else { other }
        }
        (id, status) => panic!("no way is known to make {id} answer with {status}"),
    }
}

/// A reset of one record, whose unique value another one has taken.
async fn clash(ann: &Client) -> Value {
    ann.delete(&format!("/associations/{ASSOCIATION}")).await.expect(204);
    ann.create(&format!("/cases/{CASE}/rius"), json!({ "riuId": RIU })).await;
    let record = json!({ "entityType": "association", "entityId": ASSOCIATION });
    json!({ "confirmationToken": "CONFIRM_RESET", "records": [record] })
}

async fn provoke_undo(worlds: &Worlds, status: u16) -> Answer {
    let Worlds { ann, .. } = worlds;
    ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "to be undone" })).await.expect(200);
    let archive = ann.reset().await["archiveId"].clone();
    let undo = json!({ "archiveId": archive });
    match status {
        200 => ann.post("/demo/undo", json!({})).await,
        400 => ann.post("/demo/undo", json!({ "archiveId": UNKNOWN })).await,
        409 => {
            ann.post("/demo/undo", undo.clone()).await.expect(200);
            let again = ann.post("/demo/undo", undo).await;
            assert_eq!(again.problem(409), "already_restored");
            ann.reset().await;
            ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "newer" })).await.expect(200);
            let conflict = ann.post("/demo/undo", json!({})).await;
            ann.reset().await;
            conflict
        }
        _ => {
            // Nobody's token lives so long: a new one is asked for.
            ann.server.clock.advance(Duration::hours(25));
            let later = ann.server.sign_in(ANN).await;
            let answer = later.post("/demo/undo", undo).await;
            ann.server.clock.advance(Duration::hours(-25));
            answer
        }
    }
}
