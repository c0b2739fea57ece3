//! What the host's tables are called in answers.

use demo_reset_domain::{ChangeCounts, Conflict};
use serde_json::{Map, Value, json};

/// What one table is called in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityName {
    /// The table.
    pub table: &'static str,
    /// One of its rows.
    pub singular: &'static str,
    /// Many of its rows.
    pub plural: &'static str,
    /// Whether it is a trail of the other changes: then it counts as no change of its own.
    pub is_trail: bool,
}

/// What tables are called in answers, and in which order they are listed.
#[derive(Debug, Clone, Default)]
pub struct EntityNames {
    named: Vec<EntityName>,
}

impl EntityNames {
    /// Every table under its own name; tables without changes are left out.
    pub fn of_tables() -> Self {
        Self::default()
    }

    /// These tables under these names, and no others; each is listed even without changes.
    pub fn named(named: Vec<EntityName>) -> Self {
        Self { named }
    }

    pub(super) fn counts(&self, counts: &ChangeCounts, with_trail: bool) -> Map<String, Value> {
        if self.named.is_empty() {
            return counts.iter().map(|(table, kinds)| (table.to_owned(), kinds.total().into())).collect();
        }
        let listed = self.named.iter().filter(|name| with_trail || !name.is_trail);
        listed.map(|name| (name.plural.to_owned(), counts.table(name.table).total().into())).collect()
    }

    pub(super) fn total(&self, counts: &ChangeCounts) -> u64 {
        let trail = self.named.iter().filter(|name| name.is_trail);
        counts.total() - trail.map(|name| counts.table(name.table).total()).sum::<u64>()
    }

    /// `baseCases`, `userCases`, … for the tables that the base is known by.
    pub(super) fn verification_counts(&self, base: &[(String, u64)], user: &ChangeCounts) -> Value {
        let mut counts = Map::new();
        if self.named.is_empty() {
            counts.insert("base".to_owned(), self.base_counts(base).into());
            counts.insert("user".to_owned(), self.counts(user, true).into());
        }
        for name in self.named.iter().filter(|name| !name.is_trail) {
            let capital = capitalized(name.plural);
            counts.insert(format!("base{capital}"), rows_of(base, name.table).into());
            counts.insert(format!("user{capital}"), user.table(name.table).total().into());
        }
        counts.into()
    }

    pub(super) fn conflict(&self, conflict: &Conflict) -> Value {
        let name = self.named.iter().find(|name| name.table == conflict.table);
        let (entity_type, entity_id) = match name {
            // Named tables lead with the organization; the id is the last column of their key.
            Some(name) => (name.singular, conflict.key.last().cloned().unwrap_or_default()),
            None => (conflict.table.as_str(), conflict.key.join("/")),
        };
        json!({ "entityType": entity_type, "entityId": entity_id, "reason": conflict.reason.as_str() })
    }
}

impl EntityNames {
    /// Base rows under the names of answers.
    pub(super) fn base_counts(&self, base: &[(String, u64)]) -> Map<String, Value> {
        if self.named.is_empty() {
            return base.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
        }
        let named = self.named.iter().map(|name| (name.plural.to_owned(), rows_of(base, name.table).into()));
        named.collect()
    }
}

fn rows_of(base: &[(String, u64)], table: &str) -> u64 {
    base.iter().find(|(name, _)| name == table).map_or(0, |(_, rows)| *rows)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
