//! A database with the whole demo, and sessions that have worked in it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::{AttachOptions, Database, DatabaseUrl, OpenOptions};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use tempfile::TempDir;
use uuid::Uuid;

use crate::report::Report;

/// The same every time; the engine reads no clock.
pub(crate) const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// How large a base is, and how many sessions have worked in it besides those that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setting {
    /// `seed --scale`.
    pub(crate) scale: u32,
    pub(crate) others: u32,
}

/// Changes of each other session.
const CHANGES_OF_OTHERS: usize = 50;

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
    /// Seeds by the binary itself, then lets a crowd of sessions work in it.
    fn new(setting: Setting, report: &Report) -> Result<Self> {
        let folder = TempDir::new()?;
        let base = folder.path().join("demo.db");
        seed(&base, setting.scale)?;
        let url: DatabaseUrl = format!("sqlite://{}", base.display()).parse()?;
        let tables = ["cases", "investigations", "rius", "subjects", "audit_logs"];
        let attach =
            AttachOptions { tables: Some(tables.map(str::to_owned).to_vec()), tracking_columns: true };
        let database = Database::open(&url, OpenOptions { attach, ..OpenOptions::default() }, NOW)?;
        let base_rows = database.stats(None, NOW)?.base.iter().map(|(_, rows)| rows).sum();
        let fixture = Self { database, base_rows, folder };
        for number in 0..setting.others {
            let session = fixture.session(1_000_000 + u128::from(number))?;
            fixture.run(session, &edit_cases(CHANGES_OF_OTHERS))?;
        }
        report.say(format_args!(
            "  ({base_rows} base rows in the attached tables, {} other sessions of {CHANGES_OF_OTHERS} changes each)",
            setting.others
        ));
        Ok(fixture)
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

    /// Statements that insert `count` rows like the first row of a table, with columns of its own: `n` counts from 1.
    pub(crate) fn insert_like(&self, table: &str, count: usize, replaced: &[(&str, &str)]) -> Result<String> {
        let mut conn = SqliteConnection::establish(&self.path("demo.db").to_string_lossy())?;
        let names = format!("select name as text from pragma_table_info('{table}')");
        let names: Vec<String> =
            diesel::sql_query(names).load::<Line>(&mut conn)?.into_iter().map(|line| line.text).collect();
        let values: Vec<String> = names
            .iter()
            .map(|name| {
                let own = replaced.iter().find(|(replaced, _)| replaced == name);
                own.map_or_else(|| format!("r.{name}"), |(_, value)| (*value).to_owned())
            })
            .collect();
        Ok(format!(
            "insert into {table} ({}) with recursive n (n) as (select 1 union all select n + 1 from n where n < {count}) \
             select {} from n, (select * from {table} where {}) r;",
            names.join(", "),
            values.join(", "),
            self.first_record(table)?
        ))
    }

    /// The condition that finds a record of the base by its key.
    pub(crate) fn first_record(&self, table: &str) -> Result<String> {
        let mut conn = SqliteConnection::establish(&self.path("demo.db").to_string_lossy())?;
        let key = "format('organization_id = ''%s'' and id = ''%s''', organization_id, id)";
        let first: Line =
            diesel::sql_query(format!("select {key} as text from {table} limit 1")).get_result(&mut conn)?;
        Ok(first.text)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
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

/// Edits of so many cases, spread over all of them.
pub(crate) fn edit_cases(count: usize) -> String {
    format!("update cases set severity = 'LOW' where id in (select id from cases order by id limit {count})")
}

/// The binary that this benchmark was built with.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-reset"));
    command.env("DEMO_USER_PASSWORD", "benchmark").stdin(Stdio::null());
    command
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
