use std::collections::BTreeSet;

use anyhow::Result;
use demo_reset_persistence::Stats as Figures;
use serde_json::{Map, Value, json};

use crate::args::Stats;
use crate::{backend, edge, output};

pub(super) fn run(arguments: &Stats) -> Result<()> {
    let database = backend::open(&arguments.database.url)?;
    let organization = backend::organization_key(&database, &arguments.organization.slug)?;
    let figures = database.stats(Some(&organization), edge::now())?;
    if arguments.format.json {
        write_json(&figures)
    } else {
        write_text(&figures, &arguments.organization.slug)
    }
}

fn write_json(figures: &Figures) -> Result<()> {
    let base: Map<String, Value> =
        figures.base.iter().map(|(table, rows)| (table.clone(), json!(rows))).collect();
    output::json(&json!({
        "base": base,
        "sessions": {
            "total": figures.sessions,
            "active7d": figures.sessions_active_7d,
            "stale30d": figures.sessions_stale_30d,
        },
        "changes": output::change_json(&figures.changes),
        "archives": {
            "available": figures.archives_available,
            "expired": figures.archives_expired,
            "restored": figures.archives_restored,
        },
    }))?;
    Ok(())
}

fn write_text(figures: &Figures, organization: &str) -> Result<()> {
    let texts = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<String>>();
    let mut rows = vec![texts(&["table", "base rows", "created", "edited", "deleted"])];
    let changed = figures.changes.iter().map(|(table, _)| table);
    let only_changed: BTreeSet<&str> =
        changed.filter(|changed| figures.base.iter().all(|(table, _)| table != changed)).collect();
    let base = figures.base.iter().map(|(table, rows)| (table.as_str(), *rows));
    for (table, base_rows) in base.chain(only_changed.into_iter().map(|table| (table, 0))) {
        let kinds = figures.changes.table(table);
        let numbers = [base_rows, kinds.created, kinds.edited, kinds.deleted].map(output::grouped);
        rows.push(std::iter::once(table.to_owned()).chain(numbers).collect());
    }
    output::table(&rows)?;
    output::line("")?;
    output::line(format_args!(
        "sessions of {organization}: {} (active in the last 7 days: {}, idle for 30 days: {})",
        output::grouped(figures.sessions),
        output::grouped(figures.sessions_active_7d),
        output::grouped(figures.sessions_stale_30d),
    ))?;
    output::line(format_args!(
        "archives of {organization}: {} available, {} expired, {} restored",
        output::grouped(figures.archives_available),
        output::grouped(figures.archives_expired),
        output::grouped(figures.archives_restored),
    ))?;
    Ok(())
}
