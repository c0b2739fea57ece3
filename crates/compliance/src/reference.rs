//! What records refer to: organizations, users, categories, locations, employees. Read only, the same for everyone
//! in the organization.

use demo_reset_domain::{UserKey, UserKeyError};
use demo_reset_persistence::types::{DbTime, DbUuid};
use demo_reset_persistence::{AnyConnection, BaseCounts, MultiBackend};
use diesel::prelude::*;
use serde::Serialize;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::fields::{Field, FieldKind, Reference, SHORT, parse_id};
use crate::list::{Filter, ListQuery, ListSpec, Page, Position, SortKey, keyset};
use crate::schema::{cases, categories, employees, investigations, locations, organizations, rius, users};
use crate::words::{self, of_organization};

/// The roles of users.
pub const ROLES: &[&str] = &[
    "SYSTEM_ADMIN",
    "COMPLIANCE_OFFICER",
    "TRIAGE_LEAD",
    "INVESTIGATOR",
    "POLICY_AUTHOR",
    "POLICY_REVIEWER",
    "MANAGER",
    "EMPLOYEE",
];

/// The role that may administer the sessions of its organization.
pub const ADMIN_ROLE: &str = ROLES[0];

const TEXT: FieldKind = FieldKind::Text { max: SHORT };
const ID: Field = Field::server("id", FieldKind::Id(None));
const CREATED_AT: Field = Field::server("createdAt", FieldKind::Time);

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: Uuid,
    /// Its name in commands, such as `acme-corp`.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// The organization of this name, if there is one.
///
/// # Errors
/// Where the database fails.
pub fn organization_by_slug(conn: &mut AnyConnection, slug: &str) -> Result<Option<Organization>> {
    let row: Option<(DbUuid, String, String)> = organizations::table
        .filter(organizations::slug.eq(slug))
        .select((organizations::id, organizations::slug, organizations::name))
        .first(conn)
        .optional()?;
    Ok(row.map(|(id, slug, name)| Organization { id: id.0, slug, name }))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct UserRow {
    organization_id: DbUuid,
    id: DbUuid,
    email: String,
    first_name: String,
    last_name: String,
    role: String,
    created_at: DbTime,
}

/// A user of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// Its address, with which it signs in.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// One of [`ROLES`].
    pub role: String,
    /// Its organization.
    #[serde(with = "crate::wire")]
    pub organization_id: DbUuid,
    /// Since when.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            role: row.role,
            organization_id: row.organization_id,
            created_at: row.created_at,
        }
    }
}

impl User {
    /// The fields of a user.
    pub const FIELDS: &'static [Field] = &[
        ID,
        Field::server("email", TEXT),
        Field::server("firstName", TEXT),
        Field::server("lastName", TEXT),
        Field::server("role", FieldKind::OneOf(ROLES)),
        Field::server("organizationId", FieldKind::Id(None)),
        CREATED_AT,
    ];
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec { filters: &[], sorts: &[SortKey::Name] };

    /// First and last name.
    pub fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    /// Whose session the user's is, to the engine.
    ///
    /// # Errors
    /// Never for ids; the engine accepts any text and so has a refusal.
    pub fn session_key(&self) -> std::result::Result<UserKey, UserKeyError> {
        session_key(self.organization_id.0, self.id.0)
    }
}

/// Whose session a user's is, to the engine: both ids as text.
///
/// # Errors
/// Never for ids; the engine accepts any text and so has a refusal.
pub fn session_key(organization: Uuid, user: Uuid) -> std::result::Result<UserKey, UserKeyError> {
    UserKey::new(organization.to_string(), user.to_string())
}

/// The user with this address, in any organization: addresses are unique.
///
/// # Errors
/// Where the database fails.
pub fn user_by_email(conn: &mut AnyConnection, email: &str) -> Result<Option<User>> {
    let row = users::table
        .filter(users::email.eq(email.trim().to_lowercase()))
        .select(UserRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row.map(User::from))
}

/// The user of an organization with this id, if there is one.
///
/// # Errors
/// Where the database fails.
pub fn user_fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> Result<Option<User>> {
    let row = users::table
        .find((DbUuid(organization), DbUuid(id)))
        .select(UserRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row.map(User::from))
}

/// The user of an organization with this address or id, if there is one.
///
/// # Errors
/// Where the database fails.
pub fn user_find(conn: &mut AnyConnection, organization: Uuid, email_or_id: &str) -> Result<Option<User>> {
    match parse_id(email_or_id) {
        Some(id) => user_fetch(conn, organization, id),
        None => {
            let user = user_by_email(conn, email_or_id)?;
            Ok(user.filter(|user| user.organization_id.0 == organization))
        }
    }
}

/// The users of an organization, by name.
///
/// # Errors
/// Where the database fails.
pub fn user_list(conn: &mut AnyConnection, organization: Uuid, list: &ListQuery) -> Result<Page<User>> {
    let matching =
        || users::table.filter(users::organization_id.eq(DbUuid(organization))).into_boxed::<MultiBackend>();
    let total = matching().count().get_result(conn)?;
    let rows = keyset!(matching(), list, users::last_name, users::id, Position::text)
        .select(UserRow::as_select())
        .load(conn)?;
    let items = rows.into_iter().map(User::from).collect();
    Ok(Page::new(items, list, total, |user: &User| (user.last_name.clone(), user.id)))
}

/// Every user with the name of the organization: organizations by name, the users of each in the order in which they
/// were made.
///
/// # Errors
/// Where the database fails.
pub fn demo_people(conn: &mut AnyConnection) -> Result<Vec<(User, String)>> {
    let organizations: Vec<(DbUuid, String)> = organizations::table
        .order(organizations::name)
        .select((organizations::id, organizations::name))
        .load(conn)?;
    let mut people = Vec::new();
    for (organization, name) in organizations {
        let rows: Vec<UserRow> = users::table
            .filter(users::organization_id.eq(organization))
            .order(users::id)
            .select(UserRow::as_select())
            .load(conn)?;
        people.extend(rows.into_iter().map(|row| (User::from(row), name.clone())));
    }
    Ok(people)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = categories)]
struct CategoryRow {
    id: DbUuid,
    code: String,
    name: String,
    category_group: String,
    severity: String,
    sla_days: i32,
    created_at: DbTime,
}

/// What a case can be about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Category {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// Its short name.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The group it belongs to.
    pub group: String,
    /// How severe such a case usually is.
    pub severity: String,
    /// Days in which such a case should be closed.
    pub sla_days: i32,
    /// Since when.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
}

impl From<CategoryRow> for Category {
    fn from(row: CategoryRow) -> Self {
        Self {
            id: row.id,
            code: row.code,
            name: row.name,
            group: row.category_group,
            severity: row.severity,
            sla_days: row.sla_days,
            created_at: row.created_at,
        }
    }
}

impl Category {
    /// The fields of a category.
    pub const FIELDS: &'static [Field] = &[
        ID,
        Field::server("code", TEXT),
        Field::server("name", TEXT),
        Field::server("group", TEXT),
        Field::server("severity", FieldKind::OneOf(crate::records::SEVERITIES)),
        Field::server("slaDays", FieldKind::Integer { min: 1, max: i32::MAX as i64 }),
        CREATED_AT,
    ];
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec { filters: &[], sorts: &[SortKey::Code] };
}

/// The categories of an organization, by code.
///
/// # Errors
/// Where the database fails.
pub fn category_list(
    conn: &mut AnyConnection,
    organization: Uuid,
    list: &ListQuery,
) -> Result<Page<Category>> {
    let matching = || {
        categories::table
            .filter(categories::organization_id.eq(DbUuid(organization)))
            .into_boxed::<MultiBackend>()
    };
    let total = matching().count().get_result(conn)?;
    let rows = keyset!(matching(), list, categories::code, categories::id, Position::text)
        .select(CategoryRow::as_select())
        .load(conn)?;
    let items = rows.into_iter().map(Category::from).collect();
    Ok(Page::new(items, list, total, |category: &Category| (category.code.clone(), category.id)))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = locations)]
struct LocationRow {
    id: DbUuid,
    code: String,
    name: String,
    city: String,
    country: String,
    region: String,
    time_zone: String,
    created_at: DbTime,
}

/// A site of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// Its short name.
    pub code: String,
    /// Its name.
    pub name: String,
    /// City.
    pub city: String,
    /// Country.
    pub country: String,
    /// `US`, `EMEA` or `APAC`.
    pub region: String,
    /// The name of its time zone.
    pub time_zone: String,
    /// Since when.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
}

impl From<LocationRow> for Location {
    fn from(row: LocationRow) -> Self {
        Self {
            id: row.id,
            code: row.code,
            name: row.name,
            city: row.city,
            country: row.country,
            region: row.region,
            time_zone: row.time_zone,
            created_at: row.created_at,
        }
    }
}

impl Location {
    /// The fields of a location.
    pub const FIELDS: &'static [Field] = &[
        ID,
        Field::server("code", TEXT),
        Field::server("name", TEXT),
        Field::server("city", TEXT),
        Field::server("country", TEXT),
        Field::server("region", FieldKind::OneOf(&["US", "EMEA", "APAC"])),
        Field::server("timeZone", TEXT),
        CREATED_AT,
    ];
    /// What its list can be asked.
    pub const LIST: ListSpec = ListSpec { filters: &[], sorts: &[SortKey::Code] };
}

/// The locations of an organization, by code.
///
/// # Errors
/// Where the database fails.
pub fn location_list(
    conn: &mut AnyConnection,
    organization: Uuid,
    list: &ListQuery,
) -> Result<Page<Location>> {
    let matching = || {
        locations::table
            .filter(locations::organization_id.eq(DbUuid(organization)))
            .into_boxed::<MultiBackend>()
    };
    let total = matching().count().get_result(conn)?;
    let rows = keyset!(matching(), list, locations::code, locations::id, Position::text)
        .select(LocationRow::as_select())
        .load(conn)?;
    let items = rows.into_iter().map(Location::from).collect();
    Ok(Page::new(items, list, total, |location: &Location| (location.code.clone(), location.id)))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = employees)]
struct EmployeeRow {
    id: DbUuid,
    employee_number: String,
    first_name: String,
    last_name: String,
    email: String,
    job_title: String,
    division: String,
    department: String,
    location_id: DbUuid,
    manager_id: Option<DbUuid>,
    hired_at: DbTime,
    created_at: DbTime,
}

/// A person who works for the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Employee {
    /// Its id.
    #[serde(with = "crate::wire")]
    pub id: DbUuid,
    /// Its number.
    pub employee_number: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Address.
    pub email: String,
    /// Job title.
    pub job_title: String,
    /// Division.
    pub division: String,
    /// Department.
    pub department: String,
    /// Where the employee works.
    #[serde(with = "crate::wire")]
    pub location_id: DbUuid,
    /// To whom the employee reports.
    #[serde(with = "crate::wire")]
    pub manager_id: Option<DbUuid>,
    /// Since when with the organization.
    #[serde(with = "crate::wire")]
    pub hired_at: DbTime,
    /// Since when in the database.
    #[serde(with = "crate::wire")]
    pub created_at: DbTime,
}

impl From<EmployeeRow> for Employee {
    fn from(row: EmployeeRow) -> Self {
        Self {
            id: row.id,
            employee_number: row.employee_number,
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            job_title: row.job_title,
            division: row.division,
            department: row.department,
            location_id: row.location_id,
            manager_id: row.manager_id,
            hired_at: row.hired_at,
            created_at: row.created_at,
        }
    }
}

impl Employee {
    /// The fields of an employee.
    pub const FIELDS: &'static [Field] = &[
        ID,
        Field::server("employeeNumber", TEXT),
        Field::server("firstName", TEXT),
        Field::server("lastName", TEXT),
        Field::server("email", TEXT),
        Field::server("jobTitle", TEXT),
        Field::server("division", TEXT),
        Field::server("department", TEXT),
        Field::server("locationId", FieldKind::Id(None)),
        Field::server("managerId", FieldKind::Id(None)).or_null(),
        Field::server("hiredAt", FieldKind::Time),
        CREATED_AT,
    ];
    /// What its list can be asked.
    pub const LIST: ListSpec =
        ListSpec { filters: &[Filter::Words(&words::EMPLOYEES)], sorts: &[SortKey::Name] };
}

/// The employees of an organization, by last name; with words given, those whose names, address and number have words
/// that begin with them.
///
/// # Errors
/// Where the database fails.
pub fn employee_list(
    conn: &mut AnyConnection,
    counts: &BaseCounts,
    organization: Uuid,
    list: &ListQuery,
) -> Result<Page<Employee>> {
    let words = words::EMPLOYEES.matches(conn, Some(organization), list.text())?;
    let matching = || of_organization!(employees, organization, words);
    let (table, what) = (words::EMPLOYEES.table, list.what(organization));
    let total = counts.count_unattached(conn, table, &what, || matching().count())?;
    let rows = keyset!(matching(), list, employees::last_name, employees::id, Position::text)
        .select(EmployeeRow::as_select())
        .load(conn)?;
    let items = rows.into_iter().map(Employee::from).collect();
    Ok(Page::new(items, list, total, |employee: &Employee| (employee.last_name.clone(), employee.id)))
}

/// Whether the record that an id refers to exists in the world that the connection shows.
pub(crate) fn reference_exists(
    conn: &mut AnyConnection,
    organization: Uuid,
    reference: Reference,
    id: Uuid,
) -> Result<bool> {
    let key = (DbUuid(organization), DbUuid(id));
    macro_rules! exists {
        ($table:ident) => {
            $table::table.find(key).select($table::id).first::<DbUuid>(conn).optional()
        };
    }
    let found = match reference {
        Reference::Category => exists!(categories),
        Reference::Location => exists!(locations),
        Reference::Employee => exists!(employees),
        Reference::User => exists!(users),
        Reference::Case => exists!(cases),
        Reference::Riu => exists!(rius),
        Reference::Investigation => exists!(investigations),
    };
    Ok(found.map_err(Error::from)?.is_some())
}
