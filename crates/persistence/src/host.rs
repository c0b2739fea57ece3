//! A host's database under sessions: attach, look before, suspend, detach, status.
//!
//! Nothing here loads or replaces data. On SQLite nothing is added to the host's file at all; on PostgreSQL two
//! schemas stand beside it, and the attached tables get guard triggers and grants that a detach takes away.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::adapt::Adaptation;
use crate::attach::AttachOptions;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::reconcile::Reconciliation;
use crate::spec::Discovery;
use crate::url::{DatabaseUrl, sessions_file};
use crate::{postgres, sqlite};

/// Why something of a host's database is worth knowing before it is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// A trigger that sessions do not run.
    TriggerNotRun,
    /// A view that shows sessions the base alone, or that they cannot read.
    ViewNotCarried,
    /// A table that is not attached, but refers to one that is.
    RefersFromOutside,
    /// Something that sessions have otherwise than the table.
    Different,
}

impl NoteKind {
    /// Its name, as commands write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TriggerNotRun => "triggerNotRun",
            Self::ViewNotCarried => "viewNotCarried",
            Self::RefersFromOutside => "refersFromOutside",
            Self::Different => "different",
        }
    }
}

/// Something of a host's database that is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Of which kind.
    pub kind: NoteKind,
    /// What it is about: a table, a view, a trigger.
    pub object: String,
    /// What to know.
    pub reason: String,
}

/// What an attach did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachReport {
    /// Tables under sessions.
    pub tables: Vec<String>,
    /// The host's views, which sessions see over their own world.
    pub views: Vec<String>,
    /// What sessions do not run, do not see, or have otherwise.
    pub notes: Vec<Note>,
    /// Change tables that were made anew for a table that had changed.
    pub adapted: Vec<Adaptation>,
    /// What became of changes over a base that had moved on.
    pub reconciled: Vec<Reconciliation>,
    /// The base epoch; 0 where it is the one that was there.
    pub epoch: i64,
    /// Whether any table came, went, or changed.
    pub(crate) tables_changed: bool,
}

impl AttachReport {
    /// What attaching with `options` covers.
    pub(crate) fn of(discovery: &Discovery, options: &AttachOptions, dialect: Dialect) -> Self {
        let wanted = |name: &str| options.wants(name, dialect);
        let tables = discovery.tables.iter().filter(|table| wanted(&table.name));
        let mut report = Self {
            tables: tables.map(|table| table.name.clone()).collect(),
            views: discovery.views.iter().map(|view| view.name.clone()).collect(),
            ..Self::default()
        };
        for (kind, object, reason) in &discovery.notes {
            report.notes.push(Note { kind: *kind, object: object.clone(), reason: reason.clone() });
        }
        for table in discovery.tables.iter().filter(|table| !wanted(&table.name)) {
            let mut parents: Vec<&str> = table
                .foreign_keys
                .iter()
                .map(|key| key.parent.as_str())
                .filter(|parent| report.tables.iter().any(|name| dialect.same_name(name, parent)))
                .collect();
            parents.dedup();
            if !parents.is_empty() {
                report.notes.push(Note {
                    kind: NoteKind::RefersFromOutside,
                    object: table.name.clone(),
                    reason: format!(
                        "it is not attached, but refers to {}: its rows hold their parents in every session",
                        parents.join(", ")
                    ),
                });
            }
        }
        report
    }
}

/// A statement of a host's that the views refuse, or answer otherwise than the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFinding {
    /// Which statement, from 1.
    pub number: usize,
    /// Its text.
    pub statement: String,
    /// Whether the database refuses it. Otherwise it runs, but means something else.
    pub refused: bool,
    /// Why, and the way around.
    pub reason: String,
}

/// What an attach would do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// What would be covered.
    pub report: AttachReport,
    /// What stands in the way, one reason each. An attach is refused while there is any.
    pub refused: Vec<String>,
    /// Statements that would be refused, or mean something else.
    pub statements: Vec<StatementFinding>,
}

/// What a detach removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DetachReport {
    /// Sessions.
    pub sessions: u64,
    /// Changes in live layers.
    pub changes: u64,
    /// Archives that could still be undone.
    pub archives: u64,
}

/// Whether sessions stand over a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// They do.
    Attached,
    /// They have stepped aside for a migration; their layers are kept.
    Suspended,
}

impl HostState {
    /// Its name, as commands write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Suspended => "suspended",
        }
    }
}

/// How a host's database stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStatus {
    /// Whether sessions stand over it.
    pub state: HostState,
    /// Attached tables, by name.
    pub tables: Vec<String>,
    /// Whether every table was asked for, those of a later migration included.
    pub all_tables: bool,
    /// Whether views end with the tracking columns.
    pub tracking_columns: bool,
    /// How often the base was taken up.
    pub epoch: i64,
    /// When it was last taken up; none while it is suspended.
    pub sealed_at: Option<DateTime<Utc>>,
    /// What sessions hold.
    pub holds: DetachReport,
}

/// Puts the tables of a host's database under sessions, or takes up what has changed in one that is attached. All or
/// nothing.
///
/// # Errors
/// [`Error::Attach`] with every reason where something cannot be covered, or where changes of sessions do not fit
/// what a table has become; [`Error::File`] and [`Error::Unavailable`] where the database cannot be used.
pub fn attach(url: &DatabaseUrl, options: &AttachOptions, now: DateTime<Utc>) -> Result<AttachReport> {
    match url {
        DatabaseUrl::Sqlite(base) => sqlite::host::attach(base, &sessions_file(base), options, now),
        DatabaseUrl::Postgres(text) => postgres::host::attach(text, options, now),
    }
}

/// Looks what an attach would do, by doing it where it leaves no trace. Each of `statements` is prepared against the
/// views.
///
/// # Errors
/// Where the database cannot be read. What stands in the way of an attach is in the report.
pub fn attach_check(
    url: &DatabaseUrl,
    options: &AttachOptions,
    statements: &[String],
    now: DateTime<Utc>,
) -> Result<CheckReport> {
    match url {
        DatabaseUrl::Sqlite(base) => sqlite::host::check(base, options, statements, now),
        DatabaseUrl::Postgres(text) => postgres::host::check(text, options, statements, now),
    }
}

/// Lets views and triggers step aside, so that the host can migrate its schema or change its data. Layers stay; until
/// the next [`attach`] or [`Database::open`](crate::Database::open), no session can be used.
///
/// # Errors
/// [`Error::NotAttached`], or those of the database.
pub fn suspend(url: &DatabaseUrl) -> Result<()> {
    match url {
        DatabaseUrl::Sqlite(base) => sqlite::host::suspend(url, base, &sessions_file(base)),
        DatabaseUrl::Postgres(text) => postgres::host::suspend(url, text),
    }
}

/// Leaves a host's database as attach found it. Layers and archives are lost: while there are any, it is refused
/// unless `confirmed`.
///
/// # Errors
/// [`Error::NotAttached`], [`Error::HoldsChanges`], or [`Error::Unavailable`] where another program still uses the
/// sessions; nothing is changed then.
pub fn detach(url: &DatabaseUrl, confirmed: bool, now: DateTime<Utc>) -> Result<DetachReport> {
    match url {
        DatabaseUrl::Sqlite(base) => sqlite::host::detach(url, &sessions_file(base), confirmed, now),
        DatabaseUrl::Postgres(text) => postgres::host::detach(url, text, confirmed, now),
    }
}

/// How a host's database stands; none where it is not attached.
///
/// # Errors
/// Where the database cannot be read.
pub fn status(url: &DatabaseUrl, now: DateTime<Utc>) -> Result<Option<HostStatus>> {
    match url {
        DatabaseUrl::Sqlite(base) => {
            if !base.exists() {
                return Err(missing(base));
            }
            sqlite::host::status(&sessions_file(base), now)
        }
        DatabaseUrl::Postgres(text) => postgres::host::status(text, now),
    }
}

pub(crate) fn missing(base: &Path) -> Error {
    Error::File { path: base.to_owned(), reason: "there is no such file".to_owned() }
}
