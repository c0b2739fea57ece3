//! The audit trail: one entry for every write of a user, in the same transaction and so in the same layer.

use chrono::{DateTime, Utc};
use demo_reset_persistence::AnyConnection;
use demo_reset_persistence::types::{DbJson, DbTime, DbUuid};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::fields::{Field, FieldKind, LONG, SHORT};
use crate::list::{Filter, ListQuery, ListSpec, Page, Position, SortKey, created_between, keyset};
use crate::records::{TRACKING_FIELDS, Tracking, case_exists};
use crate::schema::audit_logs;
use crate::words::{self, of_organization};

/// The kinds of record that sessions write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntityKind {
    /// A case.
    Case,
    /// A risk intelligence unit: an intake report.
    Riu,
    /// An investigation of a case.
    Investigation,
    /// A person whom a case is about.
    Subject,
    /// A message of the dialogue with the reporter of a case.
    Message,
    /// A note on an investigation.
    Note,
    /// A link between a RIU and a case.
    Association,
}

impl EntityKind {
    /// Every kind, parents before children.
    pub const ALL: [Self; 7] = [
        Self::Case,
        Self::Investigation,
        Self::Riu,
        Self::Subject,
        Self::Message,
        Self::Note,
        Self::Association,
    ];

    /// As the audit trail and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Riu => "riu",
            Self::Investigation => "investigation",
            Self::Subject => "subject",
            Self::Message => "message",
            Self::Note => "note",
            Self::Association => "association",
        }
    }

    /// What many of them are called, in the API.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Case => "cases",
            Self::Riu => "rius",
            Self::Investigation => "investigations",
            Self::Subject => "subjects",
            Self::Message => "messages",
            Self::Note => "notes",
            Self::Association => "associations",
        }
    }

    /// The table that holds them.
    pub fn table(self) -> &'static str {
        match self {
            Self::Case => "cases",
            Self::Riu => "rius",
            Self::Investigation => "investigations",
            Self::Subject => "subjects",
            Self::Message => "case_messages",
            Self::Note => "investigation_notes",
            Self::Association => "riu_case_associations",
        }
    }
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// In which organization.
    pub organization_id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// The user's name, as the audit trail keeps it.
    pub name: String,
}

/// One write of a user.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Who writes.
    pub actor: Actor,
    /// When.
    pub now: DateTime<Utc>,
    /// The id of its audit entry.
    pub audit_id: Uuid,
    /// Where given: the record is edited or deleted only if its [`version`](Writer::version) is one of these.
    pub expected_versions: Option<Vec<String>>,
}

impl Writer {
    /// A fingerprint of a record as it is shown, for writes that must not overwrite what they have not seen.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the record has no form in JSON.
    pub fn version<T: Serialize>(record: &T) -> Result<String> {
        Ok(Self::versioned(record)?.1)
    }

    /// A record, or whatever is shown, as JSON, and the [`version`](Writer::version) of that.
    ///
    /// # Errors
    /// [`Error::Malformed`] where it has no form in JSON.
    pub fn versioned<T: Serialize>(shown: &T) -> Result<(Vec<u8>, String)> {
        let json = serde_json::to_vec(shown)?;
        let version = blake3::hash(&json).to_hex().as_str()[..32].to_owned();
        Ok((json, version))
    }

    /// Refuses a write to a record that is not in the version that the caller has seen.
    pub(crate) fn check_version<T: Serialize>(&self, current: &T) -> Result<()> {
        match &self.expected_versions {
            Some(expected) if !expected.contains(&Self::version(current)?) => Err(Error::Stale),
            _ => Ok(()),
        }
    }

    pub(crate) fn organization(&self) -> DbUuid {
        DbUuid(self.actor.organization_id)
    }

    pub(crate) fn user(&self) -> DbUuid {
        DbUuid(self.actor.user_id)
    }

    pub(crate) fn time(&self) -> DbTime {
        DbTime::new(self.now)
    }
}

/// What was done to a record.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Created,
    /// With `{"field": {"old": …, "new": …}}`.
    Updated(Value),
    Deleted,
}

/// The record that an entry is about.
#[derive(Debug, Clone)]
pub(crate) struct Audited {
    pub(crate) kind: EntityKind,
    pub(crate) id: DbUuid,
    /// The case that it hangs on, itself for a case.
    pub(crate) case_id: Option<DbUuid>,
    /// What people call it.
    pub(crate) label: String,
}

/// Leaves the entry of one write.
pub(crate) fn audit(
    conn: &mut AnyConnection,
    writer: &Writer,
    record: Audited,
    action: Action,
) -> Result<()> {
    let (word, verb, changes) = match action {
        Action::Created => ("CREATED", "Created", None),
        Action::Updated(changes) => ("UPDATED", "Updated", Some(changes)),
        Action::Deleted => ("DELETED", "Deleted", None),
    };
    let fields = match &changes {
        Some(Value::Object(changes)) => {
            let names: Vec<&str> = changes.keys().map(String::as_str).collect();
            format!(": {}", names.join(", "))
        }
        _ => String::new(),
    };
    let entry = AuditRow {
        organization_id: writer.organization(),
        id: DbUuid(writer.audit_id),
        entity_type: record.kind.as_str().to_owned(),
        entity_id: record.id,
        case_id: record.case_id,
        action: word.to_owned(),
        action_description: format!("{verb} {}{fields}", record.label),
        actor_user_id: writer.user(),
        actor_name: writer.actor.name.clone(),
        changes: changes.map(DbJson),
        created_at: writer.time(),
    };
    diesel::insert_into(audit_logs::table).values(&entry).execute(conn)?;
    Ok(())
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_logs, treat_none_as_default_value = false)]
struct AuditRow {
    organization_id: DbUuid,
    id: DbUuid,
    entity_type: String,
    entity_id: DbUuid,
    case_id: Option<DbUuid>,
    action: String,
    action_description: String,
    actor_user_id: DbUuid,
    actor_name: String,
    changes: Option<DbJson>,
    created_at: DbTime,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// The kind of record that was written.
    pub entity_type: String,
    /// The record.
    #[serde(with = "crate::wire")]
    pub entity_id: DbUuid,
    /// What was done: `CREATED`, `UPDATED`, `DELETED`, or a word of the base data's own.
    pub action: String,
    /// The same for people.
    pub action_description: String,
    /// Who did it.
    #[serde(with = "crate::wire")]
    pub actor_user_id: DbUuid,
    /// The name at that time.
    pub actor_name: String,
    /// `{"field": {"old": …, "new": …}}` for an edit.
    #[serde(with = "crate::wire")]
    pub changes: Option<DbJson>,
    /// When.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(AuditRow, Tracking)> for Activity {
    fn from((row, tracking): (AuditRow, Tracking)) -> Self {
        Self {
            id: row.id,
            entity_type: row.entity_type,
            entity_id: row.entity_id,
            action: row.action,
            action_description: row.action_description,
            actor_user_id: row.actor_user_id,
            actor_name: row.actor_name,
            changes: row.changes,
            created_at: row.created_at,
            tracking,
        }
    }
}

/// The fields of an entry.
pub const AUDIT_FIELDS: &[Field] = &[
    Field::server("id", FieldKind::Id(None)),
    Field::server("entityType", FieldKind::Text { max: SHORT }),
    Field::server("entityId", FieldKind::Id(None)),
    Field::server("action", FieldKind::Text { max: SHORT }),
    Field::server("actionDescription", FieldKind::Text { max: LONG }),
    Field::server("actorUserId", FieldKind::Id(None)),
    Field::server("actorName", FieldKind::Text { max: SHORT }),
    Field::server("changes", FieldKind::Object).or_null(),
    Field::server("createdAt", FieldKind::Time),
    TRACKING_FIELDS[0],
    TRACKING_FIELDS[1],
    TRACKING_FIELDS[2],
];

impl Activity {
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec {
        filters: &[Filter::Created, Filter::Words(&words::ACTIVITY)],
        sorts: &[SortKey::CreatedAt],
    };
}

/// The audit entries of a case and of what hangs on it.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such case.
pub fn activity_list(
    conn: &mut AnyConnection,
    organization: Uuid,
    case_id: Uuid,
    list: &ListQuery,
) -> Result<Page<Activity>> {
    case_exists(conn, organization, case_id)?;
    let words = words::ACTIVITY.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query =
            of_organization!(audit_logs, organization, words).filter(audit_logs::case_id.eq(DbUuid(case_id)));
        created_between!(query, list, audit_logs::created_at);
        query
    };
    let total = matching().count().get_result(conn)?;
    let rows: Vec<(AuditRow, Tracking)> =
        keyset!(matching(), list, audit_logs::created_at, audit_logs::id, Position::time)
            .select((
                AuditRow::as_select(),
                (audit_logs::demo_user_session_id, audit_logs::is_base_data, audit_logs::change_kind),
            ))
            .load(conn)?;
    let items = rows.into_iter().map(Activity::from).collect();
    Ok(Page::new(items, list, total, |item: &Activity| (item.created_at.to_string(), item.id)))
}
