//! Pages of lists that this scope answers with.

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::body::parameters;
use crate::error::{ApiError, Invalid};

/// Items on a page when the caller does not say, and at most.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The page that is asked for.
pub(super) struct PageRequest<P> {
    /// At most so many items.
    pub(super) limit: u32,
    /// After this position; from the start without one.
    pub(super) after: Option<P>,
}

impl<P: DeserializeOwned> PageRequest<P> {
    /// Reads `limit` and `cursor`, and refuses every other parameter.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        Self::with(request, |_, _| None)
    }

    /// Reads `limit` and `cursor`, and gives every other parameter to `accept`, which says what is wrong with its
    /// value; none where it knows no such parameter.
    pub(super) fn with(
        request: &HttpRequest,
        mut accept: impl FnMut(&str, &str) -> Option<Result<(), String>>,
    ) -> Result<Self, ApiError> {
        let mut page = Self { limit: DEFAULT_LIMIT, after: None };
        let mut errors = Vec::new();
        let parameters = parameters(request)?;
        for (at, (name, value)) in parameters.iter().enumerate() {
            let is_repeated = parameters[..at].iter().any(|(earlier, _)| earlier == name);
            let message = match name.as_str() {
                _ if is_repeated => Some("is given more than once".to_owned()),
                "limit" => match value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)) {
                    Some(limit) => {
                        page.limit = limit;
                        None
                    }
                    None => Some(format!("expected a whole number from 1 to {MAX_LIMIT}")),
                },
                "cursor" => match read_cursor(value) {
                    Some(position) => {
                        page.after = Some(position);
                        None
                    }
                    None => Some("expected the nextCursor of a page of this list".to_owned()),
                },
                _ => match accept(name, value) {
                    Some(accepted) => accepted.err(),
                    None => Some("is not a parameter of this list".to_owned()),
                },
            };
            errors.extend(message.map(|message| (name.clone(), message)));
        }
        if errors.is_empty() { Ok(page) } else { Err(Invalid { errors }.into()) }
    }
}

/// A cursor hides nothing and can reach nothing that the list does not show anyway, so it needs no seal.
pub(super) fn write_cursor<P: Serialize>(position: &P) -> Result<String, ApiError> {
    let json = serde_json::to_vec(position).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}

fn read_cursor<P: DeserializeOwned>(cursor: &str) -> Option<P> {
    let position: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    // PostgreSQL takes no text with U+0000, and no position has one: keys are JSON.
    let has_nul = position.as_array()?.iter().filter_map(Value::as_str).any(|text| text.contains('\0'));
    if has_nul { None } else { serde_json::from_value(position).ok() }
}

/// The items of the page and the cursor of the next one. `found` holds one item more than the limit where more
/// follow.
pub(super) fn cut<T, P: Serialize>(
    mut found: Vec<T>,
    limit: u32,
    position: impl FnOnce(&T) -> P,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| write_cursor(&position(last))).transpose()?;
    Ok((found, next))
}
