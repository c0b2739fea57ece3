//! One type per kind of id, so that an archive can never be taken for a session.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// Identifies a session.
    SessionId
}

uuid_id! {
    /// Identifies an archive. Every reset makes a new one.
    ArchiveId
}

/// Identifies a layer inside one database. Given out by the database in ascending order, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub i64);

/// Whose session: an organization and a user of the host, both opaque text to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    organization: String,
    user: String,
}

/// Why a text does not identify an organization or a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserKeyError {
    /// The text is empty.
    #[error("{part}: expected a text of 1 to {max} bytes, found an empty one", max = UserKey::MAX_BYTES)]
    Empty {
        /// `organization` or `user`.
        part: &'static str,
    },
    /// The text is longer than [`UserKey::MAX_BYTES`].
    #[error("{part}: expected a text of 1 to {max} bytes, found {bytes}", max = UserKey::MAX_BYTES)]
    TooLong {
        /// `organization` or `user`.
        part: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// PostgreSQL cannot store the character U+0000 in text.
    #[error("{part}: expected a text without the character U+0000")]
    Nul {
        /// `organization` or `user`.
        part: &'static str,
    },
}

impl UserKey {
    /// The longest organization or user, in bytes: both stand in an index.
    pub const MAX_BYTES: usize = 512;

    /// Checks both texts.
    ///
    /// # Errors
    /// [`UserKeyError`] where a text is empty, too long, or not storable.
    pub fn new(organization: impl Into<String>, user: impl Into<String>) -> Result<Self, UserKeyError> {
        let (organization, user) = (organization.into(), user.into());
        for (part, text) in [("organization", &organization), ("user", &user)] {
            if text.is_empty() {
                return Err(UserKeyError::Empty { part });
            }
            if text.len() > Self::MAX_BYTES {
                return Err(UserKeyError::TooLong { part, bytes: text.len() });
            }
            if text.contains('\0') {
                return Err(UserKeyError::Nul { part });
            }
        }
        Ok(Self { organization, user })
    }

    /// The organization.
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_key_is_any_text_of_1_to_512_bytes() {
        let ann = UserKey::new("acme", "ann").unwrap();
        assert_eq!((ann.organization(), ann.user(), ann.to_string().as_str()), ("acme", "ann", "acme/ann"));
        assert!(UserKey::new("acme", "ü".repeat(256)).is_ok());
        assert_eq!(UserKey::new("", "ann"), Err(UserKeyError::Empty { part: "organization" }));
        assert_eq!(UserKey::new("acme", ""), Err(UserKeyError::Empty { part: "user" }));
        assert_eq!(
            UserKey::new("acme", "ü".repeat(256) + "x"),
            Err(UserKeyError::TooLong { part: "user", bytes: 513 })
        );
        assert_eq!(UserKey::new("a\0", "ann"), Err(UserKeyError::Nul { part: "organization" }));
    }

    #[test]
    fn ids_are_shown_as_their_numbers() {
        let id = Uuid::from_u128(7);
        assert_eq!((SessionId(id).to_string(), ArchiveId(id).to_string()), (id.to_string(), id.to_string()));
    }
}
