//! What commands ask of the crates below, each in one call.

use std::collections::HashMap;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use anyhow::Result;
use demo_reset_api::{self as api, ServerConfig};
use demo_reset_compliance::dataset::{self, DatasetError, DatasetOptions, SeedData, Sources};
use demo_reset_compliance::{self as compliance, Organization};
use demo_reset_domain::UserKey;
use demo_reset_persistence::{
    AnyConnection, BaseState, DEFAULT_MAX_LAYER_CHANGES, Database, DatabaseUrl, OpenOptions, base_state,
    load_base, load_first_base,
};
use uuid::Uuid;

use crate::edge;
use crate::exit::Refusal;
use crate::progress::Progress;

/// A user of the demo.
pub(crate) struct Person {
    /// Whose session it is, to the engine.
    pub(crate) key: UserKey,
    /// How people know them.
    pub(crate) email: String,
}

/// Whether the database is a host's, which has no users and organizations that are known here.
pub(crate) fn is_of_host(database: &Database) -> Result<bool> {
    Ok(base_state(database.url())? == BaseState::Attached)
}

/// The engine's text for an organization.
pub(crate) fn organization_key(database: &Database, slug: &str) -> Result<String> {
    if is_of_host(database)? {
        return Ok(slug.to_owned());
    }
    Ok(organization(database, slug)?.id.to_string())
}

/// The organization of this short name.
pub(crate) fn organization(database: &Database, slug: &str) -> Result<Organization> {
    let found = database.read_base(|conn| compliance::organization_by_slug(conn, slug))?;
    Ok(found.ok_or_else(|| Refusal::UnknownOrganization(slug.to_owned()))?)
}

/// A user of the organization. Over a host's database both are any text.
pub(crate) fn person(database: &Database, slug: &str, name: &str) -> Result<Person> {
    if is_of_host(database)? {
        return Ok(Person { key: UserKey::new(slug, name)?, email: name.to_owned() });
    }
    let organization = organization(database, slug)?;
    let user = database.read_base(|conn| compliance::user_find(conn, organization.id, name))?;
    let unknown = || Refusal::UnknownUser { user: name.to_owned(), organization: slug.to_owned() };
    let user = user.ok_or_else(unknown)?;
    Ok(Person { key: user.session_key()?, email: user.email })
}

/// The e-mail addresses of those users of the organization that have one, by the engine's text for the user.
pub(crate) fn emails<'u>(
    database: &Database,
    organization: &str,
    users: impl Iterator<Item = &'u str>,
) -> Result<HashMap<String, String>> {
    let Ok(organization) = Uuid::try_parse(organization) else { return Ok(HashMap::new()) };
    if is_of_host(database)? {
        return Ok(HashMap::new());
    }
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

/// Opens a database that holds the demo, or a host's that is attached.
pub(crate) fn open(url: &DatabaseUrl) -> Result<Database> {
    open_for(url, DEFAULT_MAX_LAYER_CHANGES)
}

/// Opens a database that holds the demo, for sessions of at most so many changes.
pub(crate) fn open_for(url: &DatabaseUrl, max_layer_changes: u64) -> Result<Database> {
    if base_state(url)? == BaseState::Attached {
        return Ok(Database::open_attached(url, OpenOptions::default(), edge::now())?);
    }
    if !is_seeded(url)? {
        return Err(Refusal::NotSeeded(url.to_string()).into());
    }
    attach(url, max_layer_changes)
}

/// [`open_for`], and whatever the base data lacks of its search indexes is made meanwhile: after a load, and where one
/// was interrupted.
pub(crate) fn open_whole(url: &DatabaseUrl, max_layer_changes: u64) -> Result<Database> {
    thread::scope(|scope| {
        let indexed = scope.spawn(|| compliance::make_search_indexes(url));
        let opened = open_for(url, max_layer_changes);
        let indexed = indexed.join().unwrap_or_else(|panic| resume_unwind(panic));
        let database = opened?;
        indexed?;
        Ok(database)
    })
}

fn attach(url: &DatabaseUrl, max_layer_changes: u64) -> Result<Database> {
    let options =
        OpenOptions { attach: compliance::attach_options(), max_layer_changes, ..OpenOptions::default() };
    let database = Database::open(url, options, edge::now())?;
    database.read_base(dataset::refuse_newer)?;
    Ok(database)
}

/// Whether there is base data. A database that was never sealed is somebody else's, or half loaded: it is refused
/// here, so that no command writes over it.
pub(crate) fn is_seeded(url: &DatabaseUrl) -> Result<bool> {
    match base_state(url)? {
        BaseState::Missing | BaseState::Empty => Ok(false),
        BaseState::Sealed => Ok(true),
        BaseState::Unsealed | BaseState::Attached => Err(Refusal::Foreign(url.to_string()).into()),
    }
}

/// Brings the database up to this version; a missing one is made, empty.
pub(crate) fn migrate(url: &DatabaseUrl) -> Result<()> {
    if !is_seeded(url)? && base_state(url)? == BaseState::Missing {
        let build = |conn: &mut AnyConnection| Ok::<_, LoadError>(dataset::migrate(conn)?);
        load_first_base(url, edge::new_base_id(), edge::now(), build).map_err(LoadError::cause)?;
    }
    attach(url, DEFAULT_MAX_LAYER_CHANGES)?;
    Ok(compliance::make_search_indexes(url)?)
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
pub(crate) fn load(
    url: &DatabaseUrl,
    seed: &SeedData,
    options: DatasetOptions,
    replace: bool,
) -> Result<bool> {
    let mut progress = Progress::start();
    let mut rows = 0;
    let build = |conn: &mut AnyConnection| {
        dataset::migrate(conn)?;
        rows = dataset::load(conn, seed, options, &mut |done| progress.set(done.rows, done.expected))?.rows();
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

/// The authored inputs of the dataset, checked.
pub(crate) struct Inputs {
    pub(crate) seed: SeedData,
    /// How many files of the folder are among them.
    pub(crate) files_read: usize,
}

/// Reads the authored inputs, those of a folder first, and checks them.
pub(crate) fn seed_data(folder: Option<&Path>) -> Result<Inputs> {
    let sources = folder.map_or_else(|| Ok(Sources::embedded()), Sources::from_folder)?;
    Ok(Inputs { seed: SeedData::parse(&sources)?, files_read: sources.files_read() })
}

/// Serves until the process is told to stop.
pub(crate) fn serve(database: Database, listener: TcpListener, config: ServerConfig) -> Result<()> {
    Ok(api::serve_blocking(database, listener, config)?)
}
