//! The same promises on PostgreSQL. `cargo xtask bench` starts a cluster of its own for them, with the settings that
//! a server has: what is committed is synced. Only autovacuum is off, and each database vacuumed when it is filled.

mod alternatives;
mod loading;
mod reads;
mod resets;
mod server;
mod world;
mod writes;

use anyhow::Result;

use crate::report::Report;
pub(crate) use world::Cluster;

/// One group of figures.
type Measure = fn(&Cluster, &mut Report) -> Result<()>;

/// The groups on PostgreSQL.
pub(crate) const GROUPS: [(&str, Measure); 7] = [
    ("postgres-alternatives", alternatives::measure),
    ("postgres-writes", writes::measure),
    ("postgres-resets", resets::measure),
    ("postgres-reads", reads::measure),
    // It makes more sessions than the worlds of the others have.
    ("postgres-server", server::measure),
    ("postgres-loading", loading::measure),
    ("postgres-http", crate::http::measure_postgres),
];

/// Measures the groups that are asked for, and tells of each when it is done.
pub(crate) fn measure(
    is_asked: impl Fn(&str) -> bool,
    report: &mut Report,
    mut done: impl FnMut(&str, &Report) -> Result<()>,
) -> Result<()> {
    let asked: Vec<_> = GROUPS.into_iter().filter(|(group, _)| is_asked(group)).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let Some(cluster) = Cluster::given() else {
        for (group, _) in asked {
            report.not_measured(group, "PostgreSQL's server is not installed");
        }
        return Ok(());
    };
    let settings = ["shared_buffers", "fsync", "synchronous_commit", "autovacuum"]
        .map(|setting| Ok(format!("{setting} = {}", cluster.on_server(&format!("show {setting}"))?)));
    let settings = settings.into_iter().collect::<Result<Vec<_>>>()?.join(", ");
    report.measured_on(format!("{}: {settings}", cluster.version()?));
    asked.into_iter().try_for_each(|(group, measure)| {
        report.begin(group);
        measure(&cluster, report)?;
        done(group, report)
    })
}
