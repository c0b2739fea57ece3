use anyhow::Result;
use demo_reset_persistence::{HostStatus, status};
use serde_json::json;

use crate::args::Status;
use crate::{edge, output};

pub(super) fn run(arguments: &Status) -> Result<()> {
    let found = status(&arguments.database.url, edge::now())?;
    if arguments.format.json {
        output::json(&match &found {
            None => json!({ "state": "notAttached" }),
            Some(status) => json!({
                "state": status.state.as_str(),
                "tables": status.tables,
                "trackingColumns": status.tracking_columns,
                "epoch": status.epoch,
                "sealedAt": status.sealed_at.map(output::json_time),
                "sessions": status.holds.sessions,
                "changes": status.holds.changes,
                "archives": status.holds.archives,
            }),
        })?;
        return Ok(());
    }
    match found {
        None => output::line(format_args!("{} is not attached", arguments.database.url))?,
        Some(status) => write_text(&status)?,
    }
    Ok(())
}

fn write_text(status: &HostStatus) -> Result<()> {
    let since = status.sealed_at.map(|at| format!(" since {}", output::time(at))).unwrap_or_default();
    output::line(format_args!("{}{since}, epoch {}", status.state.as_str(), status.epoch))?;
    output::line(format_args!("tables: {}", status.tables.join(", ")))?;
    output::line(format_args!(
        "{}, {}, {} that can be undone",
        output::count(status.holds.sessions, "session"),
        output::count(status.holds.changes, "change"),
        output::count(status.holds.archives, "archive"),
    ))?;
    Ok(())
}
