//! The OpenAPI document, and Swagger UI over it.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use super::openapi::document;
use crate::error::ApiError;
use crate::routing::Endpoint;

/// Where the document is.
const DOCUMENT: &str = "/openapi.json";
/// Where Swagger UI is.
pub(crate) const DOCS: &str = "/docs";

/// The routes of the documents, at the root.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at(DOCUMENT).get(openapi), Endpoint::at(DOCS).get(to_docs)]
}

/// What Swagger UI is made of. Of no use to anybody else, so the OpenAPI document leaves it out.
pub(crate) fn assets() -> Vec<Endpoint> {
    vec![Endpoint::at(format!("{DOCS}/{{path:.*}}")).get(asset)]
}

/// The OpenAPI document of the compliance demo, as `/openapi.json` answers it.
pub fn openapi_json() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    &TEXT
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(openapi_json())
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{DOCS}/"))).finish()
}

async fn asset(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from(DOCUMENT)));
    let path = request.match_info().get("path").unwrap_or_default();
    let file = utoipa_swagger_ui::serve(path, Arc::clone(&CONFIG));
    let file = file.map_err(|error| ApiError::Internal(error.to_string()))?.ok_or(ApiError::NoRoute)?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, file.content_type)).body(file.bytes.into_owned()))
}
