//! Archives, and which of them an undo may bring back.

use chrono::{DateTime, Utc};

use crate::{ArchiveId, ChangeCounts};

/// A layer that a reset retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its id.
    pub id: ArchiveId,
    /// When the reset happened.
    pub archived_at: DateTime<Utc>,
    /// Undoable while `now` is before this.
    pub expires_at: DateTime<Utc>,
    /// When an undo brought it back.
    pub restored_at: Option<DateTime<Utc>>,
    /// What it held when it was archived.
    pub counts: ChangeCounts,
}

/// What can still be done with an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArchiveState {
    /// An undo can bring it back.
    Available,
    /// Its undo window has closed.
    Expired,
    /// An undo brought it back.
    Restored,
}

impl ArchiveState {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Expired => "expired",
            Self::Restored => "restored",
        }
    }
}

impl Archive {
    /// Undoable while `now < expires_at`, and never after.
    pub fn state(&self, now: DateTime<Utc>) -> ArchiveState {
        if self.restored_at.is_some() {
            ArchiveState::Restored
        } else if now < self.expires_at {
            ArchiveState::Available
        } else {
            ArchiveState::Expired
        }
    }
}

/// Why an undo is refused before anything is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UndoRefusal {
    /// No archive, or none of that id in this session.
    #[error("there is no reset to undo")]
    NothingToUndo,
    /// The undo window has closed.
    #[error("the reset could be undone until {expires_at}")]
    Expired {
        /// When it closed.
        expires_at: DateTime<Utc>,
    },
    /// An undo has already brought it back.
    #[error("the reset has already been undone")]
    AlreadyRestored,
}

/// Chooses the archive that an undo brings back, from the session's archives, newest first.
///
/// Without an id it is the newest that is available. Where none is, the newest says why: expired, or nothing
/// left to undo.
///
/// # Errors
/// [`UndoRefusal`] where no archive can be brought back.
pub fn choose_archive(
    newest_first: &[Archive],
    wanted: Option<ArchiveId>,
    now: DateTime<Utc>,
) -> Result<&Archive, UndoRefusal> {
    let Some(id) = wanted else {
        let available = newest_first.iter().find(|archive| archive.state(now) == ArchiveState::Available);
        return available.ok_or_else(|| {
            let unused = newest_first.iter().find(|archive| archive.restored_at.is_none());
            match unused {
                Some(archive) => UndoRefusal::Expired { expires_at: archive.expires_at },
                None => UndoRefusal::NothingToUndo,
            }
        });
    };
    let archive = newest_first.iter().find(|archive| archive.id == id).ok_or(UndoRefusal::NothingToUndo)?;
    match archive.state(now) {
        ArchiveState::Available => Ok(archive),
        ArchiveState::Expired => Err(UndoRefusal::Expired { expires_at: archive.expires_at }),
        ArchiveState::Restored => Err(UndoRefusal::AlreadyRestored),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use uuid::Uuid;

    use super::*;
    use crate::Retention;

    const RESET_AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn the_states_are_spelled_as_the_api_documents_them() {
        let states = [ArchiveState::Available, ArchiveState::Expired, ArchiveState::Restored];
        assert_eq!(states.map(ArchiveState::as_str), ["available", "expired", "restored"]);
    }

    fn archive(id: u128) -> Archive {
        Archive {
            id: ArchiveId(Uuid::from_u128(id)),
            archived_at: RESET_AT,
            expires_at: Retention::default().expires_at(RESET_AT),
            restored_at: None,
            counts: ChangeCounts::default(),
        }
    }

    #[test]
    fn an_archive_is_available_until_one_microsecond_before_it_expires() {
        let archive = archive(1);
        let microsecond = Duration::microseconds(1);
        assert_eq!(archive.state(archive.expires_at - microsecond), ArchiveState::Available);
        assert_eq!(archive.state(archive.expires_at), ArchiveState::Expired);
        assert_eq!(archive.state(archive.expires_at + microsecond), ArchiveState::Expired);
    }

    #[test]
    fn undo_takes_the_newest_available_archive_by_default() {
        let restored = Archive { restored_at: Some(RESET_AT), ..archive(3) };
        let archives = [restored, archive(2), archive(1)];
        assert_eq!(choose_archive(&archives, None, RESET_AT).map(|a| a.id), Ok(archives[1].id));
        assert_eq!(
            choose_archive(&archives, Some(archives[2].id), RESET_AT).map(|a| a.id),
            Ok(archives[2].id)
        );
    }

    #[test]
    fn undo_is_refused_with_its_reason() {
        let restored = Archive { restored_at: Some(RESET_AT), ..archive(2) };
        let expired = archive(1);
        let late = expired.expires_at;
        assert_eq!(choose_archive(&[], None, RESET_AT), Err(UndoRefusal::NothingToUndo));
        assert_eq!(
            choose_archive(std::slice::from_ref(&restored), None, RESET_AT),
            Err(UndoRefusal::NothingToUndo)
        );
        assert_eq!(
            choose_archive(std::slice::from_ref(&restored), Some(restored.id), RESET_AT),
            Err(UndoRefusal::AlreadyRestored)
        );
        assert_eq!(
            choose_archive(&[restored, expired.clone()], None, late),
            Err(UndoRefusal::Expired { expires_at: late })
        );
        assert_eq!(
            choose_archive(&[expired], Some(ArchiveId(Uuid::from_u128(9))), RESET_AT),
            Err(UndoRefusal::NothingToUndo)
        );
    }
}
