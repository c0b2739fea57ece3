//! Associations: which RIUs a case came from.

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
use crate::schema::riu_case_associations;
use crate::words::{self, of_organization};

/// What a user writes in an association.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = riu_case_associations, treat_none_as_null = true, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct AssociationContent {
    /// The case.
    #[serde(with = "crate::wire")]
    pub case_id: DbUuid,
    /// The RIU.
    #[serde(with = "crate::wire")]
    pub riu_id: DbUuid,
    /// What the RIU is to the case.
    pub association_type: String,
    /// Why.
    pub notes: Option<String>,
}

impl Content for AssociationContent {
    const KIND: EntityKind = EntityKind::Association;
    const FIELDS: &'static [Field] = &[
        ID,
        CASE_ID,
        Field::required("riuId", FieldKind::Id(Some(Reference::Riu))).fixed(),
        Field::defaulted(
            "associationType",
            FieldKind::OneOf(&["PRIMARY", "RELATED", "MERGED_FROM"]),
            Initial::Word("RELATED"),
        ),
        Field::optional("notes", NARRATIVE),
        CREATED_AT,
        CREATED_BY_ID,
        TRACKING_FIELDS[0],
        TRACKING_FIELDS[1],
        TRACKING_FIELDS[2],
    ];
}

/// An association to be made.
pub type NewAssociation = New<AssociationContent>;
/// Changes to an association.
pub type AssociationPatch = Patch<AssociationContent>;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = riu_case_associations, treat_none_as_default_value = false)]
struct AssociationRow {
    organization_id: DbUuid,
    id: DbUuid,
    #[diesel(embed)]
    content: AssociationContent,
    created_at: DbTime,
    created_by_id: DbUuid,
}

/// An association as the session sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Association {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// What users wrote.
    #[serde(flatten)]
    pub content: AssociationContent,
    /// When it was made.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
    /// Who made it.
    #[serde(with = "crate::wire")]
    pub created_by_id: DbUuid,
    /// How the session sees it.
    #[serde(flatten)]
    pub tracking: Tracking,
}

impl From<(AssociationRow, Tracking)> for Association {
    fn from((row, tracking): (AssociationRow, Tracking)) -> Self {
        Self {
            id: row.id,
            content: row.content,
            created_at: row.created_at,
            created_by_id: row.created_by_id,
            tracking,
        }
    }
}

impl Association {
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec {
        filters: &[Filter::Created, Filter::Words(&words::ASSOCIATIONS)],
        sorts: &[SortKey::CreatedAt],
    };

    fn audited(&self) -> Audited {
        Audited {
            kind: EntityKind::Association,
            id: self.id,
            case_id: Some(self.content.case_id),
            label: format!("{} report link", self.content.association_type.to_lowercase().replace('_', "-")),
        }
    }
}

const TRACKING: (
    riu_case_associations::demo_user_session_id,
    riu_case_associations::is_base_data,
    riu_case_associations::change_kind,
) = (
    riu_case_associations::demo_user_session_id,
    riu_case_associations::is_base_data,
    riu_case_associations::change_kind,
);

/// One association.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such association.
pub fn association_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Association> {
    let row: Option<(AssociationRow, Tracking)> = riu_case_associations::table
        .find((DbUuid(organization), DbUuid(id)))
        .select((AssociationRow::as_select(), TRACKING))
        .first(conn)
        .optional()?;
    row.map(Association::from).ok_or(Error::NotFound(EntityKind::Association))
}

/// The associations of a case.
///
/// # Errors
/// [`Error::NotFound`] where the session sees no such case.
pub fn association_list(
    conn: &mut AnyConnection,
    organization: Uuid,
    case_id: Uuid,
    list: &ListQuery,
) -> Result<Page<Association>> {
    case_exists(conn, organization, case_id)?;
    let words = words::ASSOCIATIONS.matches(conn, Some(organization), list.text())?;
    let matching = || {
        let mut query = of_organization!(riu_case_associations, organization, words)
            .filter(riu_case_associations::case_id.eq(DbUuid(case_id)));
        created_between!(query, list, riu_case_associations::created_at);
        query
    };
    let total = matching().count().get_result(conn)?;
    let rows: Vec<(AssociationRow, Tracking)> = keyset!(
        matching(),
        list,
        riu_case_associations::created_at,
        riu_case_associations::id,
        Position::time
    )
    .select((AssociationRow::as_select(), TRACKING))
    .load(conn)?;
    let items = rows.into_iter().map(Association::from).collect();
    Ok(Page::new(items, list, total, |item: &Association| (item.created_at.to_string(), item.id)))
}

/// Links a RIU to a case.
///
/// # Errors
/// [`Error::Invalid`] where it refers to something that does not exist; [`Error::AlreadyExists`] where the two are
/// linked.
pub fn association_create(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    new: NewAssociation,
) -> Result<Association> {
    let organization = writer.actor.organization_id;
    new.check_references(conn, organization)?;
    let linked: Option<DbUuid> = riu_case_associations::table
        .filter(riu_case_associations::organization_id.eq(DbUuid(organization)))
        .filter(riu_case_associations::case_id.eq(new.content.case_id))
        .filter(riu_case_associations::riu_id.eq(new.content.riu_id))
        .select(riu_case_associations::id)
        .first(conn)
        .optional()?;
    if let Some(id) = linked {
        let message = format!("this report is linked to this case already, by the association {id}");
        return Err(Error::AlreadyExists(message));
    }
    let row = AssociationRow {
        organization_id: writer.organization(),
        id: DbUuid(id),
        content: new.content,
        created_at: writer.time(),
        created_by_id: writer.user(),
    };
    diesel::insert_into(riu_case_associations::table).values(&row).execute(conn)?;
    let association = association_fetch(conn, organization, id)?;
    audit(conn, writer, association.audited(), Action::Created)?;
    Ok(association)
}

/// Edits an association. A patch that changes nothing writes nothing.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn association_update(
    conn: &mut AnyConnection,
    writer: &Writer,
    id: Uuid,
    patch: &AssociationPatch,
) -> Result<Association> {
    let organization = writer.actor.organization_id;
    let association = association_fetch(conn, organization, id)?;
    writer.check_version(&association)?;
    let Some(patched) = patch.apply(conn, organization, &association.content)? else {
        return Ok(association);
    };
    update_by_id!(conn, riu_case_associations, organization, id, &patched.content)?;
    audit(conn, writer, association.audited(), Action::Updated(patched.changes))?;
    association_fetch(conn, organization, id)
}

/// Takes a RIU off a case.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Stale`].
pub fn association_delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> Result<()> {
    let organization = writer.actor.organization_id;
    let association = association_fetch(conn, organization, id)?;
    writer.check_version(&association)?;
    diesel::delete(riu_case_associations::table.find((DbUuid(organization), DbUuid(id)))).execute(conn)?;
    audit(conn, writer, association.audited(), Action::Deleted)
}
