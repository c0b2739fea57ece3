//! The OpenAPI document, and Swagger UI over it.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::openapi::document;
use crate::routing::{Endpoint, mount};

/// Where the document is.
const DOCUMENT: &str = "/openapi.json";
/// Where Swagger UI is.
pub(crate) const DOCS: &str = "/docs";

/// The routes of the documents, at the root.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at(DOCUMENT).get(openapi_json), Endpoint::at(DOCS).get(to_docs)]
}

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    let docs = SwaggerUi::new(format!("{DOCS}/{{_:.*}}"));
    config.configure(mount(endpoints())).service(docs.config(Config::from(DOCUMENT)));
}

async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{DOCS}/"))).finish()
}
