//! Versions of records and lists: `ETag`, `If-None-Match`, `If-Match`.

use actix_web::HttpRequest;
use actix_web::http::header::{ETag, EntityTag, Header, IfMatch, IfNoneMatch};

use crate::error::{ApiError, Invalid};

/// The header for a version.
pub(crate) fn header(version: &str) -> ETag {
    ETag(EntityTag::new_strong(version.to_owned()))
}

/// Whether the caller has this version already.
pub(crate) fn is_known(request: &HttpRequest, version: &str) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.tag() == version),
        Err(_) => false,
    }
}

/// The versions in which the caller wants to write a record; none where any will do.
pub(crate) fn expected(request: &HttpRequest) -> Result<Option<Vec<String>>, ApiError> {
    if !request.headers().contains_key(actix_web::http::header::IF_MATCH) {
        return Ok(None);
    }
    match IfMatch::parse(request) {
        Ok(IfMatch::Any) => Ok(None),
        // A weak tag never matches here: it does not promise the same bytes.
        Ok(IfMatch::Items(tags)) => {
            Ok(Some(tags.into_iter().filter(|tag| !tag.weak).map(|tag| tag.tag().to_owned()).collect()))
        }
        Err(_) => Err(Invalid::one("If-Match", "expected * or a list of entity tags in quotes").into()),
    }
}
