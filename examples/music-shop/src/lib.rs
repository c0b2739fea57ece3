//! A music shop on the Chinook database: artists, albums, and plain Diesel queries that know nothing of sessions.
//!
//! What embeds demo sessions is in [`open`], [`Visitor`] and [`configure`].

pub mod shop;

use std::future::{Ready, ready};
use std::path::Path;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use demo_reset_api::error::ApiError;
use demo_reset_api::{Engine, demo};
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::{
    AttachOptions, Database, DatabaseUrl, Error, OpenOptions, SessionConnection, attach,
};
use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection};
use diesel::{Connection, SqliteConnection};
use serde::Deserialize;

/// The shop's own pool.
pub type Pool = diesel::r2d2::Pool<ConnectionManager<SqliteConnection>>;

/// Makes the shop's database from Chinook's script.
///
/// # Errors
/// Where the file cannot be written.
pub fn create(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    const CHINOOK: &str = include_str!("../../../crates/persistence/tests/data/chinook/Chinook_Sqlite.sql");
    let mut conn = SqliteConnection::establish(&path.display().to_string())?;
    conn.batch_execute(&format!("begin; {CHINOOK} commit;"))?;
    Ok(())
}

/// Makes every connection of the shop's pool fit for sessions.
#[derive(Debug)]
struct Prepare(Database);

impl<C: SessionConnection + 'static> CustomizeConnection<C, diesel::r2d2::Error> for Prepare {
    fn on_acquire(&self, conn: &mut C) -> Result<(), diesel::r2d2::Error> {
        self.0.prepare(conn).map_err(|error| {
            diesel::r2d2::Error::ConnectionError(diesel::ConnectionError::BadConnection(error.to_string()))
        })
    }
}

/// Puts the shop's tables under sessions and opens its pool.
///
/// # Errors
/// Where the database cannot be attached or opened.
pub fn open(url: &str) -> Result<(Engine, Pool), Box<dyn std::error::Error>> {
    let url: DatabaseUrl = url.parse()?;
    let now = demo_reset_api::Clock::now(&demo_reset_api::System);
    attach(&url, &AttachOptions::default(), now)?;
    let database = Database::open_attached(&url, OpenOptions::default(), now)?;
    let pool = diesel::r2d2::Pool::builder()
        .max_size(4)
        .connection_customizer(Box::new(Prepare(database.clone())))
        .build(ConnectionManager::new(database.connection_url()))?;
    Ok((Engine::new(database), pool))
}

/// Who is asking. The shop believes the header; yours has its own authentication.
pub struct Visitor(UserKey);

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = request.headers().get("x-user").and_then(|value| value.to_str().ok());
        let key = UserKey::new("music-shop", user.unwrap_or_default()).map(Visitor);
        ready(key.map_err(|_| ApiError::Unauthorized { reason: "Expected the header X-User." }))
    }
}

impl demo::SessionUser for Visitor {
    fn session_key(&self) -> Result<UserKey, ApiError> {
        Ok(self.0.clone())
    }
}

/// Mounts the shop's addresses, and the demo scope beside them.
pub fn configure(engine: Engine, pool: Pool) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let state = web::Data::new(demo::DemoState::new(engine.clone(), demo::EntityNames::of_tables()));
        config
            .app_data(web::Data::new((engine, pool)))
            .route("/artists", web::get().to(artists))
            .route("/artists", web::post().to(add_artist))
            .route("/artists/{id}", web::delete().to(remove_artist))
            .configure(demo::configure::<Visitor>(state));
    }
}

type Shop = web::Data<(Engine, Pool)>;

/// Runs `work` on a connection of the shop's pool, in the visitor's session.
async fn in_session<T: Send + 'static>(
    shop: Shop,
    visitor: Visitor,
    writes: bool,
    work: impl FnOnce(&mut SqliteConnection) -> diesel::QueryResult<T> + Send + 'static,
) -> Result<T, ApiError> {
    let (engine, pool) = (shop.0.clone(), shop.1.clone());
    engine
        .blocking(move |engine| {
            let database = engine.database();
            let session = database.session(&visitor.0, SessionId(engine.new_id()), engine.now())?.id;
            let mut conn = pool.get().map_err(|error| Error::Unavailable(error.to_string()))?;
            let work = |conn: &mut SqliteConnection| work(conn).map_err(Error::from);
            if writes {
                database.write_on(&mut *conn, session, engine.now(), work)
            } else {
                database.read_on(&mut *conn, session, work)
            }
        })
        .await
}

async fn artists(shop: Shop, visitor: Visitor) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(in_session(shop, visitor, false, shop::artists).await?))
}

/// A new artist.
#[derive(Debug, Deserialize)]
struct NewArtist {
    name: String,
}

async fn add_artist(
    shop: Shop,
    visitor: Visitor,
    body: web::Json<NewArtist>,
) -> Result<HttpResponse, ApiError> {
    let name = body.into_inner().name;
    let artist = in_session(shop, visitor, true, move |conn| shop::add_artist(conn, &name)).await?;
    Ok(HttpResponse::Created().json(artist))
}

async fn remove_artist(shop: Shop, visitor: Visitor, id: web::Path<i32>) -> Result<HttpResponse, ApiError> {
    in_session(shop, visitor, true, move |conn| shop::remove_artist(conn, *id)).await?;
    Ok(HttpResponse::NoContent().finish())
}
