//! The command line, as clap reads it.

use std::ffi::OsStr;
use std::num::NonZeroU32;

use chrono::NaiveDate;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use demo_reset_api::{IdentityProvider, KeySource};
use demo_reset_domain::{ArchiveId, OnConflict};
use demo_reset_persistence::{DEFAULT_MAX_LAYER_CHANGES, DatabaseUrl, Error as PersistenceError};

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
    /// Run SQL as a user sees the world.
    Sql(Sql),
    /// Put the tables of a database under sessions, or take up what has changed in one that is.
    Attach(Attach),
    /// Leave an attached database as attach found it.
    Detach(Detach),
    /// Let views and triggers step aside for a migration; sessions and their changes are kept.
    Suspend(Suspend),
    /// Tell whether a database is attached, and what sessions hold.
    Status(Status),
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// One or several statements; shown is what the last one answers.
    pub(crate) statements: String,
    /// The user: in the bundled demo by e-mail address or id, otherwise any text.
    #[arg(long, value_name = "USER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The tables to attach [default: all, or those that are attached].
    #[arg(long, value_name = "TABLES", value_delimiter = ',', conflicts_with = "all")]
    pub(crate) tables: Option<Vec<String>>,
    /// Attach every table, those of a later migration included.
    #[arg(long)]
    pub(crate) all: bool,
    /// End every view with demo_user_session_id, is_base_data and change_kind.
    #[arg(long)]
    pub(crate) tracking_columns: bool,
    /// Only tell what would be covered, what is refused, and what sessions have otherwise.
    #[arg(long)]
    pub(crate) check: bool,
    /// Also prepare the statements of this file against the views, and list those that would be refused.
    #[arg(long, value_name = "FILE", requires = "check")]
    pub(crate) statements: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Detach {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) confirmation: Confirmation,
}

#[derive(Debug, Args)]
pub(crate) struct Suspend {
    #[command(flatten)]
    pub(crate) database: Database,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The database: sqlite://PATH (the base file; the sessions file stands beside it).
    #[arg(
        long = "database-url",
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://data/demo.db",
        hide_env_values = true,
        value_parser = UrlParser
    )]
    pub(crate) url: DatabaseUrl,
}

/// Reads a URL. What it refuses it does not repeat, since a password may stand in it.
#[derive(Debug, Clone, Copy)]
struct UrlParser;

impl TypedValueParser for UrlParser {
    type Value = DatabaseUrl;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<DatabaseUrl, clap::Error> {
        let parsed = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned());
        let parsed =
            parsed.and_then(|text| text.parse().map_err(|error: PersistenceError| error.to_string()));
        parsed.map_err(|reason| {
            let argument = argument.map(|argument| argument.to_string()).unwrap_or_default();
            let message = format!("invalid value for '{argument}': {reason}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Organization {
    /// The organization: in the bundled demo by its short name, otherwise any text.
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
    /// How log lines are written: text for people, or one JSON object per line.
    #[arg(long, env = "LOG_FORMAT", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Minutes between cleanups of what has expired; 0 for never.
    #[arg(long, env = "CLEANUP_MINUTES", value_name = "N", default_value_t = 60)]
    pub(crate) cleanup_minutes: u32,
    /// Writes a second that one user may make.
    #[arg(long, env = "WRITES_PER_SECOND", value_name = "N", default_value = "1000")]
    pub(crate) writes_per_second: NonZeroU32,
    /// Changes that one session may hold.
    #[arg(long, env = "MAX_LAYER_CHANGES", value_name = "N", default_value_t = DEFAULT_MAX_LAYER_CHANGES)]
    pub(crate) max_layer_changes: u64,
    #[command(flatten)]
    pub(crate) provider: Provider,
}

/// An identity provider: all of it or nothing.
#[derive(Debug, Args)]
pub(crate) struct Provider {
    /// Accept tokens (RS256, ES256) that are signed with these keys: a file, or an https:// address. The token's
    /// `email` names the user.
    #[arg(long, env = "JWKS", value_name = "FILE|URL", requires_all = ["issuer", "audience"])]
    jwks: Option<KeySource>,
    /// The `iss` of those tokens.
    #[arg(long = "jwt-issuer", env = "JWT_ISSUER", value_name = "TEXT", requires = "jwks")]
    issuer: Option<String>,
    /// The `aud` of those tokens.
    #[arg(long = "jwt-audience", env = "JWT_AUDIENCE", value_name = "TEXT", requires = "jwks")]
    audience: Option<String>,
}

impl Provider {
    /// As the server takes it.
    pub(crate) fn get(&self) -> Option<IdentityProvider> {
        let (keys, issuer, audience) = (self.jwks.clone()?, self.issuer.clone()?, self.audience.clone()?);
        Some(IdentityProvider { keys, issuer, audience })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
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
    /// A folder of seed data files to use instead of the built-in ones of the same name.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) files: Option<std::path::PathBuf>,
    /// Only check the seed data and tell every mistake with its file and line; load nothing.
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
    /// The user: in the bundled demo by e-mail address or id, otherwise any text.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) user: String,
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
    /// The user: in the bundled demo by e-mail address or id, otherwise any text.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) user: String,
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
    /// Also name the rows that are not as they were sealed, at most 1,000 per table.
    #[arg(long)]
    pub(crate) rows: bool,
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
}
