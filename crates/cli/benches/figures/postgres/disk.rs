//! What sessions and their changes take of the disk.

use anyhow::{Context, Result};

use super::world::{Cluster, Size, World};
use crate::report::Report;
use crate::server::{IDLE_SESSIONS, judge_disk};

/// The engine's tables and those of changes, with their indexes, in bytes.
const SIZE: &str = "select sum(pg_total_relation_size(oid)) from pg_class \
    where relkind = 'r' and relnamespace in ('demo'::regnamespace, 'demo_changes'::regnamespace)";

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    report.section(
        "PostgreSQL: disk",
        "of a session and of a change, in the engine's tables and their indexes.",
    );
    let world = World::of(cluster, Size::HundredThousand, 10)?;
    let size = || cluster.sql(&world.name, SIZE)?.parse::<u64>().context("bytes");
    let before = size()?;
    for number in 0..IDLE_SESSIONS {
        world.session(&format!("idle {number}"))?;
    }
    let with_sessions = size()?;
    let session = world.session("edits")?;
    let edit = "update audit_logs set action_description = action_description || '.' where (organization_id, id) in \
        (select organization_id, id from audit_logs order by organization_id, id limit 20000)";
    world.run(session, edit)?;
    let changed = world.database.change_counts(session)?.total();
    judge_disk(report, "PostgreSQL: ", with_sessions - before, (size()? - with_sessions, changed))
}
