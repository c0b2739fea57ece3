//! The one password that all demo users share, kept as an argon2id hash.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use demo_reset_persistence::{Database, Error as EngineError};

/// Under which name the database keeps the hash.
const SECRET: &str = "demo_password_hash";

/// Why a password could not be kept or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Hashing refused it, or the stored hash.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The database refused or failed.
    #[error(transparent)]
    Database(#[from] EngineError),
}

/// The argon2id hash of a password, with its parameters and its salt, as text.
///
/// # Errors
/// [`PasswordError::Hash`] for a password longer than 4 GiB.
pub fn hash_password(password: &str, salt: &[u8; 16]) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), salt);
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hash(error.to_string()))
}

/// Gives all demo users this password.
///
/// # Errors
/// [`PasswordError`].
pub fn set_demo_password(database: &Database, password: &str) -> Result<(), PasswordError> {
    Ok(database.secret_replace(SECRET, &hash_password(password, &new_salt()?)?)?)
}

/// Gives all demo users this password unless they have one. Whether they had none.
///
/// # Errors
/// [`PasswordError`].
pub fn set_first_demo_password(database: &Database, password: &str) -> Result<bool, PasswordError> {
    if database.secret_find(SECRET)?.is_some() {
        return Ok(false);
    }
    let made = hash_password(password, &new_salt()?)?;
    let stored = database.secret(SECRET, || made.clone())?;
    Ok(stored == made)
}

/// Whether this is the password of the demo users. Takes as long when they have none.
pub(crate) fn is_demo_password(database: &Database, password: &str) -> Result<bool, PasswordError> {
    let Some(hash) = database.secret_find(SECRET)? else {
        hash_password(password, &[0; 16])?;
        return Ok(false);
    };
    Ok(Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok())
}

fn new_salt() -> Result<[u8; 16], PasswordError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_and_tells_its_password() {
        let hash = hash_password("correct horse", &[7; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verify = |password: &str| Argon2::default().verify_password(password.as_bytes(), hash.as_str());
        assert!(verify("correct horse").is_ok());
        assert!(verify("correct horse ").is_err());
    }
}
