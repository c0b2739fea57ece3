//! One module per command.

mod attach;
mod cleanup;
mod detach;
mod migrate;
mod reset;
mod seed;
mod serve;
mod sessions;
mod sql;
mod stats;
mod status;
mod suspend;
mod undo;
mod verify;

use anyhow::Result;

use crate::args::{Command, Confirmation};
use crate::exit::Refusal;
use crate::output;

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Seed(arguments) => seed::run(&arguments),
        Command::Reset(arguments) => reset::run(&arguments),
        Command::Undo(arguments) => undo::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Cleanup(arguments) => cleanup::run(&arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Sessions(arguments) => sessions::run(&arguments),
        Command::Sql(arguments) => sql::run(&arguments),
        Command::Attach(arguments) => attach::run(arguments),
        Command::Detach(arguments) => detach::run(&arguments),
        Command::Suspend(arguments) => suspend::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
    }
}

/// Lets the user decide, unless `--yes` already has.
fn confirm(confirmation: Confirmation, question: &str, refusal: &str) -> Result<()> {
    if confirmation.yes || output::ask(question)? == Some(true) {
        Ok(())
    } else {
        Err(Refusal::NotConfirmed(refusal.to_owned()).into())
    }
}
