//! Writing through the views against writing the bare tables: the same Diesel statements, each in a transaction of its
//! own.

use std::cell::{Cell, RefCell};

use anyhow::{Context, Result, ensure};
use demo_reset_compliance::schema::{cases, subjects};
use demo_reset_domain::{ArchiveId, SessionId};
use demo_reset_persistence::types::{DbTime, DbUuid};
use demo_reset_persistence::{AnyConnection, Database, Error, update};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use uuid::Uuid;

use crate::fixture::{Base, Fixtures, NOW, Setting, begin_to_write, largest_organization};
use crate::measure::{in_turns, time};
use crate::report::Report;

/// What is written to, and by whom: the same records in both worlds.
struct Written {
    organization: DbUuid,
    case: DbUuid,
    user: DbUuid,
    /// Other cases, more than are deleted.
    others: Vec<DbUuid>,
}

/// How many base cases there are to delete: none is deleted twice.
const TO_DELETE: i64 = 1_000;

/// A statement; the number is given once.
type Statement = fn(&mut AnyConnection, &Written, u128) -> QueryResult<usize>;

/// A kind of write.
struct Write {
    name: &'static str,
    /// What makes a record for it, and is not measured.
    before: Option<Statement>,
    statement: Statement,
    /// Whether the session is reset after each, so that it is the base that is written every time.
    afresh: bool,
    rounds: usize,
}

const WRITES: [Write; 8] = [
    Write { name: "edit of a base record", before: None, statement: edit, afresh: true, rounds: 200 },
    Write {
        name: "edit of a base record by diesel::update",
        before: None,
        statement: edit_anew,
        afresh: true,
        rounds: 200,
    },
    Write { name: "second edit of a record", before: None, statement: edit, afresh: false, rounds: 200 },
    Write {
        name: "second edit of a record by diesel::update",
        before: None,
        statement: edit_anew,
        afresh: false,
        rounds: 200,
    },
    Write { name: "create of a record", before: None, statement: create, afresh: false, rounds: 200 },
    Write {
        name: "delete of a record with two children",
        before: Some(create_with_children),
        statement: delete,
        afresh: false,
        rounds: 200,
    },
    Write {
        name: "delete of a base case with all that hangs on it",
        before: None,
        statement: delete_of_base,
        afresh: true,
        rounds: 200,
    },
    Write { name: "update of 10,000 records", before: None, statement: edit_many, afresh: true, rounds: 10 },
];

fn edit(conn: &mut AnyConnection, written: &Written, number: u128) -> QueryResult<usize> {
    let which = cases::organization_id.eq(written.organization).and(cases::id.eq(written.case));
    let changes = (cases::severity.eq("LOW"), cases::summary.eq(format!("edited {number}")));
    update(cases::table, which, changes).execute(conn)
}

fn edit_anew(conn: &mut AnyConnection, written: &Written, number: u128) -> QueryResult<usize> {
    diesel::update(cases::table.find((written.organization, written.case)))
        .set((cases::severity.eq("LOW"), cases::summary.eq(format!("edited {number}"))))
        .execute(conn)
}

/// The id of the case that was made with this number.
fn made(number: u128) -> DbUuid {
    DbUuid(Uuid::from_u128(0x4000_b000 << 64 | number))
}

fn create(conn: &mut AnyConnection, written: &Written, number: u128) -> QueryResult<usize> {
    diesel::insert_into(cases::table)
        .values((
            cases::organization_id.eq(written.organization),
            cases::id.eq(made(number)),
            cases::reference_number.eq(format!("NEW-{number}")),
            cases::details.eq("What was seen, by whom, and when."),
            cases::created_at.eq(DbTime::new(NOW)),
            cases::updated_at.eq(DbTime::new(NOW)),
            cases::created_by_id.eq(written.user),
            cases::updated_by_id.eq(written.user),
        ))
        .execute(conn)
}

fn create_with_children(conn: &mut AnyConnection, written: &Written, number: u128) -> QueryResult<usize> {
    create(conn, written, number)?;
    for child in 1..=2 {
        diesel::insert_into(subjects::table)
            .values((
                subjects::organization_id.eq(written.organization),
                subjects::id.eq(DbUuid(Uuid::from_u128((0x4000_b000 + child) << 64 | number))),
                subjects::case_id.eq(made(number)),
                subjects::name.eq("Sam Reyes"),
                subjects::role.eq("WITNESS"),
                subjects::created_at.eq(DbTime::new(NOW)),
                subjects::updated_at.eq(DbTime::new(NOW)),
                subjects::created_by_id.eq(written.user),
            ))
            .execute(conn)?;
    }
    Ok(3)
}

fn delete(conn: &mut AnyConnection, written: &Written, number: u128) -> QueryResult<usize> {
    diesel::delete(cases::table.find((written.organization, made(number)))).execute(conn)
}

/// Deletes another case each time: in a session tombstones come of it, in the plain tables nothing is left.
fn delete_of_base(conn: &mut AnyConnection, written: &Written, number: u128) -> QueryResult<usize> {
    let which = written.others[number as usize % written.others.len()];
    diesel::delete(cases::table.find((written.organization, which))).execute(conn)
}

fn edit_many(conn: &mut AnyConnection, _: &Written, _: u128) -> QueryResult<usize> {
    let some = "select organization_id, id from audit_logs order by organization_id, id limit 10000";
    let edit = format!(
        "update audit_logs set action_description = action_description || '.' where (organization_id, id) in ({some})"
    );
    diesel::sql_query(edit).execute(conn)
}

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    let fixture = fixtures.of(Setting { base: Base::Demo, others: 10 }, report)?;
    let plain = AnyConnection::Sqlite(fixture.plain("plain-writes.db")?);
    measure_on("SQLite", &fixture.database, fixture.session(700)?, plain, report)
}

/// Measures all writes in a session and on a copy of its base with plain tables.
pub(crate) fn measure_on(
    name: &str,
    database: &Database,
    session: SessionId,
    mut plain: AnyConnection,
    report: &mut Report,
) -> Result<()> {
    report.section(
        &format!("{name}: writes"),
        "the same statements through the views, in a session's unit of work, and on a copy of the base with plain tables, \
         each in a transaction of its own. Edits are kept prepared but where `diesel::update` is named, which prepares \
         them anew each time. There is no goal: this is what isolation costs.",
    );
    let (organization, _) = largest_organization(&mut plain)?;
    let (case, user) = cases::table
        .filter(cases::organization_id.eq(organization))
        .order(cases::id)
        .select((cases::id, cases::created_by_id))
        .first(&mut plain)
        .context("a case")?;
    let others = cases::table
        .filter(cases::organization_id.eq(organization))
        .order(cases::id)
        .offset(1)
        .limit(TO_DELETE)
        .select(cases::id)
        .load(&mut plain)?;
    ensure!(others.len() as i64 == TO_DELETE, "{} cases to delete", others.len());
    let written = Written { organization, case, user, others };
    let begin = begin_to_write(&plain);
    let plain = RefCell::new(plain);
    let number = Cell::new(0_u128);
    let next = || {
        number.set(number.get() + 1);
        number.get()
    };
    let in_session = |statement: Statement, number: u128| {
        database.write(session, NOW, |conn| statement(conn, &written, number).map_err(Error::from))
    };
    let on_plain = |statement: Statement, number: u128| -> QueryResult<()> {
        let mut conn = plain.borrow_mut();
        conn.batch_execute(begin)?;
        statement(&mut conn, &written, number)?;
        conn.batch_execute("commit")
    };
    for write in &WRITES {
        let [view, table] = in_turns(
            2,
            report.effort.rounds(write.rounds),
            [
                &mut || {
                    let number = next();
                    if let Some(before) = write.before {
                        in_session(before, number)?;
                    }
                    let took = time(|| in_session(write.statement, number))?;
                    if write.afresh {
                        database.reset(session, ArchiveId(made(number << 32).0), NOW)?;
                    }
                    Ok(took)
                },
                &mut || {
                    let number = next();
                    if let Some(before) = write.before {
                        on_plain(before, number)?;
                    }
                    Ok(time(|| on_plain(write.statement, number))?)
                },
            ],
        )?;
        report.ratio(
            &format!("{name}: {} through the view", write.name),
            None,
            &view,
            ("the bare table", &table),
        );
    }
    Ok(())
}
