//! Notes on investigations.

use demo_reset_persistence::AnyConnection;
use demo_reset_persistence::types::{DbTime, DbUuid};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::audit::{Action, Audited, Writer, audit};
use crate::fields::Initial;
use crate::input::{Content, New, Patch};
use crate::list::{Filter, ListQuery, ListSpec, Page, Position, SortKey, created_between, keyset};
use crate::schema::{investigation_notes, investigations};
use crate::words::{self, of_organization};

/// What a user writes in a note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = investigation_notes, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct NoteContent {
    /// The investigation.
    #[serde(with = "crate::wire")]
    pub investigation_id: DbUuid,
    /// The text.
    pub content: String,
    /// What kind of note.
    pub note_type: String,
    /// Who should read it.
    pub visibility: String,
}

impl Content for NoteContent {
    const KIND: EntityKind = EntityKind::Note;
    const FIELDS: &'static [Field] = &[
        ID,
        Field::required("investigationId", FieldKind::Id(Some(Reference::Investigation))).fixed(),
        Field::required("content", NARRATIVE),
        Field::defaulted(
            "noteType",
            FieldKind::OneOf(&["GENERAL", "INTERVIEW", "EVIDENCE", "FINDING", "RECOMMENDATION", "FOLLOW_UP"]),
            Initial::Word("GENERAL"),
        ),
        Field::defaulted("visibility", FieldKind::OneOf(&["PRIVATE", "TEAM", "ALL"]), Initial::Word("TEAM")),
        Field::server("authorId", FieldKind::Id(None)),
        Field::server("authorName", TEXT),
        CREATED_AT,
        UPDATED_AT,
        TRACKING_FIELDS[0],
        TRACKING_FIELDS[1],
        TRACKING_FIELDS[2],
    ];
}

/// A note to be added.
pub type NewNote = New<NoteContent>;
/// Changes to a note.
pub type NotePatch = Patch<NoteContent>;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = investigation_notes, primary_key(organization_id, id), treat_none_as_default_value = false)]
struct NoteRow {
    organization_id: DbUuid,
    id: DbUuid,
    #[diesel(embed)]
    content: NoteContent,
    author_id: DbUuid,
    author_name: String,
    created_at: DbTime,
    updated_at: DbTime,
}

/// A note as the session sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// What users wrote.
    #[serde(flatten)]
    pub content: NoteContent,
    /// Who wrote it.
    #[serde(with = "crate::wire")]
    pub author_id: DbUuid,
    /// The author's name at that time.
    pub author_name: String,
    /// When it was written.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// When it was last edited.
    #[serde(with = "crate::wire")]
    pub updated_at: DbTime,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(NoteRow, Tracking)> for Note {
    fn from((row, tracking): (NoteRow, Tracking)) -> Self {
        Self {
            id: row.id,
            content: row.content,
            author_id: row.author_id,
            author_name: row.author_name,
            created_at: row.created_at,
            updated_at: row.updated_at,
            tracking,
        }
    }
}

impl Note {
    /// What its list can be asked.
    pub const LIST: ListSpec =
        ListSpec { filters: &[Filter::Created, Filter::Words(&words::NOTES)], sorts: &[SortKey::CreatedAt] };

    fn audited(&self, case_id: DbUuid) -> Audited {
        Audited {
            kind: EntityKind::Note,
            id: self.id,
            case_id: Some(case_id),
            label: format!("{} note", self.content.note_type.to_lowercase().replace('_', "-")),
        }
    }

    fn row(&self, writer: &Writer, content: NoteContent) -> NoteRow {
        NoteRow {
            organization_id: writer.organization(),
            id: self.id,
            content,
            author_id: self.author_id,
            author_name: self.author_name.clone(),
            created_at: self.created_at,
            updated_at: writer.time(),
        }
    }
}

const TRACKING: (
    investigation_notes::demo_user_session_id,
    investigation_notes::is_base_data,
    investigation_notes::change_kind,
) = (
    investigation_notes::demo_user_session_id,
    investigation_notes::is_base_data,
    investigation_notes::change_kind,
);

/// The case that a note hangs on, through its investigation.
fn case_of(conn: &mut AnyConnection, organization: Uuid, investigation_id: DbUuid) -> Result<DbUuid> {
    let case_id = investigations::table
        .find((DbUuid(organization), investigation_id))
        .select(investigations::case_id)
        .first(conn)
        .optional()?;
    case_id.ok_or(Error::NotFound(EntityKind::Investigation))
}

/// One note.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such note.
pub fn note_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Note> {
    let row: Option<(NoteRow, Tracking)> = investigation_notes::table
        .find((DbUuid(organization), DbUuid(id)))
        .select((NoteRow::as_select(), TRACKING))
        .first(conn)
        .optional()?;
    row.map(Note::from).ok_or(Error::NotFound(EntityKind::Note))
}

/// The notes on an investigation.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such investigation.
pub fn note_list(
    conn: &mut AnyConnection,
    organization: Uuid,
    investigation_id: Uuid,
    list: &ListQuery,
) -> Result<Page<Note>> {
    investigation_exists(conn, organization, investigation_id)?;
    let words = words::NOTES.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query = of_organization!(investigation_notes, organization, words)
            .filter(investigation_notes::investigation_id.eq(DbUuid(investigation_id)));
        created_between!(query, list, investigation_notes::created_at);
        query
    };
    let total = matching().count().get_result(conn)?;
    let rows: Vec<(NoteRow, Tracking)> =
        keyset!(matching(), list, investigation_notes::created_at, investigation_notes::id, Position::time)
            .select((NoteRow::as_select(), TRACKING))
            .load(conn)?;
    let items = rows.into_iter().map(Note::from).collect();
    Ok(Page::new(items, list, total, |item: &Note| (item.created_at.to_string(), item.id)))
}

/// Adds a note to an investigation.
///
/// # Errors
/// [`Error::Invalid`] where it refers to something that does not exist.
pub fn note_create(conn: &mut AnyConnection, writer: &Writer, id: Uuid, new: NewNote) -> Result<Note> {
    let organization = writer.actor.organization_id;
    new.check_references(conn, organization)?;
    let case_id = case_of(conn, organization, new.content.investigation_id)?;
    let row = NoteRow {
        organization_id: writer.organization(),
        id: DbUuid(id),
        content: new.content,
        author_id: writer.user(),
        author_name: writer.actor.name.clone(),
        created_at: writer.time(),
        updated_at: writer.time(),
    };
    diesel::insert_into(investigation_notes::table).values(&row).execute(conn)?;
    let note = note_fetch(conn, organization, id)?;
    audit(conn, writer, note.audited(case_id), Action::Created)?;
    Ok(note)
}

/// Edits a note. A patch that changes nothing writes nothing.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn note_update(conn: &mut AnyConnection, writer: &Writer, id: Uuid, patch: &NotePatch) -> Result<Note> {
    let organization = writer.actor.organization_id;
    let note = note_fetch(conn, organization, id)?;
    writer.check_version(&note)?;
    let Some(patched) = patch.apply(conn, organization, &note.content)? else { return Ok(note) };
    let case_id = case_of(conn, organization, note.content.investigation_id)?;
    update_by_id!(conn, investigation_notes, organization, id, &note.row(writer, patched.content))?;
    audit(conn, writer, note.audited(case_id), Action::Updated(patched.changes))?;
    note_fetch(conn, organization, id)
}

/// Deletes a note.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn note_delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> Result<()> {
    let organization = writer.actor.organization_id;
    let note = note_fetch(conn, organization, id)?;
    writer.check_version(&note)?;
    let case_id = case_of(conn, organization, note.content.investigation_id)?;
    diesel::delete(investigation_notes::table.find((DbUuid(organization), DbUuid(id)))).execute(conn)?;
    audit(conn, writer, note.audited(case_id), Action::Deleted)
}
