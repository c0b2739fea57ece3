//! The OpenAPI document, and Swagger UI over it.

use std::sync::LazyLock;

use actix_web::http::header::{CONTENT_TYPE, LOCATION};
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
    vec![Endpoint::at(DOCUMENT).get(openapi), Endpoint::at(DOCS).get(to_docs)]
}

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    let docs = SwaggerUi::new(format!("{DOCS}/{{_:.*}}"));
    config.configure(mount(endpoints())).service(docs.config(Config::from(DOCUMENT)));
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
