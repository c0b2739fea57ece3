use anyhow::Result;
use demo_reset_compliance::dataset::DatasetOptions;
use demo_reset_persistence::Database;

use super::confirm;
use crate::args::Seed;
use crate::exit::Refusal;
use crate::{backend, credentials, edge, output};

pub(super) fn run(arguments: &Seed) -> Result<()> {
    let url = &arguments.database.url;
    if arguments.check {
        backend::check_seed_data()?;
        output::line("the seed data is in order")?;
        return Ok(());
    }
    if backend::is_seeded(url)? {
        if !arguments.replace {
            return Err(Refusal::AlreadySeeded(url.to_string()).into());
        }
        output::note(consequence(&backend::open(url)?)?);
        confirm(
            arguments.confirmation,
            "Replace the base data?",
            "replacing the base data is not confirmed",
        )?;
    }
    let as_of = arguments.as_of.unwrap_or_else(|| edge::now().date_naive());
    let options = DatasetOptions { scale: arguments.scale, ..DatasetOptions::new(as_of) };
    if !backend::load(url, options, arguments.replace)? {
        return Err(Refusal::AlreadySeeded(url.to_string()).into());
    }
    credentials::ensure(&backend::open(url)?)
}

/// What a new base means for the sessions there are.
fn consequence(database: &Database) -> Result<String> {
    let figures = database.stats(None, edge::now())?;
    Ok(format!(
        "{} with {}, and {} that can be restored, stay; an edit of a record that the new base data does not have \
         becomes a record of the user's own",
        output::count(figures.sessions, "session"),
        output::count(figures.changes.total(), "change"),
        output::count(figures.archives_available, "archive"),
    ))
}
