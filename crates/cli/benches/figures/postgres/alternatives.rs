//! What a team could use instead of a reset of few changes: deleting the same rows.

use anyhow::Result;
use demo_reset_persistence::AnyConnection;
use diesel::{Connection, PgConnection};

use super::world::{Cluster, PLAIN, Size, World};
use crate::alternatives::{Compared, OF_A_CASE, numbers_of_cases};
use crate::plot::Plot;
use crate::report::Report;

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    report.section(
        "PostgreSQL: what a team could use instead",
        format!(
            "{OF_A_CASE}. A reset of the session against DELETE of the same rows from plain tables in one commit, an undo \
             against INSERT of them from a copy, each after a rest of 20 ms. What puts a whole database back stands \
             with the resets above."
        ),
    );
    let world = World::of(cluster, Size::HundredThousand, 10)?;
    let mut plot = Plot::new(
        "postgres-alternatives.svg",
        "PostgreSQL: a reset, and what could be used instead",
        "cases made",
    );
    for &cases in numbers_of_cases(report.effort) {
        world.plain_copy(cluster)?;
        let compared = Compared {
            of: "PostgreSQL",
            database: &world.database,
            session: world.session(&format!("alternatives to {cases} cases"))?,
            plain: AnyConnection::Postgres(PgConnection::establish(&cluster.url(PLAIN)?)?),
            cases,
        };
        compared.measure(None, report, &mut plot)?;
    }
    report.plot(plot);
    Ok(())
}
