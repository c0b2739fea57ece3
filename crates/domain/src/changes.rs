//! What a layer holds, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

/// What a session did to one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A record that the base does not have.
    Created,
    /// A private copy of a base record.
    Edited,
    /// A tombstone over a base record.
    Deleted,
}

impl ChangeKind {
    /// As the database and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
        }
    }

    /// The inverse of [`ChangeKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "created" => Some(Self::Created),
            "edited" => Some(Self::Edited),
            "deleted" => Some(Self::Deleted),
            _ => None,
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The changes of one table, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindCounts {
    /// Records created.
    pub created: u64,
    /// Base records edited.
    pub edited: u64,
    /// Base records deleted.
    pub deleted: u64,
}

impl KindCounts {
    /// Records changed in any way.
    pub fn total(self) -> u64 {
        self.created + self.edited + self.deleted
    }
}

impl AddAssign for KindCounts {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.edited += other.edited;
        self.deleted += other.deleted;
    }
}

/// The changes of a layer, by table. Tables without changes are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    tables: BTreeMap<String, KindCounts>,
}

impl ChangeCounts {
    /// Adds to a table's counts.
    pub fn add(&mut self, table: impl Into<String>, counts: KindCounts) {
        if counts.total() > 0 {
            *self.tables.entry(table.into()).or_default() += counts;
        }
    }

    /// The counts of a table, zero where it has no change.
    pub fn table(&self, table: &str) -> KindCounts {
        self.tables.get(table).copied().unwrap_or_default()
    }

    /// Tables with changes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, KindCounts)> {
        self.tables.iter().map(|(table, counts)| (table.as_str(), *counts))
    }

    /// Records changed in all tables.
    pub fn total(&self) -> u64 {
        self.tables.values().map(|counts| counts.total()).sum()
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_by_table_and_skip_tables_without_changes() {
        let mut counts = ChangeCounts::default();
        counts.add("cases", KindCounts { created: 1, edited: 2, deleted: 3 });
        counts.add("cases", KindCounts { created: 1, ..Default::default() });
        counts.add("rius", KindCounts::default());
        assert_eq!(counts.table("cases"), KindCounts { created: 2, edited: 2, deleted: 3 });
        assert_eq!(counts.iter().map(|(table, _)| table).collect::<Vec<_>>(), ["cases"]);
        assert_eq!(counts.total(), 7);
        assert!(!counts.is_empty());
        assert!(ChangeCounts::default().is_empty());
    }

    #[test]
    fn a_kind_reads_back_as_it_is_written() {
        for kind in [ChangeKind::Created, ChangeKind::Edited, ChangeKind::Deleted] {
            assert_eq!(ChangeKind::parse(kind.as_str()), Some(kind));
            assert_eq!(kind.to_string(), kind.as_str());
        }
        assert_eq!(ChangeKind::parse("CREATED"), None);
    }
}
