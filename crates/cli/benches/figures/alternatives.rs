//! What a team could use instead of a reset: deleting the same rows, or the changesets of SQLite's session extension.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Lines, Write};
use std::ops::Range;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use demo_reset_domain::SessionId;
use demo_reset_persistence::{AnyConnection, Database, Error};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::fixture::{Base, Fixture, Fixtures, NOW, Setting, begin_to_write, thousands};
use crate::measure::{Effort, Samples, in_turns, time_after_rest};
use crate::plot::Plot;
use crate::report::Report;
use crate::resets::Resettable;

/// Cases that a user has made, each with eight rows below it.
const CASES: [usize; 4] = [10, 100, 1_000, 10_000];

/// The number of cases that the goal is for.
const USUAL: usize = 100;

/// From so many cases on, whose deletion takes seconds, there are fewer rounds.
const MANY: usize = 10_000;

/// How many cases are made: each takes a copy of a whole database.
pub(crate) fn numbers_of_cases(effort: Effort) -> &'static [usize] {
    match effort {
        Effort::Whole => &CASES,
        Effort::Quick => &[USUAL],
    }
}

/// How much faster than anything else.
pub(crate) const FASTER: f64 = 20.0;

/// What a case is made of, parents first, and the numbers of its rows.
const MADE: [(&str, Range<usize>); 8] = [
    ("cases", 0..1),
    ("rius", 1..2),
    ("riu_case_associations", 2..3),
    ("subjects", 3..4),
    ("case_messages", 4..5),
    ("investigations", 5..6),
    ("investigation_notes", 6..7),
    ("audit_logs", 7..9),
];

/// What stands in the text of both databases.
pub(crate) const OF_A_CASE: &str = "a user has made some cases, each with a report and its association, a subject, a message, \
    an investigation with a note, and two audit entries: nine rows in eight tables";

/// What the id of every row that is made begins with, before the row's number.
const MARK: &str = "00000000-0000-4000-a00";

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Statements that make so many cases with eight rows each, in a session's world or in plain tables. `plain` tells what
/// columns there are.
fn make_cases(plain: &mut AnyConnection, count: usize) -> Result<String> {
    let is_sqlite = matches!(plain, AnyConnection::Sqlite(_));
    let id = |row: usize| {
        // Twelve digits, others for another count.
        let text = format!("'{MARK}{row}-' || cast({} + n.n as text)", 100_000_000_000 + count * 1_000_000);
        if is_sqlite { text } else { format!("cast({text} as uuid)") }
    };
    let mut sql = String::new();
    for (table, rows) in MADE {
        let columns = if is_sqlite {
            format!("select name from pragma_table_info('{table}')")
        } else {
            format!(
                "select attname::text as name from pg_attribute \
                 where attrelid = 'public.{table}'::regclass and attnum > 0 and not attisdropped"
            )
        };
        let columns: Vec<Column> = diesel::sql_query(columns).load(plain)?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        for row in rows {
            let value = |name: &&str| match *name {
                "id" => id(row),
                "case_id" => id(0),
                "riu_id" => id(1),
                "investigation_id" => id(5),
                "reference_number" => format!("'MADE-{count}-' || n.n"),
                name => format!("r.{name}"),
            };
            sql.push_str(&format!(
                "insert into {table} ({}) with recursive n (n) as (select 1 union all select n + 1 from n where n < {count}) \
                 select {} from n, (select * from {table} order by organization_id, id limit 1) r;",
                names.join(", "),
                names.iter().map(value).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(sql)
}

/// The same rows in plain tables, which are deleted and put back from copies.
struct Bare {
    conn: AnyConnection,
    delete: String,
    insert: String,
    inserts: Samples,
    /// The smallest commit that there is, in the same database.
    one_row: String,
}

impl Bare {
    fn new(mut conn: AnyConnection, make: &str) -> Result<Self> {
        conn.batch_execute(make)?;
        for (table, _) in MADE {
            conn.batch_execute(&format!(
                "drop table if exists kept_{table}; \
                 create table kept_{table} as select * from {table} where cast(id as text) like '{MARK}%'; \
                 analyze kept_{table};"
            ))?;
        }
        conn.batch_execute(
            "drop table if exists one_row; create table one_row (n integer); insert into one_row values (0);",
        )?;
        let begin = begin_to_write(&conn);
        let each = |statement: &str, children_first: bool| {
            let mut all = MADE.map(|(table, _)| statement.replace("{}", table));
            if children_first {
                all.reverse();
            }
            format!("{begin}; {} commit", all.concat())
        };
        let delete =
            "delete from {} where (organization_id, id) in (select organization_id, id from kept_{});";
        Ok(Self {
            delete: each(delete, true),
            insert: each("insert into {} select * from kept_{};", false),
            one_row: format!("{begin}; update one_row set n = n + 1; commit"),
            conn,
            inserts: Samples::default(),
        })
    }

    fn commit_one_row(&mut self) -> Result<Duration> {
        Ok(time_after_rest(|| self.conn.batch_execute(&self.one_row))?)
    }

    /// Deletes the rows and puts them back; how long the first took. The second is kept aside.
    fn delete_and_insert(&mut self) -> Result<Duration> {
        let delete = time_after_rest(|| self.conn.batch_execute(&self.delete))?;
        self.inserts.push(time_after_rest(|| self.conn.batch_execute(&self.insert))?);
        Ok(delete)
    }
}

/// The session extension of the system's SQLite, in a program of its own.
struct Changesets {
    program: Child,
    answers: Lines<BufReader<ChildStdout>>,
    undos: Samples,
}

impl Changesets {
    /// Makes the cases in a copy of the base and keeps their changeset; none where the system has no such SQLite.
    fn record(fixture: &Fixture, make: &str, cases: usize) -> Result<Option<Self>> {
        let name = format!("changesets-{cases}.db");
        drop(fixture.plain(&name)?);
        let statements = fixture.path("changesets.sql");
        fs::write(&statements, make)?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/figures/changesets.py");
        let started = Command::new("python3")
            .args([script.as_ref(), fixture.path(&name).as_os_str(), statements.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut program = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            started => started?,
        };
        let mut answers = BufReader::new(program.stdout.take().context("its answers")?).lines();
        let Some(ready) = answers.next() else {
            let ended = program.wait()?;
            ensure!(ended.code() == Some(3), "changesets.py: {ended}");
            return Ok(None);
        };
        ensure!(ready? == "ready", "changesets.py is not ready");
        Ok(Some(Self { program, answers, undos: Samples::default() }))
    }

    /// Takes the changes back and makes them again; how long the first took. The second is kept aside.
    fn reset_and_undo(&mut self) -> Result<Duration> {
        let reset = self.apply("reset")?;
        let undo = self.apply("undo")?;
        self.undos.push(undo);
        Ok(reset)
    }

    fn apply(&mut self, which: &str) -> Result<Duration> {
        writeln!(self.program.stdin.as_mut().context("its questions")?, "{which}")?;
        let answer = self.answers.next().context("changesets.py has ended")??;
        Ok(Duration::from_nanos(answer.parse()?))
    }
}

impl Drop for Changesets {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// What a reset and an undo of some cases are compared with.
pub(crate) struct Compared<'a> {
    pub(crate) of: &'static str,
    pub(crate) database: &'a Database,
    pub(crate) session: SessionId,
    /// A copy of the base without sessions.
    pub(crate) plain: AnyConnection,
    pub(crate) cases: usize,
}

impl Compared<'_> {
    /// Compares. Changesets are compared too where a fixture is given and the system has them.
    pub(crate) fn measure(
        mut self,
        fixture: Option<&Fixture>,
        report: &mut Report,
        plot: &mut Plot,
    ) -> Result<()> {
        let Self { of, cases, .. } = self;
        let make = make_cases(&mut self.plain, cases)?;
        self.database.write(self.session, NOW, |conn| conn.batch_execute(&make).map_err(Error::from))?;
        let rows: usize = MADE.iter().map(|(_, rows)| rows.len()).sum();
        let one = Resettable::new(self.database, self.session, cases * rows)?;
        let bare = RefCell::new(Bare::new(self.plain, &make)?);
        let mut changesets = match fixture {
            Some(fixture) => Changesets::record(fixture, &make, cases)?,
            None => None,
        };
        let (warm_up, rounds) = if cases < MANY { (2, 30) } else { (1, 5) };
        let [reset, delete, inverted, one_row] = in_turns(
            warm_up,
            report.effort.rounds(rounds),
            [
                &mut || one.reset_and_undo(),
                &mut || bare.borrow_mut().delete_and_insert(),
                &mut || changesets.as_mut().map_or(Ok(Duration::ZERO), Changesets::reset_and_undo),
                &mut || bare.borrow_mut().commit_one_row(),
            ],
        )?;
        let inserts = bare.into_inner().inserts;
        let goal = (cases == USUAL).then_some(1.0 / FASTER);
        let made = thousands(cases as u64);
        let name = |what: &str, against: &str| format!("{of}: {what} of {made} cases, against {against}");
        let undo = one.undos();
        report.ratio(&name("reset", "bare DELETE"), goal, &reset, ("bare DELETE", &delete));
        report.ratio(&name("undo", "bare INSERT"), goal, &undo, ("bare INSERT", &inserts));
        // What no reset on this disk can be faster than.
        let floor = format!("{of}: one-row commit, against bare DELETE of {made} cases");
        report.ratio(&floor, None, &one_row, ("bare DELETE", &delete));
        for (line, samples) in
            [("reset", &reset), ("undo", &undo), ("bare DELETE", &delete), ("bare INSERT", &inserts)]
        {
            plot.point(line, cases, samples);
        }
        if let Some(changesets) = &changesets {
            let (back, forth) = ("inverted changeset", "changeset");
            report.ratio(&name("reset", back), goal, &reset, (back, &inverted));
            report.ratio(&name("undo", forth), goal, &undo, (forth, &changesets.undos));
            plot.point(back, cases, &inverted);
        } else if fixture.is_some() {
            let why = "there is no Python whose SQLite has the session extension";
            report.not_measured(&name("reset", "changesets"), why);
        }
        Ok(())
    }
}

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: what a team could use instead",
        format!(
            "{OF_A_CASE}. A reset of the session against DELETE of the same rows from plain tables in one commit, an undo \
             against INSERT of them from a copy, each after a rest of 20 ms, and both against changesets of SQLite's session \
             extension (the system's SQLite, since the bundled one is compiled without it). What puts a whole database back \
             stands with the resets above."
        ),
    );
    let fixture = fixtures.of(Setting { base: Base::Demo, others: 10 }, report)?;
    let mut plot =
        Plot::new("sqlite-alternatives.svg", "SQLite: a reset, and what could be used instead", "cases made");
    for &cases in numbers_of_cases(report.effort) {
        let compared = Compared {
            of: "SQLite",
            database: &fixture.database,
            session: fixture.session(500 + cases as u128)?,
            plain: AnyConnection::Sqlite(fixture.plain("plain.db")?),
            cases,
        };
        compared.measure(Some(&fixture), report, &mut plot)?;
    }
    report.plot(plot);
    Ok(())
}
