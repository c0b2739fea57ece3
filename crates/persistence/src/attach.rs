//! What to put under sessions.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::spec::TableSpec;

/// Which tables to attach, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// The tables; all of the base where none are named.
    pub tables: Option<Vec<String>>,
    /// Whether every view ends with `demo_user_session_id`, `is_base_data` and `change_kind`.
    pub tracking_columns: bool,
}

impl AttachOptions {
    /// Whether a table is to be attached. On PostgreSQL names that differ in case are different names.
    pub(crate) fn wants(&self, name: &str, dialect: Dialect) -> bool {
        match &self.tables {
            Some(wanted) => wanted.iter().any(|table| dialect.same_name(table, name)),
            None => true,
        }
    }
}

/// Why a database is being taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// To serve what was loaded or attached before. A host's base that is suspended, or whose schema has changed, is
    /// taken up as it is now; one in which only rows have changed keeps its manifest, so that verification tells.
    Open,
    /// By the word of its owner: the base of a host counts as it is now.
    Attach,
}

/// A view of the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewSpec {
    /// Its name, unquoted.
    pub(crate) name: String,
    /// What follows the name in CREATE VIEW.
    pub(crate) definition: String,
}

/// What is attached, as the base defines it now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attached {
    /// Tables under sessions.
    pub(crate) tables: Vec<TableSpec>,
    /// The other tables of the base.
    pub(crate) outside: Vec<TableSpec>,
    /// The host's views, in an order in which each refers only to those before it.
    pub(crate) views: Vec<ViewSpec>,
    /// Whether views end with the tracking columns.
    pub(crate) tracking_columns: bool,
}

impl Attached {
    /// What is attached with these options.
    pub(crate) fn new(
        tables: Vec<TableSpec>,
        outside: Vec<TableSpec>,
        views: Vec<ViewSpec>,
        options: &AttachOptions,
    ) -> Self {
        Self { tables, outside, views, tracking_columns: options.tracking_columns }
    }
}

/// An attached table as stored.
#[derive(QueryableByName)]
pub(crate) struct AttachedRow {
    #[diesel(sql_type = Text)]
    pub(crate) name: String,
    /// A fingerprint of the definition that its change table was made from.
    #[diesel(sql_type = Text)]
    pub(crate) definition: String,
}

/// The attached tables, by name.
pub(crate) fn attached_rows(link: &mut Link<'_>) -> Result<Vec<AttachedRow>> {
    link.load(Sql::new("select name, definition from demo_attached_tables order by name", []))
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many changes all layers together hold to a table.
pub(crate) fn change_count(link: &mut Link<'_>, table: &str) -> Result<i64> {
    let mut count = Sql::default();
    count.push(&format!("select count(*) as count from {}", link.dialect().change_table(table)));
    Ok(link.first::<CountRow>(count)?.map_or(0, |row| row.count))
}
