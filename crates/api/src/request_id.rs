//! Every request has an id: in the log, in the answer's `X-Request-Id`, and in every problem.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;

use crate::clock::{Ids, System};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LENGTH: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task is answering, if there is one: for a logger to add to every line.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Middleware: takes the id that the caller sent, or makes one, and logs the request when it is answered.
///
/// # Errors
/// What the inner service answers.
pub async fn assign_request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = sent_id(&request).unwrap_or_else(|| System.new_id().to_string());
    let started = Instant::now();
    let mut response = CURRENT.scope(id.clone(), next.call(request)).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    log::info!(
        target: "demo_reset_api::request",
        method = response.request().method().as_str(),
        path = response.request().path(),
        status = response.status().as_u16(),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        request = id.as_str();
        "answered"
    );
    Ok(response)
}

/// Only what cannot harm a log line.
fn sent_id(request: &ServiceRequest) -> Option<String> {
    let sent = request.headers().get(HEADER)?.to_str().ok()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!sent.is_empty() && sent.len() <= MAX_LENGTH && sent.chars().all(is_plain)).then(|| sent.to_owned())
}
