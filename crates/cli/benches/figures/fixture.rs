//! A database with the whole demo, and sessions that have worked in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::{AttachOptions, Database, DatabaseUrl, OpenOptions};
use diesel::connection::SimpleConnection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::measure::Report;

/// The same every time; the engine reads no clock.
pub(crate) const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// Sessions besides those that are measured.
const OTHER_SESSIONS: u128 = 200;

pub(crate) struct Fixture {
    pub(crate) database: Database,
    folder: TempDir,
}

impl Fixture {
    /// Seeds by the binary itself, then lets a crowd of sessions make 50 changes each.
    pub(crate) fn new(report: &mut Report) -> Result<Self> {
        let folder = TempDir::new()?;
        let base = folder.path().join("demo.db");
        seed(&base)?;
        let url: DatabaseUrl = format!("sqlite://{}", base.display()).parse()?;
        let tables = ["cases", "investigations", "rius", "subjects", "audit_logs"];
        let attach =
            AttachOptions { tables: Some(tables.map(str::to_owned).to_vec()), tracking_columns: true };
        let database = Database::open(&url, OpenOptions { attach, ..OpenOptions::default() }, NOW)?;
        let fixture = Self { database, folder };
        for number in 0..OTHER_SESSIONS {
            let session = fixture.session(1000 + number)?;
            fixture.run(session, &edit_cases(50))?;
        }
        let rows: u64 = fixture.database.stats(None, NOW)?.base.iter().map(|(_, rows)| rows).sum();
        report.say(format_args!("{rows} base rows, {OTHER_SESSIONS} other sessions of 50 changes each\n"));
        Ok(fixture)
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

/// Seeds a new base file.
pub(crate) fn seed(base: &std::path::Path) -> Result<()> {
    let url = format!("sqlite://{}", base.display());
    let output = binary()
        .args(["seed", "--as-of", "2026-02-02", "--database-url", &url])
        .output()
        .context("demo-reset seed")?;
    if !output.status.success() {
        bail!("demo-reset seed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
