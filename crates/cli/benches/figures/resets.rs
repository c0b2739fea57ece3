//! Reset, undo and the making of a session, against the smallest commit that there is.

use std::cell::{Ref, RefCell};
use std::time::Duration;

use anyhow::{Result, ensure};
use demo_reset_domain::{ArchiveId, OnConflict, SessionId};
use demo_reset_persistence::Database;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::fixture::{Base, Fixtures, NOW, Setting, random_id, thousands};
use crate::measure::{Samples, Work, all_in_turns, time};
use crate::plot::Plot;
use crate::report::Report;

const CHANGES: [usize; 3] = [10, 1_000, 100_000];

const SETTINGS: [Setting; 6] = [
    Setting { base: Base::Demo, others: 10 },
    Setting { base: Base::Demo, others: 10_000 },
    Setting { base: Base::TenThousand, others: 10 },
    Setting { base: Base::Million, others: 10 },
    Setting { base: Base::Million, others: 10_000 },
    Setting { base: Base::FiveMillion, others: 10_000 },
];

/// How long one may take, in one-row commits.
pub(crate) const GOAL: f64 = 1.5;

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

/// A session with its changes.
pub(crate) struct Resettable {
    database: Database,
    session: SessionId,
    undo: RefCell<Samples>,
}

impl Resettable {
    /// The session must have made so many changes.
    pub(crate) fn new(database: &Database, session: SessionId, changes: usize) -> Result<Self> {
        let made = database.change_counts(session)?.total();
        ensure!(made == changes as u64, "{made} changes instead of {changes}");
        Ok(Self { database: database.clone(), session, undo: RefCell::default() })
    }

    /// What a server does between one reset and the next: shows somebody a page of cases. Work of microseconds takes half as
    /// long again where the processor's caches hold something else; so all of it finds them alike.
    pub(crate) fn show_a_page(&self) -> Result<()> {
        self.database.read(self.session, |conn| {
            conn.batch_execute("select * from cases order by created_at desc, id desc limit 50")
                .map_err(demo_reset_persistence::Error::from)
        })?;
        Ok(())
    }

    /// Resets and takes it back, each after `before`; how long the reset took. The undo is kept aside.
    pub(crate) fn reset_and_undo(&self, before: impl Fn(&Self) -> Result<()>) -> Result<Duration> {
        let [of_reset, of_undo] = [random_id(), random_id()].map(ArchiveId);
        before(self)?;
        let reset = time(|| self.database.reset(self.session, of_reset, NOW))?;
        before(self)?;
        let undo = time(|| self.database.undo(self.session, None, OnConflict::Fail, of_undo, NOW))?;
        self.undo.borrow_mut().push(undo);
        Ok(reset)
    }

    /// Compares its resets and its undos with one-row commits.
    pub(crate) fn compare(
        &self,
        report: &mut Report,
        database: &str,
        of: &str,
        resets: &Samples,
        commits: &Samples,
    ) -> [f64; 2] {
        let undos = self.undos();
        [("reset", resets), ("undo", &*undos)].map(|(what, samples)| {
            let name = format!("{database}: {what} of {of}");
            report.ratio(&name, Some(GOAL), samples, ("one-row commit", commits))
        })
    }

    /// How long the undos took.
    pub(crate) fn undos(&self) -> Ref<'_, Samples> {
        self.undo.borrow()
    }
}

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: reset, undo and the making of a session",
        "each in one-row commits of the same world: a transaction that adds one to one row of a file beside the database, \
         with the same settings, as text. The changes are subjects that the session has created. What is done in one world \
         is measured in turns, each after a page of cases was read from the world, as in a server.",
    );
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let mut plot = Plot::new("sqlite-reset.svg", "SQLite: reset and undo", "changes of the session");
    for &setting in report.effort.some(&SETTINGS, 1) {
        let fixture = fixtures.of(setting, report)?;
        let beside =
            format!("{} base rows, {} other sessions", fixture.rows(), thousands(u64::from(setting.others)));
        let sessions = report
            .effort
            .some(&CHANGES, 2)
            .iter()
            .map(|&changes| {
                let session = fixture.session(10 + changes as u128)?;
                fixture.run(session, &add_subjects(changes))?;
                Ok((changes, Resettable::new(&fixture.database, session, changes)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut one_row = one_row_commit(&fixture.path("one-row.db"))?;
        let mut resets = sessions
            .iter()
            .map(|(_, one)| || one.reset_and_undo(Resettable::show_a_page))
            .collect::<Vec<_>>();
        let Some((_, any)) = sessions.first() else { continue };
        let mut commit = || {
            any.show_a_page()?;
            Ok(time(|| one_row.batch_execute("begin immediate; update t set n = n + 1; commit"))?)
        };
        let mut make = || {
            any.show_a_page()?;
            let number = random_id().as_u128();
            time(|| fixture.session(number))
        };
        let mut work: Vec<Work<'_>> = resets.iter_mut().map(|work| work as Work<'_>).collect();
        work.extend([&mut commit as Work<'_>, &mut make]);
        let samples = all_in_turns(10, report.effort.rounds(200), &mut work)?;
        drop(work);
        let [resets @ .., commit, made] = &samples[..] else { continue };
        for ((changes, one), reset) in sessions.iter().zip(resets) {
            let of = format!("{} changes, {beside}", thousands(*changes as u64));
            let undo = one.undos();
            let found = one.compare(report, "SQLite", &of, reset, commit);
            ratios.iter_mut().zip(found).for_each(|(ratios, found)| ratios.push(found));
            // One line each for the smallest and the largest: six would lie on each other.
            if matches!(setting.base, Base::TenThousand | Base::FiveMillion) {
                plot.point(&format!("reset, {} rows", fixture.rows()), *changes, reset);
                plot.point(&format!("undo, {} rows", fixture.rows()), *changes, &undo);
                plot.point(&format!("commit, {} rows", fixture.rows()), *changes, commit);
            }
        }
        let name = format!("SQLite: making of a session beside {beside}");
        ratios[2].push(report.ratio(&name, Some(GOAL), made, ("one-row commit", commit)));
    }
    for (what, ratios) in ["reset", "undo", "making of a session"].into_iter().zip(&ratios) {
        flatness(report, &format!("SQLite: {what}, slowest setting against fastest"), ratios);
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
