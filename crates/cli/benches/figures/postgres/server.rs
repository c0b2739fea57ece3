//! The memory of a server, and what sessions and their changes take of the disk.

use anyhow::{Context, Result};

use super::world::{Cluster, Size, World};
use crate::report::Report;
use crate::server::{IDLE_SESSIONS, judge_disk, judge_idle_server};

/// The engine's tables and those of changes, with their indexes, in bytes.
const SIZE: &str = "select sum(pg_total_relation_size(oid)) from pg_class \
    where relkind = 'r' and relnamespace in ('demo'::regnamespace, 'demo_changes'::regnamespace)";

/// The database that the server is started over.
const SERVED: &str = "bench_served";

/// What figures begin with.
const OF: &str = "PostgreSQL: ";

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    report.section(
        "PostgreSQL: memory and disk",
        "of a server's process, and of a session and of a change in the engine's tables and their indexes.",
    );
    cluster.create(SERVED)?;
    cluster.seed(SERVED)?;
    judge_idle_server(report, OF, &cluster.url(SERVED)?)?;
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
    judge_disk(report, OF, with_sessions - before, (size()? - with_sessions, changed))
}
