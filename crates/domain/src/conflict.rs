//! What stands in the way of an undo when both the archive and the live layer hold changes.

use std::fmt;

/// Why an archived change cannot simply come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConflictReason {
    /// The same record was changed again after the reset.
    SameRecord,
    /// A record with the same unique value exists now.
    UniqueClash,
    /// A record that the archived one refers to is gone.
    ParentGone,
    /// The archive deletes a record that has new children now.
    LiveChildren,
    /// The base record that the archived change was made to is gone or has taken its key.
    BaseChanged,
}

impl ConflictReason {
    /// A stable word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameRecord => "same_record",
            Self::UniqueClash => "unique_clash",
            Self::ParentGone => "parent_gone",
            Self::LiveChildren => "live_children",
            Self::BaseChanged => "base_changed",
        }
    }
}

impl fmt::Display for ConflictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One archived change that conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conflict {
    /// The table.
    pub table: String,
    /// The record's key: its values in the order of the primary key, each as text.
    pub key: Vec<String>,
    /// Why.
    pub reason: ConflictReason,
}

/// What an undo does about conflicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Refuse the whole undo and list them.
    #[default]
    Fail,
    /// Conflicting changes, and what depends on them, stay archived; the rest comes back.
    KeepCurrent,
    /// What the archived changes replace is archived first; then all of the archive comes back.
    RestoreArchived,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_know_the_reasons_by_these_words() {
        let words = [
            (ConflictReason::SameRecord, "same_record"),
            (ConflictReason::UniqueClash, "unique_clash"),
            (ConflictReason::ParentGone, "parent_gone"),
            (ConflictReason::LiveChildren, "live_children"),
            (ConflictReason::BaseChanged, "base_changed"),
        ];
        for (reason, word) in words {
            assert_eq!((reason.as_str(), reason.to_string().as_str()), (word, word));
        }
    }
}
