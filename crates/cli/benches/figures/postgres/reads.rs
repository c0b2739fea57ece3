//! Reading through the views against reading the bare tables: the same statements, prepared on the same connection of
//! a server's pool, beside 10,000 other sessions.

use std::cell::RefCell;

use anyhow::Result;
use demo_reset_persistence::{AnyConnection, Error};
use diesel::connection::SimpleConnection;

use super::world::{Cluster, Size, World};
use crate::fixture::thousands;
use crate::measure::{Compared, Samples, in_blocks, in_turns, time};
use crate::report::Report;
use crate::resets::BLOCKS;

/// A kind of read: `{}` stands for where its tables are, `$1` for the organization.
struct Read {
    name: &'static str,
    goal: Option<f64>,
    rounds: usize,
    sql: &'static str,
    /// What is bound after the organization, as `execute` takes it; `{case}` stands for a case with an investigation.
    bound: &'static str,
}

const COLUMNS: &str = "id, reference_number, details, summary, status, severity, category_id, created_at";

/// What the index of full text over cases is made of.
const TEXT: &str = "coalesce(cases.reference_number, '') || ' ' || coalesce(cases.summary, '') || ' ' || \
    coalesce(cases.details, '') || ' ' || coalesce(cases.outcome_notes, '') || ' ' || coalesce(cases.reporter_name, '')";

/// The words of `$2` as anybody asks a table for them, and as the demo asks a view, which reads what the session has
/// changed: letters first, then words.
const WORDS: [(&str, &str); 2] = [
    ("public", "organization_id = $1 and demo.search_words({text}) @@ cast($2 as tsquery)"),
    (
        "demo",
        "case when cases.is_base_data \
         then demo.search_words({text}) @@ cast($2 as tsquery) and (organization_id = $1) is true \
         else case when strpos({small}, 'wrong') > 0 and strpos({small}, 'over') > 0 \
           then case when {small} ~ '{before}(wrong)' and {small} ~ '{before}(over)' then 1 else 0 end else 0 end = 1 \
           and organization_id = $1 end",
    ),
];

/// The texts of a case in small letters.
const SMALL: &str = "lower(({text}) collate \"C\")";

/// What stands in front of a word.
const BEFORE_A_WORD: &str =
    r"(^|[\u0001-\u002f\u003a-\u0060\u007b-\u00bf\u2000-\u206f\u20a0-\u20cf\u3000-\u303f])";

const READS: [Read; 11] = [
    Read {
        name: "page of 50 cases",
        goal: Some(1.5),
        rounds: 500,
        sql: "select {columns} from {}.cases where organization_id = $1 order by created_at desc, id desc limit $2",
        bound: ", 50",
    },
    Read {
        name: "keyset page of 50 cases",
        goal: Some(1.5),
        rounds: 500,
        sql: "select {columns} from {}.cases where organization_id = $1 and created_at <= $2 \
            and (created_at < $2 or id < $3) order by created_at desc, id desc limit $4",
        bound: ", '2025-01-01T00:00:00Z', '80000000-0000-4000-8000-000000000000', 50",
    },
    Read {
        name: "page of 50 cases of a severity",
        goal: Some(1.5),
        rounds: 500,
        sql: "select {columns} from {}.cases where organization_id = $1 and severity = $2 \
            order by created_at desc, id desc limit $3",
        bound: ", 'HIGH', 50",
    },
    Read {
        name: "page of 50 cases with two words",
        goal: Some(1.5),
        rounds: 100,
        sql: "select {columns} from {}.cases where {words} order by created_at desc, id desc limit $3",
        bound: ", '''over'':* & ''wrong'':*', 50",
    },
    Read {
        name: "record by id",
        goal: Some(2.5),
        rounds: 500,
        sql: "select {columns} from {}.cases where organization_id = $1 and id = $2",
        bound: ", '80000000-0000-4000-8000-000000000000'",
    },
    Read {
        // What the product asks where others join: the children of one record.
        name: "investigations of a case",
        goal: Some(1.5),
        rounds: 500,
        sql: "select id, case_id, status, created_at from {}.investigations where organization_id = $1 and case_id = $2 \
            order by created_at, id limit $3",
        bound: ", '{case}', 50",
    },
    Read {
        // No page of the product asks it.
        name: "page of 50 cases joined with their investigations",
        goal: None,
        rounds: 500,
        sql: "select c.id, c.reference_number, c.created_at, i.status from {}.cases c join {}.investigations i \
            on i.organization_id = c.organization_id and i.case_id = c.id where c.organization_id = $1 \
            order by c.created_at desc, c.id desc limit $2",
        bound: ", 50",
    },
    Read {
        name: "count of the cases of a status",
        goal: Some(2.5),
        rounds: 50,
        sql: "select count(*) from {}.cases where organization_id = $1 and status = $2",
        bound: ", 'OPEN'",
    },
    Read {
        name: "scan of all cases",
        goal: Some(2.5),
        rounds: 20,
        sql: "select count(*), sum(length(reference_number)), max(risk_score) from {}.cases where organization_id = $1",
        bound: "",
    },
    Read {
        name: "GROUP BY over all cases",
        goal: Some(5.0),
        rounds: 20,
        sql: "select severity, status, count(*), avg(risk_score) from {}.cases where organization_id = $1 \
            group by severity, status",
        bound: "",
    },
    Read {
        name: "join of all cases with all investigations",
        goal: Some(5.0),
        rounds: 10,
        sql: "select count(*), count(distinct i.status) from {}.cases c join {}.investigations i \
            on i.organization_id = c.organization_id and i.case_id = c.id where c.organization_id = $1",
        bound: "",
    },
];

/// How many changes the reading sessions have made, of cases and of investigations: the newest ones, which every page
/// begins with. The goals are for the first.
const CHANGES: [usize; 2] = [50, 1_000];

/// The size of the base, and how many other sessions there are. The first is that of every day.
const SETTINGS: [(Size, usize); 3] =
    [(Size::HundredThousand, 10), (Size::HundredThousand, 10_000), (Size::Million, 10_000)];

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    report.section(
        "PostgreSQL: reads",
        format!(
            "the same statements, prepared, over the views and over the bare tables, in turns on one connection of a server's \
             pool, each in ten blocks with those of the others between them, on {}. For words a table is asked as anybody would ask \
             it, a view as the demo asks it.",
            cluster.version()?
        ),
    );
    for &(size, others) in report.effort.some(&SETTINGS, 1) {
        measure_beside(cluster, size, others, report)?;
    }
    Ok(())
}

fn measure_beside(cluster: &Cluster, size: Size, others: usize, report: &mut Report) -> Result<()> {
    let world = World::of(cluster, size, others)?;
    let largest = "select organization_id from public.cases group by 1 order by count(*) desc limit 1";
    let organization = cluster.sql(&world.name, largest)?;
    let case = cluster.sql(
        &world.name,
        &format!(
            "select case_id from public.investigations where organization_id = '{organization}' order by id limit 1"
        ),
    )?;
    let asked = [organization.as_str(), case.as_str()];
    let mut sessions = Vec::new();
    for changes in CHANGES {
        let session = world.session(&format!("reads over {changes} changes"))?;
        for table in ["cases", "investigations"] {
            let some = format!("select id from {table} order by created_at desc, id limit {changes}");
            world.run(session, &format!("update {table} set status = 'CLOSED' where id in ({some})"))?;
        }
        sessions.push((changes, session));
    }
    cluster.settle(&world.name)?;
    for (changes, session) in sessions {
        let of = format!(
            "{} base rows, {changes} edited cases and as many investigations, {} other sessions",
            thousands(world.size.rows()),
            thousands(others as u64)
        );
        world.database.read(session, |conn| -> Result<(), Failure> {
            let conn = RefCell::new(conn);
            let mut reads: Vec<(&Read, Compared)> =
                READS.iter().map(|read| (read, Compared::default())).collect();
            in_blocks(report.effort.rounds(BLOCKS), &mut reads, |(read, samples), _| {
                samples.extend(measure_share(read, asked, &conn)?);
                Ok(())
            })?;
            for (read, Compared([view, table])) in &reads {
                let goal = read.goal.filter(|_| changes == CHANGES[0]);
                let name = format!("PostgreSQL: {}, {of}", read.name);
                report.ratio(&name, goal, view, ("the bare table", table));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// One block's share of a read: how long it took of the view, and of the table.
fn measure_share(
    read: &Read,
    [organization, case]: [&str; 2],
    conn: &RefCell<&mut AnyConnection>,
) -> Result<[Samples; 2]> {
    for (statement, (schema, words)) in ["of_table", "of_view"].into_iter().zip(WORDS) {
        let sql =
            read.sql.replace("{words}", words).replace("{small}", SMALL).replace("{before}", BEFORE_A_WORD);
        let sql = sql.replace("{columns}", COLUMNS).replace("{text}", TEXT).replace("{}", schema);
        conn.borrow_mut().batch_execute(&format!("prepare {statement} as {sql}"))?;
    }
    let run = |statement: &str| {
        let execute = format!("execute {statement} ('{organization}'{})", read.bound.replace("{case}", case));
        Ok(time(|| conn.borrow_mut().batch_execute(&execute))?)
    };
    let samples = in_turns(3, read.rounds / BLOCKS, [&mut || run("of_view"), &mut || run("of_table")])?;
    conn.borrow_mut().batch_execute("deallocate of_view; deallocate of_table")?;
    Ok(samples)
}

/// Either error: the engine asks for one that can be made of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failure(#[from] anyhow::Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}
