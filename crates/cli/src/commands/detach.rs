use anyhow::Result;
use demo_reset_persistence::{detach, status};

use super::confirm;
use crate::args::Detach;
use crate::{edge, output};

pub(super) fn run(arguments: &Detach) -> Result<()> {
    let url = &arguments.database.url;
    let mut confirmed = arguments.confirmation.yes;
    if let Some(status) = status(url, edge::now())?
        && (status.holds.changes > 0 || status.holds.archives > 0)
    {
        let lost = format!(
            "{} of {} and {} that can be undone",
            output::count(status.holds.changes, "change"),
            output::count(status.holds.sessions, "session"),
            output::count(status.holds.archives, "archive"),
        );
        confirm(
            arguments.confirmation,
            &format!("Detach, and lose {lost}?"),
            &format!("the detach would lose {lost}, and is not confirmed"),
        )?;
        confirmed = true;
    }
    let lost = detach(url, confirmed, edge::now())?;
    output::line(format_args!("detached; {} removed", output::count(lost.sessions, "session")))?;
    Ok(())
}
