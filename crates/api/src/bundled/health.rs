//! Whether the process is up, and whether it can serve.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::state::AppState;
use crate::error::ApiError;
use crate::routing::Endpoint;

/// The routes of health, at the root.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/healthz").get(healthz), Endpoint::at("/readyz").get(readyz)]
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

async fn readyz(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    state.engine().blocking(|engine| engine.database().ready()).await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}
