//! Reset and undo of few and of many changes, over small and large bases, beside few and many other sessions, against
//! what a team without them does: restoring the whole database.

use std::rc::Rc;

use anyhow::Result;
use demo_reset_domain::SessionId;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::world::{Cluster, Size, World};
use crate::fixture::{random_id, thousands};
use crate::measure::{Samples, in_blocks, in_turns, time, time_after_rest};
use crate::plot::Plot;
use crate::report::Report;
use crate::resets::{BLOCKS, GOAL, MERGED, MOST_RESTORED, Place, Resettable, Slowest, flatness, merges};
use crate::restores::RESTORES;

const CHANGES: [usize; 3] = [10, 1_000, 100_000];

/// The size of the base, and how many other sessions there are. Those of one size stand side by side, the largest last.
const SETTINGS: [(Size, usize); 7] = [
    (Size::HundredThousand, 10),
    (Size::HundredThousand, 1_000),
    (Size::HundredThousand, 10_000),
    (Size::TenThousand, 10),
    (Size::Million, 10),
    (Size::Million, 10_000),
    (Size::FiveMillion, 10_000),
];

/// Resets and undos of a setting in each block.
const ROUNDS: usize = 6;

/// Makes subjects of a session's own, all at once: through the view each would pass its triggers. They are counted as
/// the layer's all the same.
fn add_subjects(cluster: &Cluster, world: &World, session: SessionId, count: usize) -> Result<()> {
    cluster.sql(
        &world.name,
        &format!(
            "insert into demo_changes.subjects (demo_layer, demo_kind, demo_changed_at, organization_id, id, case_id, \
               name, role, created_at, updated_at, created_by_id) \
             select s.live_layer, 'created', now(), c.organization_id, gen_random_uuid(), c.id, 'Sam Reyes', 'WITNESS', \
               c.created_at, c.created_at, c.created_by_id \
             from demo.demo_user_sessions s, (select * from public.cases order by id limit 1) c, \
               generate_series(1, {count}) n where s.id = '{}'",
            session.0
        ),
    )?;
    Ok(())
}

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    report.section(
        "PostgreSQL: reset, undo and the making of a session",
        "each in one-row commits of the same database, measured in turns, each after a rest of 20 ms, while the \
         databases have their rounds in ten blocks, one after the other in each; and \
         against what restores a whole database of that size: `CREATE DATABASE … TEMPLATE`, TRUNCATE with COPY, and \
         `pg_restore --jobs=2`, each spared what it can be. The changes are subjects that the session has created.",
    );
    let settings = report.effort.some(&SETTINGS, 1);
    let mut places = settings
        .iter()
        .map(|&(size, others)| {
            let world = Rc::new(World::of(cluster, size, others)?);
            let sessions = report
                .effort
                .some(&CHANGES, 2)
                .iter()
                .map(|&changes| {
                    let session = world.session(&format!("{changes} changes"))?;
                    add_subjects(cluster, &world, session, changes)?;
                    Ok((changes, Resettable::new(&world.database, session, changes)?))
                })
                .collect::<Result<Vec<_>>>()?;
            cluster.settle(&world.name)?;
            let mut one_row = one_row_commit(cluster, &world.name)?;
            let commit = move || {
                Ok(time_after_rest(|| {
                    one_row.batch_execute("begin; update bench.one_row set n = n + 1; commit")
                })?)
            };
            let at = Rc::clone(&world);
            let make = move || time_after_rest(|| at.session(&random_id().to_string()));
            Ok((size, others, world, Place::new(sessions, commit, make)))
        })
        .collect::<Result<Vec<_>>>()?;
    in_blocks(report.effort.rounds(BLOCKS), &mut places, |(.., place), random| {
        place.measure(ROUNDS, random)
    })?;
    let mut ratios: [Vec<f64>; 3] = Default::default();
    // Of all settings it shows the last, the largest: the others would lie on the same lines.
    let draw = || Plot::new("postgres-reset.svg", "PostgreSQL: reset and undo", "changes of the session");
    let mut plot = draw();
    let mut of_restores = Plot::new(
        "postgres-restores.svg",
        "PostgreSQL: a reset, and putting a whole database back",
        "base rows",
    );
    for of_a_size in places.chunk_by(|(one, ..), (other, ..)| one == other) {
        let Some(&(size, ..)) = of_a_size.first() else { continue };
        let rest = format!("{} base rows", thousands(size.rows()));
        let mut slowest = Slowest::default();
        for (_, others, _, place) in of_a_size {
            plot = draw();
            let beside = format!("{rest}, {} other sessions", thousands(*others as u64));
            place.compare(report, "PostgreSQL", &beside, &mut ratios, |changes, resets, undos| {
                plot.point("reset", changes, resets);
                plot.point("undo", changes, undos);
                plot.point("one-row commit", changes, &place.commits);
            });
            slowest.keep(place);
            let name = format!("PostgreSQL: making of a session, {beside}");
            ratios[2].push(report.ratio(&name, Some(GOAL), &place.made, ("one-row commit", &place.commits)));
        }
        slowest.draw(&mut of_restores, size.rows());
        if size.rows() > MOST_RESTORED {
            continue;
        }
        for (alternative, samples) in restores(cluster, size, report.effort.rounds(RESTORES))? {
            slowest.compare(report, "PostgreSQL", &rest, alternative, &samples);
            of_restores.point(alternative, size.rows() as usize, &samples);
        }
    }
    flatness(report, "PostgreSQL", &ratios);
    if let Some((_, _, world, _)) = places.first() {
        let merging = world.session("merges")?;
        add_subjects(cluster, world, merging, MERGED)?;
        merges("PostgreSQL", &world.database, merging, report)?;
    }
    report.plot(plot);
    report.plot(of_restores);
    Ok(())
}

/// The smallest commit that there is, on the same disk.
fn one_row_commit(cluster: &Cluster, database: &str) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(&cluster.url(database)?)?;
    conn.batch_execute(
        "create schema bench; create table bench.one_row (n integer); insert into bench.one_row values (0);",
    )?;
    Ok(conn)
}

/// What restores a whole database of this size, with how long each takes. Each is spared what it can be: there are no
/// sessions in the database, nothing checks the rows that come, and making room is not counted.
fn restores(cluster: &Cluster, size: Size, rounds: usize) -> Result<Vec<(&'static str, Samples)>> {
    let name = size.database();
    let tables = cluster.tables(name)?;
    let folder = cluster.folder.path();
    let file = |what: &str| folder.join(format!("{name}.{what}")).display().to_string();
    let dump = file("dump");
    let mut arguments =
        vec!["--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--file", &dump];
    let of_tables: Vec<String> = tables.iter().map(|table| format!("--table=public.{table}")).collect();
    arguments.extend(of_tables.iter().map(String::as_str));
    cluster.program("pg_dump", name, &arguments)?;
    let functions = cluster.functions(name)?;
    let empty = |database: &str| {
        cluster.create(database)?;
        cluster.sql(database, &functions)
    };
    let restore =
        |database: &str| cluster.program("pg_restore", database, &["--jobs=2", "--no-owner", &dump]);
    empty("bench_bare")?;
    restore("bench_bare")?;
    let each =
        |statement: &str| tables.iter().map(|table| statement.replace("{}", table)).collect::<String>();
    cluster.sql("bench_bare", &each("alter table public.{} disable trigger all;"))?;
    cluster.settle("bench_bare")?;
    let mut copies = format!("begin;\ntruncate {};\n", tables.join(", "));
    for table in &tables {
        let rows = file(&format!("{table}.csv"));
        cluster.sql("bench_bare", &format!("\\copy public.{table} to '{rows}' csv"))?;
        copies.push_str(&format!("\\copy public.{table} from '{rows}' csv\n"));
    }
    let script = file("sql");
    std::fs::write(&script, copies + "commit;\n")?;
    let [template, copy, restored] = in_turns(
        0,
        rounds,
        [
            &mut || {
                cluster.on_server("drop database if exists bench_copy")?;
                time(|| cluster.on_server("create database bench_copy template bench_bare"))
            },
            &mut || {
                let run = ["--quiet", "--set=ON_ERROR_STOP=1", "--file", &script];
                time(|| cluster.program("psql", "bench_bare", &run))
            },
            &mut || {
                empty("bench_restored")?;
                time(|| restore("bench_restored"))
            },
        ],
    )?;
    // Each by itself: one command of psql's is one transaction, in which no database can be dropped.
    cluster.on_server("drop database bench_copy")?;
    cluster.on_server("drop database bench_restored")?;
    Ok(vec![
        ("CREATE DATABASE TEMPLATE", template),
        ("TRUNCATE + COPY", copy),
        ("pg_restore --jobs=2", restored),
    ])
}
