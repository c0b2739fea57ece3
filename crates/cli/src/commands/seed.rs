use anyhow::Result;
use demo_reset_compliance::dataset::DatasetOptions;
use demo_reset_persistence::{DEFAULT_MAX_LAYER_CHANGES, Database, HeldOverBase};

use super::confirm;
use crate::args::Seed;
use crate::exit::Refusal;
use crate::{backend, credentials, edge, output};

pub(super) fn run(arguments: &Seed) -> Result<()> {
    let url = &arguments.database.url;
    // Before anything is asked: a mistake in the files leaves the database as it is.
    let folder = arguments.files.as_deref();
    let inputs = backend::seed_data(folder)?;
    if arguments.check {
        let files = output::count(inputs.files_read as u64, "file");
        let from = folder.map(|folder| format!(", with {files} of {}", folder.display()));
        output::line(format_args!("the seed data is in order{}", from.unwrap_or_default()))?;
        for (what, count) in inputs.seed.summary() {
            output::line(format_args!("  {count:>4} {what}"))?;
        }
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
    if !backend::load(url, &inputs.seed, options, arguments.replace)? {
        return Err(Refusal::AlreadySeeded(url.to_string()).into());
    }
    credentials::ensure(&backend::open_whole(url, DEFAULT_MAX_LAYER_CHANGES)?)
}

/// What a new base means for the sessions there are.
fn consequence(database: &Database) -> Result<String> {
    let now = edge::now();
    let figures = database.stats(None, now)?;
    let references = database.base_references(now)?;
    let mut lines = vec![format!(
        "{} with {}, and {} that can be restored, stay",
        output::count(figures.sessions, "session"),
        output::count(figures.changes.total(), "change"),
        output::count(figures.archives_available, "archive"),
    )];
    let held = [("live", references.live), ("in the archives", references.archived)];
    for (whose, held) in held.into_iter().filter(|(_, held)| *held != HeldOverBase::default()) {
        lines.push(format!(
            "  {whose}: {} and {} of base records, {} of the users' own, {} of them under a base record",
            output::count(held.edited, "edit"),
            output::count(held.deleted, "deletion"),
            output::count(held.created, "record"),
            output::grouped(held.created_under_base),
        ));
    }
    if lines.len() > 1 {
        lines.extend(RULES.iter().map(|rule| format!("  {rule}")));
    }
    Ok(lines.join("\n"))
}

/// How changes are brought in line with a new base.
const RULES: [&str; 4] = [
    "an edit stands before the new record; where the new base data lacks it, it becomes a record of the user's own",
    "a deletion hides the new record; where there is none, it is dropped",
    "a record of the user's own stays; where the new base data has its key, it becomes an edit of that record, and \
     where its parent is gone, it keeps the reference",
    "an undo merges its archive into what the user sees then, and refuses what does not fit, by name",
];
