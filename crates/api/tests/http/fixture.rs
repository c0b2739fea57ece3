//! A server over a small base (`base.sql`), with a clock that tests move.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, init_service};
use actix_web::web;
use chrono::{DateTime, Duration, Utc};
use demo_reset_api::{AppState, Clock, Engine, ServerConfig, SignInLimits, System, app, hash_password};
use demo_reset_persistence::{AnyConnection, Database, DatabaseUrl, OpenOptions, load_base};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use serde_json::Value;
use uuid::Uuid;

use crate::{document, statements};

pub const PASSWORD: &str = "correct horse battery";
pub const ANN: &str = "ann@acme.example";
pub const BEN: &str = "ben@acme.example";
pub const GIL: &str = "gil@globex.example";

/// A base case with one of every child.
pub const CASE: &str = "00000000-0000-7000-8000-000000000201";
/// A case of another organization.
pub const FOREIGN_CASE: &str = "00000000-0000-7000-8000-000000000209";
pub const RIU: &str = "00000000-0000-7000-8000-000000000101";
/// A RIU that hangs on no case.
pub const FREE_RIU: &str = "00000000-0000-7000-8000-000000000102";
pub const INVESTIGATION: &str = "00000000-0000-7000-8000-000000000301";
pub const SUBJECT: &str = "00000000-0000-7000-8000-000000000401";
pub const MESSAGE: &str = "00000000-0000-7000-8000-000000000501";
pub const NOTE: &str = "00000000-0000-7000-8000-000000000601";
pub const ASSOCIATION: &str = "00000000-0000-7000-8000-000000000701";
pub const CATEGORY: &str = "00000000-0000-7000-8000-0000000000c1";
/// A category of another organization.
pub const FOREIGN_CATEGORY: &str = "00000000-0000-7000-8000-0000000000c2";
pub const UNKNOWN: &str = "00000000-0000-7000-8000-00000000ffff";

const SQLITE_TABLES: &str =
    include_str!("../../../../migrations/compliance/sqlite/2026-11-22-000000_demo_tables/up.sql");
const POSTGRES_TABLES: &str =
    include_str!("../../../../migrations/compliance/postgres/2026-11-22-000000_demo_tables/up.sql");
const ROWS: &str = include_str!("base.sql");

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Where a PostgreSQL for tests listens, with a login that may create databases and roles. `cargo xtask test`
/// starts one and sets this.
const POSTGRES_VARIABLE: &str = "DEMO_RESET_TEST_POSTGRES";

impl Backend {
    /// Whether tests can run on it here. In CI they must.
    pub fn is_there(self) -> bool {
        if self == Self::Sqlite || std::env::var_os(POSTGRES_VARIABLE).is_some() {
            return true;
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "{POSTGRES_VARIABLE} is not set: `cargo xtask test` sets it"
        );
        eprintln!("skipped on PostgreSQL: {POSTGRES_VARIABLE} is not set; run `cargo xtask test`");
        false
    }
}

/// Runs each of these functions as a test on each database.
macro_rules! on_each_database {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::fixture::Backend;

            #[actix_web::test]
            async fn sqlite() {
                super::$name(Backend::Sqlite).await;
            }

            #[actix_web::test]
            async fn postgres() {
                if Backend::Postgres.is_there() {
                    super::$name(Backend::Postgres).await;
                }
            }
        }
    )+};
}
pub(crate) use on_each_database;

/// A clock that stands still until it is moved.
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.num_microseconds().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body, if the status is this.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The `code` of a problem with this status.
    pub fn problem(&self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        for member in ["type", "title", "detail", "requestId"] {
            assert!(body[member].is_string(), "{member}: {body}");
        }
        body["code"].as_str().unwrap().to_owned()
    }

    /// The fields that a 422 names.
    pub fn invalid_fields(&self) -> Vec<String> {
        assert_eq!(self.problem(422), "invalid");
        let errors = self.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

type Call = dyn Fn(actix_web::test::TestRequest) -> Pin<Box<dyn Future<Output = Answer>>>;

/// A server under test. Clones share everything.
#[derive(Clone)]
pub struct Server {
    call: Rc<Call>,
    pub state: web::Data<AppState>,
    pub clock: Arc<TestClock>,
    pub database: Database,
    pub home: Rc<Home>,
}

/// A signed-in caller.
#[derive(Clone)]
pub struct Client {
    pub server: Server,
    pub token: String,
}

/// Limits that no test meets by accident.
pub fn no_limits() -> SignInLimits {
    SignInLimits {
        per_address: NonZeroU32::new(100_000).unwrap(),
        per_account: NonZeroU32::new(100_000).unwrap(),
    }
}

/// Where a test's database is; removed at the end.
pub enum Home {
    Folder(tempfile::TempDir),
    Postgres { name: String },
}

impl Home {
    pub fn url(&self) -> DatabaseUrl {
        match self {
            Self::Folder(folder) => {
                format!("sqlite://{}", folder.path().join("demo.db").display()).parse().unwrap()
            }
            Self::Postgres { name } => postgres_url(name).parse().unwrap(),
        }
    }

    /// What stands in the address of every connection to it.
    pub fn place(&self) -> String {
        match self {
            Self::Folder(folder) => folder.path().file_name().unwrap().to_str().unwrap().to_owned(),
            Self::Postgres { name } => format!("/{name}?"),
        }
    }

    /// Opens the database, as a server does when it starts.
    fn open_with(&self, options: OpenOptions, now: DateTime<Utc>) -> Database {
        let mut options = OpenOptions { attach: demo_reset_compliance::attach_options(), ..options };
        if options.connection_timeout == OpenOptions::default().connection_timeout {
            // A machine with much else to do takes its time to open a connection, which no test is about.
            options.connection_timeout = std::time::Duration::from_secs(60);
        }
        Database::open(&self.url(), options, now).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Self::Postgres { name } = self {
            on_postgres(&format!("drop database {name} with (force)"));
        }
    }
}

fn postgres() -> String {
    std::env::var(POSTGRES_VARIABLE).unwrap()
}

/// The URL of a database of the test server.
fn postgres_url(name: &str) -> String {
    let server = postgres();
    let (url, query) = server
        .split_once('?')
        .map_or((server.as_str(), String::new()), |(url, query)| (url, format!("?{query}")));
    let (host, _) = url.rsplit_once('/').unwrap();
    format!("{host}/{name}{query}")
}

fn on_postgres(sql: &str) {
    PgConnection::establish(&postgres()).unwrap().batch_execute(sql).unwrap();
}

fn unique_name() -> String {
    static COUNT: AtomicI64 = AtomicI64::new(0);
    format!("http{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn load(url: &DatabaseUrl, tables: &str) {
    let load = |conn: &mut AnyConnection| {
        conn.batch_execute(tables)?;
        conn.batch_execute(ROWS)?;
        demo_reset_compliance::index_words(conn)
    };
    load_base(url, Uuid::from_u128(1), DateTime::UNIX_EPOCH, load).unwrap();
}

/// The hash of the password, made once: it takes long in a debug build.
fn password_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash_password(PASSWORD, &[7; 16]).unwrap())
}

/// The base file, made once.
fn sqlite_template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let home = Home::Folder(tempfile::tempdir().unwrap());
        load(&home.url(), SQLITE_TABLES);
        let Home::Folder(folder) = &home else { unreachable!() };
        std::fs::read(folder.path().join("demo.db")).unwrap()
    })
}

/// The name of a database with the base, made once.
fn postgres_template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = unique_name();
        on_postgres(&format!("create database {name}"));
        let url: DatabaseUrl = postgres_url(&name).parse().unwrap();
        load(&url, POSTGRES_TABLES);
        let options = OpenOptions { attach: demo_reset_compliance::attach_options(), ..Default::default() };
        drop(Database::open(&url, options, DateTime::UNIX_EPOCH).unwrap());
        // A template must have no connections; the pool's close in the background.
        on_postgres(&format!(
            "update pg_database set datallowconn = false where datname = '{name}'; \
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}';"
        ));
        name
    })
}

/// A loaded database of its own.
pub fn database(backend: Backend, now: DateTime<Utc>) -> (Database, Home) {
    database_opened(backend, OpenOptions::default(), now)
}

fn database_opened(backend: Backend, options: OpenOptions, now: DateTime<Utc>) -> (Database, Home) {
    statements::record();
    let home = match backend {
        Backend::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("demo.db"), sqlite_template()).unwrap();
            Home::Folder(folder)
        }
        Backend::Postgres => {
            let name = unique_name();
            on_postgres(&format!("create database {name} template {}", postgres_template()));
            Home::Postgres { name }
        }
    };
    let database = home.open_with(options, now);
    database.secret_replace("demo_password_hash", password_hash()).unwrap();
    (database, home)
}

impl Server {
    pub async fn on(backend: Backend) -> Self {
        Self::with(backend, ServerConfig { sign_in_limits: no_limits(), ..ServerConfig::default() }).await
    }

    pub async fn with(backend: Backend, config: ServerConfig) -> Self {
        Self::opened(backend, OpenOptions::default(), config).await
    }

    pub async fn opened(backend: Backend, options: OpenOptions, config: ServerConfig) -> Self {
        let now: DateTime<Utc> = "2026-02-02T09:00:00.123456Z".parse().unwrap();
        let (database, home) = database_opened(backend, options, now);
        let clock = Arc::new(TestClock(AtomicI64::new(now.timestamp_micros())));
        let engine = Engine::with(database.clone(), clock.clone(), Arc::new(System));
        let state = AppState::new(engine, &config).unwrap();
        let service = init_service(app(state.clone(), &config.cors_origins)).await;
        let call = calls(service, TestRequest::to_request);
        Self { call, state, clock, database, home: Rc::new(home) }
    }

    /// Another server over the same database, with connections of its own.
    pub async fn again(&self, config: ServerConfig) -> Self {
        self.again_with(OpenOptions::default(), config).await
    }

    /// [`Server::again`], opened in this way.
    pub async fn again_with(&self, options: OpenOptions, config: ServerConfig) -> Self {
        let database = self.home.open_with(options, self.clock.now());
        let engine = Engine::with(database.clone(), self.clock.clone(), Arc::new(System));
        let state = AppState::new(engine, &config).unwrap();
        let service = init_service(app(state.clone(), &config.cors_origins)).await;
        Self { call: calls(service, TestRequest::to_request), state, database, ..self.clone() }
    }

    /// Answers with another state from now on.
    pub async fn serve(&mut self, state: web::Data<AppState>) {
        let service = init_service(app(state.clone(), &[])).await;
        self.call = calls(service, TestRequest::to_request);
        self.state = state;
    }

    /// The time on its clock.
    pub fn clock_now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub async fn send(&self, request: TestRequest) -> Answer {
        (self.call)(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(TestRequest::get().uri(path)).await
    }

    /// A caller who signs in.
    pub async fn sign_in(&self, email: &str) -> Client {
        let answer = self.login(email, PASSWORD).await;
        let token = answer.expect(200)["accessToken"].as_str().unwrap().to_owned();
        Client { server: self.clone(), token }
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        let body = serde_json::json!({ "email": email, "password": password });
        self.send(TestRequest::post().uri("/api/v1/auth/login").set_json(body)).await
    }
}

fn calls<S, B, R>(service: S, to_request: fn(TestRequest) -> R) -> Rc<Call>
where
    R: 'static,
    S: Service<R, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    Rc::new(move |request| {
        let answer = service.call(to_request(request));
        Box::pin(async move {
            let response = answer.await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            let route = response.request().match_pattern();
            let method = response.request().method().clone();
            let bytes = to_bytes(response.into_body()).await.unwrap_or_default();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let answer = Answer { status: StatusCode::as_u16(&status), headers, text };
            if let Some(route) = route {
                document::check(&route, &method, &answer);
            }
            answer
        })
    })
}

impl Client {
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        TestRequest::with_uri(&format!("/api/v1{path}"))
            .method(method)
            .insert_header(("authorization", format!("Bearer {}", self.token)))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.server.send(self.request(Method::GET, path)).await
    }

    pub async fn get_with(&self, path: &str, header: (&str, &str)) -> Answer {
        self.server.send(self.request(Method::GET, path).insert_header(header)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.server.send(self.request(Method::POST, path).set_json(body)).await
    }

    pub async fn post_with(&self, path: &str, body: Value, header: (&str, &str)) -> Answer {
        self.server.send(self.request(Method::POST, path).insert_header(header).set_json(body)).await
    }

    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path).insert_header(("content-type", "application/json"));
        self.server.send(request.set_payload(body.to_owned())).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.server.send(self.request(Method::PATCH, path).set_json(body)).await
    }

    pub async fn patch_with(&self, path: &str, body: Value, header: (&str, &str)) -> Answer {
        self.server.send(self.request(Method::PATCH, path).insert_header(header).set_json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.server.send(self.request(Method::DELETE, path)).await
    }

    pub async fn delete_with(&self, path: &str, header: (&str, &str)) -> Answer {
        self.server.send(self.request(Method::DELETE, path).insert_header(header)).await
    }

    /// Makes a record and gives its id.
    pub async fn create(&self, path: &str, body: Value) -> String {
        self.post(path, body).await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    pub async fn reset(&self) -> Value {
        let body = serde_json::json!({ "confirmationToken": "CONFIRM_RESET" });
        self.post("/demo/reset", body).await.expect(200)
    }

    /// The id of the caller's session, which is made where there is none.
    pub async fn session_id(&self) -> String {
        self.get("/demo/session").await.expect(200)["sessionId"].as_str().unwrap().to_owned()
    }

    /// The total of a list.
    pub async fn total(&self, path: &str) -> u64 {
        self.get(path).await.expect(200)["total"].as_u64().unwrap()
    }
}
