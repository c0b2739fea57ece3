//! What the host's tables and records are called in answers.

use std::fmt;
use std::sync::Arc;

use demo_reset_domain::{ChangeCounts, Conflict, UserKey};
use demo_reset_persistence::RecordKey;
use serde_json::{Map, Value, json};

/// What one table is called in answers, and how its rows are shown.
///
/// Such a table's key leads with the organization of the session's user; the id of a record is the rest.
#[derive(Clone)]
pub struct EntityName {
    /// The table.
    pub table: &'static str,
    /// One of its rows.
    pub singular: &'static str,
    /// Many of its rows.
    pub plural: &'static str,
    /// Whether it is a trail of the other changes: then it counts as no change of its own.
    pub is_trail: bool,
    /// A stored row, with its columns, as the record that callers know.
    pub record: Shape<Map<String, Value>>,
    /// What people know a row by.
    pub label: Shape<String>,
}

/// Something made of a stored row.
pub type Shape<T> = Arc<dyn Fn(&Value) -> T + Send + Sync>;

impl fmt::Debug for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityName").field("table", &self.table).field("singular", &self.singular).finish()
    }
}

/// What tables are called in answers, and in which order they are listed.
#[derive(Debug, Clone, Default)]
pub struct EntityNames {
    named: Vec<EntityName>,
}

/// A record as answers name it.
pub(super) struct Named {
    pub(super) entity_type: String,
    pub(super) entity_id: String,
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

    fn of_table(&self, table: &str) -> Option<&EntityName> {
        self.named.iter().find(|name| name.table == table)
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

    /// The tables whose rows count as no change of their own.
    pub(super) fn trails(&self) -> Vec<&'static str> {
        self.named.iter().filter(|name| name.is_trail).map(|name| name.table).collect()
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
        let Named { entity_type, entity_id } = self.name(&conflict.table, &conflict.key);
        json!({ "entityType": entity_type, "entityId": entity_id, "reason": conflict.reason.as_str() })
    }

    /// What a record is called.
    pub(super) fn name(&self, table: &str, key: &[String]) -> Named {
        match self.of_table(table) {
            Some(name) => Named {
                entity_type: name.singular.to_owned(),
                entity_id: key.last().cloned().unwrap_or_default(),
            },
            None => Named { entity_type: table.to_owned(), entity_id: key_text(key) },
        }
    }

    /// The record that is called so in answers to `user`, if there can be one.
    pub(super) fn record_key(&self, user: &UserKey, entity_type: &str, entity_id: &str) -> Option<RecordKey> {
        if self.named.is_empty() {
            return Some(RecordKey { table: entity_type.to_owned(), key: key_values(entity_id)? });
        }
        let name = self.named.iter().find(|name| name.singular == entity_type && !name.is_trail)?;
        // Ids are compared as text, in the one form that is stored.
        let id = uuid::Uuid::try_parse(entity_id).ok()?.to_string();
        Some(RecordKey { table: name.table.to_owned(), key: vec![user.organization().to_owned(), id] })
    }

    /// The table of what is called so in answers; itself where it is no name of ours.
    pub(super) fn table<'a>(&self, entity_type: &'a str) -> &'a str {
        let name = self.named.iter().find(|name| name.singular == entity_type && !name.is_trail);
        name.map_or(entity_type, |name| name.table)
    }

    /// The words that [`EntityNames::record_key`] takes for a type; none where any table will do.
    pub(super) fn types(&self) -> Vec<&'static str> {
        self.named.iter().filter(|name| !name.is_trail).map(|name| name.singular).collect()
    }

    /// A stored row as callers know the record.
    pub(super) fn record(&self, table: &str, row: &Value) -> Value {
        self.of_table(table).map_or_else(|| row.clone(), |name| (name.record)(row).into())
    }

    /// What people know a row by.
    pub(super) fn label(&self, table: &str, key: &[String], row: &Value) -> String {
        self.of_table(table).map_or_else(|| key.join(" "), |name| (name.label)(row))
    }

    /// Base rows under the names of answers.
    pub(super) fn base_counts(&self, base: &[(String, u64)]) -> Map<String, Value> {
        if self.named.is_empty() {
            return base.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
        }
        let named = self.named.iter().map(|name| (name.plural.to_owned(), rows_of(base, name.table).into()));
        named.collect()
    }
}

/// A key as one text: its values joined by `/`, with `/` and `%` inside a value written as `%2F` and `%25`.
pub(crate) fn key_text(key: &[String]) -> String {
    key.iter().map(|value| value.replace('%', "%25").replace('/', "%2F")).collect::<Vec<_>>().join("/")
}

/// The values of a key that was written by [`key_text`]. None has U+0000, which PostgreSQL takes in no text.
fn key_values(text: &str) -> Option<Vec<String>> {
    if text.contains('\0') {
        return None;
    }
    let value = |part: &str| {
        let is_escaped = part.split('%').skip(1).all(|rest| rest.starts_with("2F") || rest.starts_with("25"));
        is_escaped.then(|| part.replace("%2F", "/").replace("%25", "%"))
    };
    text.split('/').map(value).collect()
}

fn rows_of(base: &[(String, u64)], table: &str) -> u64 {
    base.iter().find(|(name, _)| name == table).map_or(0, |(_, rows)| *rows)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_can_be_written_as_one_text_and_read_back() {
        for key in [vec!["a"], vec!["a", "b"], vec!["a/b", "%2F", "50%", ""]] {
            let key: Vec<String> = key.into_iter().map(str::to_owned).collect();
            assert_eq!(key_values(&key_text(&key)), Some(key));
        }
        assert_eq!(key_text(&["a/b".to_owned(), "c%".to_owned()]), "a%2Fb/c%25");
        assert_eq!(key_values("50%"), None);
        assert_eq!(key_values("a\0"), None);
    }
}
