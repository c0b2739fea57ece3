use std::fs;

use anyhow::{Context, Result};
use demo_reset_persistence::{
    AttachOptions, AttachReport, CheckReport, HostStatus, Note, attach, attach_check, split_statements,
    status,
};
use serde_json::{Value, json};

use crate::args::Attach;
use crate::exit::Refusal;
use crate::{edge, output};

pub(super) fn run(arguments: Attach) -> Result<()> {
    let url = &arguments.database.url;
    let known = status(url, edge::now())?;
    let options = options(&arguments, known.as_ref());
    if arguments.check {
        let statements = match &arguments.statements {
            Some(file) => {
                split_statements(&fs::read_to_string(file).with_context(|| file.display().to_string())?)
            }
            None => Vec::new(),
        };
        let check = attach_check(url, &options, &statements, edge::now())?;
        return show_check(&arguments, &check);
    }
    let report = attach(url, &options, edge::now())?;
    if arguments.format.json {
        output::json(&report_json(&report))?;
        return Ok(());
    }
    output::line(format_args!("attached: {}", report.tables.join(", ")))?;
    write_report(&report)
}

/// An attach that names no tables keeps what is attached.
fn options(arguments: &Attach, known: Option<&HostStatus>) -> AttachOptions {
    let tables = match (&arguments.tables, arguments.all, known) {
        (Some(tables), _, _) => Some(tables.iter().map(|table| table.trim().to_owned()).collect()),
        (None, false, Some(status)) if !status.all_tables => Some(status.tables.clone()),
        _ => None,
    };
    let tracking_columns = arguments.tracking_columns || known.is_some_and(|status| status.tracking_columns);
    AttachOptions { tables, tracking_columns }
}

fn show_check(arguments: &Attach, check: &CheckReport) -> Result<()> {
    if arguments.format.json {
        let statements: Vec<Value> = check
            .statements
            .iter()
            .map(|found| {
                json!({
                    "number": found.number,
                    "statement": found.statement,
                    "refused": found.refused,
                    "reason": found.reason,
                })
            })
            .collect();
        let mut document = report_json(&check.report);
        document["refused"] = json!(check.refused);
        document["statements"] = json!(statements);
        output::json(&document)?;
    } else {
        output::line(format_args!("would be covered: {}", check.report.tables.join(", ")))?;
        for reason in &check.refused {
            output::line(format_args!("refused: {reason}"))?;
        }
        write_report(&check.report)?;
        for found in &check.statements {
            let what = if found.refused { "would be refused" } else { "means something else" };
            output::line(format_args!("statement {} {what}: {}", found.number, found.reason))?;
        }
    }
    if check.refused.is_empty() {
        return Ok(());
    }
    Err(Refusal::CannotAttach(check.refused.len()).into())
}

fn write_report(report: &AttachReport) -> Result<()> {
    if !report.views.is_empty() {
        output::line(format_args!("views in front: {}", report.views.join(", ")))?;
    }
    for Note { kind: _, object, reason } in &report.notes {
        output::line(format_args!("note: {object}: {reason}"))?;
    }
    for adapted in &report.adapted {
        output::line(format_args!(
            "adapted {} ({} kept): {}",
            adapted.table,
            output::count(adapted.changes, "change"),
            adapted.differences.join(", ")
        ))?;
    }
    for found in &report.reconciled {
        output::line(format_args!(
            "reconciled {}: {} now of the session's own, {} now edits of a base row, {} of rows that are gone dropped, \
             {} with a unique value that the base has too, {} without a parent",
            found.table,
            found.now_created,
            found.now_edited,
            output::count(found.tombstones_dropped, "deletion"),
            found.unique_clashes,
            found.missing_parents,
        ))?;
    }
    Ok(())
}

fn report_json(report: &AttachReport) -> Value {
    let notes = report
        .notes
        .iter()
        .map(|note| json!({ "kind": note.kind.as_str(), "object": note.object, "reason": note.reason }));
    let adapted = report.adapted.iter().map(|adapted| {
        json!({ "table": adapted.table, "differences": adapted.differences, "changes": adapted.changes })
    });
    let reconciled = report.reconciled.iter().map(|found| {
        json!({
            "table": found.table,
            "nowCreated": found.now_created,
            "nowEdited": found.now_edited,
            "tombstonesDropped": found.tombstones_dropped,
            "uniqueClashes": found.unique_clashes,
            "missingParents": found.missing_parents,
        })
    });
    json!({
        "tables": report.tables,
        "views": report.views,
        "notes": notes.collect::<Vec<_>>(),
        "adapted": adapted.collect::<Vec<_>>(),
        "reconciled": reconciled.collect::<Vec<_>>(),
    })
}
