use anyhow::Result;
use demo_reset_domain::{Conflict, UndoRefusal};
use demo_reset_persistence::{Error as EngineError, UndoReport};
use serde_json::{Value, json};

use crate::args::Undo;
use crate::{backend, edge, exit, output};

pub(super) fn run(arguments: &Undo) -> Result<()> {
    let database = backend::open(&arguments.database.url)?;
    let person = backend::person(&database, &arguments.organization.slug, &arguments.user)?;
    let session = database.session_find(&person.key)?;
    let session = session.ok_or(EngineError::Undo(UndoRefusal::NothingToUndo))?;
    let undone = database
        .undo(
            session.id,
            arguments.archive,
            arguments.on_conflict.into(),
            edge::new_archive_id(),
            edge::now(),
        )
        .map_err(anyhow::Error::new);
    match undone {
        Ok(report) => show(arguments, &person.email, &report),
        Err(error) => {
            if arguments.format.json && !exit::conflicts(&error).is_empty() {
                let conflicts: Vec<Value> = exit::conflicts(&error).iter().map(conflict_json).collect();
                output::json(&json!({ "user": person.email, "conflicts": conflicts }))?;
            }
            Err(error)
        }
    }
}

fn conflict_json(conflict: &Conflict) -> Value {
    json!({ "table": conflict.table, "key": conflict.key, "reason": conflict.reason.as_str() })
}

fn show(arguments: &Undo, user: &str, report: &UndoReport) -> Result<()> {
    if arguments.format.json {
        output::json(&json!({
            "user": user,
            "restored": output::change_json(&report.restored),
            "keptArchiveId": report.kept_archived.map(|id| id.to_string()),
            "replacedArchiveId": report.replaced.map(|id| id.to_string()),
        }))?;
        return Ok(());
    }
    output::line(format_args!("restored {} of {user}", output::count(report.restored.total(), "change")))?;
    output::table(&output::change_rows(&report.restored))?;
    if let Some(id) = report.kept_archived {
        output::line(format_args!("what conflicts stays archived as {id}"))?;
    }
    if let Some(id) = report.replaced {
        output::line(format_args!("what was replaced is archived as {id}"))?;
    }
    Ok(())
}
