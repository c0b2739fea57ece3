//! Investigations of cases, numbered 1, 2, … within each.

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
use crate::schema::investigations;
use crate::words::{self, of_organization};

const STATUSES: &[&str] = &["NEW", "ASSIGNED", "INVESTIGATING", "PENDING_REVIEW", "CLOSED", "ON_HOLD"];

/// What a user writes in an investigation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = investigations, treat_none_as_null = true, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct InvestigationContent {
    /// The case under investigation.
    #[serde(with = "crate::wire")]
    pub case_id: DbUuid,
    /// How deep it goes.
    pub investigation_type: String,
    /// Who leads it.
    pub department: Option<String>,
    /// Where it stands.
    pub status: String,
    /// Whether it is in time.
    pub sla_status: String,
    /// The user who leads it.
    #[serde(with = "crate::wire")]
    pub primary_investigator_id: Option<DbUuid>,
    /// When it should be closed.
    #[serde(with = "crate::wire")]
    pub due_date: Option<DbTime>,
    /// What was found, in short.
    pub findings_summary: Option<String>,
    /// What was found.
    pub findings_detail: Option<String>,
    /// What came out.
    pub outcome: Option<String>,
    /// Why it happened.
    pub root_cause: Option<String>,
    /// What to do better.
    pub lessons_learned: Option<String>,
    /// When it was closed.
    #[serde(with = "crate::wire")]
    pub closed_at: Option<DbTime>,
}

impl Content for InvestigationContent {
    const KIND: EntityKind = EntityKind::Investigation;
    const FIELDS: &'static [Field] = &[
        ID,
        CASE_ID,
        Field::server("investigationNumber", FieldKind::Integer { min: 1, max: i32::MAX as i64 }),
        Field::defaulted(
            "investigationType",
            FieldKind::OneOf(&["FULL", "LIMITED", "INQUIRY"]),
            Initial::Word("FULL"),
        ),
        Field::optional("department", FieldKind::OneOf(&["HR", "LEGAL", "SAFETY", "COMPLIANCE", "OTHER"])),
        Field::defaulted("status", FieldKind::OneOf(STATUSES), Initial::Word("NEW")),
        Field::defaulted(
            "slaStatus",
            FieldKind::OneOf(&["ON_TRACK", "WARNING", "OVERDUE"]),
            Initial::Word("ON_TRACK"),
        ),
        Field::optional("primaryInvestigatorId", FieldKind::Id(Some(Reference::User))),
        Field::optional("dueDate", FieldKind::Time),
        Field::optional("findingsSummary", NARRATIVE),
        Field::optional("findingsDetail", NARRATIVE),
        Field::optional(
            "outcome",
            FieldKind::OneOf(&[
                "SUBSTANTIATED",
                "UNSUBSTANTIATED",
                "INCONCLUSIVE",
                "POLICY_VIOLATION",
                "NO_VIOLATION",
                "INSUFFICIENT_EVIDENCE",
            ]),
        ),
        Field::optional("rootCause", NARRATIVE),
        Field::optional("lessonsLearned", NARRATIVE),
        Field::optional("closedAt", FieldKind::Time),
        CREATED_AT,
        UPDATED_AT,
        CREATED_BY_ID,
        UPDATED_BY_ID,
        TRACKING_FIELDS[0],
        TRACKING_FIELDS[1],
        TRACKING_FIELDS[2],
    ];
}

/// An investigation to be opened.
pub type NewInvestigation = New<InvestigationContent>;
/// Changes to an investigation.
pub type InvestigationPatch = Patch<InvestigationContent>;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = investigations, primary_key(organization_id, id), treat_none_as_default_value = false)]
struct InvestigationRow {
    organization_id: DbUuid,
    id: DbUuid,
    investigation_number: i32,
    #[diesel(embed)]
    content: InvestigationContent,
    created_at: DbTime,
    updated_at: DbTime,
    created_by_id: DbUuid,
    updated_by_id: DbUuid,
}

/// An investigation as the session sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Investigation {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// 1, 2, … within its case.
    pub investigation_number: i32,
    /// What users wrote.
    #[serde(flatten)]
    pub content: InvestigationContent,
    /// When it was opened.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// When it was last edited.
    #[serde(with = "crate::wire")]
    pub updated_at: DbTime,
    /// Who opened it.
    #[serde(with = "crate::wire")]
    pub created_by_id: DbUuid,
    /// Who edited it last.
    #[serde(with = "crate::wire")]
    pub updated_by_id: DbUuid,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(InvestigationRow, Tracking)> for Investigation {
    fn from((row, tracking): (InvestigationRow, Tracking)) -> Self {
        Self {
            id: row.id,
            investigation_number: row.investigation_number,
            content: row.content,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by_id: row.created_by_id,
            updated_by_id: row.updated_by_id,
            tracking,
        }
    }
}

impl Investigation {
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec {
        filters: &[Filter::Status(STATUSES), Filter::Created, Filter::Words(&words::INVESTIGATIONS)],
        sorts: &[SortKey::CreatedAt],
    };

    fn audited(&self) -> Audited {
        Audited {
            kind: EntityKind::Investigation,
            id: self.id,
            case_id: Some(self.content.case_id),
            label: format!("investigation {}", self.investigation_number),
        }
    }

    fn row(&self, writer: &Writer, content: InvestigationContent) -> InvestigationRow {
        InvestigationRow {
            organization_id: writer.organization(),
            id: self.id,
            investigation_number: self.investigation_number,
            content,
            created_at: self.created_at,
            updated_at: writer.time(),
            created_by_id: self.created_by_id,
            updated_by_id: writer.user(),
        }
    }
}

const TRACKING: (
    investigations::demo_user_session_id,
    investigations::is_base_data,
    investigations::change_kind,
) = (investigations::demo_user_session_id, investigations::is_base_data, investigations::change_kind);

/// One investigation.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such investigation.
pub fn investigation_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Investigation> {
    let row: Option<(InvestigationRow, Tracking)> = investigations::table
        .find((DbUuid(organization), DbUuid(id)))
        .select((InvestigationRow::as_select(), TRACKING))
        .first(conn)
        .optional()?;
    row.map(Investigation::from).ok_or(Error::NotFound(EntityKind::Investigation))
}

/// The investigations of an organization, or of one of its cases.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such case.
pub fn investigation_list(
    conn: &mut AnyConnection,
    counts: &BaseCounts,
    organization: Uuid,
    case_id: Option<Uuid>,
    list: &ListQuery,
) -> Result<Page<Investigation>> {
    if let Some(case_id) = case_id {
        case_exists(conn, organization, case_id)?;
    }
    let words = words::INVESTIGATIONS.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query = of_organization!(investigations, organization, words);
        if let Some(case_id) = case_id {
            query = query.filter(investigations::case_id.eq(DbUuid(case_id)));
        }
        if let Some(status) = &list.status {
            query = query.filter(investigations::status.eq(status.clone()));
        }
        created_between!(query, list, investigations::created_at);
        query
    };
    let total = match case_id {
        // So few that they are counted more quickly than they are remembered.
        Some(_) => matching().count().get_result(conn)?,
        None => counts
            .count(conn, words::INVESTIGATIONS.table, &list.what(organization), || matching().count())?,
    };
    let rows: Vec<(InvestigationRow, Tracking)> =
        keyset!(matching(), list, investigations::created_at, investigations::id, Position::time)
            .select((InvestigationRow::as_select(), TRACKING))
            .load(conn)?;
    let items = rows.into_iter().map(Investigation::from).collect();
    Ok(Page::new(items, list, total, |item: &Investigation| (item.created_at.to_string(), item.id)))
}

/// Opens an investigation, under the next number of its case.
///
/// # Errors
/// [`Error::Invalid`] where it refers to something that does not exist.
pub fn investigation_create(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    new: NewInvestigation,
) -> Result<Investigation> {
    let organization = writer.actor.organization_id;
    new.check_references(conn, organization)?;
    let row = InvestigationRow {
        organization_id: writer.organization(),
        id: DbUuid(id),
        investigation_number: next_investigation_number(conn, writer, new.content.case_id)?,
        content: new.content,
        created_at: writer.time(),
        updated_at: writer.time(),
        created_by_id: writer.user(),
        updated_by_id: writer.user(),
    };
    diesel::insert_into(investigations::table).values(&row).execute(conn)?;
    let investigation = investigation_fetch(conn, organization, id)?;
    audit(conn, writer, investigation.audited(), Action::Created)?;
    Ok(investigation)
}

fn next_investigation_number(conn: &mut AnyConnection, writer: &Writer, case_id: DbUuid) -> Result<i32> {
    let highest: Option<i32> = investigations::table
        .filter(investigations::organization_id.eq(writer.organization()))
        .filter(investigations::case_id.eq(case_id))
        .order(investigations::investigation_number.desc())
        .select(investigations::investigation_number)
        .first(conn)
        .optional()?;
    let floor = i64::from(highest.unwrap_or(0));
    let number = demo_reset_persistence::next_number(conn, &format!("investigations/{case_id}"), floor)?;
    i32::try_from(number)
        .map_err(|_| Error::AlreadyExists("the case has every possible investigation".into()))
}

/// Edits an investigation. A patch that changes nothing writes nothing.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], or [`Error::Invalid`] where it refers to something that does not exist.
pub fn investigation_update(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    patch: &InvestigationPatch,
) -> Result<Investigation> {
    let organization = writer.actor.organization_id;
    let investigation = investigation_fetch(conn, organization, id)?;
    writer.check_version(&investigation)?;
    let Some(patched) = patch.apply(conn, organization, &investigation.content)? else {
        return Ok(investigation);
    };
    update_by_id!(conn, investigations, organization, id, &investigation.row(writer, patched.content))?;
    audit(conn, writer, investigation.audited(), Action::Updated(patched.changes))?;
    investigation_fetch(conn, organization, id)
}

/// Deletes an investigation, and with it its notes.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn investigation_delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> Result<()> {
    let organization = writer.actor.organization_id;
    let investigation = investigation_fetch(conn, organization, id)?;
    writer.check_version(&investigation)?;
    diesel::delete(investigations::table.find((DbUuid(organization), DbUuid(id)))).execute(conn)?;
    audit(conn, writer, investigation.audited(), Action::Deleted)
}
