use anyhow::Result;
use serde_json::{Value, json};

use crate::args::Sessions;
use crate::{backend, output};

pub(super) fn run(arguments: &Sessions) -> Result<()> {
    let database = backend::open(&arguments.database.url)?;
    let organization = backend::organization_key(&database, &arguments.organization.slug)?;
    let sessions = database.sessions(Some(&organization))?;
    let users = sessions.iter().map(|summary| summary.session.user.user());
    let emails = backend::emails(&database, &organization, users)?;
    // A user without an account any more is shown by id.
    let email = |user: &str| emails.get(user).cloned().unwrap_or_else(|| user.to_owned());
    if arguments.format.json {
        let items: Vec<Value> = sessions
            .iter()
            .map(|summary| {
                json!({
                    "sessionId": summary.session.id.to_string(),
                    "userId": summary.session.user.user(),
                    "user": email(summary.session.user.user()),
                    "createdAt": output::json_time(summary.session.created_at),
                    "lastActivityAt": output::json_time(summary.session.last_activity_at),
                    "changes": output::change_json(&summary.changes),
                    "totalChanges": summary.changes.total(),
                })
            })
            .collect();
        output::json(&Value::Array(items))?;
        return Ok(());
    }
    if sessions.is_empty() {
        output::note(format_args!("no sessions in {}", arguments.organization.slug));
        return Ok(());
    }
    let head = ["user", "changes", "last activity", "created", "session"].map(str::to_owned).to_vec();
    let rows = sessions.iter().map(|summary| {
        vec![
            email(summary.session.user.user()),
            output::grouped(summary.changes.total()),
            output::time(summary.session.last_activity_at),
            output::time(summary.session.created_at),
            summary.session.id.to_string(),
        ]
    });
    output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())?;
    Ok(())
}
