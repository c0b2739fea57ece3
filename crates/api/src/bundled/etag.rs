//! Versions of records and lists: `ETag`, `If-None-Match`, `If-Match`.

use actix_web::HttpRequest;
use actix_web::http::header::{ETag, EntityTag, Header, IF_MATCH, IfMatch, IfNoneMatch};

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
pub(crate) fn expected(request: &HttpRequest) -> Option<Vec<String>> {
    if !request.headers().contains_key(IF_MATCH) {
        return None;
    }
    match IfMatch::parse(request) {
        Ok(IfMatch::Any) => None,
        // A weak tag never matches here: it does not promise the same bytes.
        Ok(IfMatch::Items(tags)) => {
            Some(tags.into_iter().filter(|tag| !tag.weak).map(|tag| tag.tag().to_owned()).collect())
        }
        // What cannot be read names no version.
        Err(_) => Some(Vec::new()),
    }
}
