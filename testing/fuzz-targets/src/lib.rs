//! What is fuzzed. Each target takes any bytes; it fails by panicking. `fuzz/` gives them to cargo-fuzz, and the test
//! of this package runs them over the kept corpora and over mutations of these.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target fails by panicking")]

#[path = "../../../crates/api/src/bundled/cursor.rs"]
#[allow(dead_code, reason = "included as the server has it")]
mod cursor;
#[path = "../../../crates/api/src/bundled/tokens.rs"]
#[allow(dead_code, reason = "included as the server has it")]
mod tokens;

mod bodies;
mod identifiers;
mod snapshots;

use chrono::{DateTime, Duration};
use demo_reset_compliance::{Position, User};
use demo_reset_persistence::types::{DbTime, DbUuid};
use uuid::Uuid;

pub use bodies::bodies;
pub use identifiers::identifiers;
pub use snapshots::snapshots;

/// A target's name, and what it does with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by the names of their corpora.
pub const TARGETS: [Target; 5] = [
    ("cursors", cursors),
    ("tokens", tokens),
    ("bodies", bodies),
    ("identifiers", identifiers),
    ("snapshots", snapshots),
];

/// A cursor that is read back is one that was written: nobody can make one up. One that is written reads back.
pub fn cursors(bytes: &[u8]) {
    let cursors = cursor::Cursors::new(b"fuzz");
    let text = String::from_utf8_lossy(bytes);
    if let Some(position) = cursors.read("/cases", &text) {
        assert_eq!(cursors.write("/cases", &position), text, "a cursor has one form");
    }
    let position = Position { key: text.into_owned(), id: Uuid::from_u128(7) };
    let written = cursors.write("/cases", &position);
    assert_eq!(cursors.read("/cases", &written), Some(position));
    assert_eq!(cursors.read("/rius", &written), None);
}

/// No text but a token of ours is accepted. One of ours is, for any name, and no part of it can be changed.
pub fn tokens(bytes: &[u8]) {
    let tokens = tokens::Tokens::new(b"fuzz", Duration::hours(1));
    let now = DateTime::UNIX_EPOCH;
    let text = String::from_utf8_lossy(bytes);
    assert!(tokens.accept(&text, now).is_none(), "{text}");
    let user = User {
        id: DbUuid(Uuid::from_u128(1)),
        email: "ann@acme.example".to_owned(),
        first_name: text.clone().into_owned(),
        last_name: "Lee".to_owned(),
        role: "MANAGER".to_owned(),
        organization_id: DbUuid(Uuid::from_u128(2)),
        created_at: DbTime::new(now),
    };
    let issued = tokens.issue(&user, now).expect("a token");
    assert_eq!(tokens.accept(&issued, now).expect("is accepted").name, user.full_name());
    let mut changed = issued.into_bytes();
    let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % changed.len();
    changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
    assert!(tokens.accept(&String::from_utf8(changed).expect("ASCII"), now).is_none());
}
