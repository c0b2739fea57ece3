//! Reading through the views against reading the bare tables: same columns, same conditions, same connection.

use std::cell::RefCell;

use anyhow::{Result, ensure};
use demo_reset_persistence::types::{DbTime, DbUuid};
use demo_reset_persistence::{AnyConnection, KeyedTable, SearchIndex};
use diesel::prelude::*;

use crate::fixture::{Base, Fixtures, Setting, edit_newest, largest_organization, thousands};
use crate::measure::{Compared, in_blocks, in_turns, time};
use crate::report::Report;
use crate::resets::BLOCKS;

diesel::table! {
    use demo_reset_persistence::types::sql::{Json, UtcTime, Uuid};
    use diesel::sql_types::{Integer, Nullable, Text};

    /// A table itself, in the base file.
    base.cases (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        reference_number -> Text,
        details -> Text,
        summary -> Nullable<Text>,
        status -> Text,
        severity -> Text,
        case_type -> Text,
        source_channel -> Text,
        reporter_type -> Text,
        reporter_name -> Nullable<Text>,
        reporter_email -> Nullable<Text>,
        reporter_phone -> Nullable<Text>,
        category_id -> Nullable<Uuid>,
        location_id -> Nullable<Uuid>,
        outcome -> Nullable<Text>,
        outcome_notes -> Nullable<Text>,
        tags -> Json,
        ai_summary -> Nullable<Text>,
        risk_score -> Nullable<Integer>,
        sla_due_at -> Nullable<UtcTime>,
        closed_at -> Nullable<UtcTime>,
        created_at -> UtcTime,
        updated_at -> UtcTime,
        created_by_id -> Uuid,
        updated_by_id -> Uuid,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::Text;

    /// What a join asks of the other table.
    base.investigations (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        case_id -> Uuid,
        status -> Text,
        created_at -> UtcTime,
    }
}

diesel::allow_tables_to_appear_in_same_query!(cases, investigations);

/// The tables themselves, and the views in front of them.
mod bare {
    pub(super) use super::{cases, investigations};
}

mod views {
    pub(super) use demo_reset_compliance::schema::{cases, investigations};
}

/// Text and ids of a case: what both queries carry into the program.
type Row = (DbUuid, String, String, Option<String>, String, String, Option<DbUuid>, DbUuid, DbTime);

/// The index of full text that the bundled demo makes over cases.
const CASES: SearchIndex = SearchIndex {
    table: KeyedTable { name: "cases", key: &["organization_id", "id"] },
    columns: &["reference_number", "summary", "details", "outcome_notes", "reporter_name"],
    indexed: true,
    tracking_columns: true,
};

/// Beginnings of words that some cases have.
const WORDS: &str = "over wrong";

/// Sums up a read, so that nothing of it can be left out.
type Found = Result<usize>;

/// The reads, of the views or of the bare tables: the same code twice.
macro_rules! reads {
    ($source:ident) => {
        pub(super) mod $source {
            use anyhow::Context;
            use diesel::dsl::count_star;
            use diesel::prelude::*;

            use super::super::$source::{cases, investigations};
            use super::super::{AnyConnection, Asked, CASES, DbTime, DbUuid, Found, Row, WORDS};

            macro_rules! columns {
                () => {
                    (
                        cases::id,
                        cases::reference_number,
                        cases::details,
                        cases::summary,
                        cases::status,
                        cases::severity,
                        cases::category_id,
                        cases::created_by_id,
                        cases::created_at,
                    )
                };
            }

            pub(in super::super) fn page(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let rows = cases::table
                    .filter(cases::organization_id.eq(asked.organization))
                    .order((cases::created_at.desc(), cases::id.desc()))
                    .limit(50)
                    .select(columns!())
                    .load::<Row>(conn)?;
                Ok(rows.len())
            }

            pub(in super::super) fn keyset_page(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let rows = cases::table
                    .filter(cases::organization_id.eq(asked.organization))
                    .filter(cases::created_at.le(asked.at))
                    .filter(cases::created_at.lt(asked.at).or(cases::id.lt(asked.id)))
                    .order((cases::created_at.desc(), cases::id.desc()))
                    .limit(50)
                    .select(columns!())
                    .load::<Row>(conn)?;
                Ok(rows.len())
            }

            pub(in super::super) fn filtered_page(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let rows = cases::table
                    .filter(cases::organization_id.eq(asked.organization))
                    .filter(cases::severity.eq("HIGH"))
                    .order((cases::created_at.desc(), cases::id.desc()))
                    .limit(50)
                    .select(columns!())
                    .load::<Row>(conn)?;
                Ok(rows.len())
            }

            pub(in super::super) fn words(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let words = CASES.matches(conn, Some(asked.organization.0), WORDS)?.context("no words")?;
                let rows = cases::table
                    .filter(cases::organization_id.eq(asked.organization))
                    .filter(words)
                    .order((cases::created_at.desc(), cases::id.desc()))
                    .limit(50)
                    .select(columns!())
                    .load::<Row>(conn)?;
                Ok(rows.len())
            }

            pub(in super::super) fn record(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let row = cases::table
                    .find((asked.organization, asked.id))
                    .select(columns!())
                    .first::<Row>(conn)?;
                Ok(row.1.len())
            }

            pub(in super::super) fn count(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let count: i64 = cases::table
                    .filter(cases::organization_id.eq(asked.organization))
                    .filter(cases::severity.eq("HIGH"))
                    .count()
                    .get_result(conn)?;
                Ok(count.unsigned_abs() as usize)
            }

            /// What the product asks where others join.
            pub(in super::super) fn children(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let rows = investigations::table
                    .filter(investigations::organization_id.eq(asked.organization))
                    .filter(investigations::case_id.eq(asked.case))
                    .order((investigations::created_at.asc(), investigations::id.asc()))
                    .limit(50)
                    .select((investigations::id, investigations::status, investigations::created_at))
                    .load::<(DbUuid, String, DbTime)>(conn)?;
                Ok(rows.len())
            }

            pub(in super::super) fn joined_page(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let of_case = investigations::organization_id
                    .eq(cases::organization_id)
                    .and(investigations::case_id.eq(cases::id));
                let rows = cases::table
                    .inner_join(investigations::table.on(of_case))
                    .filter(cases::organization_id.eq(asked.organization))
                    .order((cases::created_at.desc(), cases::id.desc()))
                    .limit(50)
                    .select((columns!(), investigations::status))
                    .load::<(Row, String)>(conn)?;
                Ok(rows.len())
            }

            pub(in super::super) fn aggregate(conn: &mut AnyConnection, asked: &Asked) -> Found {
                let rows: Vec<(String, i64)> = cases::table
                    .filter(cases::organization_id.eq(asked.organization))
                    .group_by(cases::severity)
                    .select((cases::severity, count_star()))
                    .load(conn)?;
                Ok(rows.len())
            }
        }
    };
}

mod of {
    reads!(views);
    reads!(bare);
}

/// What is asked for.
struct Asked {
    organization: DbUuid,
    id: DbUuid,
    at: DbTime,
    /// A case with an investigation, the newest.
    case: DbUuid,
}

/// A read of the views or of the bare tables.
type Read = fn(&mut AnyConnection, &Asked) -> Found;

/// Each with its goal, its rounds, and how it reads the views and the bare tables.
const READS: [(&str, Option<f64>, usize, Read, Read); 9] = [
    ("page of 50 cases", Some(1.2), 1000, of::views::page, of::bare::page),
    ("keyset page of 50 cases", Some(1.2), 1000, of::views::keyset_page, of::bare::keyset_page),
    ("page of 50 cases of a severity", Some(1.2), 1000, of::views::filtered_page, of::bare::filtered_page),
    ("page of 50 cases with two words", Some(1.5), 200, of::views::words, of::bare::words),
    ("record by id", Some(2.0), 5000, of::views::record, of::bare::record),
    ("count of the cases of a severity", None, 300, of::views::count, of::bare::count),
    ("investigations of a case", Some(1.5), 5000, of::views::children, of::bare::children),
    (
        // No page of the product asks it.
        "page of 50 cases with their investigations",
        None,
        500,
        of::views::joined_page,
        of::bare::joined_page,
    ),
    ("GROUP BY severity", None, 100, of::views::aggregate, of::bare::aggregate),
];

/// The first is that of every day: a crowd takes a minute to make.
const SETTINGS: [Setting; 3] = [
    Setting { base: Base::Demo, others: 10 },
    Setting { base: Base::Demo, others: 10_000 },
    Setting { base: Base::Million, others: 10_000 },
];

/// How many cases, and as many investigations, the reading session has edited, the newest.
const EDITED: usize = 50;

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: reads",
        format!(
            "the same Diesel queries of the views and of the bare tables, in turns on one connection, by one of the sessions, \
             which has edited {EDITED} cases, the newest, which pages begin with, and as many investigations, that of the case which \
             is asked for among them; the others have 40 and 10 of the same. Each query has its rounds in ten blocks, with those of \
             the others between them. Preparing is in none of them: statements are kept."
        ),
    );
    let settings = report.effort.some(&SETTINGS, 1);
    for &setting in settings {
        let fixture = fixtures.of(setting, report)?;
        let session = fixture.among(setting.others)?;
        for table in ["cases", "investigations"] {
            fixture.run(session, &edit_newest(table, EDITED))?;
        }
        let others = thousands(u64::from(setting.others));
        let of = format!("{} base rows, {others} other sessions", fixture.rows());
        fixture.database.read(session, |conn| Ok::<_, Failure>(measure_all(conn, &of, report)?))?;
    }
    Ok(())
}

fn measure_all(conn: &mut AnyConnection, of: &str, report: &mut Report) -> Result<()> {
    let asked = Asked::middle(conn)?;
    let conn = RefCell::new(conn);
    let found = |read: Read| read(&mut conn.borrow_mut(), &asked);
    for (name, .., view, table) in READS {
        ensure!(found(view)? > 0 && found(table)? > 0, "{name}: nothing is found");
    }
    let run = |read: Read| time(|| found(read));
    let mut reads = READS.map(|read| (read, Compared::default()));
    in_blocks(report.effort.rounds(BLOCKS), &mut reads, |((.., rounds, view, table), samples), _| {
        samples.extend(in_turns(3, *rounds / BLOCKS, [&mut || run(*view), &mut || run(*table)])?);
        Ok(())
    })?;
    for ((name, goal, ..), Compared([view, table])) in &reads {
        report.ratio(&format!("SQLite: {name}, {of}"), *goal, view, ("the bare table", table));
    }
    Ok(())
}

impl Asked {
    /// A case in the middle of the largest organization's.
    fn middle(conn: &mut AnyConnection) -> Result<Self> {
        use self::cases::dsl;
        let (organization, count) = largest_organization(conn)?;
        let (id, at) = dsl::cases
            .filter(dsl::organization_id.eq(organization))
            .order(dsl::id)
            .offset(count / 2)
            .select((dsl::id, dsl::created_at))
            .first(conn)?;
        let case = investigations::table
            .filter(investigations::organization_id.eq(organization))
            .order((investigations::created_at.desc(), investigations::id.desc()))
            .select(investigations::case_id)
            .first(conn)?;
        Ok(Self { organization, id, at, case })
    }
}

/// Either error: the engine asks for one that can be made of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failure(#[from] anyhow::Error);

impl From<demo_reset_persistence::Error> for Failure {
    fn from(error: demo_reset_persistence::Error) -> Self {
        Self(error.into())
    }
}
