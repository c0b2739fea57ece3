//! Loading the demo, as a user does it, against `sqlite3 .import` of the same rows into the same tables.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use demo_reset_compliance::SEARCHED;

use crate::fixture::{Base, Fixture, Fixtures, Setting, seed};
use crate::measure::{in_turns, time};
use crate::report::Report;

const NAME: &str = "loading the dataset";

/// Runs the SQLite shell on a database and gives what it wrote.
fn shell(database: &Path, script: &str) -> Result<String> {
    let mut child = Command::new("sqlite3")
        .args(["-bail", "-batch"])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("sqlite3")?;
    std::io::Write::write_all(&mut child.stdin.take().context("stdin")?, script.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("sqlite3 failed");
    }
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: loading",
        "`demo-reset seed` of a new file, from generating the rows to the seal, against `.import` of the same rows by the \
         `sqlite3` shell into the same tables.",
    );
    let fixture = &*fixtures.of(Setting { base: Base::Demo, others: 10 }, report)?;
    if Command::new("sqlite3").arg("--version").output().is_err() {
        report.not_measured(NAME, "sqlite3 is not installed");
        return Ok(());
    }
    let base = fixture.path("demo.db");
    let script = import_script(fixture, &base)?;
    let (loaded, imported) = (fixture.path("loaded.db"), fixture.path("imported.db"));
    let [load, import] = in_turns(
        1,
        report.effort.rounds(5),
        [
            &mut || {
                remove(&loaded)?;
                remove(&fixture.path("loaded.sessions.db"))?;
                time(|| seed(&loaded, 1))
            },
            &mut || {
                remove(&imported)?;
                time(|| shell(&imported, &script))
            },
        ],
    )?;
    let count = "select count(*) from cases; select count(*) from audit_logs;";
    anyhow::ensure!(shell(&loaded, count)? == shell(&imported, count)?, "both hold the same rows");
    report.ratio(NAME, Some(2.0), &load, ("sqlite3 .import", &import));
    Ok(())
}

/// Writes every table as CSV; the script makes the same tables and indexes, imports the files in one transaction, and
/// indexes the words of the same columns. CSV knows no null, so checks are off: that spares the import some work.
fn import_script(fixture: &Fixture, base: &Path) -> Result<String> {
    let ours = "name not like 'sqlite%' and name not like 'demo\\_%' escape '\\' and name not like '\\_\\_%' escape '\\'";
    let tables = shell(base, &format!("select name from sqlite_schema where type = 'table' and {ours};"))?;
    let mut script = shell(
        base,
        &format!(
            "select sql || ';' from sqlite_schema where type in ('table', 'index') and sql is not null \
             and tbl_name in (select name from sqlite_schema where type = 'table' and {ours}) order by type desc;"
        ),
    )?;
    script.insert_str(0, "pragma ignore_check_constraints = on;\nbegin;\n");
    for table in tables.lines() {
        let file = fixture.path(&format!("{table}.csv"));
        shell(base, &format!(".mode csv\n.once {}\nselect * from {table};\n", file.display()))?;
        script.push_str(&format!(".import --csv {} {table}\n", file.display()));
    }
    for index in SEARCHED {
        let table = index.table.name;
        script.push_str(&shell(
            base,
            &format!("select sql || ';' from sqlite_schema where name = 'demo_search_{table}';"),
        )?);
        let columns: Vec<String> =
            index.columns.iter().map(|column| format!("coalesce({column}, '')")).collect();
        script.push_str(&format!(
            "insert into demo_search_{table} (rowid, words) select rowid, {} from {table};\n",
            columns.join(" || ' ' || ")
        ));
    }
    script.push_str("commit;\n");
    Ok(script)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
