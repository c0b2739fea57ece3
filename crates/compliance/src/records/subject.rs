//! Subjects: the people a case is about.

use demo_reset_persistence::AnyConnection;
use demo_reset_persistence::types::{DbTime, DbUuid};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::audit::{Action, Audited, Writer, audit};
use crate::input::{Content, New, Patch};
use crate::list::{Filter, ListQuery, ListSpec, Page, Position, SortKey, created_between, keyset};
use crate::schema::subjects;
use crate::words::{self, of_organization};

/// What a user writes about a subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = subjects, treat_none_as_null = true, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct SubjectContent {
    /// The case.
    #[serde(with = "crate::wire")]
    pub case_id: DbUuid,
    /// The person's name.
    pub name: String,
    /// The person's part in the case.
    pub role: String,
    /// The employee, where the person is one.
    #[serde(with = "crate::wire")]
    pub employee_id: Option<DbUuid>,
    /// What the person is to the organization.
    pub relationship: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Place.
    pub location: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// To whom the person reports.
    pub manager_name: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
}

impl Content for SubjectContent {
    const KIND: EntityKind = EntityKind::Subject;
    const FIELDS: &'static [Field] = &[
        ID,
        CASE_ID,
        Field::required("name", TEXT),
        Field::required("role", FieldKind::OneOf(&["REPORTER", "ACCUSED", "WITNESS", "VICTIM", "OTHER"])),
        Field::optional("employeeId", FieldKind::Id(Some(Reference::Employee))),
        Field::optional("relationship", TEXT),
        Field::optional("department", TEXT),
        Field::optional("location", TEXT),
        Field::optional("jobTitle", TEXT),
        Field::optional("managerName", TEXT),
        Field::optional("notes", NARRATIVE),
        CREATED_AT,
        UPDATED_AT,
        CREATED_BY_ID,
        TRACKING_FIELDS[0],
        TRACKING_FIELDS[1],
        TRACKING_FIELDS[2],
    ];
}

/// A subject to be added.
pub type NewSubject = New<SubjectContent>;
/// Changes to a subject.
pub type SubjectPatch = Patch<SubjectContent>;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = subjects, primary_key(organization_id, id), treat_none_as_default_value = false)]
struct SubjectRow {
    organization_id: DbUuid,
    id: DbUuid,
    #[diesel(embed)]
    content: SubjectContent,
    created_at: DbTime,
    updated_at: DbTime,
    created_by_id: DbUuid,
}

/// A subject as the session sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// What users wrote.
    #[serde(flatten)]
    pub content: SubjectContent,
    /// When it was added.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// When it was last edited.
    #[serde(with = "crate::wire")]
    pub updated_at: DbTime,
    /// Who added it.
    #[serde(with = "crate::wire")]
    pub created_by_id: DbUuid,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(SubjectRow, Tracking)> for Subject {
    fn from((row, tracking): (SubjectRow, Tracking)) -> Self {
        Self {
            id: row.id,
            content: row.content,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by_id: row.created_by_id,
            tracking,
        }
    }
}

impl Subject {
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec {
        filters: &[Filter::Created, Filter::Words(&words::SUBJECTS)],
        sorts: &[SortKey::CreatedAt],
    };

    fn audited(&self) -> Audited {
        Audited {
            kind: EntityKind::Subject,
            id: self.id,
            case_id: Some(self.content.case_id),
            label: format!("subject {}", self.content.name),
        }
    }

    fn row(&self, writer: &Writer, content: SubjectContent) -> SubjectRow {
        SubjectRow {
            organization_id: writer.organization(),
            id: self.id,
            content,
            created_at: self.created_at,
            updated_at: writer.time(),
            created_by_id: self.created_by_id,
        }
    }
}

const TRACKING: (subjects::demo_user_session_id, subjects::is_base_data, subjects::change_kind) =
    (subjects::demo_user_session_id, subjects::is_base_data, subjects::change_kind);

/// One subject.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such subject.
pub fn subject_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Subject> {
    let row: Option<(SubjectRow, Tracking)> = subjects::table
        .find((DbUuid(organization), DbUuid(id)))
        .select((SubjectRow::as_select(), TRACKING))
        .first(conn)
        .optional()?;
    row.map(Subject::from).ok_or(Error::NotFound(EntityKind::Subject))
}

/// The subjects of a case.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such case.
pub fn subject_list(
    conn: &mut AnyConnection,
    organization: Uuid,
    case_id: Uuid,
    list: &ListQuery,
) -> Result<Page<Subject>> {
    case_exists(conn, organization, case_id)?;
    let words = words::SUBJECTS.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query =
            of_organization!(subjects, organization, words).filter(subjects::case_id.eq(DbUuid(case_id)));
        created_between!(query, list, subjects::created_at);
        query
    };
    let total = matching().count().get_result(conn)?;
    let rows: Vec<(SubjectRow, Tracking)> =
        keyset!(matching(), list, subjects::created_at, subjects::id, Position::time)
            .select((SubjectRow::as_select(), TRACKING))
            .load(conn)?;
    let items = rows.into_iter().map(Subject::from).collect();
    Ok(Page::new(items, list, total, |item: &Subject| (item.created_at.to_string(), item.id)))
}

/// Adds a subject to a case.
///
/// # Errors
/// [`Error::Invalid`] where it refers to something that does not exist.
pub fn subject_create(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    new: NewSubject,
) -> Result<Subject> {
    let organization = writer.actor.organization_id;
    new.check_references(conn, organization)?;
    let row = SubjectRow {
        organization_id: writer.organization(),
        id: DbUuid(id),
        content: new.content,
        created_at: writer.time(),
        updated_at: writer.time(),
        created_by_id: writer.user(),
    };
    diesel::insert_into(subjects::table).values(&row).execute(conn)?;
    let subject = subject_fetch(conn, organization, id)?;
    audit(conn, writer, subject.audited(), Action::Created)?;
    Ok(subject)
}

/// Edits a subject. A patch that changes nothing writes nothing.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], or [`Error::Invalid`] where it refers to something that does not exist.
pub fn subject_update(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    patch: &SubjectPatch,
) -> Result<Subject> {
    let organization = writer.actor.organization_id;
    let subject = subject_fetch(conn, organization, id)?;
    writer.check_version(&subject)?;
    let Some(patched) = patch.apply(conn, organization, &subject.content)? else { return Ok(subject) };
    update_by_id!(conn, subjects, organization, id, &subject.row(writer, patched.content))?;
    audit(conn, writer, subject.audited(), Action::Updated(patched.changes))?;
    subject_fetch(conn, organization, id)
}

/// Takes a subject off its case.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn subject_delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> Result<()> {
    let organization = writer.actor.organization_id;
    let subject = subject_fetch(conn, organization, id)?;
    writer.check_version(&subject)?;
    diesel::delete(subjects::table.find((DbUuid(organization), DbUuid(id)))).execute(conn)?;
    audit(conn, writer, subject.audited(), Action::Deleted)
}
