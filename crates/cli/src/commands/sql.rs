use anyhow::Result;
use demo_reset_domain::SessionId;
use serde_json::{Map, Value};

use crate::args::Sql;
use crate::{backend, edge, output};

pub(super) fn run(arguments: &Sql) -> Result<()> {
    let database = backend::open(&arguments.database.url)?;
    let person = backend::person(&database, &arguments.organization.slug, &arguments.user)?;
    let session = database.session(&person.key, SessionId(edge::new_id()), edge::now())?;
    let answer = database.sql(session.id, &arguments.statements, edge::now())?;
    if arguments.format.json {
        let rows = answer
            .rows
            .into_iter()
            .map(|row| Value::Object(answer.columns.iter().cloned().zip(row).collect::<Map<_, _>>()));
        output::json(&Value::Array(rows.collect()))?;
        return Ok(());
    }
    match answer.changed {
        // SQLite counts no rows on a view: what it says of them is not told.
        Some(0) => output::line("done")?,
        Some(changed) => output::line(output::count(changed, "row"))?,
        None => {
            let rows = answer.rows.iter().map(|row| row.iter().map(cell).collect());
            output::table(&std::iter::once(answer.columns).chain(rows).collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
