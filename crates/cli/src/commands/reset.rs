use anyhow::Result;
use demo_reset_domain::{Archive, ChangeCounts};
use serde_json::json;

use super::confirm;
use crate::args::Reset;
use crate::{backend, edge, output};

pub(super) fn run(arguments: &Reset) -> Result<()> {
    let database = backend::open(&arguments.database.url)?;
    let person = backend::person(&database, &arguments.organization.slug, &arguments.user)?;
    let session = database.session_find(&person.key)?;
    let changes = match &session {
        Some(session) => database.change_counts(session.id)?,
        None => ChangeCounts::default(),
    };
    let Some(session) = session.filter(|_| !changes.is_empty()) else {
        return report(arguments, &person.email, None);
    };
    let changed = output::count(changes.total(), "change");
    confirm(
        arguments.confirmation,
        &format!("Reset {} ({changed})? It can be undone for a day.", person.email),
        &format!("the reset of {} ({changed}) is not confirmed", person.email),
    )?;
    let reset = database.reset(session.id, edge::new_archive_id(), edge::now())?;
    report(arguments, &person.email, reset.archive.as_ref())
}

fn report(arguments: &Reset, user: &str, archive: Option<&Archive>) -> Result<()> {
    let counts = archive.map(|archive| archive.counts.clone()).unwrap_or_default();
    if arguments.format.json {
        output::json(&json!({
            "user": user,
            "archiveId": archive.map(|archive| archive.id.to_string()),
            "undoExpiresAt": archive.map(|archive| output::json_time(archive.expires_at)),
            "archived": output::change_json(&counts),
        }))?;
        return Ok(());
    }
    let Some(archive) = archive else {
        output::line(format_args!("{user} has no changes: nothing to reset"))?;
        return Ok(());
    };
    output::line(format_args!("archived {} of {user}", output::count(counts.total(), "change")))?;
    output::table(&output::change_rows(&counts))?;
    output::line(format_args!("archive {}", archive.id))?;
    output::line(format_args!("`demo-reset undo {user}` works until {}", output::time(archive.expires_at)))?;
    Ok(())
}
