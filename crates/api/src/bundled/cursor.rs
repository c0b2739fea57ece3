//! Cursors: where a page ended, for the client to hand back and for nobody to make up.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use demo_reset_compliance::Position;
use uuid::Uuid;

const MAC_BYTES: usize = 16;
const ID_BYTES: usize = 16;

/// Writes and reads cursors with one key.
pub(crate) struct Cursors {
    key: [u8; 32],
}

impl Cursors {
    /// With a key derived from the server's secret.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { key: blake3::derive_key("demo-reset 2026-11-22 list cursors", secret) }
    }

    /// A cursor at `position` of the list `list`: its address and its order.
    pub(crate) fn write(&self, list: &str, position: &Position) -> String {
        let mut bytes = position.id.as_bytes().to_vec();
        bytes.extend_from_slice(position.key.as_bytes());
        let mac = self.mac(list, &bytes);
        bytes.extend_from_slice(&mac.as_bytes()[..MAC_BYTES]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position of a cursor, if it was written for this list.
    pub(crate) fn read(&self, list: &str, cursor: &str) -> Option<Position> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (content, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        // Padding to the hash's full length lets blake3 compare in constant time.
        let mut full = *self.mac(list, content).as_bytes();
        let expected = blake3::Hash::from_bytes(full);
        full[..MAC_BYTES].copy_from_slice(mac);
        if expected != blake3::Hash::from_bytes(full) {
            return None;
        }
        let (id, key) = content.split_at_checked(ID_BYTES)?;
        Some(Position { id: Uuid::from_slice(id).ok()?, key: String::from_utf8(key.to_vec()).ok()? })
    }

    fn mac(&self, list: &str, content: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // The length keeps the list and the content apart.
        hasher.update(&(list.len() as u64).to_le_bytes()).update(list.as_bytes()).update(content);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_only_for_its_own_list_and_key() {
        let cursors = Cursors::new(b"secret");
        let position = Position { key: "2026-02-02T09:00:00.000000Z".to_owned(), id: Uuid::from_u128(7) };
        let cursor = cursors.write("/cases -createdAt", &position);
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{cursor}");
        assert_eq!(cursors.read("/cases -createdAt", &cursor), Some(position));
        assert_eq!(cursors.read("/cases createdAt", &cursor), None);
        assert_eq!(Cursors::new(b"other").read("/cases -createdAt", &cursor), None);
    }

    #[test]
    fn a_changed_cursor_is_refused() {
        let cursors = Cursors::new(b"secret");
        let cursor = cursors.write("/cases", &Position { key: "a".to_owned(), id: Uuid::from_u128(7) });
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(cursors.read("/cases", &changed), None, "{changed}");
        }
        for broken in ["", "A", "====", "é", &cursor[1..]] {
            assert_eq!(cursors.read("/cases", broken), None, "{broken}");
        }
    }
}
