//! Reset, undo and the making of a session, against the smallest commit that there is.

use std::cell::{Ref, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};
use demo_reset_domain::{ArchiveId, OnConflict, SessionId};
use demo_reset_persistence::{AnyConnection, Database, Error};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::alternatives::FASTER;
use crate::fixture::{Base, Fixtures, NOW, Setting, random_id, thousands};
use crate::measure::{Random, Samples, Work, all_in_turns, in_blocks, in_turns, time_after_rest};
use crate::plot::Plot;
use crate::report::Report;
use crate::restores::restores;

const CHANGES: [usize; 3] = [10, 1_000, 100_000];

/// Those of one base stand side by side.
const SETTINGS: [Setting; 7] = [
    Setting { base: Base::Demo, others: 10 },
    Setting { base: Base::Demo, others: 1_000 },
    Setting { base: Base::Demo, others: 10_000 },
    Setting { base: Base::TenThousand, others: 10 },
    Setting { base: Base::Million, others: 10 },
    Setting { base: Base::Million, others: 10_000 },
    Setting { base: Base::FiveMillion, others: 10_000 },
];

/// What is compared with one-row commits.
const OPERATIONS: [&str; 3] = ["reset", "undo", "making of a session"];

/// How long one may take, in one-row commits.
pub(crate) const GOAL: f64 = 1.5;

/// Every setting is measured in so many blocks.
pub(crate) const BLOCKS: usize = 10;

/// The rounds of a setting in each block.
const ROUNDS: usize = 20;

/// Those at the beginning of a setting's share that do not count: the processor's caches hold another world then.
const WARM_UP: usize = 3;

/// The largest base that is put back as a whole: of five million rows a dump alone would take five minutes each time.
pub(crate) const MOST_RESTORED: u64 = 2_000_000;

/// How far the largest may be from the smallest, over all settings.
const FLAT: f64 = 1.2;

/// Subjects of a session's own: any number, whatever the base holds.
fn add_subjects(count: usize) -> String {
    let numbers =
        format!("with recursive n (n) as (select 1 union all select n + 1 from n where n < {count})");
    insert_subjects(&numbers, "printf('00000000-0000-4000-8000-%012x', n.n)", "n, ")
}

/// A statement that makes subjects of the first case: what stands before its SELECT, their ids, and what it selects from besides.
fn insert_subjects(before: &str, id: &str, besides: &str) -> String {
    format!(
        "insert into subjects (organization_id, id, case_id, name, role, created_at, updated_at, created_by_id) {before} \
         select c.organization_id, {id}, c.id, 'Sam Reyes', 'WITNESS', c.created_at, c.created_at, c.created_by_id \
         from {besides}(select * from cases order by organization_id, id limit 1) c;"
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

    /// Resets and takes it back; how long the reset took. The undo is kept aside.
    pub(crate) fn reset_and_undo(&self) -> Result<Duration> {
        let [of_reset, of_undo] = [random_id(), random_id()].map(ArchiveId);
        let reset = time_after_rest(|| self.database.reset(self.session, of_reset, NOW))?;
        let undo =
            time_after_rest(|| self.database.undo(self.session, None, OnConflict::Fail, of_undo, NOW))?;
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

/// One setting: sessions that are reset and undone, and what that is compared with.
pub(crate) struct Place {
    /// The sessions, by their number of changes, and how long their resets took.
    sessions: Vec<(usize, Resettable, Samples)>,
    /// Makes the smallest commit that there is, and tells how long it took.
    commit: Timed,
    /// Makes a session.
    make: Timed,
    pub(crate) commits: Samples,
    pub(crate) made: Samples,
}

/// Some work, and how long it took.
type Timed = Box<dyn FnMut() -> Result<Duration>>;

impl Place {
    pub(crate) fn new(
        sessions: Vec<(usize, Resettable)>,
        commit: impl FnMut() -> Result<Duration> + 'static,
        make: impl FnMut() -> Result<Duration> + 'static,
    ) -> Self {
        let sessions = sessions.into_iter().map(|(changes, one)| (changes, one, Samples::default()));
        Self {
            sessions: sessions.collect(),
            commit: Box::new(commit),
            make: Box::new(make),
            commits: Samples::default(),
            made: Samples::default(),
        }
    }

    /// Measures so many rounds more.
    pub(crate) fn measure(&mut self, rounds: usize, random: &mut Random) -> Result<()> {
        let undos: Vec<Samples> = self.sessions.iter().map(|(_, one, _)| one.undo.take()).collect();
        self.take_turns(WARM_UP, random)?;
        for ((_, one, _), undos) in self.sessions.iter().zip(undos) {
            one.undo.replace(undos);
        }
        let samples = self.take_turns(rounds, random)?;
        let resets = self.sessions.iter_mut().map(|(.., resets)| resets);
        resets
            .chain([&mut self.commits, &mut self.made])
            .zip(&samples)
            .for_each(|(all, more)| all.extend(more));
        Ok(())
    }

    /// Resets and undos of each session, commits, and sessions made, in turns.
    fn take_turns(&mut self, rounds: usize, random: &mut Random) -> Result<Vec<Samples>> {
        let Self { sessions, commit, make, .. } = self;
        let mut resets: Vec<_> = sessions.iter().map(|(_, one, _)| || one.reset_and_undo()).collect();
        let mut work: Vec<Work<'_>> = resets.iter_mut().map(|work| work as Work<'_>).collect();
        work.push(commit);
        work.push(make);
        all_in_turns(0, rounds, &mut work, random)
    }

    /// Compares resets and undos with one-row commits, session by session.
    pub(crate) fn compare(
        &self,
        report: &mut Report,
        database: &str,
        beside: &str,
        ratios: &mut [Vec<f64>; 3],
        mut also: impl FnMut(usize, &Samples, &Samples),
    ) {
        for (changes, one, resets) in &self.sessions {
            let of = format!("{} changes, {beside}", thousands(*changes as u64));
            let found = one.compare(report, database, &of, resets, &self.commits);
            ratios.iter_mut().zip(found).for_each(|(ratios, found)| ratios.push(found));
            also(*changes, resets, &one.undos());
        }
    }
}

/// The slowest resets, undos and makings of a session over one base. Sessions change nothing of it, so what puts a whole
/// database back takes the same time beside any of them.
#[derive(Default)]
pub(crate) struct Slowest([Samples; 3]);

impl Slowest {
    /// Keeps those of a place that are slower.
    pub(crate) fn keep(&mut self, place: &Place) {
        let mut keep = |which: usize, samples: &Samples| {
            if samples.median() > self.0[which].median() {
                self.0[which] = samples.clone();
            }
        };
        for (_, one, resets) in &place.sessions {
            keep(0, resets);
            keep(1, &one.undos());
        }
        keep(2, &place.made);
    }

    /// Draws them over the rows of their base.
    pub(crate) fn draw(&self, plot: &mut Plot, base_rows: u64) {
        for (what, slowest) in OPERATIONS.into_iter().zip(&self.0) {
            plot.point(what, base_rows as usize, slowest);
        }
    }

    /// Compares them with something that puts a whole database back.
    pub(crate) fn compare(
        &self,
        report: &mut Report,
        database: &str,
        over: &str,
        alternative: &str,
        took: &Samples,
    ) {
        for (what, slowest) in OPERATIONS.into_iter().zip(&self.0) {
            let title = format!("{database}: the slowest {what} over {over}, against {alternative}");
            report.ratio(&title, Some(1.0 / FASTER), slowest, (alternative, took));
        }
    }
}

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: reset, undo and the making of a session",
        "each in one-row commits of the same world: a transaction that adds one to one row of a file beside the database, \
         with the same settings, as text. The changes are subjects that the session has created. What is done in one world \
         is measured in turns, each after a rest of 20 ms, as in a server to which such a request comes now and then; the worlds \
         have their rounds in ten blocks, one after the other in each. The slowest over a base are compared with what puts a \
         whole database of that size back: copying the file, `VACUUM INTO`, the backup API, by which the `sqlite3` shell \
         makes a `.backup`, emptying all tables and copying their rows again in one commit, and reading a `.dump`, each spared \
         what it can be.",
    );
    let settings = report.effort.some(&SETTINGS, 1);
    let mut places = settings
        .iter()
        .map(|&setting| {
            let fixture = fixtures.of(setting, report)?;
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
            let commit = move || {
                Ok(time_after_rest(|| {
                    one_row.batch_execute("begin immediate; update t set n = n + 1; commit")
                })?)
            };
            let at = Rc::clone(&fixture);
            let make = move || {
                let number = random_id().as_u128();
                time_after_rest(|| at.session(number))
            };
            Ok((setting, fixture, Place::new(sessions, commit, make)))
        })
        .collect::<Result<Vec<_>>>()?;
    in_blocks(report.effort.rounds(BLOCKS), &mut places, |(.., place), random| {
        place.measure(ROUNDS, random)
    })?;
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let mut plot = Plot::new("sqlite-reset.svg", "SQLite: reset and undo", "changes of the session");
    let mut of_restores =
        Plot::new("sqlite-restores.svg", "SQLite: a reset, and putting a whole database back", "base rows");
    for of_a_base in places.chunk_by(|(one, ..), (other, ..)| one.base == other.base) {
        let Some((Setting { base, .. }, fixture, _)) = of_a_base.first() else { continue };
        let rows = fixture.rows();
        let over = format!("{rows} base rows");
        let mut slowest = Slowest::default();
        for (setting, _, place) in of_a_base {
            let beside = format!("{over}, {} other sessions", thousands(u64::from(setting.others)));
            place.compare(report, "SQLite", &beside, &mut ratios, |changes, resets, undos| {
                // One line each for the smallest and the largest: six would lie on each other.
                if matches!(base, Base::TenThousand | Base::FiveMillion) {
                    plot.point(&format!("reset, {rows} rows"), changes, resets);
                    plot.point(&format!("undo, {rows} rows"), changes, undos);
                    plot.point(&format!("commit, {rows} rows"), changes, &place.commits);
                }
            });
            slowest.keep(place);
            let name = format!("SQLite: making of a session beside {beside}");
            ratios[2].push(report.ratio(&name, Some(GOAL), &place.made, ("one-row commit", &place.commits)));
        }
        slowest.draw(&mut of_restores, fixture.base_rows);
        if fixture.base_rows > MOST_RESTORED {
            continue;
        }
        for (alternative, samples) in restores(fixture, report)? {
            slowest.compare(report, "SQLite", &over, alternative, &samples);
            of_restores.point(alternative, fixture.base_rows as usize, &samples);
        }
    }
    flatness(report, "SQLite", &ratios);
    if let Some((_, fixture, _)) = places.first() {
        let merging = fixture.session(9)?;
        fixture.run(merging, &add_subjects(MERGED))?;
        merges("SQLite", &fixture.database, merging, report)?;
    }
    report.plot(plot);
    report.plot(of_restores);
    Ok(())
}

/// How flat the figures of a database are: the largest ratio of its resets, undos and sessions in the smallest.
pub(crate) fn flatness(report: &mut Report, database: &str, ratios: &[Vec<f64>; 3]) {
    for (what, ratios) in OPERATIONS.into_iter().zip(ratios) {
        let (low, high) =
            ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), &r| (low.min(r), high.max(r)));
        if ratios.len() > 1 && low > 0.0 {
            let spread = high / low;
            let name = format!("{database}: {what}, slowest setting against fastest");
            let goal = format!("at most {FLAT}x");
            report.judge(&name, &format!("{spread:.2}x"), &goal, Some(spread <= FLAT), Some(spread));
        }
    }
}

/// How many changes are undone where others were made since.
pub(crate) const MERGED: usize = 1_000;

/// How many were made since.
const MADE_SINCE: usize = 10;

/// Compares an undo after which a session has both what was archived and what it has made since, with one that finds nothing
/// made since, which is all that the figures above have. The session must have made [`MERGED`] changes.
pub(crate) fn merges(name: &str, database: &Database, session: SessionId, report: &mut Report) -> Result<()> {
    let undo =
        || time_after_rest(|| database.undo(session, None, OnConflict::Fail, ArchiveId(random_id()), NOW));
    let reset = || database.reset(session, ArchiveId(random_id()), NOW);
    let [merged, alone] = in_turns(
        2,
        report.effort.rounds(30),
        [
            &mut || {
                reset()?;
                database.write(session, NOW, |conn| {
                    conn.batch_execute(&add_one_by_one(conn)).map_err(Error::from)
                })?;
                Ok(undo()?)
            },
            &mut || {
                reset()?;
                Ok(undo()?)
            },
        ],
    )?;
    let title = format!(
        "{name}: undo of {} changes and more, with {MADE_SINCE} that were made since",
        thousands(MERGED as u64)
    );
    report.ratio(&title, None, &merged, ("with none", &alone));
    Ok(())
}

/// Statements that make subjects with ids of their own.
fn add_one_by_one(conn: &AnyConnection) -> String {
    let id_type = if matches!(conn, AnyConnection::Sqlite(_)) { "text" } else { "uuid" };
    let one = |_| insert_subjects("", &format!("cast('{}' as {id_type})", random_id()), "");
    (0..MADE_SINCE).map(one).collect()
}

/// A file with one row, with the settings of the sessions file.
fn one_row_commit(path: &std::path::Path) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
    conn.batch_execute(
        "pragma journal_mode = wal; pragma synchronous = normal; create table t (n integer); insert into t values (0);",
    )?;
    Ok(conn)
}
