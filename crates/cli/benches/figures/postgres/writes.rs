//! Writing through the views against writing the bare tables of a copy of the database.

use anyhow::Result;
use demo_reset_persistence::AnyConnection;
use diesel::{Connection, PgConnection};

use super::world::{Cluster, PLAIN, Size, World};
use crate::report::Report;
use crate::writes::measure_on;

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    let world = World::of(cluster, Size::HundredThousand, 10)?;
    world.plain_copy(cluster)?;
    let plain = AnyConnection::Postgres(PgConnection::establish(&cluster.url(PLAIN)?)?);
    measure_on("PostgreSQL", &world.database, world.session("writes")?, plain, report)
}
