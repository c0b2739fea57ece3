//! Access tokens: JWT, HS256 and nothing else, short-lived.

use chrono::{DateTime, Duration, Utc};
use demo_reset_compliance::User;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const ISSUER: &str = "demo-reset";

/// How many tokens that held are remembered: half a kilobyte each.
const REMEMBERED: usize = 2_000;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    /// The user.
    pub(crate) sub: Uuid,
    /// The user's organization.
    pub(crate) org: Uuid,
    /// The user's role.
    pub(crate) role: String,
    /// The user's name, for the audit trail.
    pub(crate) name: String,
    iat: i64,
    exp: i64,
}

/// Signs and checks tokens with one key.
pub(crate) struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    lifetime: Duration,
    /// What tokens say that were checked. A token holds until it expires: checking its signature again each time was a
    /// twentieth of the server's own work for a record.
    checked: Cache<String, Claims>,
}

impl Tokens {
    /// With this key; tokens live for `lifetime`.
    pub(crate) fn new(key: &[u8], lifetime: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // Expiry is checked against the clock of this server's state, which tests move; see `accept`.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            signing: EncodingKey::from_secret(key),
            checking: DecodingKey::from_secret(key),
            validation,
            lifetime,
            checked: Cache::new(REMEMBERED),
        }
    }

    /// How long a token lives, in seconds.
    pub(crate) fn lifetime_seconds(&self) -> i64 {
        self.lifetime.num_seconds()
    }

    /// A token for the user.
    pub(crate) fn issue(
        &self,
        user: &User,
        now: DateTime<Utc>,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user.id.0,
            org: user.organization_id.0,
            role: user.role.clone(),
            name: user.full_name(),
            iat: now.timestamp(),
            exp: (now + self.lifetime).timestamp(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
    }

    /// What the token says, if it is ours and has not expired.
    pub(crate) fn accept(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        let claims = match self.checked.get(token) {
            Some(claims) => claims,
            None => {
                let decoded = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation).ok()?;
                self.checked.insert(token.to_owned(), decoded.claims.clone());
                decoded.claims
            }
        };
        (now.timestamp() < claims.exp).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use demo_reset_persistence::types::{DbTime, DbUuid};

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn tokens(key: &[u8]) -> Tokens {
        Tokens::new(key, Duration::hours(1))
    }

    fn token() -> String {
        let user = User {
            id: DbUuid(Uuid::from_u128(1)),
            email: "ann@acme.example".to_owned(),
            first_name: "Ann".to_owned(),
            last_name: "Lee".to_owned(),
            role: "MANAGER".to_owned(),
            organization_id: DbUuid(Uuid::from_u128(2)),
            created_at: DbTime::new(NOW),
        };
        tokens(b"key").issue(&user, NOW).unwrap()
    }

    #[test]
    fn a_token_is_accepted_until_it_expires() {
        let (tokens, token) = (tokens(b"key"), token());
        let accepted = |at: DateTime<Utc>| tokens.accept(&token, at);
        assert_eq!(accepted(NOW).unwrap().name, "Ann Lee");
        assert!(accepted(NOW + Duration::seconds(3599)).is_some());
        assert!(accepted(NOW + Duration::hours(1)).is_none());
    }

    #[test]
    fn a_token_of_another_key_is_refused() {
        assert!(tokens(b"other").accept(&token(), NOW).is_none());
    }

    #[test]
    fn a_token_without_a_signature_is_refused() {
        let token = token();
        let mut parts = token.split('.');
        let (_, claims) = (parts.next(), parts.next().unwrap());
        for header in [r#"{"alg":"none","typ":"JWT"}"#, r#"{"alg":"HS256","typ":"JWT"}"#] {
            let unsigned = format!("{}.{claims}.", BASE64_URL_SAFE_NO_PAD.encode(header));
            assert!(tokens(b"key").accept(&unsigned, NOW).is_none());
        }
    }
}
