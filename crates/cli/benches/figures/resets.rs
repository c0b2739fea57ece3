//! A reset of few and of many changes, against the smallest commit that there is.

use anyhow::Result;
use demo_reset_domain::{ArchiveId, OnConflict, SessionId};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use uuid::Uuid;

use crate::fixture::{Fixture, NOW};
use crate::measure::{Report, Samples, in_turns, time};

const SIZES: [usize; 3] = [10, 1_000, 100_000];

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

pub(crate) fn measure(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let mut sessions = Vec::new();
    for (number, size) in SIZES.into_iter().enumerate() {
        let session = fixture.session(10 + number as u128)?;
        fixture.run(session, &add_subjects(size))?;
        let changes = fixture.database.change_counts(session)?.total();
        anyhow::ensure!(changes == size as u64, "{changes} changes instead of {size}");
        sessions.push(session);
    }
    let mut ids = (1_u128..).map(|id| ArchiveId(Uuid::from_u128(id)));
    let ids = std::cell::RefCell::new(&mut ids);
    let new_id = || ids.borrow_mut().next().unwrap_or(ArchiveId(Uuid::nil()));
    let reset = |session: SessionId| {
        let took = time(|| fixture.database.reset(session, new_id(), NOW))?;
        fixture.database.undo(session, None, OnConflict::Fail, new_id(), NOW)?;
        Ok(took)
    };
    let mut one_row = one_row_commit(&fixture.path("one-row.db"))?;
    let [few, some, many, commit] = in_turns(
        10,
        200,
        [&mut || reset(sessions[0]), &mut || reset(sessions[1]), &mut || reset(sessions[2]), &mut || {
            Ok(time(|| one_row.batch_execute("begin immediate; update t set n = n + 1; commit"))?)
        }],
    )?;
    let resets: [(usize, &Samples); 3] = [(SIZES[0], &few), (SIZES[1], &some), (SIZES[2], &many)];
    for (size, samples) in resets {
        let name = format!("reset of {size} changes");
        report.ratio(&name, 1.5, samples, ("a bare one-row commit", &commit));
    }
    let fastest = resets.into_iter().min_by_key(|(_, samples)| samples.median());
    let slowest = resets.into_iter().max_by_key(|(_, samples)| samples.median());
    if let (Some((fast_size, fastest)), Some((slow_size, slowest))) = (fastest, slowest) {
        let name = format!("reset of {slow_size} changes");
        report.ratio(&name, 1.5, slowest, (&format!("a reset of {fast_size}"), fastest));
    }
    Ok(())
}

/// A file with one row, with the settings of the sessions file.
fn one_row_commit(path: &std::path::Path) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
    conn.batch_execute(
        "pragma journal_mode = wal; pragma synchronous = normal; create table t (n integer); insert into t values (0);",
    )?;
    Ok(conn)
}
