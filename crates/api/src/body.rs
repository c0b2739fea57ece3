//! What a request brings: a JSON body, ids in the path, parameters in the query.

use std::future::Future;
use std::pin::Pin;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Payload};
use actix_web::{FromRequest, HttpRequest, dev};
use demo_reset_domain::ArchiveId;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{ApiError, Invalid};

/// The largest body that is read, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A body that has been received but not yet understood.
pub(crate) struct Body {
    bytes: Bytes,
    is_json: bool,
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let payload = Payload::from_request(request, payload);
        let is_json = is_json(request);
        Box::pin(async move {
            let payload = payload.await.map_err(|error| ApiError::MalformedBody(error.to_string()))?;
            let received = payload.to_bytes_limited(MAX_BODY_BYTES).await;
            let received = received.map_err(|_| ApiError::BodyTooLarge { max_bytes: MAX_BODY_BYTES })?;
            let bytes = received.map_err(|error| ApiError::MalformedBody(error.to_string()))?;
            Ok(Self { bytes, is_json })
        })
    }
}

/// A body without a type is taken for JSON; one of another type is not.
fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(CONTENT_TYPE) else { return true };
    let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

impl Body {
    /// The body as a JSON object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        if self.bytes.is_empty() {
            return Err(ApiError::MalformedBody("expected a JSON object, found no body".to_owned()));
        }
        if !self.is_json {
            return Err(ApiError::UnsupportedMediaType);
        }
        match serde_json::from_slice(&self.bytes) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Invalid::one("body", "expected a JSON object").into()),
            Err(error) => Err(ApiError::MalformedBody(error.to_string())),
        }
    }

    /// The body as a JSON object, empty where there is no body.
    pub(crate) fn object_or_empty(&self) -> Result<Map<String, Value>, ApiError> {
        if self.bytes.is_empty() { Ok(Map::new()) } else { self.object() }
    }
}

/// Refuses fields that an object should not have.
pub(crate) fn refuse_unknown(object: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
    let errors: Vec<_> = unknown
        .map(|name| {
            let message = format!("is not a field here; expected {}", known.join(", "));
            (name.clone(), message)
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Invalid { errors }.into()) }
}

/// Refuses parameters where none are expected.
pub(crate) fn refuse_parameters(request: &HttpRequest) -> Result<(), ApiError> {
    let errors: Vec<_> = parameters(request)?
        .into_iter()
        .map(|(name, _)| (name, "is not a parameter here; expected none".to_owned()))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Invalid { errors }.into()) }
}

/// The parameters in the query, in their order.
pub(crate) fn parameters(request: &HttpRequest) -> Result<Vec<(String, String)>, ApiError> {
    let query = actix_web::web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let query = query.map_err(|error| Invalid::one("query", error.to_string()))?;
    Ok(query.into_inner())
}

/// An id in the path.
pub(crate) fn path_id(request: &HttpRequest, name: &'static str) -> Result<Uuid, ApiError> {
    let text = request.match_info().get(name).unwrap_or_default();
    parse_id(text).ok_or_else(|| ApiError::MalformedId { found: text.chars().take(64).collect() })
}

/// An optional id in a body.
pub(crate) fn archive_id(object: &Map<String, Value>) -> Result<Option<ArchiveId>, ApiError> {
    match object.get("archiveId") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str().and_then(parse_id) {
            Some(id) => Ok(Some(ArchiveId(id))),
            None => Err(Invalid::one("archiveId", "expected a UUID").into()),
        },
    }
}

fn parse_id(text: &str) -> Option<Uuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH { Uuid::try_parse(text).ok() } else { None }
}
