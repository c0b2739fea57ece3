//! The password of the demo users: given by `DEMO_USER_PASSWORD`, or made up once and said once.

use anyhow::{Context, Result, bail};
use demo_reset_api::{set_demo_password, set_first_demo_password};
use demo_reset_persistence::Database;

use crate::{edge, output};

const VARIABLE: &str = "DEMO_USER_PASSWORD";
const SECRET_VARIABLE: &str = "JWT_SECRET";
/// As long as the hash: a shorter secret is easier to guess than to forge.
const LEAST_SECRET: usize = 32;

/// The password that the environment gives, if any.
///
/// # Errors
/// Where the variable is empty or not text.
fn given() -> Result<Option<String>> {
    match std::env::var(VARIABLE) {
        Ok(password) if password.is_empty() => {
            bail!("{VARIABLE} is empty: set a password, or unset it to have one made up")
        }
        Ok(password) => Ok(Some(password)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).context(VARIABLE),
    }
}

/// The secret that tokens are signed with, from `JWT_SECRET`; without it one is made once and kept in the database.
///
/// # Errors
/// Where it is too short to be one.
pub(crate) fn signing_key() -> Result<Option<String>> {
    match std::env::var(SECRET_VARIABLE) {
        Ok(secret) if secret.len() < LEAST_SECRET => {
            bail!(
                "{SECRET_VARIABLE} is too short: expected at least {LEAST_SECRET} bytes, as of `openssl rand -hex 32`"
            )
        }
        Ok(secret) => Ok(Some(secret)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("{SECRET_VARIABLE} is not text"),
    }
}

/// Makes sure that the demo users have a password: the given one replaces any other; without one, the first start
/// makes it up and says it, and later starts keep it.
pub(crate) fn ensure(database: &Database) -> Result<()> {
    if let Some(password) = given()? {
        return Ok(set_demo_password(database, &password)?);
    }
    let password = edge::new_password().context("no randomness from the operating system")?;
    if set_first_demo_password(database, &password)? {
        output::note(format_args!(
            "the demo users' password is {password} (made up now, not shown again; {VARIABLE} sets another)"
        ));
    }
    Ok(())
}
