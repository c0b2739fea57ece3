//! A database with the whole demo, and sessions that have worked in it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, Utc};
use demo_reset_compliance::attach_options;
use demo_reset_compliance::dataset::{self, DatasetError, DatasetOptions, SeedData, SeedError};
use demo_reset_compliance::schema::cases;
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::types::DbUuid;
use demo_reset_persistence::{AnyConnection, Database, DatabaseUrl, OpenOptions, load_base};
use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::sql_types::Text;
use tempfile::TempDir;
use uuid::Uuid;

use crate::report::Report;

/// The same every time; the engine reads no clock.
pub(crate) const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// How large a base is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    /// The cases, the reports and what they refer to, without what hangs on them.
    TenThousand,
    /// The bundled demo.
    Demo,
    /// The bundled demo at twelve times its size.
    Million,
    /// As many audit entries on top of the bundled demo as make five million rows.
    FiveMillion,
}

/// How large a base is, and how many sessions have worked in it besides those that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setting {
    pub(crate) base: Base,
    pub(crate) others: u32,
}

/// Changes of each other session, by their tables: 50 together.
const CHANGES_OF_OTHERS: [(&str, usize); 2] = [("cases", 40), ("investigations", 10)];

/// What the numbers of the other sessions begin with.
const CROWD: u128 = 1_000_000;

/// How long a server must have seen its base file stand still before it trusts the file's times.
const STANDS_STILL: Duration = Duration::from_millis(2_100);

/// Every fixture that was made, by its setting: one stands in seconds to minutes.
#[derive(Default)]
pub(crate) struct Fixtures(RefCell<BTreeMap<Setting, Rc<Fixture>>>);

impl Fixtures {
    /// The fixture of this setting.
    pub(crate) fn of(&self, setting: Setting, report: &Report) -> Result<Rc<Fixture>> {
        if let Some(fixture) = self.0.borrow().get(&setting) {
            return Ok(Rc::clone(fixture));
        }
        let fixture = Rc::new(Fixture::new(setting, report)?);
        self.0.borrow_mut().insert(setting, Rc::clone(&fixture));
        Ok(fixture)
    }
}

pub(crate) struct Fixture {
    pub(crate) database: Database,
    pub(crate) base_rows: u64,
    folder: TempDir,
}

impl Fixture {
    /// Loads the base, then lets a crowd of sessions work in it.
    fn new(setting: Setting, report: &Report) -> Result<Self> {
        let folder = TempDir::new()?;
        let base = folder.path().join("demo.db");
        let url: DatabaseUrl = format!("sqlite://{}", base.display()).parse()?;
        match setting.base {
            Base::Demo => seed(&base, 1)?,
            Base::Million => seed(&base, 12)?,
            Base::TenThousand => load(&url, |conn| conn.batch_execute(WITHOUT_CHILDREN))?,
            Base::FiveMillion => load(&url, |conn| add_entries(conn, 5_000_000))?,
        }
        let database = Database::open(&url, open_options(), NOW)?;
        std::thread::sleep(STANDS_STILL);
        let base_rows = database.stats(None, NOW)?.base.iter().map(|(_, rows)| rows).sum();
        let fixture = Self { database, base_rows, folder };
        fixture.crowd(setting.others)?;
        report.say(format_args!(
            "  ({base_rows} base rows in the attached tables, {} other sessions of up to 50 changes each)",
            setting.others
        ));
        Ok(fixture)
    }

    /// Makes so many other sessions. The first of them edits its records through the views; the others get the same changes
    /// row by row, all at once: half a million edits would take minutes, and leave the same rows.
    fn crowd(&self, sessions: u32) -> Result<()> {
        let crowd = (0..sessions)
            .map(|number| self.session(CROWD + u128::from(number)))
            .collect::<Result<Vec<_>>>()?;
        let Some((first, _)) = crowd.split_first() else { return Ok(()) };
        let mut conn = SqliteConnection::establish(&self.path("demo.sessions.db").to_string_lossy())?;
        conn.batch_execute("pragma busy_timeout = 5000")?;
        for (table, changes) in CHANGES_OF_OTHERS {
            self.run(*first, &edit_newest(table, changes))?;
            let names = format!(
                "select name as text from pragma_table_info('demo_changes_{table}') where name <> 'demo_layer'"
            );
            let names: Vec<String> =
                diesel::sql_query(names).load::<Line>(&mut conn)?.into_iter().map(|line| line.text).collect();
            let values: Vec<String> = names.iter().map(|name| format!("change.{name}")).collect();
            conn.batch_execute(&format!(
                "insert into demo_changes_{table} (demo_layer, {})
                 select other.live_layer, {}
                 from demo_user_sessions other, demo_changes_{table} change, demo_user_sessions first
                 where change.demo_layer = first.live_layer and first.id = '{}'
                   and other.number > first.number order by other.live_layer",
                names.join(", "),
                values.join(", "),
                first.0
            ))?;
        }
        // Half a million changes of one transaction leave a log that is as large as the file, which no server's is.
        conn.batch_execute("pragma wal_checkpoint(truncate)")?;
        Ok(())
    }

    /// What a figure is called by.
    pub(crate) fn rows(&self) -> String {
        thousands(self.base_rows)
    }

    /// A copy of the base with nothing of the engine's in it, as a file of its own with the settings of the sessions
    /// file.
    pub(crate) fn plain(&self, name: &str) -> Result<SqliteConnection> {
        let path = self.path(name);
        std::fs::copy(self.path("demo.db"), &path)?;
        let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
        conn.batch_execute(
            "pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on;",
        )?;
        let guards = "select name as text from sqlite_schema where type = 'trigger'";
        for guard in diesel::sql_query(guards).load::<Line>(&mut conn)? {
            conn.batch_execute(&format!("drop trigger \"{}\"", guard.text))?;
        }
        Ok(conn)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of so many other sessions, with as many before it as behind it in every index.
    pub(crate) fn among(&self, others: u32) -> Result<SessionId> {
        self.session(CROWD + u128::from(others / 2))
    }

    pub(crate) fn session(&self, number: u128) -> Result<SessionId> {
        let user = UserKey::new("bench", number.to_string())?;
        Ok(self.database.session(&user, SessionId(Uuid::from_u128(number)), NOW)?.id)
    }

    /// Runs statements in a session's world.
    pub(crate) fn run(&self, session: SessionId, sql: &str) -> Result<()> {
        self.database.write(session, NOW, |conn| {
            conn.batch_execute(sql).map_err(demo_reset_persistence::Error::from)
        })?;
        Ok(())
    }
}

fn open_options() -> OpenOptions {
    OpenOptions { attach: attach_options(), ..OpenOptions::default() }
}

/// Edits of so many cases or investigations of the largest organization, the newest, which every page begins with.
pub(crate) fn edit_newest(table: &str, count: usize) -> String {
    format!(
        "update {table} set status = 'CLOSED' where (organization_id, id) in (select organization_id, id from {table} \
         where organization_id = (select organization_id from cases group by 1 order by count(*) desc limit 1) \
         order by created_at desc, id desc limit {count})"
    )
}

/// The largest organization, and how many cases it has.
pub(crate) fn largest_organization(conn: &mut AnyConnection) -> QueryResult<(DbUuid, i64)> {
    cases::table
        .group_by(cases::organization_id)
        .select((cases::organization_id, count_star()))
        .order(count_star().desc())
        .first(conn)
}

/// Leaves about ten thousand rows of the demo. The index is for the foreign key, which is looked up for each row that goes.
const WITHOUT_CHILDREN: &str = "delete from investigation_notes; delete from investigations; delete from case_messages; \
    delete from riu_case_associations; delete from subjects; delete from audit_logs; \
    create index employees_of_manager on employees (organization_id, manager_id); delete from employees; \
    drop index employees_of_manager;";

/// Adds copies of the demo's audit entries until all its tables together have so many rows.
fn add_entries(conn: &mut AnyConnection, rows: u64) -> QueryResult<()> {
    let mut line = |sql: &str| diesel::sql_query(sql).get_result::<Line>(conn).map(|line| line.text);
    let indexes = "from sqlite_schema where tbl_name = 'audit_logs' and sql like 'create index %'";
    let make = line(&format!("select group_concat(sql, ';') as text {indexes}"))?;
    let drop = line(&format!("select group_concat('drop index ' || name, ';') as text {indexes}"))?;
    let counts = line(
        "select group_concat('(select count(*) from ' || name || ')', ' + ') as text from sqlite_schema \
         where type = 'table' and name not like '\\_\\_%' escape '\\' and name not like 'demo\\_%' escape '\\'",
    )?;
    // An index is made faster than it grows.
    conn.batch_execute(&format!(
        "pragma cache_size = -500000; {drop};
         create temporary table entries as select * from audit_logs;
         insert into audit_logs with recursive n (n) as (select 1 union all select n + 1 from n)
         select organization_id, printf('00000000-0000-4000-8%03x-%012x', n, e.rowid), entity_type, entity_id, case_id,
           action, action_description, actor_user_id, actor_name, changes, created_at
         from n cross join entries e limit {rows} - ({counts});
         drop table entries; {make};"
    ))
}

/// Loads the demo as `seed` does, and then more or less of it.
fn load(url: &DatabaseUrl, then: impl FnOnce(&mut AnyConnection) -> QueryResult<()>) -> Result<()> {
    load_base(url, Uuid::from_u128(1), NOW, |conn| {
        build(conn)?;
        then(conn).map_err(BuildError::from)
    })?;
    Ok(())
}

/// Builds the demo of the day that every benchmark has.
pub(crate) fn build(conn: &mut AnyConnection) -> Result<(), BuildError> {
    dataset::migrate(conn)?;
    let as_of = NaiveDate::from_ymd_opt(2026, 2, 2).unwrap_or_default();
    dataset::load(conn, SeedData::embedded()?, DatasetOptions::new(as_of), &mut |_| ())?;
    Ok(())
}

/// What fails while a base is built: the engine asks for one error that can be made of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Engine(#[from] demo_reset_persistence::Error),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

/// The binary that this benchmark was built with.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-reset"));
    command.env("DEMO_USER_PASSWORD", "benchmark").stdin(Stdio::null());
    command
}

/// The statement that begins a transaction which writes plain tables.
pub(crate) fn begin_to_write(plain: &AnyConnection) -> &'static str {
    match plain {
        AnyConnection::Sqlite(_) => "begin immediate",
        AnyConnection::Postgres(_) => "begin",
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark is an edge: it makes its own ids")]
pub(crate) fn random_id() -> Uuid {
    Uuid::new_v4()
}

/// The version of the bundled SQLite.
pub(crate) fn sqlite_version() -> Result<String> {
    let mut conn = SqliteConnection::establish(":memory:")?;
    let version = diesel::sql_query("select sqlite_version() as text").get_result::<Line>(&mut conn)?;
    Ok(version.text)
}

/// A text that a query gives.
#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

/// `86668` as people write it.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

/// Seeds a new base file.
pub(crate) fn seed(base: &std::path::Path, scale: u32) -> Result<()> {
    let url = format!("sqlite://{}", base.display());
    let output = binary()
        .args(["seed", "--as-of", "2026-02-02", "--scale", &scale.to_string(), "--database-url", &url])
        .output()
        .context("demo-reset seed")?;
    if !output.status.success() {
        bail!("demo-reset seed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
