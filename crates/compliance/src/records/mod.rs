//! The records that sessions write, one file per kind.

/// Changes the record of one id, with a statement that stays prepared.
macro_rules! update_by_id {
    ($conn:expr, $table:ident, $organization:expr, $id:expr, $changes:expr) => {
        demo_reset_persistence::update(
            $table::table,
            $table::organization_id.eq(DbUuid($organization)).and($table::id.eq(DbUuid($id))),
            $changes,
        )
        .execute($conn)
    };
}

mod association;
mod case;
mod investigation;
mod message;
mod note;
mod riu;
mod subject;

use chrono::Datelike;
use demo_reset_persistence::AnyConnection;
use demo_reset_persistence::types::DbUuid;
use diesel::prelude::*;
use serde::Serialize;
use uuid::Uuid;

use crate::audit::{EntityKind, Writer};
use crate::error::{Error, Result};
use crate::fields::{Field, FieldKind, Reference, SHORT};
use crate::reference::reference_exists;

pub use association::*;
pub use case::*;
pub use investigation::*;
pub use message::*;
pub use note::*;
pub use riu::*;
pub use subject::*;

/// How severe a case or RIU is.
pub const SEVERITIES: &[&str] = &["LOW", "MEDIUM", "HIGH", "CRITICAL"];

/// How a session sees a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Queryable)]
#[serde(rename_all = "camelCase")]
pub struct Tracking {
    /// The session whose record or private copy it is.
    #[serde(with = "crate::wire")]
    pub demo_user_session_id: Option<DbUuid>,
    /// Whether it is an untouched base record.
    pub is_base_data: bool,
    /// `created` or `edited`; none for a base record.
    pub change_kind: Option<String>,
}

/// The fields that every record ends with.
pub(crate) const TRACKING_FIELDS: [Field; 3] = [
    Field::server("demoUserSessionId", FieldKind::Id(None)).or_null(),
    Field::server("isBaseData", FieldKind::Flag),
    Field::server("changeKind", FieldKind::OneOf(&["created", "edited"])).or_null(),
];

const TEXT: FieldKind = FieldKind::Text { max: SHORT };
const NARRATIVE: FieldKind = FieldKind::Text { max: crate::fields::LONG };
const ID: Field = Field::server("id", FieldKind::Id(None));
const CREATED_AT: Field = Field::server("createdAt", FieldKind::Time);
const UPDATED_AT: Field = Field::server("updatedAt", FieldKind::Time);
const CREATED_BY_ID: Field = Field::server("createdById", FieldKind::Id(None));
const UPDATED_BY_ID: Field = Field::server("updatedById", FieldKind::Id(None));
/// The parent in the path of a nested list; part of the body elsewhere.
const CASE_ID: Field = Field::required("caseId", FieldKind::Id(Some(Reference::Case))).fixed();

/// Refuses where the session sees no such case.
///
/// # Errors
/// [`Error::NotFound`], or the database fails.
pub fn case_exists(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<()> {
    must_exist(conn, organization, id, Reference::Case, EntityKind::Case)
}

/// Refuses where the session sees no such investigation.
///
/// # Errors
/// [`Error::NotFound`], or the database fails.
pub fn investigation_exists(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<()> {
    must_exist(conn, organization, id, Reference::Investigation, EntityKind::Investigation)
}

fn must_exist(
    conn: &mut AnyConnection,
    organization: Uuid,
    id: Uuid,
    reference: Reference,
    kind: EntityKind,
) -> Result<()> {
    if reference_exists(conn, organization, reference, id)? { Ok(()) } else { Err(Error::NotFound(kind)) }
}

/// The next reference number of the year, such as `CASE-2026-04501`.
///
/// `highest` finds the greatest visible number between two bounds. The engine remembers what it handed out to the
/// session, so that a number is not given twice even when its record was reset or deleted.
fn next_reference_number(
    conn: &mut AnyConnection,
    writer: &Writer,
    table: &str,
    prefix: &str,
    highest: impl FnOnce(&mut AnyConnection, &str, &str) -> QueryResult<Option<String>>,
) -> Result<String> {
    let year = writer.now.year();
    let start = format!("{prefix}-{year}-");
    let last = highest(conn, &format!("{start}00000"), &format!("{start}99999999"))?;
    let floor = last.and_then(|number| number.strip_prefix(&start)?.parse().ok()).unwrap_or(0);
    let number = demo_reset_persistence::next_number(conn, &format!("{table}/{year}"), floor)?;
    Ok(format!("{start}{number:05}"))
}
