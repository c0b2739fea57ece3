//! The demo scope in a host's server, with the host's own authentication and the host's own table names.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::test::{TestRequest, call_and_read_body_json, init_service};
use actix_web::{App, FromRequest, HttpRequest, web};
use demo_reset_api::error::ApiError;
use demo_reset_api::{Engine, demo};
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::Error;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Backend, database, on_each_database};

on_each_database! {
    a_host_mounts_the_scope_with_its_own_users_and_its_own_table_names,
}

struct Visitor(UserKey);

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = request.headers().get("x-user").and_then(|value| value.to_str().ok());
        let key = UserKey::new("acme", user.unwrap_or_default()).map(Visitor);
        ready(key.map_err(|_| ApiError::Unauthorized { reason: "Expected the header X-User." }))
    }
}

impl demo::SessionUser for Visitor {
    fn session_key(&self) -> Result<UserKey, ApiError> {
        Ok(self.0.clone())
    }
}

async fn a_host_mounts_the_scope_with_its_own_users_and_its_own_table_names(backend: Backend) {
    let now = "2026-02-02T09:00:00Z".parse().unwrap();
    let (database, _folder) = database(backend, now);
    let key = UserKey::new("acme", "zoe").unwrap();
    let session = database.session(&key, SessionId(Uuid::from_u128(7)), now).unwrap();
    database
        .write(session.id, now, |conn| conn.batch_execute("delete from cases").map_err(Error::from))
        .unwrap();
    let state = web::Data::new(demo::DemoState::new(Engine::new(database), demo::EntityNames::of_tables()));
    let app = App::new().service(web::scope("/api").configure(demo::configure::<Visitor>(state)));
    let app = init_service(app).await;
    let get = |path: &str| TestRequest::get().uri(path).insert_header(("x-user", "zoe")).to_request();
    let session: Value = call_and_read_body_json(&app, get("/api/demo/session")).await;
    assert_eq!(session["changes"]["cases"], 4);
    assert_eq!(session["changes"]["case_messages"], 1);
    let total: u64 = session["changes"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(session["totalChanges"], total);
    let verify: Value = call_and_read_body_json(&app, get("/api/demo/verify")).await;
    assert_eq!(verify["counts"]["base"]["cases"], 4);
    assert_eq!(verify["counts"]["user"]["cases"], 4);
    let nobody: Value =
        call_and_read_body_json(&app, TestRequest::get().uri("/api/demo/session").to_request()).await;
    assert_eq!(nobody["code"], "unauthorized");
    let body = json!({ "confirmationToken": "CONFIRM_RESET" });
    let request = TestRequest::post().uri("/api/demo/reset").insert_header(("x-user", "zoe")).set_json(body);
    let reset: Value = call_and_read_body_json(&app, request.to_request()).await;
    assert_eq!(reset["deletedCounts"], session["changes"]);
}
