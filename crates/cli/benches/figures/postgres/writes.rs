//! Writing through the views against writing the bare tables of a copy of the database.

use anyhow::Result;
use demo_reset_persistence::AnyConnection;
use diesel::{Connection, PgConnection};

use super::world::{Cluster, Size, World};
use crate::report::Report;
use crate::writes::measure_on;

/// A copy of the tables with nothing of the engine's in it.
const PLAIN: &str = "bench_plain";

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    let world = World::of(cluster, Size::HundredThousand)?;
    world.crowd(cluster, 10)?;
    plain(cluster)?;
    let plain = AnyConnection::Postgres(PgConnection::establish(&cluster.url(PLAIN)?)?);
    measure_on("PostgreSQL", &world.database, world.session("writes")?, plain, report)
}

fn plain(cluster: &Cluster) -> Result<()> {
    let name = Size::HundredThousand.database();
    let dump = cluster.folder.path().join("plain.dump").display().to_string();
    let tables: Vec<String> =
        cluster.tables(name)?.iter().map(|table| format!("--table=public.{table}")).collect();
    let mut arguments = vec!["--format=custom", "--no-owner", "--no-privileges", "--file", dump.as_str()];
    arguments.extend(tables.iter().map(String::as_str));
    cluster.program("pg_dump", name, &arguments)?;
    cluster.create(PLAIN)?;
    // What the guard triggers call.
    cluster.sql(
        PLAIN,
        "create schema demo; create function demo.guard_base() returns trigger language plpgsql \
         as 'begin return null; end'",
    )?;
    cluster.program("pg_restore", PLAIN, &["--no-owner", &dump])?;
    cluster.sql(PLAIN, "drop function demo.guard_base() cascade")?;
    cluster.sql(PLAIN, "vacuum analyze")?;
    Ok(())
}
