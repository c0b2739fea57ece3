//! Loading the demo, as a user does it, against psql's `\copy` of the same rows into the same tables, with the indexes
//! and constraints made afterwards.

use anyhow::{Result, ensure};

use super::world::Cluster;
use crate::measure::{in_turns, time};
use crate::report::Report;

const SOURCE: &str = "bench_source";

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    report.section(
        "PostgreSQL: loading",
        "`demo-reset seed` of a new database, from generating the rows to views and seal, against psql's `\\copy` of the same \
         rows into the same tables with indexes and constraints made afterwards.",
    );
    cluster.create(SOURCE)?;
    cluster.seed(SOURCE)?;
    let script = copy_script(cluster)?;
    let [load, copy] = in_turns(
        1,
        report.effort.rounds(5),
        [
            &mut || {
                cluster.create("bench_loaded")?;
                time(|| cluster.seed("bench_loaded"))
            },
            &mut || {
                cluster.create("bench_copied")?;
                let run = ["--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file", &script];
                time(|| cluster.program("psql", "bench_copied", &run))
            },
        ],
    )?;
    let count = "select (select count(*) from public.cases) + (select count(*) from public.audit_logs)";
    ensure!(
        cluster.sql("bench_loaded", count)? == cluster.sql("bench_copied", count)?,
        "both hold the same rows"
    );
    report.ratio("PostgreSQL: loading the dataset", Some(1.0), &load, ("psql \\copy and index build", &copy));
    Ok(())
}

/// Writes every table as CSV; the script makes the same tables, fills them, and only then makes their indexes and
/// constraints, in one transaction.
fn copy_script(cluster: &Cluster) -> Result<String> {
    // The guards are the engine's: what is compared has none.
    let tables = cluster.tables(SOURCE)?;
    for table in &tables {
        let guards = format!(
            "drop trigger demo_guard_write on public.{table}; drop trigger demo_guard_truncate on public.{table}"
        );
        cluster.sql(SOURCE, &guards)?;
    }
    let of_tables: Vec<String> = tables.iter().map(|table| format!("--table=public.{table}")).collect();
    let section = |which: &str| -> Result<String> {
        let which = format!("--section={which}");
        let mut arguments = vec![which.as_str(), "--no-owner", "--no-privileges"];
        arguments.extend(of_tables.iter().map(String::as_str));
        Ok(String::from_utf8(cluster.program("pg_dump", SOURCE, &arguments)?.stdout)?)
    };
    let mut script = format!("begin;\n{}\n{}", cluster.search_words(SOURCE)?, section("pre-data")?);
    for table in &tables {
        let rows = cluster.folder.path().join(format!("{table}.csv")).display().to_string();
        cluster.sql(SOURCE, &format!("\\copy public.{table} to '{rows}' csv"))?;
        script.push_str(&format!("\\copy public.{table} from '{rows}' csv\n"));
    }
    script.push_str(&section("post-data")?);
    script.push_str("commit;\n");
    let path = cluster.folder.path().join("copy.sql").display().to_string();
    std::fs::write(&path, script)?;
    Ok(path)
}
