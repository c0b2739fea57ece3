//! SQL text from outside, run as one user sees the world.

use chrono::{DateTime, Utc};
use demo_reset_domain::SessionId;
use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::deserialize::FromSql;
use diesel::row::{Field, Row as _};
use diesel::sql_types::{BigInt, Binary, Double, Text};
use diesel::sqlite::{Sqlite, SqliteType};
use diesel::{PgConnection, QueryableByName, SqliteConnection};
use serde_json::{Value, json};

use crate::connection::{AnyConnection, Link, Sql};
use crate::database::Database;
use crate::error::{Error, Result};
use crate::statements::{gives_rows, split_statements};

/// What the last statement of a text answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SqlAnswer {
    /// The names of the columns; none where the statement gives no rows, or gave none.
    pub columns: Vec<String>,
    /// The rows. A binary value is `{"$hex": "…"}` on SQLite.
    pub rows: Vec<Vec<Value>>,
    /// How many rows a statement changed that gives none. SQLite counts none on a view.
    pub changed: Option<u64>,
}

impl Database {
    /// Runs statements in one transaction that sees and writes the world of `session`: all or nothing. The answer is
    /// that of the last.
    ///
    /// # Errors
    /// Those of [`Database::write`], and the database's for each statement.
    pub fn sql(&self, session: SessionId, text: &str, now: DateTime<Utc>) -> Result<SqlAnswer> {
        self.write(session, now, |conn| {
            let mut answer = SqlAnswer::default();
            for statement in split_statements(text) {
                answer = match conn {
                    AnyConnection::Sqlite(conn) => on_sqlite(conn, &statement)?,
                    AnyConnection::Postgres(conn) => on_postgres(conn, &statement)?,
                };
            }
            Ok(answer)
        })
    }
}

fn on_sqlite(conn: &mut SqliteConnection, statement: &str) -> Result<SqlAnswer> {
    if !gives_rows(statement) {
        let changed = Link::Sqlite(conn).execute(verbatim(statement))?;
        return Ok(SqlAnswer { changed: Some(changed as u64), ..SqlAnswer::default() });
    }
    let mut answer = SqlAnswer::default();
    let rows = LoadConnection::<DefaultLoadingMode>::load(conn, diesel::sql_query(statement))?;
    for row in rows {
        let row = row?;
        let fields: Vec<_> = (0..row.field_count()).filter_map(|at| row.get(at)).collect();
        if answer.columns.is_empty() {
            answer.columns =
                fields.iter().map(|field| field.field_name().unwrap_or_default().to_owned()).collect();
        }
        answer.rows.push(fields.iter().map(sqlite_value).collect::<Result<_>>()?);
    }
    Ok(answer)
}

fn sqlite_value<'a>(field: &impl Field<'a, Sqlite>) -> Result<Value> {
    let Some(value) = field.value() else { return Ok(Value::Null) };
    Ok(match value.value_type() {
        None => Value::Null,
        Some(SqliteType::Integer | SqliteType::SmallInt | SqliteType::Long) => {
            json!(<i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map_err(Error::unreadable)?)
        }
        Some(SqliteType::Float | SqliteType::Double) => {
            json!(<f64 as FromSql<Double, Sqlite>>::from_sql(value).map_err(Error::unreadable)?)
        }
        Some(SqliteType::Text) => {
            json!(<String as FromSql<Text, Sqlite>>::from_sql(value).map_err(Error::unreadable)?)
        }
        Some(SqliteType::Binary) => {
            let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value).map_err(Error::unreadable)?;
            json!({ "$hex": bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>() })
        }
    })
}

#[derive(QueryableByName)]
struct JsonRow {
    #[diesel(sql_type = Text)]
    fields: String,
}

/// The rows come as JSON, whatever their types are.
fn on_postgres(conn: &mut PgConnection, statement: &str) -> Result<SqlAnswer> {
    let mut link = Link::Postgres(conn);
    if !gives_rows(statement) {
        let changed = link.execute(verbatim(statement))?;
        return Ok(SqlAnswer { changed: Some(changed as u64), ..SqlAnswer::default() });
    }
    let rows: Vec<JsonRow> = link.load(verbatim(&format!(
        "with demo_rows as ({statement}\n) select (select coalesce(json_agg(json_build_array(f.key, f.value)), '[]') \
         from json_each(row_to_json(r.*)) f)::text as fields from demo_rows r"
    )))?;
    let mut answer = SqlAnswer::default();
    for row in rows {
        let fields: Vec<(String, Value)> = serde_json::from_str(&row.fields).map_err(Error::unreadable)?;
        let (columns, values) = fields.into_iter().unzip();
        answer.columns = columns;
        answer.rows.push(values);
    }
    Ok(answer)
}

/// A statement as it stands: its question marks are its own.
fn verbatim(statement: &str) -> Sql {
    let mut sql = Sql::default();
    sql.push(statement);
    sql
}
