//! The server that ours is compared with: actix-web and Diesel on plain tables, with the queries of the bundled demo and
//! nothing of sessions, tokens or limits.

use std::io::Write as _;
use std::process::Command;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError, web};
use anyhow::{Context, Result};
use chrono::Utc;
use demo_reset_compliance::schema::cases;
use demo_reset_compliance::{self as compliance, Actor, New, Object, Patch, Writer};
use demo_reset_persistence::AnyConnection;
use demo_reset_persistence::types::{DbJson, DbTime, DbUuid};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool, R2D2Connection};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

/// Makes this program the bare server of a database.
const VARIABLE: &str = "DEMO_RESET_BENCH_BARE_SERVER";

/// The command that starts it.
pub(super) fn command(url: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bench").env(VARIABLE, url);
    Ok(command)
}

/// Serves until it is killed, if this process was started for that; whether it was.
pub(crate) fn serve_if_asked() -> Result<bool> {
    let Ok(url) = std::env::var(VARIABLE) else { return Ok(false) };
    actix_web::rt::System::new().block_on(serve(&url))?;
    Ok(true)
}

/// Opens a connection as anybody would: on SQLite with what our sessions file is set to, on PostgreSQL as it comes.
pub(super) fn connect(url: &str) -> Result<AnyConnection> {
    Ok(match url.strip_prefix("sqlite://") {
        Some(path) => {
            let mut conn = SqliteConnection::establish(path)?;
            conn.batch_execute(
                "pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on; pragma busy_timeout = 5000;",
            )?;
            AnyConnection::Sqlite(conn)
        }
        None => AnyConnection::Postgres(PgConnection::establish(url)?),
    })
}

struct Manager(String);

impl ManageConnection for Manager {
    type Connection = AnyConnection;
    type Error = Failure;

    fn connect(&self) -> Result<AnyConnection, Failure> {
        Ok(connect(&self.0)?)
    }

    fn is_valid(&self, conn: &mut AnyConnection) -> Result<(), Failure> {
        Ok(conn.ping()?)
    }

    fn has_broken(&self, _: &mut AnyConnection) -> bool {
        false
    }
}

/// SQLite has one writer at a time: its connection is waited for in the program and not in the database.
struct Pools {
    readers: Pool<Manager>,
    writers: Pool<Manager>,
}

/// Whatever fails is a 500: nothing should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Compliance(#[from] compliance::Error),
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    #[error(transparent)]
    Pool(#[from] diesel::r2d2::PoolError),
    #[error(transparent)]
    Blocking(#[from] actix_web::error::BlockingError),
    #[error(transparent)]
    Id(#[from] uuid::Error),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl ResponseError for Failure {}

type Answer = Result<HttpResponse, Failure>;

impl Pools {
    fn new(url: &str) -> Result<Self> {
        let pool = |size| {
            let builder = Pool::builder().max_size(size).test_on_check_out(false);
            builder.build(Manager(url.to_owned())).context("a pool")
        };
        let is_sqlite = url.starts_with("sqlite:");
        let readers = pool(8)?;
        let writers = if is_sqlite { pool(1)? } else { readers.clone() };
        Ok(Self { readers, writers })
    }

    fn write<T>(&self, work: impl FnOnce(&mut AnyConnection) -> compliance::Result<T>) -> Result<T, Failure> {
        let mut conn = self.writers.get()?;
        let begin = if matches!(&*conn, AnyConnection::Sqlite(_)) { "begin immediate" } else { "begin" };
        conn.batch_execute(begin)?;
        let done = work(&mut conn);
        conn.batch_execute(if done.is_ok() { "commit" } else { "rollback" })?;
        Ok(done?)
    }
}

async fn serve(url: &str) -> Result<()> {
    let pools = web::Data::new(Pools::new(url)?);
    let app = move || {
        App::new()
            .app_data(pools.clone())
            .route("/api/v1/cases", web::get().to(page))
            .route("/api/v1/cases/{id}", web::get().to(record))
            .route("/api/v1/cases/{id}", web::patch().to(edit))
            .route("/api/v1/cases/{id}/messages", web::post().to(message))
    };
    let server = HttpServer::new(app).bind("127.0.0.1:0")?;
    let address = server.addrs().first().copied().context("an address")?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()?;
    Ok(server.run().await?)
}

fn header(request: &HttpRequest, name: &str) -> Result<Uuid, Failure> {
    let value = request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(value.parse()?)
}

/// A case as a list shows it: the columns that ours reads, and as much JSON, written as ours is.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = cases)]
#[serde(rename_all = "camelCase")]
struct CaseRow {
    #[serde(serialize_with = "uuid")]
    id: DbUuid,
    reference_number: String,
    details: String,
    summary: Option<String>,
    status: String,
    severity: String,
    case_type: String,
    source_channel: String,
    reporter_type: String,
    reporter_name: Option<String>,
    reporter_email: Option<String>,
    reporter_phone: Option<String>,
    #[serde(serialize_with = "optional_uuid")]
    category_id: Option<DbUuid>,
    #[serde(serialize_with = "optional_uuid")]
    location_id: Option<DbUuid>,
    outcome: Option<String>,
    outcome_notes: Option<String>,
    #[serde(serialize_with = "json_value")]
    tags: DbJson,
    ai_summary: Option<String>,
    risk_score: Option<i32>,
    #[serde(serialize_with = "optional_time")]
    sla_due_at: Option<DbTime>,
    #[serde(serialize_with = "optional_time")]
    closed_at: Option<DbTime>,
    #[serde(serialize_with = "time")]
    created_at: DbTime,
    #[serde(serialize_with = "time")]
    updated_at: DbTime,
    #[serde(serialize_with = "uuid")]
    created_by_id: DbUuid,
    #[serde(serialize_with = "uuid")]
    updated_by_id: DbUuid,
    #[serde(serialize_with = "optional_uuid")]
    demo_user_session_id: Option<DbUuid>,
    is_base_data: bool,
    change_kind: Option<String>,
}

fn uuid<S: Serializer>(value: &DbUuid, serializer: S) -> Result<S::Ok, S::Error> {
    value.0.serialize(serializer)
}

fn optional_uuid<S: Serializer>(value: &Option<DbUuid>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|value| value.0).serialize(serializer)
}

fn time<S: Serializer>(value: &DbTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional_time<S: Serializer>(value: &Option<DbTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn json_value<S: Serializer>(value: &DbJson, serializer: S) -> Result<S::Ok, S::Error> {
    value.0.serialize(serializer)
}

/// A page of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: &'a [CaseRow],
    next_cursor: Option<String>,
    total: i64,
}

async fn page(request: HttpRequest, pools: web::Data<Pools>) -> Answer {
    let organization = header(&request, "x-organization")?;
    let (total, rows) = web::block(move || -> Result<_, Failure> {
        let of_organization = || cases::table.filter(cases::organization_id.eq(DbUuid(organization)));
        let conn = &mut *pools.readers.get()?;
        let total: i64 = of_organization().count().get_result(conn)?;
        let page = of_organization().order((cases::created_at.desc(), cases::id.desc())).limit(51);
        Ok((total, page.select(CaseRow::as_select()).load::<CaseRow>(conn)?))
    })
    .await??;
    let next = rows.get(50).map(|row| row.created_at.to_string());
    let items = &rows[..rows.len().min(50)];
    Ok(HttpResponse::Ok().json(Page { items, next_cursor: next, total }))
}

async fn record(request: HttpRequest, id: web::Path<Uuid>, pools: web::Data<Pools>) -> Answer {
    let organization = header(&request, "x-organization")?;
    let case = web::block(move || -> Result<_, Failure> {
        Ok(compliance::case_fetch(&mut *pools.readers.get()?, organization, *id)?)
    });
    Ok(HttpResponse::Ok().json(case.await??))
}

#[allow(clippy::disallowed_methods, reason = "a server is an edge: it reads the clock and makes ids")]
fn writer(request: &HttpRequest) -> Result<Writer, Failure> {
    let (organization_id, user_id) = (header(request, "x-organization")?, header(request, "x-user")?);
    let actor = Actor { organization_id, user_id, name: "Rep".to_owned() };
    Ok(Writer { actor, now: Utc::now(), audit_id: Uuid::now_v7(), expected_versions: None })
}

fn object(body: &Value) -> Object {
    body.as_object().cloned().unwrap_or_default()
}

async fn edit(
    request: HttpRequest,
    id: web::Path<Uuid>,
    body: web::Json<Value>,
    pools: web::Data<Pools>,
) -> Answer {
    let writer = writer(&request)?;
    let patch = Patch::parse(&object(&body))?;
    let case = web::block(move || pools.write(|conn| compliance::case_update(conn, &writer, *id, &patch)));
    Ok(HttpResponse::Ok().json(case.await??))
}

#[allow(clippy::disallowed_methods, reason = "a server is an edge: it makes ids")]
async fn message(
    request: HttpRequest,
    case: web::Path<Uuid>,
    body: web::Json<Value>,
    pools: web::Data<Pools>,
) -> Answer {
    let writer = writer(&request)?;
    let mut content = object(&body);
    content.insert("caseId".to_owned(), json!(*case));
    let new = New::parse(&content)?;
    let message = web::block(move || {
        pools.write(|conn| compliance::message_create(conn, &writer, Uuid::now_v7(), new))
    });
    Ok(HttpResponse::Created().json(message.await??))
}
