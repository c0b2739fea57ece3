//! The clock and randomness: everything below takes times and ids as parameters.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use demo_reset_domain::ArchiveId;

/// The time now.
#[allow(clippy::disallowed_methods, reason = "the edge: commands read the clock here and nowhere else")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A new id for an archive, ascending in time.
#[allow(clippy::disallowed_methods, reason = "the edge: commands make ids here and nowhere else")]
pub(crate) fn new_archive_id() -> ArchiveId {
    ArchiveId(Uuid::now_v7())
}

/// A new id for a session.
#[allow(clippy::disallowed_methods, reason = "the edge: commands make ids here and nowhere else")]
pub(crate) fn new_id() -> Uuid {
    Uuid::new_v4()
}

/// A new id for a base.
#[allow(clippy::disallowed_methods, reason = "the edge: commands make ids here and nowhere else")]
pub(crate) fn new_base_id() -> Uuid {
    Uuid::now_v7()
}

/// A password that can be read aloud and typed, of about 63 bits: `kavu-meto-rilu-bodi-sane`.
///
/// # Errors
/// Where the operating system gives no randomness.
pub(crate) fn new_password() -> Result<String, getrandom::Error> {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
    const VOWELS: &[u8; 5] = b"aeiou";
    const SYLLABLES: usize = 10;
    let mut password = String::with_capacity(SYLLABLES * 5 / 2);
    while password.len() < SYLLABLES * 5 / 2 - 1 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes)?;
        // 255 is the largest multiple of 5 that a byte holds: above it the first vowel would be more likely.
        if bytes[1] == u8::MAX {
            continue;
        }
        password.push(char::from(CONSONANTS[usize::from(bytes[0]) % CONSONANTS.len()]));
        password.push(char::from(VOWELS[usize::from(bytes[1]) % VOWELS.len()]));
        if password.len() % 5 == 4 && password.len() < SYLLABLES * 5 / 2 - 1 {
            password.push('-');
        }
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_five_words_of_two_syllables() {
        let first = new_password().expect("the system gives randomness");
        let words: Vec<&str> = first.split('-').collect();
        assert_eq!(words.len(), 5, "{first}");
        assert!(words.iter().all(|word| word.len() == 4), "{first}");
        assert_ne!(first, new_password().expect("the system gives randomness"));
    }
}
