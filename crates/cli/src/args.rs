//! The command line, as clap reads it.

use std::str::FromStr;

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use demo_reset_domain::{ArchiveId, OnConflict};
use demo_reset_persistence::DatabaseUrl;
use uuid::Uuid;

use crate::exit;

#[derive(Debug, Parser)]
#[command(
    name = "demo-reset",
    version,
    about = "A shared demo database in which every user works alone, resets in constant time, and can undo it",
    after_help = exit::help(),
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server; migrates first, and seeds an empty database.
    Serve(Serve),
    /// Bring the database up to this version.
    Migrate(Migrate),
    /// Load the demo dataset as base data and seal it, all or nothing.
    Seed(Seed),
    /// Reset a user's session: archive their changes, undoable for a day.
    Reset(Reset),
    /// Undo a user's reset.
    Undo(Undo),
    /// Compare every row of the base data with what was sealed.
    Verify(Verify),
    /// Remove expired archives, and sessions idle for 30 days.
    Cleanup(Cleanup),
    /// Count base data, sessions, changes and archives.
    Stats(Stats),
    /// List the sessions, most recently active first.
    Sessions(Sessions),
}

#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The database: sqlite://PATH (the base file; the sessions file stands beside it).
    #[arg(
        long = "database-url",
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://data/demo.db",
        hide_env_values = true
    )]
    pub(crate) url: DatabaseUrl,
}

#[derive(Debug, Args)]
pub(crate) struct Organization {
    /// The organization, by its short name.
    #[arg(long = "org", value_name = "SLUG", default_value = "acme-corp")]
    pub(crate) slug: String,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Format {
    /// Write JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Confirmation {
    /// Do not ask. Needed where there is no terminal to ask on.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) database: Database,
    /// The address to listen on.
    #[arg(long, env = "BIND_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) bind: String,
    /// Whether the console offers the demo users for sign-in: their names, roles and addresses are told to everybody
    /// who can reach the server, their password is not.
    #[arg(
        long,
        env = "DEMO_PEOPLE",
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub(crate) demo_people: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) database: Database,
}

#[derive(Debug, Args)]
pub(crate) struct Seed {
    #[command(flatten)]
    pub(crate) database: Database,
    /// The day on which the three years of history end [default: today].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) as_of: Option<NaiveDate>,
    /// Multiply the volume, for load tests.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) scale: u32,
    /// Only check the seed data; load nothing.
    #[arg(long, conflicts_with_all = ["replace", "yes"])]
    pub(crate) check: bool,
    /// Replace base data that is already there; says what happens to sessions, and asks.
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) confirmation: Confirmation,
}

#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// The user, by e-mail address or id.
    pub(crate) user: UserName,
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) confirmation: Confirmation,
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The user, by e-mail address or id.
    pub(crate) user: UserName,
    /// The archive to bring back [default: the newest that can be].
    #[arg(long, value_name = "ID")]
    pub(crate) archive: Option<ArchiveId>,
    /// What to do about archived changes that conflict with newer ones.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = ConflictChoice::Fail)]
    pub(crate) on_conflict: ConflictChoice,
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Sessions {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) format: Format,
}

/// A user as one types them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserName {
    /// By e-mail address.
    Email(String),
    /// By id.
    Id(Uuid),
}

impl FromStr for UserName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') {
            return Ok(Self::Email(text.to_owned()));
        }
        Uuid::try_parse(text)
            .map(Self::Id)
            .map_err(|_| "expected an e-mail address (with an @) or an id (a UUID)".to_owned())
    }
}

impl std::fmt::Display for UserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Email(email) => f.write_str(email),
            Self::Id(id) => id.fmt(f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictChoice {
    /// Undo nothing and list the conflicts.
    Fail,
    /// Keep the newer changes; what conflicts stays archived.
    KeepCurrent,
    /// Bring all of the archive back; the newer changes are archived first.
    RestoreArchived,
}

impl From<ConflictChoice> for OnConflict {
    fn from(choice: ConflictChoice) -> Self {
        match choice {
            ConflictChoice::Fail => Self::Fail,
            ConflictChoice::KeepCurrent => Self::KeepCurrent,
            ConflictChoice::RestoreArchived => Self::RestoreArchived,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_user_is_an_address_or_an_id() {
        assert_eq!("ann@acme.example".parse(), Ok(UserName::Email("ann@acme.example".to_owned())));
        let id = Uuid::from_u128(7);
        assert_eq!(id.to_string().parse(), Ok(UserName::Id(id)));
        for wrong in ["", "ann", "1234", "00000000-0000-0000-0000-00000000000g"] {
            assert!(wrong.parse::<UserName>().is_err(), "{wrong}");
        }
    }
}
