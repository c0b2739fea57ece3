//! Tokens of an identity provider, checked with the public keys that it publishes (JWKS). RS256 and ES256, nothing
//! else: a token chooses among the provider's keys, never how it is checked.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration as StdDuration;

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode_header};
use serde::Deserialize;

/// Keys are read again after this time, so that one which the provider withdrew is not accepted for long.
const MAX_AGE: Duration = Duration::hours(1);
/// A key that is not known is looked for at most so often: anybody can name one.
const LEAST_BETWEEN_READS: Duration = Duration::minutes(1);
/// How long the provider may take to answer.
const TIMEOUT: StdDuration = StdDuration::from_secs(5);
/// The largest set of keys that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// How far the provider's clock may be ahead.
const LEEWAY: Duration = Duration::minutes(1);

/// Where the provider's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file; read again like a URL, so that it can be replaced.
    File(PathBuf),
    /// An `https://` (or `http://`) address.
    Url(String),
}

impl FromStr for KeySource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        Ok(if is_url { Self::Url(text.to_owned()) } else { Self::File(text.into()) })
    }
}

impl KeySource {
    fn read(&self) -> Result<JwkSet, String> {
        let text = match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            Self::Url(url) => fetch(url).map_err(|error| format!("{url}: {error}"))?,
        };
        serde_json::from_str(&text).map_err(|error| format!("not a set of keys: {error}"))
    }
}

fn fetch(url: &str) -> Result<String, ureq::Error> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().new_agent();
    agent.get(url).call()?.body_mut().with_config().limit(MAX_BYTES).read_to_string()
}

/// An identity provider whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// Its public keys.
    pub keys: KeySource,
    /// What its tokens name as `iss`.
    pub issuer: String,
    /// What they must name as `aud`: this server.
    pub audience: String,
}

/// The provider's keys cannot be read, and none are known.
#[derive(Debug, thiserror::Error)]
#[error("the identity provider's keys cannot be read: {0}")]
pub(crate) struct KeysUnavailable(String);

/// What a token says.
#[derive(Debug, Deserialize)]
struct Claims {
    exp: i64,
    nbf: Option<i64>,
    /// Names the user: a demo user has the same address.
    email: String,
    /// Providers that let people choose an address say whether it is theirs.
    email_verified: Option<bool>,
}

#[derive(Default)]
struct Cache {
    keys: Vec<Jwk>,
    read_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
}

/// Checks the tokens of one provider.
pub(crate) struct Identity {
    provider: IdentityProvider,
    cache: Mutex<Cache>,
}

impl Identity {
    pub(crate) fn new(provider: IdentityProvider) -> Self {
        Self { provider, cache: Mutex::default() }
    }

    /// Whether a token is for this provider to check, judged by how it says it is signed.
    pub(crate) fn is_asked(token: &str) -> bool {
        decode_header(token).is_ok_and(|header| is_accepted(header.alg))
    }

    /// The address of the user whom a token names, if it holds. May wait for the provider.
    pub(crate) fn accept(&self, token: &str, now: DateTime<Utc>) -> Result<Option<String>, KeysUnavailable> {
        let Ok(header) = decode_header(token) else { return Ok(None) };
        if !is_accepted(header.alg) {
            return Ok(None);
        }
        let Some(key) = self.key(&header, now)? else { return Ok(None) };
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.provider.issuer]);
        validation.set_audience(&[&self.provider.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Times are checked against the clock of this server's state, which tests move.
        validation.validate_exp = false;
        let Ok(decoded) = jsonwebtoken::decode::<Claims>(token, &key, &validation) else { return Ok(None) };
        let claims = decoded.claims;
        let is_in_time = now.timestamp() < claims.exp
            && claims.nbf.is_none_or(|start| start <= (now + LEEWAY).timestamp());
        let holds = is_in_time && claims.email_verified != Some(false);
        Ok(holds.then_some(claims.email))
    }

    /// The key that a token names, of the kind that its algorithm needs.
    fn key(&self, header: &Header, now: DateTime<Utc>) -> Result<Option<DecodingKey>, KeysUnavailable> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = cache.read_at.is_none_or(|at| now - at >= MAX_AGE);
        let may_try = cache.tried_at.is_none_or(|at| now - at >= LEAST_BETWEEN_READS);
        if may_try && (is_old || find(&cache.keys, header).is_none()) {
            cache.tried_at = Some(now);
            match self.provider.keys.read() {
                Ok(set) => {
                    cache.keys = set.keys;
                    cache.read_at = Some(now);
                }
                // The keys that are known go on being good until others are read.
                Err(reason) => log::warn!("the identity provider's keys cannot be read: {reason}"),
            }
        }
        if cache.read_at.is_none() {
            return Err(KeysUnavailable("see the log".to_owned()));
        }
        Ok(find(&cache.keys, header).and_then(|key| DecodingKey::from_jwk(key).ok()))
    }
}

fn is_accepted(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::RS256 | Algorithm::ES256)
}

/// The key by its id; a token that names none can only mean the one that there is.
fn find<'a>(keys: &'a [Jwk], header: &Header) -> Option<&'a Jwk> {
    let fits = |key: &&Jwk| {
        let (is_kind, algorithm) = match (&key.algorithm, header.alg) {
            (AlgorithmParameters::RSA(_), Algorithm::RS256) => (true, KeyAlgorithm::RS256),
            (AlgorithmParameters::EllipticCurve(_), Algorithm::ES256) => (true, KeyAlgorithm::ES256),
            _ => (false, KeyAlgorithm::RS256),
        };
        let is_for_signatures =
            !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)));
        is_kind && is_for_signatures && key.common.key_algorithm.is_none_or(|named| named == algorithm)
    };
    let mut fitting = keys.iter().filter(fits);
    match &header.kid {
        Some(id) => fitting.find(|key| key.common.key_id.as_ref() == Some(id)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}
