//! What commands ask of the crates below, each in one call.

use std::collections::HashMap;
use std::net::TcpListener;

use anyhow::Result;
use demo_reset_api::{self as api, ServerConfig};
use demo_reset_compliance::dataset::{self, DatasetError, DatasetOptions, SeedData};
use demo_reset_compliance::{self as compliance, Organization};
use demo_reset_domain::UserKey;
use demo_reset_persistence::{
    AnyConnection, AttachOptions, BaseState, Database, DatabaseUrl, OpenOptions, base_state, load_base,
    load_first_base,
};
use uuid::Uuid;

use crate::args::UserName;
use crate::edge;
use crate::exit::Refusal;
use crate::progress::Progress;

/// Tables that sessions may change; the others are reference data and stay as they are for everyone.
const SESSION_TABLES: &[&str] = &[
    "rius",
    "cases",
    "investigations",
    "subjects",
    "case_messages",
    "investigation_notes",
    "riu_case_associations",
    "audit_logs",
];

/// A user of the demo.
pub(crate) struct Person {
    /// Whose session it is, to the engine.
    pub(crate) key: UserKey,
    /// How people know them.
    pub(crate) email: String,
}

/// The organization of this short name.
pub(crate) fn organization(database: &Database, slug: &str) -> Result<Organization> {
    let found = database.read_base(|conn| compliance::organization_by_slug(conn, slug))?;
    Ok(found.ok_or_else(|| Refusal::UnknownOrganization(slug.to_owned()))?)
}

/// A user of the organization.
pub(crate) fn person(database: &Database, slug: &str, name: &UserName) -> Result<Person> {
    let organization = organization(database, slug)?;
    let name = name.to_string();
    let user = database.read_base(|conn| compliance::user_find(conn, organization.id, &name))?;
    let unknown = || Refusal::UnknownUser { user: name.clone(), organization: slug.to_owned() };
    let user = user.ok_or_else(unknown)?;
    Ok(Person { key: user.session_key()?, email: user.email })
}

/// The e-mail addresses of those users of the organization that have one, by the engine's text for the user.
pub(crate) fn emails<'u>(
    database: &Database,
    organization: Uuid,
    users: impl Iterator<Item = &'u str>,
) -> Result<HashMap<String, String>> {
    Ok(database.read_base(|conn| {
        let mut emails = HashMap::new();
        for user in users {
            if let Some(found) = compliance::user_find(conn, organization, user)? {
                emails.insert(user.to_owned(), found.email);
            }
        }
        Ok::<_, compliance::Error>(emails)
    })?)
}

/// Opens a database that holds the demo.
pub(crate) fn open(url: &DatabaseUrl) -> Result<Database> {
    if !is_seeded(url)? {
        return Err(Refusal::NotSeeded(url.to_string()).into());
    }
    attach(url)
}

fn attach(url: &DatabaseUrl) -> Result<Database> {
    let tables = SESSION_TABLES.iter().map(|&table| table.to_owned()).collect();
    let attach = AttachOptions { tables: Some(tables), tracking_columns: true };
    Ok(Database::open(url, OpenOptions { attach, ..OpenOptions::default() }, edge::now())?)
}

/// Whether there is base data. A database that was never sealed is somebody else's, or half loaded: it is refused
/// here, so that no command writes over it.
pub(crate) fn is_seeded(url: &DatabaseUrl) -> Result<bool> {
    match base_state(url)? {
        BaseState::Missing | BaseState::Empty => Ok(false),
        BaseState::Sealed => Ok(true),
        BaseState::Unsealed => Err(Refusal::Foreign(url.to_string()).into()),
    }
}

/// Brings the database up to this version; a missing one is made, empty.
pub(crate) fn migrate(url: &DatabaseUrl) -> Result<()> {
    if !is_seeded(url)? && base_state(url)? == BaseState::Missing {
        let build = |conn: &mut AnyConnection| Ok::<_, LoadError>(dataset::migrate(conn)?);
        load_first_base(url, edge::new_base_id(), edge::now(), build).map_err(LoadError::cause)?;
    }
    attach(url)?;
    Ok(())
}

/// Why the base was not loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Engine(#[from] demo_reset_persistence::Error),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}

impl LoadError {
    /// As the error that it stands for.
    fn cause(self) -> anyhow::Error {
        match self {
            Self::Engine(error) => error.into(),
            Self::Dataset(error) => error.into(),
        }
    }
}

/// Loads the demo dataset as a new base, all or nothing, and seals it. Base data that is there by now stays unless
/// `replace` says otherwise; whether the dataset was loaded.
pub(crate) fn load(url: &DatabaseUrl, options: DatasetOptions, replace: bool) -> Result<bool> {
    let mut progress = Progress::start();
    let mut rows = 0;
    let build = |conn: &mut AnyConnection| {
        dataset::migrate(conn)?;
        rows = dataset::load(conn, options, &mut |done| progress.set(done.rows, done.expected))?.rows();
        Ok::<_, LoadError>(())
    };
    let (id, now) = (edge::new_base_id(), edge::now());
    let loaded = if replace {
        load_base(url, id, now, build).map(|()| true)
    } else {
        load_first_base(url, id, now, build)
    };
    let loaded = loaded.map_err(LoadError::cause)?;
    if loaded {
        progress.finish(rows);
    }
    Ok(loaded)
}

/// Reads the authored inputs of the dataset and checks them.
pub(crate) fn check_seed_data() -> Result<()> {
    SeedData::embedded()?;
    Ok(())
}

/// Serves until the process is told to stop.
pub(crate) fn serve(database: Database, listener: TcpListener, demo_people: bool) -> Result<()> {
    Ok(api::serve_blocking(database, listener, ServerConfig { demo_people, ..ServerConfig::default() })?)
}
