//! The server.

use std::io;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_cors::{Cors, CorsError};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{App, HttpServer, web};
use demo_reset_persistence::{Database, Error as EngineError};

use super::configure;
use super::console;
use super::documents::DOCS;
use super::identity::IdentityProvider;
use super::limits::{DEFAULT_WRITES_PER_SECOND, SignInLimits};
use super::metrics::measure;
use super::schedule;
use super::state::AppState;
use crate::engine::Engine;
use crate::error::ApiError;
use crate::request_id::assign_request_id;

/// How the server runs.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What tokens and cursors are signed with; made once and kept in the database where none is given.
    pub signing_key: Option<String>,
    /// Whose tokens are accepted besides those that sign-in here gives out.
    pub identity_provider: Option<IdentityProvider>,
    /// How long an access token lives.
    pub token_lifetime: Duration,
    /// Web pages of these origins (`https://demo.example`) may call the API; `*` stands for all.
    pub cors_origins: Vec<String>,
    /// Whether names, roles and addresses of the demo users are told to everybody, so that a page can offer them for
    /// sign-in.
    pub demo_people: bool,
    /// Sign-in attempts a minute.
    pub sign_in_limits: SignInLimits,
    /// Writes a second that one user may make.
    pub writes_per_second: NonZeroU32,
    /// How often what has expired is removed; never where none is given.
    pub cleanup_every: Option<Duration>,
    /// Threads that take requests.
    pub workers: usize,
    /// How long requests in flight may take to finish when the server is stopped.
    pub shutdown_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            signing_key: None,
            identity_provider: None,
            token_lifetime: Duration::from_secs(60 * 60),
            cors_origins: Vec::new(),
            demo_people: false,
            sign_in_limits: SignInLimits::default(),
            writes_per_second: DEFAULT_WRITES_PER_SECOND,
            cleanup_every: Some(Duration::from_secs(60 * 60)),
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something else listens there.
    #[error("{address} is taken by another program")]
    AddressInUse {
        /// Where.
        address: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(getrandom::Error),
    /// The database refused or failed.
    #[error(transparent)]
    Database(#[from] EngineError),
    /// The metrics cannot be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The server stopped.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
}

/// Listens on `address`, such as `127.0.0.1:8080`.
///
/// # Errors
/// [`ServeError::AddressInUse`] or [`ServeError::Bind`].
pub fn bind(address: &str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse { address: address.to_owned() },
        _ => ServeError::Bind { address: address.to_owned(), source },
    })
}

/// Serves `database` on `listener` until the process is told to stop, and then lets requests in flight finish.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    database: Database,
    listener: TcpListener,
    config: ServerConfig,
) -> Result<(), ServeError> {
    let state = AppState::new(Engine::new(database), &config)?;
    if let Some(period) = config.cleanup_every.filter(|period| !period.is_zero()) {
        schedule::start(state.clone(), period);
    }
    let origins = config.cors_origins;
    HttpServer::new(move || app(state.clone(), &origins))
        .workers(config.workers.max(1))
        .shutdown_timeout(config.shutdown_timeout.as_secs())
        .listen(listener)?
        .run()
        .await?;
    Ok(())
}

/// [`serve`] for a caller without an async runtime.
///
/// # Errors
/// [`ServeError`].
pub fn serve_blocking(
    database: Database,
    listener: TcpListener,
    config: ServerConfig,
) -> Result<(), ServeError> {
    actix_web::rt::System::new().block_on(serve(database, listener, config))
}

/// The application: every route, and what stands around all of them.
pub fn app(
    state: web::Data<AppState>,
    cors_origins: &[String],
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .configure(configure(state))
        .wrap(Compress::default())
        .wrap(cors(cors_origins))
        .wrap(from_fn(tell_refused_preflights))
        .wrap(from_fn(security_headers))
        .wrap(from_fn(measure))
        .wrap(from_fn(assign_request_id))
}

/// Middleware: a browser that asks for a page of an origin that is not allowed gets a problem, as everybody does.
async fn tell_refused_preflights(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let response = next.call(request).await?;
    let refusal = response.response().error().and_then(|error| error.as_error::<CorsError>());
    Ok(match refusal.map(ToString::to_string) {
        Some(reason) => response.error_response(ApiError::PreflightRefused(reason)).map_into_right_body(),
        None => response.map_into_left_body(),
    })
}

/// Middleware: answers are data, so no browser may guess their type, frame them, or run anything in them.
async fn security_headers(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let policy = content_security_policy(request.path());
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    Ok(response)
}

/// Pages run their own scripts and styles, and nobody else's.
fn content_security_policy(path: &str) -> &'static str {
    if console::is_page(path) {
        console::CONTENT_SECURITY_POLICY
    } else if path.starts_with(DOCS) {
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    } else {
        "default-src 'none'; frame-ancestors 'none'"
    }
}

fn cors(origins: &[String]) -> Cors {
    let base = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PATCH", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
        ])
        .allowed_headers(["x-request-id", "idempotency-key"])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER])
        .expose_headers(["ratelimit", "ratelimit-policy", "x-request-id"])
        .max_age(3600);
    origins.iter().fold(base, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin(),
        origin => cors.allowed_origin(origin),
    })
}
