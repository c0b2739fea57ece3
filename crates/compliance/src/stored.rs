//! Stored rows as the engine's snapshots hold them, brought into the form in which records are shown.
//!
//! The two databases spell a row differently in JSON (SQLite has neither booleans nor times nor JSON values); a
//! record reads the same from both.

use serde_json::{Map, Value};

use crate::EntityKind;
use crate::audit::AUDIT_FIELDS;
use crate::fields::{Field, FieldKind, parse_time};
use crate::input::Content;
use crate::records::{
    AssociationContent, CaseContent, InvestigationContent, MessageContent, NoteContent, RiuContent,
    SubjectContent, TRACKING_FIELDS,
};

/// The longest label, in characters.
const MAX_LABEL: usize = 100;

/// A stored row of the kind as the record that it is.
pub fn stored_record(kind: EntityKind, row: &Value) -> Map<String, Value> {
    record(fields(kind), row)
}

/// A stored row of the audit trail as the entry that it is.
pub fn stored_activity(row: &Value) -> Map<String, Value> {
    record(AUDIT_FIELDS, row)
}

/// What people know a record by.
pub fn record_label(kind: EntityKind, record: &Map<String, Value>) -> String {
    let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
    let label = match kind {
        EntityKind::Case | EntityKind::Riu => text("referenceNumber").to_owned(),
        EntityKind::Investigation => {
            format!("Investigation {}", record.get("investigationNumber").unwrap_or(&Value::Null))
        }
        EntityKind::Subject => text("name").to_owned(),
        EntityKind::Message if !text("subject").is_empty() => text("subject").to_owned(),
        EntityKind::Message | EntityKind::Note => text("content").to_owned(),
        EntityKind::Association => text("associationType").to_owned(),
    };
    shortened(&label)
}

/// What people know an entry of the audit trail by.
pub fn activity_label(entry: &Map<String, Value>) -> String {
    shortened(entry.get("actionDescription").and_then(Value::as_str).unwrap_or_default())
}

fn fields(kind: EntityKind) -> &'static [Field] {
    match kind {
        EntityKind::Case => CaseContent::FIELDS,
        EntityKind::Riu => RiuContent::FIELDS,
        EntityKind::Investigation => InvestigationContent::FIELDS,
        EntityKind::Subject => SubjectContent::FIELDS,
        EntityKind::Message => MessageContent::FIELDS,
        EntityKind::Note => NoteContent::FIELDS,
        EntityKind::Association => AssociationContent::FIELDS,
    }
}

fn record(fields: &[Field], row: &Value) -> Map<String, Value> {
    let is_stored = |field: &&Field| !TRACKING_FIELDS.iter().any(|tracking| tracking.name == field.name);
    let stored = fields.iter().filter(is_stored);
    stored
        .map(|field| {
            let value = row.get(column(field.name)).unwrap_or(&Value::Null);
            (field.name.to_owned(), shown(field.kind, value))
        })
        .collect()
}

/// The column of a field: its words in lower case, apart from one that SQL would not like.
fn column(field: &str) -> String {
    if field == "type" {
        return "riu_type".to_owned();
    }
    let mut column = String::with_capacity(field.len() + 4);
    for letter in field.chars() {
        if letter.is_ascii_uppercase() {
            column.push('_');
        }
        column.push(letter.to_ascii_lowercase());
    }
    column
}

fn shown(kind: FieldKind, stored: &Value) -> Value {
    match (kind, stored) {
        (FieldKind::Flag, Value::Number(number)) => (number.as_i64() != Some(0)).into(),
        (FieldKind::Time, Value::String(text)) => {
            parse_time(text).map_or_else(|| stored.clone(), |time| time.to_string().into())
        }
        (FieldKind::Tags | FieldKind::Object, Value::String(text)) => {
            serde_json::from_str(text).unwrap_or_else(|_| stored.clone())
        }
        _ => stored.clone(),
    }
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_LABEL {
        return line;
    }
    let start: String = line.chars().take(MAX_LABEL - 1).collect();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_reads_the_same_from_both_databases() {
        let sqlite = json!({
            "organization_id": "o", "id": "m", "is_read": 1, "read_at": "2026-02-02T09:00:00.000001Z",
            "created_at": "2026-02-02T09:00:00.000000Z", "content": "x",
        });
        let postgres = json!({
            "organization_id": "o", "id": "m", "is_read": true, "read_at": "2026-02-02T09:00:00.000001+00:00",
            "created_at": "2026-02-02T09:00:00+00:00", "content": "x",
        });
        let record = stored_record(EntityKind::Message, &sqlite);
        assert_eq!(record, stored_record(EntityKind::Message, &postgres));
        assert_eq!(record["isRead"], true);
        assert_eq!(record["readAt"], "2026-02-02T09:00:00.000001Z");
        assert!(!record.contains_key("organizationId") && !record.contains_key("isBaseData"));
        let tags = json!({ "tags": "[\"a\"]" });
        assert_eq!(stored_record(EntityKind::Case, &tags)["tags"], json!(["a"]));
        let riu = json!({ "riu_type": "HOTLINE_REPORT" });
        assert_eq!(stored_record(EntityKind::Riu, &riu)["type"], "HOTLINE_REPORT");
    }

    #[test]
    fn a_label_is_one_short_line() {
        let note = json!({ "content": format!("a\nb {}", "x".repeat(200)) });
        let label = record_label(EntityKind::Note, &stored_record(EntityKind::Note, &note));
        assert!(label.starts_with("a b x") && label.ends_with('…'), "{label}");
        assert_eq!(label.chars().count(), MAX_LABEL);
        let second = json!({ "investigation_number": 2 });
        let second = stored_record(EntityKind::Investigation, &second);
        assert_eq!(record_label(EntityKind::Investigation, &second), "Investigation 2");
    }
}
