//! The demo with a thousand users, once under sessions and once as plain tables.

use anyhow::{Error, Result, anyhow, ensure};
use demo_reset_compliance::attach_options;
use demo_reset_compliance::schema::{cases, users};
use demo_reset_persistence::types::{DbTime, DbUuid};
use demo_reset_persistence::{AnyConnection, DatabaseUrl, load_base};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use uuid::Uuid;

use super::clients::Asked;
use crate::fixture::{BuildError, NOW, build, largest_organization};

/// The id of a made-up user.
fn user_id(number: usize) -> Uuid {
    Uuid::from_u128(0x4000_8000_0000_0000_0000 | number as u128)
}

fn build_with(users: usize, conn: &mut AnyConnection) -> Result<(), BuildError> {
    build(conn)?;
    let (organization, _) = largest_organization(conn)?;
    for number in 0..users {
        let row = (
            users::organization_id.eq(organization),
            users::id.eq(DbUuid(user_id(number))),
            users::email.eq(format!("rep-{number}@bench.example")),
            users::first_name.eq("Rep"),
            users::last_name.eq(number.to_string()),
            users::role.eq("MANAGER"),
            users::created_at.eq(DbTime::new(NOW)),
        );
        diesel::insert_into(users::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Loads both databases, at the same time, with so many users; what there is to ask for.
pub(super) fn load(url: &str, plain: &str, users: usize) -> Result<Asked> {
    let sealed: DatabaseUrl = url.parse()?;
    let mut conn = super::bare::connect(plain)?;
    std::thread::scope(|scope| {
        let load = || load_base(&sealed, Uuid::from_u128(1), NOW, |conn| build_with(users, conn));
        let loading = scope.spawn(load);
        conn.transaction(|conn| build_with(users, conn))?;
        loading.join().map_err(|_| anyhow!("loading the base panicked"))??;
        Ok::<_, Error>(())
    })?;
    let kinds = match conn {
        AnyConnection::Sqlite(_) => ["text", "boolean"],
        AnyConnection::Postgres(_) => ["uuid", "boolean"],
    };
    // The tables under sessions, which a view gives three more columns.
    for table in attach_options().tables.into_iter().flatten() {
        conn.batch_execute(&format!(
            "alter table {table} add column demo_user_session_id {}; \
             alter table {table} add column is_base_data {} not null default true; \
             alter table {table} add column change_kind text;",
            kinds[0], kinds[1]
        ))?;
    }
    conn.batch_execute("analyze")?;
    let (organization, _) = largest_organization(&mut conn)?;
    let ids: Vec<DbUuid> = cases::table
        .filter(cases::organization_id.eq(organization))
        .order(cases::id)
        .limit(2_000)
        .select(cases::id)
        .load(&mut conn)?;
    ensure!(!ids.is_empty(), "there are no cases");
    Asked::new(organization.0, (0..users).map(user_id), ids.into_iter().map(|id| id.0).collect())
}
