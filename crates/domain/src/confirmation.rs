//! A reset happens only when it is asked for in so many words.

/// What a caller must send back to reset.
pub const CONFIRMATION_TOKEN: &str = "CONFIRM_RESET";

/// The confirmation was missing or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reset needs confirmationToken: expected \"{CONFIRMATION_TOKEN}\"")]
pub struct ConfirmationRequired;

/// Accepts exactly [`CONFIRMATION_TOKEN`].
///
/// # Errors
/// [`ConfirmationRequired`] for anything else.
pub fn confirm(token: Option<&str>) -> Result<(), ConfirmationRequired> {
    if token == Some(CONFIRMATION_TOKEN) { Ok(()) } else { Err(ConfirmationRequired) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_token_confirms() {
        assert_eq!(confirm(Some("CONFIRM_RESET")), Ok(()));
        for wrong in [None, Some(""), Some("confirm_reset"), Some("CONFIRM_RESET "), Some("yes")] {
            assert_eq!(confirm(wrong), Err(ConfirmationRequired));
        }
    }
}
