//! A table as the engine sees it, whichever database it comes from.
//!
//! Everything the engine generates (change tables, views, triggers) and everything it decides (the order of
//! tables, what an undo conflicts with) comes from these descriptions, which are *discovered*, never configured.

use demo_reset_domain::{Reference, parents_before_children};

use crate::attach::ViewSpec;
use crate::host::NoteKind;

/// A table that can stand under sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableSpec {
    /// Its name, unquoted.
    pub(crate) name: String,
    /// All its columns, in order.
    pub(crate) columns: Vec<ColumnSpec>,
    /// The name of the primary key constraint, where the database names it.
    pub(crate) key_name: String,
    /// The primary key: positions in `columns`, in the key's order.
    pub(crate) key: Vec<usize>,
    /// SQLite: the column that is the row id, whose values the database hands out.
    pub(crate) row_id: Option<usize>,
    /// SQLite: the name of the row id by which its changes note which row of the base they hide, where they do.
    pub(crate) base_row_id: Option<&'static str>,
    /// Unique indexes and constraints besides the primary key.
    pub(crate) uniques: Vec<IndexSpec>,
    /// Indexes that are not unique.
    pub(crate) indexes: Vec<IndexSpec>,
    /// CHECK constraints.
    pub(crate) checks: Vec<CheckSpec>,
    /// Foreign keys of this table.
    pub(crate) foreign_keys: Vec<ForeignKeySpec>,
    /// PostgreSQL: what holds of every row that one of its partitions takes, where it is partitioned.
    pub(crate) partitions: Option<String>,
    /// SQLite: a STRICT table.
    pub(crate) strict: bool,
    /// PostgreSQL: row triggers of the host's, which run in sessions too.
    pub(crate) triggers: Vec<TriggerSpec>,
}

/// A row trigger of the host's, for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TriggerSpec {
    /// Its name.
    pub(crate) name: String,
    /// A name for its clone, of the same place in the order of names.
    pub(crate) clone_name: String,
    /// `insert`, `update` or `delete`.
    pub(crate) event: &'static str,
    /// BEFORE rather than AFTER.
    pub(crate) before: bool,
    /// A constraint trigger: its DEFERRABLE clause.
    pub(crate) deferrable: Option<&'static str>,
    /// The columns of UPDATE OF: positions in the table.
    pub(crate) columns: Vec<usize>,
    /// The condition of WHEN.
    pub(crate) condition: Option<String>,
    /// The function with its arguments.
    pub(crate) call: String,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    /// Its name, unquoted.
    pub(crate) name: String,
    /// Its number, which it keeps when it is renamed: on SQLite its place, which it loses when one before it goes.
    pub(crate) number: i64,
    /// Its type as declared.
    pub(crate) declared_type: String,
    /// Its collation, where one is declared.
    pub(crate) collation: Option<String>,
    /// Whether it is NOT NULL.
    pub(crate) not_null: bool,
    /// PostgreSQL: the sequence that hands out its values.
    pub(crate) sequence: Option<String>,
    /// PostgreSQL: GENERATED ALWAYS AS IDENTITY, to which no statement gives a value.
    pub(crate) always_identity: bool,
    /// The text of its DEFAULT expression.
    pub(crate) default: Option<String>,
    /// The expression it is generated from.
    pub(crate) generated: Option<GeneratedSpec>,
}

/// How a generated column is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GeneratedSpec {
    /// The expression.
    pub(crate) expression: String,
    /// STORED rather than VIRTUAL.
    pub(crate) stored: bool,
}

/// An index, unique or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexSpec {
    /// Its name.
    pub(crate) name: String,
    /// What it orders by.
    pub(crate) parts: Vec<IndexPart>,
    /// The condition of a partial index.
    pub(crate) predicate: Option<String>,
    /// PostgreSQL: a unique index to which two NULLs are the same.
    pub(crate) nulls_not_distinct: bool,
}

/// One part of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexPart {
    /// A column or an expression.
    pub(crate) term: IndexTerm,
    /// Its collation.
    pub(crate) collation: Option<String>,
    /// PostgreSQL: its operator class, where it is not the default.
    pub(crate) operator_class: Option<String>,
    /// Descending.
    pub(crate) descending: bool,
    /// PostgreSQL: whether NULLs come first.
    pub(crate) nulls_first: bool,
}

/// What an index part orders by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IndexTerm {
    /// A column: its position in the table.
    Column(usize),
    /// An expression.
    Expression(String),
}

/// A CHECK constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckSpec {
    /// Its name, where it has one.
    pub(crate) name: Option<String>,
    /// The condition.
    pub(crate) expression: String,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignKeySpec {
    /// Its name, where the database names it.
    pub(crate) name: String,
    /// The referring columns: positions in the child.
    pub(crate) columns: Vec<usize>,
    /// The table referred to, as the catalog spells it.
    pub(crate) parent: String,
    /// The columns referred to, by name.
    pub(crate) parent_columns: Vec<String>,
    /// What deleting the parent does.
    pub(crate) on_delete: Action,
    /// What changing the parent's key does.
    pub(crate) on_update: Action,
    /// Checked at COMMIT rather than at the end of the statement.
    pub(crate) deferred: bool,
    /// PostgreSQL: MATCH FULL, by which all its columns or none are NULL.
    pub(crate) full: bool,
    /// PostgreSQL: the columns of `SET NULL (…)` and `SET DEFAULT (…)` on delete; all where none are named.
    pub(crate) deleted_columns: Vec<usize>,
    /// PostgreSQL: its place in the order in which they were made, which is that of their checks.
    pub(crate) number: i64,
}

/// A foreign key's action, in SQL's words.
#[allow(clippy::enum_variant_names, reason = "NO ACTION is what SQL calls it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Refuse, at the end of the statement.
    NoAction,
    /// Refuse at once.
    Restrict,
    /// Do the same to the children.
    Cascade,
    /// Set the referring columns to NULL.
    SetNull,
    /// Set the referring columns to their defaults.
    SetDefault,
}

impl TableSpec {
    /// The position of a column, by name as SQL compares names.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Columns that a write can set: all but the generated ones.
    pub(crate) fn writable(&self) -> impl Iterator<Item = &ColumnSpec> {
        self.columns.iter().filter(|column| column.generated.is_none())
    }

    /// The columns of the primary key.
    pub(crate) fn key_columns(&self) -> impl Iterator<Item = &ColumnSpec> {
        self.key.iter().map(|&position| &self.columns[position])
    }
}

/// Tables in which migration tools keep their books: never part of the data.
const MIGRATION_TABLES: [&str; 14] = [
    "__diesel_schema_migrations",
    "_sqlx_migrations",
    "_prisma_migrations",
    "schema_migrations",
    "ar_internal_metadata",
    "alembic_version",
    "django_migrations",
    "flyway_schema_history",
    "refinery_schema_history",
    "knex_migrations",
    "knex_migrations_lock",
    "SequelizeMeta",
    "goose_db_version",
    "seaql_migrations",
];

/// Whether a table is one of those.
pub(crate) fn is_bookkeeping(table: &str) -> bool {
    MIGRATION_TABLES.iter().any(|name| table.eq_ignore_ascii_case(name))
}

/// The tables of the base, and what stands in the way of some of them.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    /// Tables that can be attached, by name.
    pub(crate) tables: Vec<TableSpec>,
    /// Tables that cannot, each with its reason.
    pub(crate) refused: Vec<(String, String)>,
    /// The host's views, each after those that it refers to.
    pub(crate) views: Vec<ViewSpec>,
    /// What sessions do not run or do not see, or see otherwise.
    pub(crate) notes: Vec<(NoteKind, String, String)>,
}

/// The tables in an order that puts parents before children.
pub(crate) fn in_foreign_key_order(tables: &[TableSpec]) -> Vec<&TableSpec> {
    let position = |name: &str| tables.iter().position(|table| table.name.eq_ignore_ascii_case(name));
    let references: Vec<Reference> = tables
        .iter()
        .enumerate()
        .flat_map(|(child, table)| {
            let parents = table.foreign_keys.iter().filter_map(|key| position(&key.parent));
            parents.map(move |parent| Reference { child, parent })
        })
        .collect();
    parents_before_children(tables.len(), &references).into_iter().map(|at| &tables[at]).collect()
}
