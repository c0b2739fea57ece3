use anyhow::Result;
use serde_json::json;

use crate::args::Cleanup;
use crate::{backend, edge, output};

pub(super) fn run(arguments: &Cleanup) -> Result<()> {
    let database = backend::open(&arguments.database.url)?;
    let report = database.cleanup(edge::now(), &mut edge::new_archive_id)?;
    if arguments.format.json {
        output::json(&json!({
            "archivesPurged": report.archives_purged,
            "changesPurged": report.changes_purged,
            "sessionsArchived": report.sessions_archived,
            "sessionsRemoved": report.sessions_removed,
        }))?;
        return Ok(());
    }
    let rows = [
        ("expired archives purged", report.archives_purged),
        ("changes purged with them", report.changes_purged),
        ("idle sessions archived", report.sessions_archived),
        ("idle sessions removed", report.sessions_removed),
    ];
    output::table(&rows.map(|(name, number)| vec![name.to_owned(), output::grouped(number)]))?;
    Ok(())
}
