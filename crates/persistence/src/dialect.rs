//! What the engine's set-based statements spell differently on the two databases.

use crate::connection::Link;
use crate::spec::{IndexPart, IndexSpec, TableSpec};
use crate::sql_text::{literal, quote};
use crate::sqlite::ddl;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Link<'_> {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }
}

impl Dialect {
    /// A name in quotes: standard SQL on both.
    pub(crate) fn quote(self, name: &str) -> String {
        quote(name)
    }

    /// Whether two names are the same to the database.
    pub(crate) fn same_name(self, left: &str, right: &str) -> bool {
        match self {
            Self::Sqlite => left.eq_ignore_ascii_case(right),
            Self::Postgres => left == right,
        }
    }

    /// The change table of a table.
    pub(crate) fn change_table(self, table: &str) -> String {
        match self {
            Self::Sqlite => quote(&ddl::change_table_name(table)),
            Self::Postgres => format!("demo_changes.{}", quote(table)),
        }
    }

    /// The base table itself, past its view.
    pub(crate) fn base_table(self, table: &str) -> String {
        match self {
            Self::Sqlite => format!("base.{}", quote(table)),
            Self::Postgres => format!("public.{}", quote(table)),
        }
    }

    /// The key of a row as a JSON array of texts.
    pub(crate) fn key_as_json_text(self, table: &TableSpec, alias: &str) -> String {
        let values: Vec<String> =
            table.key_columns().map(|column| self.key_as_text(&column.name, alias)).collect();
        match self {
            Self::Sqlite => format!("json_array({})", values.join(", ")),
            Self::Postgres => format!("cast(json_build_array({}) as text)", values.join(", ")),
        }
    }

    /// A column of a key as text, by which records are told apart. On SQLite a binary value is written as a literal,
    /// since its bytes need not be text, and a number so that no digit is lost.
    pub(crate) fn key_as_text(self, column: &str, alias: &str) -> String {
        let value = format!("{alias}.{}", quote(column));
        match self {
            Self::Sqlite => format!(
                "case when typeof({value}) in ('blob', 'real') then quote({value}) else cast({value} as text) end"
            ),
            Self::Postgres => format!("cast({value} as text)"),
        }
    }

    /// Text in an order that is the same everywhere: by its bytes.
    pub(crate) fn by_bytes(self, text: &str) -> String {
        match self {
            Self::Sqlite => text.to_owned(),
            Self::Postgres => format!("({text}) collate \"C\""),
        }
    }

    /// Whether the key of the row `alias` is one of `keys`, each with its values as text. None can be where a key has
    /// another number of values.
    pub(crate) fn key_is_one_of(self, table: &TableSpec, alias: &str, keys: &[&[String]]) -> Option<String> {
        let columns: Vec<String> =
            table.key_columns().map(|column| self.key_as_text(&column.name, alias)).collect();
        if keys.is_empty() || keys.iter().any(|key| key.len() != columns.len()) {
            return None;
        }
        let rows = keys.iter().map(|key| {
            format!("({})", key.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", "))
        });
        Some(format!("({}) in (values {})", columns.join(", "), rows.collect::<Vec<_>>().join(", ")))
    }

    /// Whether two values are the same to a unique index.
    pub(crate) fn unique_equal(self, left: &str, right: &str, index: &IndexSpec, part: &IndexPart) -> String {
        let equals = if index.nulls_not_distinct { "is not distinct from" } else { "=" };
        match (&part.collation, self) {
            (Some(collation), Self::Sqlite) => format!("{left} = {right} collate {}", quote(collation)),
            (Some(collation), Self::Postgres) => format!("{left} {equals} {right} collate {collation}"),
            (None, _) => format!("{left} {equals} {right}"),
        }
    }

    /// What addresses a stored row, for deleting in batches.
    pub(crate) fn row_address(self) -> &'static str {
        match self {
            Self::Sqlite => "rowid",
            Self::Postgres => "ctid",
        }
    }

    /// A record of a change table as a JSON document, without the control columns.
    pub(crate) fn snapshot_of_change(self, table: &TableSpec, alias: &str) -> String {
        match self {
            Self::Sqlite => ddl::snapshot(table, alias),
            Self::Postgres => {
                format!("to_jsonb({alias}.*) - '{{demo_layer,demo_kind,demo_changed_at}}'::text[]")
            }
        }
    }

    /// A record of a base table as a JSON document.
    pub(crate) fn snapshot_of_base(self, table: &TableSpec, alias: &str) -> String {
        match self {
            Self::Sqlite => ddl::snapshot(table, alias),
            Self::Postgres => format!("to_jsonb({alias}.*)"),
        }
    }
}
