//! Writing through the views against writing the bare tables of a copy of the database, each statement in a transaction
//! of its own.

use std::cell::{Cell, RefCell};

use anyhow::Result;
use demo_reset_domain::ArchiveId;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::world::{Cluster, Size, World, random_id};
use crate::fixture::NOW;
use crate::measure::{in_turns, time};
use crate::report::Report;

/// A copy of the tables with nothing of the engine's in it.
const PLAIN: &str = "bench_plain";

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    report.section(
        "PostgreSQL: writes",
        "the same statements through the views, in a session's unit of work, and on a copy of the database with tables \
         alone, each in a transaction of its own. There is no goal: this is what isolation costs.",
    );
    let world = World::of(cluster, Size::HundredThousand)?;
    plain(cluster)?;
    let plain = RefCell::new(PgConnection::establish(&cluster.url(PLAIN)?)?);
    let session = world.session("writes")?;
    let columns = |table: &str, replaced: &[(&str, &str)]| -> Result<String> {
        let names = cluster.columns(PLAIN, table)?;
        let values: Vec<String> = names
            .iter()
            .map(|name| {
                let own = replaced.iter().find(|(replaced, _)| replaced == name);
                own.map_or_else(|| format!("r.{name}"), |(_, value)| (*value).to_owned())
            })
            .collect();
        Ok(format!(
            "insert into {table} ({}) select {} from (select * from {table} order by id limit 1) r;",
            names.join(", "),
            values.join(", ")
        ))
    };
    let id = "('00000000-0000-4000-b000-' || lpad(to_hex({n}), 12, '0'))::uuid";
    let new_case = columns("cases", &[("id", id), ("reference_number", "'NEW-' || {n}")])?;
    let child = columns("subjects", &[("id", "gen_random_uuid()"), ("case_id", id)])?;
    let edit = "update cases set severity = 'LOW', summary = 'edited {n}' \
        where id = (select id from cases order by organization_id, id limit 1)";
    let many = "update audit_logs set action_description = action_description || '.' \
        where id in (select id from audit_logs order by organization_id, id limit 10000)";
    let with_children = format!("{new_case}{child}{child}");
    let delete = format!("delete from cases where id = {id}");
    // What it is, what is made for it first, the statement, whether the session is reset after each, rounds.
    let writes: [(&str, &str, &str, bool, usize); 5] = [
        ("edit of a base record", "", edit, true, 100),
        ("second edit of a record", "", edit, false, 100),
        ("create of a record", "", &new_case, false, 100),
        ("delete of a record with two children", &with_children, &delete, false, 100),
        ("update of 10,000 records", "", many, true, 5),
    ];
    let number = Cell::new(0_u32);
    let with_number = |sql: &str| sql.replace("{n}", &number.get().to_string());
    let in_transaction = |sql: &str| plain.borrow_mut().batch_execute(&format!("begin; {sql}; commit"));
    for (name, before, sql, afresh, rounds) in writes {
        let [view, table] = in_turns(
            2,
            report.effort.rounds(rounds),
            [
                &mut || {
                    number.set(number.get() + 1);
                    if !before.is_empty() {
                        world.run(session, &with_number(before))?;
                    }
                    let sql = with_number(sql);
                    let took = time(|| world.run(session, &sql))?;
                    if afresh {
                        world.database.reset(session, ArchiveId(random_id()), NOW)?;
                    }
                    Ok(took)
                },
                &mut || {
                    number.set(number.get() + 1);
                    if !before.is_empty() {
                        in_transaction(&with_number(before))?;
                    }
                    let sql = with_number(sql);
                    Ok(time(|| in_transaction(&sql))?)
                },
            ],
        )?;
        report.ratio(
            &format!("PostgreSQL: {name} through the view"),
            None,
            &view,
            ("the bare table", &table),
        );
    }
    Ok(())
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
