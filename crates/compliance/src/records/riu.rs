//! RIUs, risk intelligence units: the intake reports. Their content is evidence and stays as it was received.

use demo_reset_persistence::types::{DbTime, DbUuid};
use demo_reset_persistence::{AnyConnection, BaseCounts};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::audit::{Action, Audited, Writer, audit};
use crate::fields::Initial;
use crate::input::{Content, New, Patch};
use crate::list::{Filter, ListQuery, ListSpec, Page, Position, SortKey, created_between, keyset};
use crate::schema::rius;
use crate::words::{self, of_organization};

const STATUSES: &[&str] =
    &["PENDING_QA", "IN_QA", "QA_REJECTED", "RELEASED", "LINKED", "CLOSED", "RECEIVED", "COMPLETED"];

/// What a RIU says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = rius, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct RiuContent {
    /// What is reported.
    pub details: String,
    /// What it came from.
    #[serde(rename = "type")]
    pub riu_type: String,
    /// How it arrived.
    pub source_channel: String,
    /// The same in short.
    pub summary: Option<String>,
    /// Where it stands: the one field that can be edited.
    pub status: String,
    /// How severe it is.
    pub severity: String,
    /// What is known of the reporter.
    pub reporter_type: String,
    /// The reporter's name.
    pub reporter_name: Option<String>,
    /// The reporter's address.
    pub reporter_email: Option<String>,
    /// The reporter's telephone number.
    pub reporter_phone: Option<String>,
    /// What it is about.
    #[serde(with = "crate::wire")]
    pub category_id: Option<DbUuid>,
    /// Where it happened.
    #[serde(with = "crate::wire")]
    pub location_id: Option<DbUuid>,
    /// A summary made by a machine.
    pub ai_summary: Option<String>,
    /// From 0 to 100.
    pub risk_score: Option<i32>,
}

impl Content for RiuContent {
    const KIND: EntityKind = EntityKind::Riu;
    const FIELDS: &'static [Field] = &[
        ID,
        Field::server("referenceNumber", TEXT),
        Field::required("details", NARRATIVE).immutable(),
        Field::required(
            "type",
            FieldKind::OneOf(&[
                "HOTLINE_REPORT",
                "WEB_FORM_SUBMISSION",
                "DISCLOSURE_RESPONSE",
                "ATTESTATION_RESPONSE",
                "CHATBOT_TRANSCRIPT",
                "INCIDENT_FORM",
                "PROXY_REPORT",
                "SURVEY_RESPONSE",
            ]),
        )
        .immutable(),
        Field::required(
            "sourceChannel",
            FieldKind::OneOf(&["PHONE", "WEB_FORM", "CHATBOT", "EMAIL", "PROXY", "DIRECT_ENTRY", "CAMPAIGN"]),
        )
        .immutable(),
        Field::optional("summary", NARRATIVE).immutable(),
        Field::defaulted("status", FieldKind::OneOf(STATUSES), Initial::Word("RECEIVED")),
        Field::defaulted("severity", FieldKind::OneOf(SEVERITIES), Initial::Word("MEDIUM")).immutable(),
        Field::defaulted(
            "reporterType",
            FieldKind::OneOf(&["ANONYMOUS", "CONFIDENTIAL", "IDENTIFIED"]),
            Initial::Word("ANONYMOUS"),
        )
        .immutable(),
        Field::optional("reporterName", TEXT).immutable(),
        Field::optional("reporterEmail", TEXT).immutable(),
        Field::optional("reporterPhone", TEXT).immutable(),
        Field::optional("categoryId", FieldKind::Id(Some(Reference::Category))).immutable(),
        Field::optional("locationId", FieldKind::Id(Some(Reference::Location))).immutable(),
        Field::optional("aiSummary", NARRATIVE).immutable(),
        Field::optional("riskScore", FieldKind::Integer { min: 0, max: 100 }).immutable(),
        CREATED_AT,
        CREATED_BY_ID,
        TRACKING_FIELDS[0],
        TRACKING_FIELDS[1],
        TRACKING_FIELDS[2],
    ];
}

/// A RIU to be made.
pub type NewRiu = New<RiuContent>;
/// A new status for a RIU.
pub type RiuPatch = Patch<RiuContent>;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = rius, treat_none_as_default_value = false)]
struct RiuRow {
    organization_id: DbUuid,
    id: DbUuid,
    reference_number: String,
    #[diesel(embed)]
    content: RiuContent,
    created_at: DbTime,
    created_by_id: DbUuid,
}

/// A RIU as the session sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Riu {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// Its number, such as `RIU-2026-00001`.
    pub reference_number: String,
    /// What it says.
    #[serde(flatten)]
    pub content: RiuContent,
    /// When it was received.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// Who recorded it.
    #[serde(with = "crate::wire")]
    pub created_by_id: DbUuid,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(RiuRow, Tracking)> for Riu {
    fn from((row, tracking): (RiuRow, Tracking)) -> Self {
        Self {
            id: row.id,
            reference_number: row.reference_number,
            content: row.content,
            created_at: row.created_at,
            created_by_id: row.created_by_id,
            tracking,
        }
    }
}

impl Riu {
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec {
        filters: &[
            Filter::Status(STATUSES),
            Filter::Severity(SEVERITIES),
            Filter::Category,
            Filter::Created,
            Filter::Words(&words::RIUS),
        ],
        sorts: &[SortKey::CreatedAt, SortKey::ReferenceNumber],
    };

    fn audited(&self) -> Audited {
        Audited {
            kind: EntityKind::Riu,
            id: self.id,
            case_id: None,
            label: format!("report {}", self.reference_number),
        }
    }
}

const TRACKING: (rius::demo_user_session_id, rius::is_base_data, rius::change_kind) =
    (rius::demo_user_session_id, rius::is_base_data, rius::change_kind);

/// One RIU.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such RIU.
pub fn riu_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Riu> {
    let row: Option<(RiuRow, Tracking)> = rius::table
        .find((DbUuid(organization), DbUuid(id)))
        .select((RiuRow::as_select(), TRACKING))
        .first(conn)
        .optional()?;
    row.map(Riu::from).ok_or(Error::NotFound(EntityKind::Riu))
}

/// The RIUs of an organization.
///
/// # Errors
/// Where the database fails.
pub fn riu_list(
    conn: &mut AnyConnection,
    counts: &BaseCounts,
    organization: Uuid,
    list: &ListQuery,
) -> Result<Page<Riu>> {
    let words = words::RIUS.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query = of_organization!(rius, organization, words);
        if let Some(status) = &list.status {
            query = query.filter(rius::status.eq(status.clone()));
        }
        if let Some(severity) = &list.severity {
            query = query.filter(rius::severity.eq(severity.clone()));
        }
        if let Some(category_id) = list.category_id {
            query = query.filter(rius::category_id.eq(DbUuid(category_id)));
        }
        created_between!(query, list, rius::created_at);
        query
    };
    let total = counts.count(conn, words::RIUS.table, &list.what(organization), || matching().count())?;
    let is_by_number = list.sort.key == SortKey::ReferenceNumber;
    let page = if is_by_number {
        keyset!(matching(), list, rius::reference_number, rius::id, Position::text)
    } else {
        keyset!(matching(), list, rius::created_at, rius::id, Position::time)
    };
    let rows: Vec<(RiuRow, Tracking)> = page.select((RiuRow::as_select(), TRACKING)).load(conn)?;
    let items = rows.into_iter().map(Riu::from).collect();
    Ok(Page::new(items, list, total, |riu: &Riu| {
        let key = if is_by_number { riu.reference_number.clone() } else { riu.created_at.to_string() };
        (key, riu.id)
    }))
}

/// Records a RIU, under the next reference number of the year.
///
/// # Errors
/// [`Error::Invalid`] where it refers to something that does not exist.
pub fn riu_create(conn: &mut AnyConnection, writer: &Writer, id: Uuid, new: NewRiu) -> Result<Riu> {
    let organization = writer.actor.organization_id;
    new.check_references(conn, organization)?;
    let reference_number = next_reference_number(conn, writer, "rius", "RIU", |conn, from, to| {
        rius::table
            .filter(rius::organization_id.eq(DbUuid(organization)))
            .filter(rius::reference_number.between(from, to))
            .order(rius::reference_number.desc())
            .select(rius::reference_number)
            .first(conn)
            .optional()
    })?;
    let row = RiuRow {
        organization_id: writer.organization(),
        id: DbUuid(id),
        reference_number,
        content: new.content,
        created_at: writer.time(),
        created_by_id: writer.user(),
    };
    diesel::insert_into(rius::table).values(&row).execute(conn)?;
    let riu = riu_fetch(conn, organization, id)?;
    audit(conn, writer, riu.audited(), Action::Created)?;
    Ok(riu)
}

/// Gives a RIU a new status. A patch that changes nothing writes nothing.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn riu_update(conn: &mut AnyConnection, writer: &Writer, id: Uuid, patch: &RiuPatch) -> Result<Riu> {
    let organization = writer.actor.organization_id;
    let riu = riu_fetch(conn, organization, id)?;
    writer.check_version(&riu)?;
    let Some(patched) = patch.apply(conn, organization, &riu.content)? else { return Ok(riu) };
    update_by_id!(conn, rius, organization, id, rius::status.eq(&patched.content.status))?;
    audit(conn, writer, riu.audited(), Action::Updated(patched.changes))?;
    riu_fetch(conn, organization, id)
}

/// Deletes a RIU, and with it its associations with cases.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn riu_delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> Result<()> {
    let organization = writer.actor.organization_id;
    let riu = riu_fetch(conn, organization, id)?;
    writer.check_version(&riu)?;
    diesel::delete(rius::table.find((DbUuid(organization), DbUuid(id)))).execute(conn)?;
    audit(conn, writer, riu.audited(), Action::Deleted)
}
