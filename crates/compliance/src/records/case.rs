//! Cases: what the organization follows up.

use std::collections::BTreeMap;

use demo_reset_persistence::types::{DbJson, DbTime, DbUuid};
use demo_reset_persistence::{AnyConnection, BaseCounts};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::audit::{Action, Audited, Writer, audit};
use crate::fields::Initial;
use crate::input::{Content, New, Patch};
use crate::list::{Filter, ListQuery, ListSpec, Page, Position, SortKey, created_between, keyset};
use crate::schema::cases;
use crate::words::{self, of_organization};

const STATUSES: &[&str] = &["NEW", "OPEN", "CLOSED"];

/// What a user writes in a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = cases, treat_none_as_null = true, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct CaseContent {
    /// What is reported.
    pub details: String,
    /// The same in short.
    pub summary: Option<String>,
    /// Where it stands.
    pub status: String,
    /// How severe it is.
    pub severity: String,
    /// A report, or a request for information.
    pub case_type: String,
    /// How it arrived.
    pub source_channel: String,
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
    /// What came out.
    pub outcome: Option<String>,
    /// Why.
    pub outcome_notes: Option<String>,
    /// Words to find it by.
    #[serde(with = "crate::wire")]
    pub tags: DbJson,
    /// A summary made by a machine.
    pub ai_summary: Option<String>,
    /// From 0 to 100.
    pub risk_score: Option<i32>,
    /// When it should be closed.
    #[serde(with = "crate::wire")]
    pub sla_due_at: Option<DbTime>,
    /// When it was closed.
    #[serde(with = "crate::wire")]
    pub closed_at: Option<DbTime>,
}

impl Content for CaseContent {
    const KIND: EntityKind = EntityKind::Case;
    const FIELDS: &'static [Field] = &[
        ID,
        Field::server("referenceNumber", TEXT),
        Field::required("details", NARRATIVE),
        Field::optional("summary", NARRATIVE),
        Field::defaulted("status", FieldKind::OneOf(STATUSES), Initial::Word("NEW")),
        Field::defaulted("severity", FieldKind::OneOf(SEVERITIES), Initial::Word("MEDIUM")),
        Field::defaulted("caseType", FieldKind::OneOf(&["REPORT", "RFI"]), Initial::Word("REPORT")),
        Field::defaulted(
            "sourceChannel",
            FieldKind::OneOf(&["HOTLINE", "WEB_FORM", "PROXY", "DIRECT_ENTRY", "CHATBOT"]),
            Initial::Word("DIRECT_ENTRY"),
        ),
        Field::defaulted(
            "reporterType",
            FieldKind::OneOf(&["ANONYMOUS", "IDENTIFIED", "PROXY"]),
            Initial::Word("ANONYMOUS"),
        ),
        Field::optional("reporterName", TEXT),
        Field::optional("reporterEmail", TEXT),
        Field::optional("reporterPhone", TEXT),
        Field::optional("categoryId", FieldKind::Id(Some(Reference::Category))),
        Field::optional("locationId", FieldKind::Id(Some(Reference::Location))),
        Field::optional(
            "outcome",
            FieldKind::OneOf(&[
                "SUBSTANTIATED",
                "UNSUBSTANTIATED",
                "INCONCLUSIVE",
                "POLICY_VIOLATION",
                "NO_VIOLATION",
            ]),
        ),
        Field::optional("outcomeNotes", NARRATIVE),
        Field::defaulted("tags", FieldKind::Tags, Initial::NoTags),
        Field::optional("aiSummary", NARRATIVE),
        Field::optional("riskScore", FieldKind::Integer { min: 0, max: 100 }),
        Field::optional("slaDueAt", FieldKind::Time),
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

/// A case to be made.
pub type NewCase = New<CaseContent>;
/// Changes to a case.
pub type CasePatch = Patch<CaseContent>;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = cases, primary_key(organization_id, id), treat_none_as_default_value = false)]
struct CaseRow {
    organization_id: DbUuid,
    id: DbUuid,
    reference_number: String,
    #[diesel(embed)]
    content: CaseContent,
    created_at: DbTime,
    updated_at: DbTime,
    created_by_id: DbUuid,
    updated_by_id: DbUuid,
}

/// A case as the session sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// Its number, such as `CASE-2026-04501`.
    pub reference_number: String,
    /// What users wrote.
    #[serde(flatten)]
    pub content: CaseContent,
    /// When it was created.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// When it was last edited.
    #[serde(with = "crate::wire")]
    pub updated_at: DbTime,
    /// Who created it.
    #[serde(with = "crate::wire")]
    pub created_by_id: DbUuid,
    /// Who edited it last.
    #[serde(with = "crate::wire")]
    pub updated_by_id: DbUuid,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(CaseRow, Tracking)> for Case {
    fn from((row, tracking): (CaseRow, Tracking)) -> Self {
        Self {
            id: row.id,
            reference_number: row.reference_number,
            content: row.content,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by_id: row.created_by_id,
            updated_by_id: row.updated_by_id,
            tracking,
        }
    }
}

impl Case {
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec {
        filters: &[
            Filter::Status(STATUSES),
            Filter::Severity(SEVERITIES),
            Filter::Category,
            Filter::Created,
            Filter::Words(&words::CASES),
        ],
        sorts: &[SortKey::CreatedAt, SortKey::UpdatedAt, SortKey::ReferenceNumber],
    };

    fn audited(&self) -> Audited {
        Audited {
            kind: EntityKind::Case,
            id: self.id,
            case_id: Some(self.id),
            label: format!("case {}", self.reference_number),
        }
    }

    fn row(&self, writer: &Writer, content: CaseContent) -> CaseRow {
        CaseRow {
            organization_id: writer.organization(),
            id: self.id,
            reference_number: self.reference_number.clone(),
            content,
            created_at: self.created_at,
            updated_at: writer.time(),
            created_by_id: self.created_by_id,
            updated_by_id: writer.user(),
        }
    }
}

const TRACKING: (cases::demo_user_session_id, cases::is_base_data, cases::change_kind) =
    (cases::demo_user_session_id, cases::is_base_data, cases::change_kind);

/// One case.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such case.
pub fn case_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Case> {
    let row: Option<(CaseRow, Tracking)> = cases::table
        .find((DbUuid(organization), DbUuid(id)))
        .select((CaseRow::as_select(), TRACKING))
        .first(conn)
        .optional()?;
    row.map(Case::from).ok_or(Error::NotFound(EntityKind::Case))
}

/// The cases of an organization.
///
/// # Errors
/// Where the database fails.
pub fn case_list(
    conn: &mut AnyConnection,
    counts: &BaseCounts,
    organization: Uuid,
    list: &ListQuery,
) -> Result<Page<Case>> {
    let words = words::CASES.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query = of_organization!(cases, organization, words);
        if let Some(status) = &list.status {
            query = query.filter(cases::status.eq(status.clone()));
        }
        if let Some(severity) = &list.severity {
            query = query.filter(cases::severity.eq(severity.clone()));
        }
        if let Some(category_id) = list.category_id {
            query = query.filter(cases::category_id.eq(DbUuid(category_id)));
        }
        created_between!(query, list, cases::created_at);
        query
    };
    let total = counts.count(conn, words::CASES.table, &list.what(organization), || matching().count())?;
    let page = match list.sort.key {
        SortKey::UpdatedAt => keyset!(matching(), list, cases::updated_at, cases::id, Position::time),
        SortKey::ReferenceNumber => {
            keyset!(matching(), list, cases::reference_number, cases::id, Position::text)
        }
        SortKey::CreatedAt | SortKey::Code | SortKey::Name => {
            keyset!(matching(), list, cases::created_at, cases::id, Position::time)
        }
    };
    let rows: Vec<(CaseRow, Tracking)> = page.select((CaseRow::as_select(), TRACKING)).load(conn)?;
    let items = rows.into_iter().map(Case::from).collect();
    Ok(Page::new(items, list, total, |case: &Case| {
        let key = match list.sort.key {
            SortKey::UpdatedAt => case.updated_at.to_string(),
            SortKey::ReferenceNumber => case.reference_number.clone(),
            SortKey::CreatedAt | SortKey::Code | SortKey::Name => case.created_at.to_string(),
        };
        (key, case.id)
    }))
}

/// How many cases were created in one month, by severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseMonth {
    /// The month in UTC, such as `2026-02`.
    pub month: String,
    /// Cases of that month for every one of [`SEVERITIES`].
    pub by_severity: BTreeMap<&'static str, u64>,
}

/// The cases of an organization, counted by month of creation and severity, oldest month first; months without
/// cases are left out.
///
/// Counted here and not by the database: it would materialize the view for a GROUP BY over an expression, and two
/// short columns of a few thousand rows are quickly read.
///
/// # Errors
/// Where the database fails.
pub fn case_months(conn: &mut AnyConnection, organization: Uuid) -> Result<Vec<CaseMonth>> {
    let cases: Vec<(DbTime, String)> = cases::table
        .filter(cases::organization_id.eq(DbUuid(organization)))
        .select((cases::created_at, cases::severity))
        .load(conn)?;
    let mut months: BTreeMap<(i32, u32), BTreeMap<&'static str, u64>> = BTreeMap::new();
    for (created_at, severity) in cases {
        let month = (created_at.get().year(), created_at.get().month());
        let counts =
            months.entry(month).or_insert_with(|| SEVERITIES.iter().map(|&word| (word, 0)).collect());
        if let Some(count) = counts.get_mut(severity.as_str()) {
            *count += 1;
        }
    }
    let named =
        |((year, month), by_severity)| CaseMonth { month: format!("{year:04}-{month:02}"), by_severity };
    Ok(months.into_iter().map(named).collect())
}

/// Makes a case, under the next reference number of the year.
///
/// # Errors
/// [`Error::Invalid`] where it refers to something that does not exist.
pub fn case_create(conn: &mut AnyConnection, writer: &Writer, id: Uuid, new: NewCase) -> Result<Case> {
    let organization = writer.actor.organization_id;
    new.check_references(conn, organization)?;
    let reference_number = next_reference_number(conn, writer, "cases", "CASE", |conn, from, to| {
        cases::table
            .filter(cases::organization_id.eq(DbUuid(organization)))
            .filter(cases::reference_number.between(from, to))
            .order(cases::reference_number.desc())
            .select(cases::reference_number)
            .first(conn)
            .optional()
    })?;
    let row = CaseRow {
        organization_id: writer.organization(),
        id: DbUuid(id),
        reference_number,
        content: new.content,
        created_at: writer.time(),
        updated_at: writer.time(),
        created_by_id: writer.user(),
        updated_by_id: writer.user(),
    };
    diesel::insert_into(cases::table).values(&row).execute(conn)?;
    let case = case_fetch(conn, organization, id)?;
    audit(conn, writer, case.audited(), Action::Created)?;
    Ok(case)
}

/// Edits a case. A patch that changes nothing writes nothing.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], or [`Error::Invalid`] where it refers to something that does not exist.
pub fn case_update(conn: &mut AnyConnection, writer: &Writer, id: Uuid, patch: &CasePatch) -> Result<Case> {
    let organization = writer.actor.organization_id;
    let case = case_fetch(conn, organization, id)?;
    writer.check_version(&case)?;
    let Some(patched) = patch.apply(conn, organization, &case.content)? else { return Ok(case) };
    update_by_id!(conn, cases, organization, id, &case.row(writer, patched.content))?;
    audit(conn, writer, case.audited(), Action::Updated(patched.changes))?;
    case_fetch(conn, organization, id)
}

/// Deletes a case, and with it its subjects, messages, investigations, notes and associations.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn case_delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> Result<()> {
    let organization = writer.actor.organization_id;
    let case = case_fetch(conn, organization, id)?;
    writer.check_version(&case)?;
    diesel::delete(cases::table.find((DbUuid(organization), DbUuid(id)))).execute(conn)?;
    audit(conn, writer, case.audited(), Action::Deleted)
}
