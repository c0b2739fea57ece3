//! What puts a whole database on SQLite back, as a team without sessions does it.

use std::cell::RefCell;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::fixture::Fixture;
use crate::measure::{Samples, in_turns, time};
use crate::report::Report;

/// The copies of a whole database.
const COPIES: usize = 10;

/// Those of what takes seconds, on either database.
pub(crate) const RESTORES: usize = 3;

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

/// What restores a whole database of the fixture's base, with how long each takes. Each is spared what it can be: there are no
/// sessions and no guards in the database, nothing is synced to the disk, a log is not copied into its file, and making room is
/// not counted.
pub(crate) fn restores(fixture: &Fixture, report: &mut Report) -> Result<Vec<(&'static str, Samples)>> {
    let from = fixture.path("whole.db");
    let copy = fixture.path("copy.db");
    let mut plain = fixture.plain("whole.db")?;
    // A base whose rows were deleted while it was built has their pages still.
    plain.batch_execute(
        "vacuum; pragma wal_checkpoint(truncate); pragma wal_autocheckpoint = 0; pragma synchronous = off;",
    )?;
    let reload = reload(&mut plain, &fixture.path("demo.db"))?;
    let plain = RefCell::new(plain);
    let remove = || match fs::remove_file(&copy) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let dump = fixture.path("whole.sql");
    let has_shell = shell(&from, &[".dump"], fs::File::create(&dump)?.into())?;
    let by_shell = |file: &Path, commands: &[&str]| {
        remove()?;
        if has_shell { time(|| shell(file, commands, Stdio::null())) } else { Ok(Duration::ZERO) }
    };
    let [copied, vacuumed, backed_up] = in_turns(
        1,
        report.effort.rounds(COPIES),
        [
            &mut || {
                remove()?;
                Ok(time(|| fs::copy(&from, &copy))?)
            },
            &mut || {
                remove()?;
                let into = format!("vacuum into '{}'", copy.display());
                Ok(time(|| plain.borrow_mut().batch_execute(&into))?)
            },
            &mut || by_shell(&from, &[&format!(".backup --async '{}'", copy.display())]),
        ],
    )?;
    let [reloaded, restored] = in_turns(
        0,
        report.effort.rounds(RESTORES),
        [
            &mut || {
                let took = time(|| plain.borrow_mut().batch_execute(&reload))?;
                // The log is as large as the database now, and would be read by the next round.
                plain.borrow_mut().batch_execute("pragma wal_checkpoint(truncate)")?;
                Ok(took)
            },
            &mut || by_shell(&copy, &["pragma synchronous = off", &format!(".read '{}'", dump.display())]),
        ],
    )?;
    drop(plain);
    remove()?;
    fs::remove_file(&from)?;
    fs::remove_file(&dump)?;
    let mut all =
        vec![("copy of the file", copied), ("VACUUM INTO", vacuumed), ("truncate and reload", reloaded)];
    if has_shell {
        all.extend([("backup API", backed_up), ("restore of a dump", restored)]);
    } else {
        report.not_measured("SQLite: backup API and restore of a dump", "sqlite3 is not installed");
    }
    Ok(all)
}

/// Runs commands of the `sqlite3` shell over a file; whether there is such a program.
fn shell(file: &Path, commands: &[&str], output: Stdio) -> Result<bool> {
    match Command::new("sqlite3").arg(file).args(commands).stdout(output).stderr(Stdio::piped()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
        Ok(answer) if answer.status.success() => Ok(true),
        Ok(answer) => bail!("sqlite3: {}", String::from_utf8_lossy(&answer.stderr)),
    }
}

/// Statements that empty all tables and take their rows from the base again, in one commit. Keys are not checked.
fn reload(plain: &mut SqliteConnection, base: &Path) -> Result<String> {
    plain.batch_execute(&format!(
        "pragma foreign_keys = off; attach 'file:{}?mode=ro' as kept;",
        base.display()
    ))?;
    let tables = "select name from pragma_table_list where schema = 'main' and type = 'table' \
        and name not like 'sqlite\\_%' escape '\\' order by name";
    let tables: Vec<Table> = diesel::sql_query(tables).load(plain)?;
    let each = |statement: &str| -> String {
        tables.iter().map(|table| statement.replace("{}", &table.name)).collect()
    };
    // Without a condition SQLite frees the pages of a table and looks at none of its rows.
    Ok(format!(
        "begin immediate; {} {} commit;",
        each("delete from main.\"{}\";"),
        each("insert into main.\"{}\" select * from kept.\"{}\";")
    ))
}
