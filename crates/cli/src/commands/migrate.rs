use anyhow::Result;

use crate::args::Migrate;
use crate::{backend, output};

pub(super) fn run(arguments: &Migrate) -> Result<()> {
    backend::migrate(&arguments.database.url)?;
    output::note(format_args!("{} is up to date", arguments.database.url));
    Ok(())
}
