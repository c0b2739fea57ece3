//! Sign-in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev, web};
use demo_reset_compliance::{self as compliance, User, user_by_email, user_fetch};
use demo_reset_domain::UserKey;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::identity::Identity;
use super::passwords::{PasswordError, is_demo_password};
use super::state::AppState;
use crate::body::{Body, refuse_parameters, refuse_unknown};
use crate::demo::SessionUser;
use crate::error::{ApiError, Invalid};
use crate::routing::Endpoint;

/// Told of every token that does not hold, whatever is wrong with it.
const REFUSED: &str = "The token is not valid or has expired.";
/// The longest e-mail address, in characters.
pub(super) const MAX_EMAIL: usize = 320;
/// The longest password, in characters: hashing more would only serve to keep the server busy.
pub(super) const MAX_PASSWORD: usize = 1024;

/// The routes of sign-in.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/auth/login").post(login),
        Endpoint::at("/auth/me").get(me),
        Endpoint::at("/auth/demo-people").get(demo_people),
    ]
}

/// The signed-in user, by the token of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentUser {
    /// The user.
    pub id: Uuid,
    /// The user's organization.
    pub organization_id: Uuid,
    /// The user's role.
    pub role: String,
    /// The user's name.
    pub name: String,
}

impl FromRequest for CurrentUser {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { authenticate(&request).await })
    }
}

impl SessionUser for CurrentUser {
    fn session_key(&self) -> Result<UserKey, ApiError> {
        Ok(compliance::session_key(self.organization_id, self.id)?)
    }

    fn is_administrator(&self) -> bool {
        self.role == compliance::ADMIN_ROLE
    }
}

async fn authenticate(request: &HttpRequest) -> Result<CurrentUser, ApiError> {
    let state = request
        .app_data::<web::Data<AppState>>()
        .ok_or_else(|| ApiError::Internal("the state is not mounted".to_owned()))?;
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(bearer);
    let token = token.ok_or(ApiError::Unauthorized { reason: "Expected Authorization: Bearer TOKEN." })?;
    if let Some(identity) = state.identity.clone().filter(|_| Identity::is_asked(token)) {
        return provided(state, identity, token.to_owned()).await;
    }
    let claims = state.tokens.accept(token, state.engine().now());
    let claims = claims.ok_or(ApiError::Unauthorized { reason: REFUSED })?;
    Ok(CurrentUser { id: claims.sub, organization_id: claims.org, role: claims.role, name: claims.name })
}

/// The demo user whom a token of the identity provider names.
async fn provided(state: &AppState, identity: Arc<Identity>, token: String) -> Result<CurrentUser, ApiError> {
    let found = state.engine().blocking(move |engine| {
        let email = identity.accept(&token, engine.now()).map_err(|error| {
            log::warn!("{error}");
            ApiError::KeysUnavailable
        })?;
        let Some(email) = email else { return Ok(None) };
        Ok::<_, ApiError>(engine.database().read_base(|conn| user_by_email(conn, &email))?)
    });
    let user = found.await?.ok_or(ApiError::Unauthorized { reason: REFUSED })?;
    let name = user.full_name();
    Ok(CurrentUser { id: user.id.0, organization_id: user.organization_id.0, role: user.role, name })
}

/// The scheme is spelt in any case.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn user_json(user: &User) -> Value {
    json!({
        "id": user.id.0,
        "email": user.email,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "role": user.role,
        "organizationId": user.organization_id.0,
    })
}

fn text_field(
    body: &Map<String, Value>,
    name: &str,
    max: usize,
    errors: &mut Vec<(String, String)>,
) -> String {
    // No database keeps U+0000 in text: nobody can be called so.
    let is_text = |text: &&str| !text.is_empty() && text.chars().count() <= max && !text.contains('\0');
    let text = body.get(name).and_then(Value::as_str).filter(is_text);
    if text.is_none() {
        errors.push((name.to_owned(), format!("expected text of 1 to {max} characters without U+0000")));
    }
    text.unwrap_or_default().to_owned()
}

async fn login(
    request: HttpRequest,
    state: web::Data<AppState>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let body = body.object()?;
    refuse_unknown(&body, &["email", "password"])?;
    let mut errors = Vec::new();
    let email = text_field(&body, "email", MAX_EMAIL, &mut errors);
    let password = text_field(&body, "password", MAX_PASSWORD, &mut errors);
    if !errors.is_empty() {
        return Err(Invalid { errors }.into());
    }
    let address = request.peer_addr().map(|address| address.ip());
    state.sign_in_limiter.check(address, &email.trim().to_lowercase())?;

    let permit = state.password_checks.acquire().await;
    let checked = state.engine().blocking(move |engine| {
        let database = engine.database();
        // The password is checked for an unknown address too, so that both answers take equally long.
        let is_password = is_demo_password(database, &password)?;
        let user = database.read_base(|conn| user_by_email(conn, &email))?;
        Ok::<_, ApiError>(user.filter(|_| is_password))
    });
    let user = checked.await?.ok_or(ApiError::WrongCredentials)?;
    drop(permit);

    let token = state.tokens.issue(&user, state.engine().now());
    let token = token.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "accessToken": token,
        "tokenType": "Bearer",
        "expiresIn": state.tokens.lifetime_seconds(),
        "user": user_json(&user),
    })))
}

async fn me(
    request: HttpRequest,
    user: CurrentUser,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let found = state.engine().reading(move |engine| {
        engine.database().read_base(|conn| user_fetch(conn, user.organization_id, user.id))
    });
    let gone = ApiError::Unauthorized { reason: "The user of this token does not exist any more." };
    let user = found.await?.ok_or(gone)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(user_json(&user)))
}

/// Whom one can sign in as. Demo users are no secret, they are made to be tried; their password is. A server that
/// is not told to offer them has nothing here.
async fn demo_people(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    if !state.tells_demo_people {
        return Err(ApiError::NoRoute);
    }
    refuse_parameters(&request)?;
    let found = state.engine().reading(|engine| engine.database().read_base(compliance::demo_people));
    let describe = |(user, organization): (User, String)| {
        json!({
            "email": user.email,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "role": user.role,
            "organization": organization,
        })
    };
    let items: Vec<Value> = found.await?.into_iter().map(describe).collect();
    Ok(HttpResponse::Ok().json(json!({ "items": items })))
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Database(error) => Self::Engine(error),
            other => Self::Internal(other.to_string()),
        }
    }
}
