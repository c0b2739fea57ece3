//! The compliance demo over HTTP: sign-in, records, health, and the server that carries them.

mod auth;
mod console;
mod cursor;
mod documents;
mod etag;
mod examples;
mod health;
mod identity;
mod limits;
mod metrics;
mod openapi;
mod passwords;
mod records;
mod schedule;
mod server;
mod state;
mod tokens;

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use demo_reset_compliance::{self as compliance, EntityKind};

use crate::demo::{self, EntityName, EntityNames};
use crate::error::ApiError;
use crate::routing::mount;

pub use auth::CurrentUser;
pub use documents::openapi_json;
pub use identity::{IdentityProvider, KeySource};
pub use limits::SignInLimits;
pub use passwords::{PasswordError, hash_password, set_demo_password, set_first_demo_password};
pub use server::{ServeError, ServerConfig, app, bind, serve, serve_blocking};
pub use state::AppState;

/// Where every route but health and the documents is.
pub(crate) const BASE_PATH: &str = "/api/v1";

/// What the demo's tables are called in answers, in the order of the contract.
pub(crate) fn entity_names() -> EntityNames {
    let listed = [
        EntityKind::Case,
        EntityKind::Investigation,
        EntityKind::Riu,
        EntityKind::Subject,
        EntityKind::Message,
        EntityKind::Note,
        EntityKind::Association,
    ];
    let name = |kind: EntityKind| EntityName {
        table: kind.table(),
        singular: kind.as_str(),
        plural: kind.plural(),
        is_trail: false,
        record: Arc::new(move |row| compliance::stored_record(kind, row)),
        label: Arc::new(move |row| compliance::record_label(kind, &compliance::stored_record(kind, row))),
    };
    let mut named: Vec<EntityName> = listed.into_iter().map(name).collect();
    named.push(EntityName {
        table: "audit_logs",
        singular: "auditLog",
        plural: "auditLogs",
        is_trail: true,
        record: Arc::new(compliance::stored_activity),
        label: Arc::new(|row| compliance::activity_label(&compliance::stored_activity(row))),
    });
    EntityNames::named(named)
}

/// The whole route table of the compliance demo: below `BASE_PATH`, and at the root.
pub fn configure(state: web::Data<AppState>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let demo = demo::configure::<CurrentUser>(state.demo());
        let api = web::scope(BASE_PATH)
            .configure(mount(auth::endpoints()))
            .configure(demo)
            .configure(mount(records::endpoints()));
        config
            .app_data(state)
            .configure(mount(health::endpoints()))
            .configure(mount(console::endpoints()))
            .configure(mount(console::assets()))
            .configure(mount(metrics::endpoints()))
            .configure(mount(documents::endpoints()))
            .configure(mount(documents::assets()))
            .service(api)
            .default_service(web::to(no_route));
    }
}

async fn no_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NoRoute)
}
