use anyhow::Result;
use demo_reset_persistence::suspend;

use crate::args::Suspend;
use crate::output;

pub(super) fn run(arguments: &Suspend) -> Result<()> {
    suspend(&arguments.database.url)?;
    output::line("suspended: sessions keep their changes; `demo-reset attach` takes them up again")?;
    Ok(())
}
