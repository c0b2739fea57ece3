//! Reading through the views against reading the bare tables: same columns, same conditions, same connection.

use anyhow::{Context, Result};
use demo_reset_compliance::schema::cases as view;
use demo_reset_persistence::AnyConnection;
use demo_reset_persistence::types::DbUuid;
use diesel::prelude::*;

use crate::fixture::{Fixture, edit_cases};
use crate::measure::{Report, in_turns, time};

diesel::table! {
    use demo_reset_persistence::types::sql::{Json, UtcTime, Uuid};
    use diesel::sql_types::{Integer, Nullable, Text};

    /// The table itself, in the base file.
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

use self::cases as table;

/// Text and ids of a case: what both queries carry into the program.
type Row = (DbUuid, String, String, Option<String>, String, String, Option<DbUuid>, DbUuid);

macro_rules! columns {
    ($source:ident) => {
        (
            $source::id,
            $source::reference_number,
            $source::details,
            $source::summary,
            $source::status,
            $source::severity,
            $source::category_id,
            $source::created_by_id,
        )
    };
}

macro_rules! page {
    ($source:ident, $organization:expr, $conn:expr) => {
        $source::table
            .filter($source::organization_id.eq($organization))
            .order(($source::created_at.desc(), $source::id.desc()))
            .limit(50)
            .select((columns!($source), $source::created_at, $source::updated_at))
            .load::<(Row, demo_reset_persistence::types::DbTime, demo_reset_persistence::types::DbTime)>(
                $conn,
            )
    };
}

macro_rules! record {
    ($source:ident, $key:expr, $conn:expr) => {
        $source::table.find($key).select(columns!($source)).first::<Row>($conn)
    };
}

pub(crate) fn measure(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let session = fixture.session(1)?;
    fixture.run(session, &edit_cases(50))?;
    fixture.database.read(session, |conn| {
        let (page_view, page_table, record_view, record_table) = samples(conn)?;
        report.ratio("page of 50 cases through the view", 1.5, &page_view, ("the bare table", &page_table));
        report.ratio("record by id through the view", 2.0, &record_view, ("the bare table", &record_table));
        Ok::<_, Failure>(())
    })?;
    Ok(())
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

type Four =
    (crate::measure::Samples, crate::measure::Samples, crate::measure::Samples, crate::measure::Samples);

fn samples(conn: &mut AnyConnection) -> Result<Four> {
    let (organization, _): (DbUuid, i64) = table::table
        .group_by(table::organization_id)
        .select((table::organization_id, diesel::dsl::count_star()))
        .order(diesel::dsl::count_star().desc())
        .first(conn)
        .context("the largest organization")?;
    let ids: Vec<DbUuid> = table::table
        .filter(table::organization_id.eq(organization))
        .order(table::id)
        .limit(1000)
        .select(table::id)
        .load(conn)?;
    let conn = std::cell::RefCell::new(conn);
    let [page_view, page_table] = in_turns(
        50,
        1000,
        [&mut || Ok(time(|| page!(view, organization, &mut **conn.borrow_mut()))?), &mut || {
            Ok(time(|| page!(table, organization, &mut **conn.borrow_mut()))?)
        }],
    )?;
    let (mut next_view, mut next_table) = (ids.iter().cycle(), ids.iter().cycle());
    let [record_view, record_table] = in_turns(
        50,
        5000,
        [
            &mut || {
                let key = (organization, *next_view.next().context("an id")?);
                Ok(time(|| record!(view, key, &mut **conn.borrow_mut()))?)
            },
            &mut || {
                let key = (organization, *next_table.next().context("an id")?);
                Ok(time(|| record!(table, key, &mut **conn.borrow_mut()))?)
            },
        ],
    )?;
    Ok((page_view, page_table, record_view, record_table))
}
