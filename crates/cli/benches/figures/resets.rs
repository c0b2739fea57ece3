//! Reset, undo and the making of a session, against the smallest commit that there is, and against what a team could
//! use instead.

use std::cell::{Cell, RefCell};
use std::fs;
use std::process::Command;
use std::rc::Rc;

use anyhow::{Result, ensure};
use demo_reset_domain::{ArchiveId, OnConflict, SessionId};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use uuid::Uuid;

use crate::fixture::{Fixture, Fixtures, NOW, Setting, thousands};
use crate::measure::{Samples, Work, all_in_turns, in_turns, time};
use crate::plot::Plot;
use crate::report::Report;

const CHANGES: [usize; 3] = [10, 1_000, 100_000];

const SETTINGS: [Setting; 4] = [
    Setting { scale: 1, others: 10 },
    Setting { scale: 1, others: 10_000 },
    Setting { scale: 12, others: 10 },
    Setting { scale: 12, others: 10_000 },
];

/// How long one may take, in one-row commits.
const GOAL: f64 = 1.5;

/// How far the largest may be from the smallest, over all settings.
const FLAT: f64 = 1.2;

/// Subjects of a session's own: any number, whatever the base holds.
fn add_subjects(count: usize) -> String {
    format!(
        "insert into subjects (organization_id, id, case_id, name, role, created_at, updated_at, created_by_id) \
         with recursive n (n) as (select 1 union all select n + 1 from n where n < {count}) \
         select c.organization_id, printf('00000000-0000-4000-8000-%012x', n.n), c.id, 'Sam Reyes', 'WITNESS', \
           c.created_at, c.created_at, c.created_by_id \
         from n, (select * from cases order by id limit 1) c"
    )
}

/// Ids, each given once.
#[derive(Default)]
struct Ids(Cell<u128>);

impl Ids {
    fn next(&self) -> Uuid {
        self.0.set(self.0.get() + 1);
        Uuid::from_u128(self.0.get())
    }

    fn archive(&self) -> ArchiveId {
        ArchiveId(self.next())
    }
}

/// A session with its changes, in its world.
struct Resettable {
    fixture: Rc<Fixture>,
    world: usize,
    session: SessionId,
    changes: usize,
    undo: RefCell<Samples>,
}

impl Resettable {
    /// Resets and takes it back; how long the reset took. The undo is kept aside.
    fn reset_and_undo(&self, ids: &Ids) -> Result<std::time::Duration> {
        let took = time(|| self.fixture.database.reset(self.session, ids.archive(), NOW))?;
        let undo =
            time(|| self.fixture.database.undo(self.session, None, OnConflict::Fail, ids.archive(), NOW))?;
        self.undo.borrow_mut().push(undo);
        Ok(took)
    }
}

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: reset, undo and the making of a session",
        "each in one-row commits of the same world: a transaction that adds one to one row of a file beside the database, \
         with the same settings. The changes are subjects that the session has created. All settings are measured in turns.",
    );
    let ids = Ids::default();
    let mut worlds = Vec::new();
    let mut resettable = Vec::new();
    for &setting in report.effort.some(&SETTINGS, 1) {
        let fixture = fixtures.of(setting, report)?;
        for &changes in report.effort.some(&CHANGES, 2) {
            let session = fixture.session(10 + changes as u128)?;
            fixture.run(session, &add_subjects(changes))?;
            let made = fixture.database.change_counts(session)?.total();
            ensure!(made == changes as u64, "{made} changes instead of {changes}");
            let undo = RefCell::default();
            resettable.push(Resettable {
                fixture: Rc::clone(&fixture),
                world: worlds.len(),
                session,
                changes,
                undo,
            });
        }
        worlds.push((setting, fixture));
    }
    let commits = worlds
        .iter()
        .map(|(_, fixture)| one_row_commit(&fixture.path("one-row.db")).map(RefCell::new))
        .collect::<Result<Vec<_>>>()?;
    let resets = resettable.iter().map(|one| || one.reset_and_undo(&ids));
    let one_row = commits.iter().map(|conn| {
        || Ok(time(|| conn.borrow_mut().batch_execute("begin immediate; update t set n = n + 1; commit"))?)
    });
    let made =
        worlds.iter().map(|(_, fixture)| || time(|| fixture.session(2_000_000 + ids.next().as_u128())));
    let (mut resets, mut one_row, mut made) =
        (resets.collect::<Vec<_>>(), one_row.collect::<Vec<_>>(), made.collect::<Vec<_>>());
    let mut work: Vec<Work<'_>> = Vec::new();
    work.extend(resets.iter_mut().map(|work| work as Work<'_>));
    work.extend(one_row.iter_mut().map(|work| work as Work<'_>));
    work.extend(made.iter_mut().map(|work| work as Work<'_>));
    let samples = all_in_turns(10, report.effort.rounds(200), &mut work)?;
    drop(work);
    let (reset_samples, rest) = samples.split_at(resettable.len());
    let (commit_samples, made_samples) = rest.split_at(worlds.len());

    let mut ratios: [Vec<f64>; 3] = Default::default();
    let where_it_is = |world: usize| {
        let (setting, fixture) = &worlds[world];
        format!("{} base rows, {} other sessions", fixture.rows(), thousands(u64::from(setting.others)))
    };
    for (one, samples) in resettable.iter().zip(reset_samples) {
        let of = format!("{} changes, {}", thousands(one.changes as u64), where_it_is(one.world));
        let commit = ("one-row commit", &commit_samples[one.world]);
        ratios[0].push(report.ratio(&format!("SQLite: reset of {of}"), Some(GOAL), samples, commit));
        ratios[1].push(report.ratio(
            &format!("SQLite: undo of {of}"),
            Some(GOAL),
            &one.undo.borrow(),
            commit,
        ));
    }
    for (world, samples) in made_samples.iter().enumerate() {
        let name = format!("SQLite: making of a session beside {}", where_it_is(world));
        ratios[2].push(report.ratio(&name, Some(GOAL), samples, ("one-row commit", &commit_samples[world])));
    }
    for (what, ratios) in ["reset", "undo", "making of a session"].into_iter().zip(&ratios) {
        flatness(report, &format!("SQLite: {what}, slowest setting against fastest"), ratios);
    }
    let mut plot = Plot::new("sqlite-reset.svg", "SQLite: reset and undo", "changes of the session");
    for (one, samples) in resettable.iter().zip(reset_samples) {
        plot.point(&format!("reset, {} rows", worlds[one.world].1.rows()), one.changes, samples);
        plot.point(&format!("undo, {} rows", worlds[one.world].1.rows()), one.changes, &one.undo.borrow());
        plot.point("one-row commit", one.changes, &commit_samples[one.world]);
    }
    report.plot(plot);
    Ok(())
}

/// How flat figures are: the largest of these ratios in the smallest.
pub(crate) fn flatness(report: &mut Report, name: &str, ratios: &[f64]) {
    let (low, high) = ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), &r| (low.min(r), high.max(r)));
    if ratios.len() > 1 && low > 0.0 {
        let spread = high / low;
        let goal = format!("at most {FLAT}x");
        report.judge(name, &format!("{spread:.2}x"), &goal, Some(spread <= FLAT), Some(spread));
    }
}

/// A file with one row, with the settings of the sessions file.
fn one_row_commit(path: &std::path::Path) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
    conn.batch_execute(
        "pragma journal_mode = wal; pragma synchronous = normal; create table t (n integer); insert into t values (0);",
    )?;
    Ok(conn)
}

/// Cases that a user has made, each with eight rows below it.
const CASES: [usize; 3] = [10, 100, 1_000];

/// How much faster than the bare statements.
const FASTER: f64 = 20.0;

/// Statements that make so many cases with eight rows each; `mark` keeps the ids of different numbers apart.
fn make_cases(fixture: &Fixture, count: usize) -> Result<String> {
    let case = format!("printf('00000000-0000-4000-9000-%04x%08x', {count}, n.n)");
    let number = format!("'MADE-{count}-' || n.n");
    let mut sql = fixture.insert_like("cases", count, &[("id", &case), ("reference_number", &number)])?;
    for (table, rows) in [("subjects", 2), ("audit_logs", 6)] {
        for row in 0..rows {
            let id = format!("printf('00000000-0000-4000-a{row:03x}-%04x%08x', {count}, n.n)");
            sql.push_str(&fixture.insert_like(table, count, &[("id", &id), ("case_id", &case)])?);
        }
    }
    Ok(sql)
}

const MADE: [&str; 3] = ["cases", "subjects", "audit_logs"];

pub(crate) fn measure_alternatives(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: what a team could use instead",
        "a user has made some cases, each with two subjects and six audit entries: nine rows. A reset of the session against \
         DELETE of the same rows from plain tables in one commit, an undo against INSERT of them from a copy, and both against \
         putting a whole database back: copying the file, `VACUUM INTO`, and the backup of the `sqlite3` shell. The SQLite \
         session extension is not among them: the bundled SQLite is compiled without it.",
    );
    let ids = Ids::default();
    let fixture = fixtures.of(SETTINGS[0], report)?;
    let mut plot =
        Plot::new("sqlite-alternatives.svg", "SQLite: a reset, and what could be used instead", "cases made");
    for &count in report.effort.some(&CASES, 2) {
        let session = fixture.session(500 + count as u128)?;
        let make = make_cases(&fixture, count)?;
        fixture.run(session, &make)?;
        let one = Resettable {
            fixture: Rc::clone(&fixture),
            world: 0,
            session,
            changes: count * 9,
            undo: RefCell::default(),
        };
        let mut plain = fixture.plain("plain.db")?;
        plain.batch_execute(&make)?;
        for table in MADE {
            plain.batch_execute(&format!(
                "create table kept_{table} as select * from {table} where id like '00000000-0000-4000-9000-%' \
                 or id like '00000000-0000-4000-a00_-%';"
            ))?;
        }
        let of =
            |statement: &str| MADE.iter().map(|table| statement.replace("{}", table)).collect::<Vec<_>>();
        let mut delete =
            of("delete from {} where (organization_id, id) in (select organization_id, id from kept_{});");
        delete.reverse();
        let delete = format!("begin immediate; {} commit", delete.concat());
        let insert =
            format!("begin immediate; {} commit", of("insert into {} select * from kept_{};").concat());
        let plain = RefCell::new(plain);
        let inserts = RefCell::new(Samples::default());
        let [reset, deletes] = in_turns(
            2,
            report.effort.rounds(30),
            [&mut || one.reset_and_undo(&ids), &mut || {
                let took = time(|| plain.borrow_mut().batch_execute(&delete))?;
                let insert = time(|| plain.borrow_mut().batch_execute(&insert))?;
                inserts.borrow_mut().push(insert);
                Ok(took)
            }],
        )?;
        let inserts = inserts.into_inner();
        let goal = (count == 100).then_some(1.0 / FASTER);
        report.ratio(&format!("SQLite: reset of {count} cases"), goal, &reset, ("bare DELETE", &deletes));
        report.ratio(
            &format!("SQLite: undo of {count} cases"),
            goal,
            &one.undo.borrow(),
            ("bare INSERT", &inserts),
        );
        plot.point("reset", count, &reset);
        plot.point("undo", count, &one.undo.borrow());
        plot.point("bare DELETE", count, &deletes);
        plot.point("bare INSERT", count, &inserts);
        if count == 100 {
            let plain_path = fixture.path("plain.db");
            plain.borrow_mut().batch_execute("pragma wal_checkpoint(truncate)")?;
            let copy = fixture.path("copy.db");
            let remove = || {
                fs::remove_file(&copy).or_else(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
            };
            let shell = |command: String| Command::new("sqlite3").arg(&plain_path).arg(command).output();
            let has_shell = shell("select 1".to_owned()).is_ok();
            let [copied, vacuumed, backed_up] = in_turns(
                1,
                report.effort.rounds(10),
                [
                    &mut || {
                        remove()?;
                        Ok(time(|| fs::copy(&plain_path, &copy))?)
                    },
                    &mut || {
                        remove()?;
                        let into = format!("vacuum into '{}'", copy.display());
                        Ok(time(|| plain.borrow_mut().batch_execute(&into))?)
                    },
                    &mut || {
                        remove()?;
                        if !has_shell {
                            return Ok(std::time::Duration::ZERO);
                        }
                        Ok(time(|| shell(format!(".backup '{}'", copy.display())))?)
                    },
                ],
            )?;
            for (name, samples) in
                [("copy of the file", &copied), ("VACUUM INTO", &vacuumed), ("sqlite3 .backup", &backed_up)]
            {
                if name == "sqlite3 .backup" && !has_shell {
                    report.not_measured("SQLite: sqlite3 .backup", "sqlite3 is not installed");
                    continue;
                }
                let title =
                    format!("SQLite: reset of 100 cases of {} base rows, against {name}", fixture.rows());
                report.ratio(&title, Some(1.0 / FASTER), &reset, (name, samples));
                plot.point(name, count, samples);
            }
        }
    }
    report.plot(plot);
    Ok(())
}
