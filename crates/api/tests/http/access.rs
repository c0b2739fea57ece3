//! Who may see and do what: every operation of the document, asked by everybody who may not.

use actix_web::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use demo_reset_api::ServerConfig;
use demo_reset_compliance::{ADMIN_ROLE, ROLES};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::contract::Asked;
use crate::document::Operation;
use crate::fixture::{
    ANN, Answer, BEN, Backend, CASE, CATEGORY, Client, FOREIGN_CASE, FOREIGN_CATEGORY, GIL, Home, Server,
    UNKNOWN, no_limits, on_each_database,
};
use crate::statements;

on_each_database! {
    nobody_gets_in_without_a_token_that_holds,
    only_one_role_administers_and_every_role_does_the_rest,
    records_of_another_organization_are_answered_like_unknown_ones,
    records_of_another_session_are_answered_like_unknown_ones,
    references_to_foreign_records_are_refused_like_unknown_ones,
}

const KEY: &str = "the key of this test";

fn config() -> ServerConfig {
    ServerConfig { signing_key: Some(KEY.to_owned()), sign_in_limits: no_limits(), ..ServerConfig::default() }
}

/// What a token says.
fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn signed(claims: &Value, algorithm: Algorithm, key: &str) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

/// The claims under another header, with this signature.
fn forged(header: &str, claims: &Value, signature: &str) -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{signature}", part(header), part(&claims.to_string()))
}

/// Tokens that no server may accept, each with what is wrong.
fn bad_tokens(good: &str, now: i64) -> Vec<(&'static str, String)> {
    let claims = claims(good);
    let signature = good.rsplit('.').next().unwrap();
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let turned: String = signature.chars().rev().collect();
    vec![
        ("expired", signed(&with("exp", now.into()), Algorithm::HS256, KEY)),
        ("of another key", signed(&claims, Algorithm::HS256, "another key")),
        ("of another algorithm", signed(&claims, Algorithm::HS512, KEY)),
        ("of another issuer", signed(&with("iss", "somebody".into()), Algorithm::HS256, KEY)),
        ("without expiry", {
            let mut endless = claims.clone();
            endless.as_object_mut().unwrap().remove("exp");
            signed(&endless, Algorithm::HS256, KEY)
        }),
        ("with a wrong signature", forged(r#"{"alg":"HS256"}"#, &claims, &turned)),
        ("unsigned", forged(r#"{"alg":"none"}"#, &claims, "")),
        ("unsigned, spelt otherwise", forged(r#"{"alg":"nOnE"}"#, &claims, "")),
        ("unsigned, with a signature", forged(r#"{"alg":"none"}"#, &claims, signature)),
        ("with claims that were not signed", {
            forged(r#"{"alg":"HS256","typ":"JWT"}"#, &with("role", ADMIN_ROLE.into()), signature)
        }),
        ("nothing", String::new()),
    ]
}

/// An answer without what differs from one request to the next.
fn comparable(mut answer: Answer) -> (u16, Vec<(String, String)>, String) {
    let request = answer.header("x-request-id").to_owned();
    for name in ["x-request-id", "date"] {
        answer.headers.remove(actix_web::http::header::HeaderName::from_static(name));
    }
    let headers = answer.headers.iter();
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status, headers, answer.text.replace(&request, "REQUEST"))
}

async fn nobody_gets_in_without_a_token_that_holds(backend: Backend) {
    let server = Server::with(backend, config()).await;
    let ann = server.sign_in(ANN).await;
    ann.patch(&format!("/cases/{CASE}"), json!({ "summary": "mine" })).await.expect(200);
    let session = ann.session_id().await;
    let bad = bad_tokens(&ann.token, server.clock_now().timestamp());
    let mut refused = 0;
    for operation in Operation::all().iter().filter(|operation| !operation.is_public()) {
        let asked = Asked::of(operation, UNKNOWN, &session);
        let without = comparable(server.send(asked.request()).await);
        assert_eq!(without.0, 401, "{}", operation.id);
        for (what, token) in &bad {
            let request = asked.request().insert_header((AUTHORIZATION, format!("Bearer {token}")));
            let answer = server.send(request).await;
            assert_eq!(answer.problem(401), "unauthorized", "{} {what}", operation.id);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert!(!answer.text.contains("CASE-"), "{} {what}: {}", operation.id, answer.text);
            refused += 1;
        }
    }
    assert!(refused > 500, "{refused}");
    assert_eq!(
        ann.get("/demo/session").await.expect(200)["totalChanges"],
        1,
        "a refused request did something"
    );
}

async fn only_one_role_administers_and_every_role_does_the_rest(backend: Backend) {
    let server = Server::with(backend, config()).await;
    let ben = server.sign_in(BEN).await;
    let session = server.sign_in(ANN).await.get("/demo/session").await.expect(200);
    let session = session["sessionId"].as_str().unwrap();
    for role in ROLES {
        let mut claims = claims(&ben.token);
        claims["role"] = (*role).into();
        let client = Client { token: signed(&claims, Algorithm::HS256, KEY), ..ben.clone() };
        for operation in Operation::all().iter().filter(|operation| !operation.is_public()) {
            let administers = operation.described["tags"] == json!(["administration"]);
            let answer = server.send(Asked::of(operation, UNKNOWN, session).signed(&client)).await;
            let is_refused = administers && *role != ADMIN_ROLE;
            assert_eq!(answer.status == 403, is_refused, "{role} {}: {}", operation.id, answer.text);
            if operation.is_write() && !is_refused {
                client.reset().await;
            }
        }
    }
}

/// Every operation on a record in the path, asked for the record `id`, is answered as for one that does not exist,
/// and runs the same statements.
async fn answers_like_unknown(client: &Client, home: &Home, of: &str, id: &str) -> usize {
    let server = &client.server;
    let mut compared = 0;
    for operation in &Operation::all() {
        let prefix = format!("/api/v1/{of}/{{");
        if !operation.path.starts_with(&prefix) {
            continue;
        }
        let asked = |id: &str| Asked::of(operation, id, id).with_id(id).signed(client);
        // The first use of a statement prepares it.
        server.send(asked(UNKNOWN)).await;
        let (unknown, unknown_statements) = statements::of(home, server.send(asked(UNKNOWN))).await;
        let (foreign, foreign_statements) = statements::of(home, server.send(asked(id))).await;
        let text = unknown.text.clone();
        assert_eq!(unknown.status, 404, "{} {text}", operation.id);
        assert!(!foreign.text.contains(id), "{} {}", operation.id, foreign.text);
        assert_eq!(comparable(foreign), comparable(unknown), "{}", operation.id);
        assert!(!unknown_statements.is_empty(), "{}", operation.id);
        assert_eq!(foreign_statements, unknown_statements, "{}", operation.id);
        compared += 1;
    }
    compared
}

/// One record of each kind, made by `client`: where they are, and their ids.
async fn one_of_each(client: &Client) -> Vec<(&'static str, String)> {
    let case = client.create("/cases", json!({ "details": "x" })).await;
    let investigation = client.create(&format!("/cases/{case}/investigations"), json!({})).await;
    let content = json!({ "content": "x" });
    let note = client.create(&format!("/investigations/{investigation}/notes"), content).await;
    let subject = json!({ "name": "x", "role": "WITNESS" });
    let subject = client.create(&format!("/cases/{case}/subjects"), subject).await;
    let message = json!({ "content": "x", "direction": "INBOUND" });
    let message = client.create(&format!("/cases/{case}/messages"), message).await;
    let riu = json!({ "details": "x", "type": "HOTLINE_REPORT", "sourceChannel": "PHONE" });
    let riu = client.create("/rius", riu).await;
    let association = client.create(&format!("/cases/{case}/rius"), json!({ "riuId": riu })).await;
    client.patch(&format!("/cases/{case}"), json!({ "summary": "y" })).await.expect(200);
    let deleted = client.create("/cases", json!({ "details": "x" })).await;
    client.delete(&format!("/cases/{deleted}")).await.expect(204);
    vec![
        ("cases", case),
        ("investigations", investigation),
        ("notes", note),
        ("subjects", subject),
        ("messages", message),
        ("rius", riu),
        ("associations", association),
    ]
}

/// The archive that holds one change of the client's.
async fn archive(client: &Client) -> String {
    client.create("/cases", json!({ "details": "x" })).await;
    let case = client.get("/cases?limit=1").await.expect(200)["items"][0]["id"].clone();
    let record = json!({ "entityType": "case", "entityId": case });
    let body = json!({ "confirmationToken": "CONFIRM_RESET", "records": [record] });
    client.post("/demo/reset", body).await.expect(200)["archiveId"].as_str().unwrap().to_owned()
}

async fn records_of_another_organization_are_answered_like_unknown_ones(backend: Backend) {
    let server = Server::with(backend, config()).await;
    let (ann, gil) = (server.sign_in(ANN).await, server.sign_in(GIL).await);
    let mut compared = answers_like_unknown(&ann, &server.home, "cases", FOREIGN_CASE).await;
    for (of, id) in one_of_each(&gil).await {
        compared += answers_like_unknown(&ann, &server.home, of, &id).await;
    }
    let session = gil.session_id().await;
    compared += answers_like_unknown(&ann, &server.home, "demo/admin/sessions", &session).await;
    compared += answers_like_unknown(&ann, &server.home, "demo/archives", &archive(&gil).await).await;
    assert!(compared > 40, "{compared}");
    assert!(gil.get("/demo/session").await.expect(200)["totalChanges"].as_u64().unwrap() > 6);
}

async fn records_of_another_session_are_answered_like_unknown_ones(backend: Backend) {
    let server = Server::with(backend, config()).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let mut compared = 0;
    for (of, id) in one_of_each(&ben).await {
        compared += answers_like_unknown(&ann, &server.home, of, &id).await;
    }
    let bens = archive(&ben).await;
    compared += answers_like_unknown(&ann, &server.home, "demo/archives", &bens).await;
    assert!(compared > 30, "{compared}");
    let undo = async |id: &str| comparable(ann.post("/demo/undo", json!({ "archiveId": id })).await);
    assert_eq!(undo(&bens).await, undo(UNKNOWN).await);
    // Nor do lists, changes and counts tell of them.
    for path in ["/cases", "/rius", "/investigations", "/demo/changes", "/demo/session", "/demo/archives"] {
        let answer = ann.get(path).await;
        assert!(
            !answer.text.contains("\"created\"") && !answer.text.contains(&bens),
            "{path}: {}",
            answer.text
        );
    }
}

/// Every id that a body or a filter may name.
async fn references_to_foreign_records_are_refused_like_unknown_ones(backend: Backend) {
    let server = Server::with(backend, config()).await;
    let (ann, ben) = (server.sign_in(ANN).await, server.sign_in(BEN).await);
    let bens = one_of_each(&ben).await;
    let of_ben = |of: &str| bens.iter().find(|(kind, _)| *kind == of).unwrap().1.clone();
    let (case, riu, investigation) = (of_ben("cases"), of_ben("rius"), of_ben("investigations"));
    let posts: Vec<(String, &str, Value, String)> = vec![
        ("/cases".to_owned(), "categoryId", json!({ "details": "x" }), FOREIGN_CATEGORY.to_owned()),
        (format!("/cases/{CASE}/rius"), "riuId", json!({}), riu),
        ("/investigations".to_owned(), "caseId", json!({}), case),
        ("/investigations".to_owned(), "caseId", json!({}), FOREIGN_CASE.to_owned()),
    ];
    for (path, field, body, foreign) in posts {
        let ask = async |id: &str| {
            let mut body = body.clone();
            body[field] = id.into();
            let answer = ann.post(&path, body).await;
            assert_eq!(answer.invalid_fields(), [field], "{path}");
            comparable(answer)
        };
        assert_eq!(ask(&foreign).await, ask(UNKNOWN).await, "{path} {field}");
    }
    let filter = async |id: &str| comparable(ann.get(&format!("/cases?categoryId={id}")).await);
    assert_eq!(filter(FOREIGN_CATEGORY).await, filter(UNKNOWN).await);
    assert_ne!(filter(CATEGORY).await, filter(UNKNOWN).await);
    let reset = async |id: &str| {
        let record = json!({ "entityType": "investigation", "entityId": id });
        let mut answer = ann
            .post("/demo/reset", json!({ "confirmationToken": "CONFIRM_RESET", "records": [record] }))
            .await;
        let mut body = answer.json();
        body["durationMs"] = 0.into();
        answer.text = body.to_string();
        answer.headers.remove(actix_web::http::header::CONTENT_LENGTH);
        comparable(answer)
    };
    assert_eq!(reset(&investigation).await, reset(UNKNOWN).await);
}
