//! The demo scope in a host's server: the host's own authentication, and counts by the host's own table names.
//!
//! Nothing here is of the bundled demo, so this builds and runs with `--no-default-features`, too.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::test::{TestRequest, call_and_read_body_json, init_service};
use actix_web::{App, FromRequest, HttpRequest, web};
use chrono::{DateTime, Utc};
use demo_reset_api::error::ApiError;
use demo_reset_api::{Clock, Engine, System, demo};
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::{AttachOptions, Database, DatabaseUrl, Error, OpenOptions, attach};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use serde_json::{Value, json};
use uuid::Uuid;

const LEDGER: &str = "
    create table accounts (id integer primary key, name text not null);
    create table bookings (id integer primary key, account_id integer references accounts (id) on delete cascade, amount integer);
    insert into accounts values (1, 'cash'), (2, 'bank');
    insert into bookings values (1, 1, 5), (2, 1, 7), (3, 2, 9);";

/// Where a PostgreSQL for tests listens; `cargo xtask test` starts one and sets this.
const POSTGRES_VARIABLE: &str = "DEMO_RESET_TEST_POSTGRES";

/// A visitor, as the host knows them.
struct Visitor(UserKey);

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = request.headers().get("x-user").and_then(|value| value.to_str().ok());
        let key = UserKey::new("ledger", user.unwrap_or_default()).map(Visitor);
        ready(key.map_err(|_| ApiError::Unauthorized { reason: "Expected the header X-User." }))
    }
}

impl demo::SessionUser for Visitor {
    fn session_key(&self) -> Result<UserKey, ApiError> {
        Ok(self.0.clone())
    }
}

#[actix_web::test]
async fn a_host_on_sqlite_mounts_the_scope_with_its_own_users_and_table_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db").display().to_string();
    SqliteConnection::establish(&file).unwrap().batch_execute(LEDGER).unwrap();
    mounted_over(&format!("sqlite://{file}").parse().unwrap()).await;
}

#[actix_web::test]
async fn a_host_on_postgresql_mounts_the_scope_with_its_own_users_and_table_names() {
    let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "in CI no test may be skipped: {POSTGRES_VARIABLE}"
        );
        eprintln!("skipped on PostgreSQL: {POSTGRES_VARIABLE} is not set; run `cargo xtask test`");
        return;
    };
    let name = format!("ledger{}", std::process::id());
    let on_server = |sql: &str| PgConnection::establish(&server).unwrap().batch_execute(sql).unwrap();
    on_server(&format!("create database {name}"));
    let (url, query) = server.split_once('?').unwrap_or((&server, ""));
    let url = format!("{}/{name}?{query}", url.rsplit_once('/').unwrap().0);
    PgConnection::establish(&url).unwrap().batch_execute(LEDGER).unwrap();
    mounted_over(&url.parse().unwrap()).await;
    on_server(&format!("drop database {name} with (force)"));
}

async fn mounted_over(url: &DatabaseUrl) {
    let now: DateTime<Utc> = System.now();
    attach(url, &AttachOptions::default(), now).unwrap();
    let database = Database::open_attached(url, OpenOptions::default(), now).unwrap();
    let key = UserKey::new("ledger", "zoe").unwrap();
    let session = database.session(&key, SessionId(Uuid::from_u128(7)), now).unwrap();
    let work = "delete from accounts where id = 1; insert into bookings values (4, 2, 11)";
    database.write(session.id, now, |conn| conn.batch_execute(work).map_err(Error::from)).unwrap();
    let state = web::Data::new(demo::DemoState::new(Engine::new(database), demo::EntityNames::of_tables()));
    let app = App::new().service(web::scope("/api").configure(demo::configure::<Visitor>(state)));
    let app = init_service(app).await;
    let as_zoe = |request: TestRequest| request.insert_header(("x-user", "zoe")).to_request();
    let get = |path: &str| as_zoe(TestRequest::get().uri(path));

    let session: Value = call_and_read_body_json(&app, get("/api/demo/session")).await;
    assert_eq!(session["changes"], json!({ "accounts": 1, "bookings": 3 }));
    assert_eq!(session["totalChanges"], 4);
    let preview: Value = call_and_read_body_json(&app, get("/api/demo/reset/preview")).await;
    assert_eq!(preview["willDelete"], session["changes"]);
    let changes: Value = call_and_read_body_json(&app, get("/api/demo/changes?entityType=accounts")).await;
    assert_eq!(
        (&changes["items"][0]["kind"], &changes["items"][0]["entityId"]),
        (&json!("deleted"), &json!("1"))
    );
    let nothing: Value =
        call_and_read_body_json(&app, get("/api/demo/changes?entityType=accounts&entityId=%00")).await;
    assert_eq!(nothing["errors"][0]["field"], "entityId", "{nothing}");
    let verify: Value = call_and_read_body_json(&app, get("/api/demo/verify")).await;
    assert_eq!(verify["counts"]["base"], json!({ "accounts": 2, "bookings": 3 }));
    assert_eq!(verify["counts"]["user"], session["changes"]);
    let nobody: Value =
        call_and_read_body_json(&app, TestRequest::get().uri("/api/demo/session").to_request()).await;
    assert_eq!(nobody["code"], "unauthorized");
    let confirmed =
        TestRequest::post().uri("/api/demo/reset").set_json(json!({ "confirmationToken": "CONFIRM_RESET" }));
    let reset: Value = call_and_read_body_json(&app, as_zoe(confirmed)).await;
    assert_eq!(reset["deletedCounts"], session["changes"]);
    let undo = TestRequest::post().uri("/api/demo/undo").set_json(json!({}));
    let undone: Value = call_and_read_body_json(&app, as_zoe(undo)).await;
    assert_eq!(undone["restoredCounts"], session["changes"]);
}
