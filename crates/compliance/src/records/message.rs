//! Messages of the dialogue with the reporter of a case. What was said stays said: only `isRead` changes.

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
use crate::schema::case_messages;
use crate::words::{self, of_organization};

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = case_messages, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct MessageContent {
    /// The case.
    #[serde(with = "crate::wire")]
    pub case_id: DbUuid,
    /// From the reporter, or to the reporter.
    pub direction: String,
    /// The text.
    pub content: String,
    /// Its subject line.
    pub subject: Option<String>,
    /// Who wrote it.
    pub sender_type: String,
    /// Whether it was read: the one field that can be edited.
    pub is_read: bool,
}

impl Content for MessageContent {
    const KIND: EntityKind = EntityKind::Message;
    const FIELDS: &'static [Field] = &[
        ID,
        CASE_ID,
        Field::required("direction", FieldKind::OneOf(&["INBOUND", "OUTBOUND"])).immutable(),
        Field::required("content", NARRATIVE).immutable(),
        Field::optional("subject", TEXT).immutable(),
        Field::defaulted(
            "senderType",
            FieldKind::OneOf(&["REPORTER", "INVESTIGATOR", "SYSTEM"]),
            Initial::Word("INVESTIGATOR"),
        )
        .immutable(),
        Field::defaulted("isRead", FieldKind::Flag, Initial::False),
        Field::server("readAt", FieldKind::Time).or_null(),
        CREATED_AT,
        Field::server("createdById", FieldKind::Id(None)).or_null(),
        TRACKING_FIELDS[0],
        TRACKING_FIELDS[1],
        TRACKING_FIELDS[2],
    ];
}

/// A message to be sent.
pub type NewMessage = New<MessageContent>;
/// Whether a message was read.
pub type MessagePatch = Patch<MessageContent>;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = case_messages, treat_none_as_default_value = false)]
struct MessageRow {
    organization_id: DbUuid,
    id: DbUuid,
    #[diesel(embed)]
    content: MessageContent,
    read_at: Option<DbTime>,
    created_at: DbTime,
    created_by_id: Option<DbUuid>,
}

/// A message as the session sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// What it says.
    #[serde(flatten)]
    pub content: MessageContent,
    /// When it was read.
    #[serde(with = "crate::wire")]
    pub read_at: Option<DbTime>,
    /// When it was sent.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// The user who sent it; none for a reporter's.
    #[serde(with = "crate::wire")]
    pub created_by_id: Option<DbUuid>,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(MessageRow, Tracking)> for Message {
    fn from((row, tracking): (MessageRow, Tracking)) -> Self {
        Self {
            id: row.id,
            content: row.content,
            read_at: row.read_at,
            created_at: row.created_at,
            created_by_id: row.created_by_id,
            tracking,
        }
    }
}

impl Message {
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec {
        filters: &[Filter::Created, Filter::Words(&words::MESSAGES)],
        sorts: &[SortKey::CreatedAt],
    };

    fn audited(&self) -> Audited {
        Audited {
            kind: EntityKind::Message,
            id: self.id,
            case_id: Some(self.content.case_id),
            label: format!("{} message", self.content.direction.to_lowercase()),
        }
    }
}

const TRACKING: (
    case_messages::demo_user_session_id,
    case_messages::is_base_data,
    case_messages::change_kind,
) = (case_messages::demo_user_session_id, case_messages::is_base_data, case_messages::change_kind);

/// One message.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such message.
pub fn message_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Message> {
    let row: Option<(MessageRow, Tracking)> = case_messages::table
        .find((DbUuid(organization), DbUuid(id)))
        .select((MessageRow::as_select(), TRACKING))
        .first(conn)
        .optional()?;
    row.map(Message::from).ok_or(Error::NotFound(EntityKind::Message))
}

/// The messages of a case.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such case.
pub fn message_list(
    conn: &mut AnyConnection,
    organization: Uuid,
    case_id: Uuid,
    list: &ListQuery,
) -> Result<Page<Message>> {
    case_exists(conn, organization, case_id)?;
    let words = words::MESSAGES.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query = of_organization!(case_messages, organization, words)
            .filter(case_messages::case_id.eq(DbUuid(case_id)));
        created_between!(query, list, case_messages::created_at);
        query
    };
    let total = matching().count().get_result(conn)?;
    let rows: Vec<(MessageRow, Tracking)> =
        keyset!(matching(), list, case_messages::created_at, case_messages::id, Position::time)
            .select((MessageRow::as_select(), TRACKING))
            .load(conn)?;
    let items = rows.into_iter().map(Message::from).collect();
    Ok(Page::new(items, list, total, |item: &Message| (item.created_at.to_string(), item.id)))
}

/// Adds a message to a case.
///
/// # Errors
/// [`Error::Invalid`] where it refers to something that does not exist.
pub fn message_create(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    new: NewMessage,
) -> Result<Message> {
    let organization = writer.actor.organization_id;
    new.check_references(conn, organization)?;
    let row = MessageRow {
        organization_id: writer.organization(),
        id: DbUuid(id),
        read_at: new.content.is_read.then(|| writer.time()),
        content: new.content,
        created_at: writer.time(),
        created_by_id: Some(writer.user()),
    };
    diesel::insert_into(case_messages::table).values(&row).execute(conn)?;
    let message = message_fetch(conn, organization, id)?;
    audit(conn, writer, message.audited(), Action::Created)?;
    Ok(message)
}

/// Marks a message as read, with the time, or as unread. A patch that changes nothing writes nothing.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn message_update(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    patch: &MessagePatch,
) -> Result<Message> {
    let organization = writer.actor.organization_id;
    let message = message_fetch(conn, organization, id)?;
    writer.check_version(&message)?;
    let Some(patched) = patch.apply(conn, organization, &message.content)? else { return Ok(message) };
    let is_read = patched.content.is_read;
    let read =
        (case_messages::is_read.eq(is_read), case_messages::read_at.eq(is_read.then(|| writer.time())));
    update_by_id!(conn, case_messages, organization, id, read)?;
    audit(conn, writer, message.audited(), Action::Updated(patched.changes))?;
    message_fetch(conn, organization, id)
}

/// Deletes a message.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn message_delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> Result<()> {
    let organization = writer.actor.organization_id;
    let message = message_fetch(conn, organization, id)?;
    writer.check_version(&message)?;
    diesel::delete(case_messages::table.find((DbUuid(organization), DbUuid(id)))).execute(conn)?;
    audit(conn, writer, message.audited(), Action::Deleted)
}
