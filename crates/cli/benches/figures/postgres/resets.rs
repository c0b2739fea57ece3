//! Reset and undo of few and of many changes, over small and large bases, beside few and many other sessions, against
//! what a team without them does: restoring the whole database.

use anyhow::{Result, ensure};
use demo_reset_domain::{ArchiveId, OnConflict, SessionId};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::world::{Cluster, Size, World, random_id};
use crate::measure::{Report, Samples, in_turns, time};

const CHANGES: [usize; 3] = [10, 1_000, 100_000];

const OTHERS: [usize; 2] = [10, 10_000];

/// Resets and undos in each setting.
const ROUNDS: usize = 60;

/// Restores of a whole database.
const RESTORES: usize = 3;

/// Makes subjects of a session's own, all at once: through the view each would pass its triggers. They are counted as
/// the layer's all the same.
fn add_subjects(cluster: &Cluster, world: &World, session: SessionId, count: usize) -> Result<()> {
    cluster.sql(
        world.size.database(),
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

/// One setting's figures.
struct Figure {
    setting: String,
    reset: Samples,
    undo: Samples,
}

pub(crate) fn measure(cluster: &Cluster, report: &mut Report) -> Result<()> {
    let mut figures = Vec::new();
    for size in Size::BOTH {
        let world = World::of(cluster, size)?;
        for others in OTHERS {
            world.crowd(cluster, others)?;
            figures.extend(of_world(cluster, &world, others, report)?);
        }
    }
    for (name, of) in [("reset", (|figure| &figure.reset) as fn(&Figure) -> &Samples), ("undo", |f| &f.undo)]
    {
        let by_median = |figure: &&Figure| of(figure).median();
        let (Some(fastest), Some(slowest)) =
            (figures.iter().min_by_key(by_median), figures.iter().max_by_key(by_median))
        else {
            continue;
        };
        let title = format!("PostgreSQL: {name} of {}", slowest.setting);
        report.ratio(&title, 1.5, of(slowest), (&format!("a {name} of {}", fastest.setting), of(fastest)));
        for size in Size::BOTH {
            // Sessions change nothing of the base, so what they are compared with is the same for all of them.
            let rest = format!("{} base rows", size.rows());
            let slowest =
                figures.iter().filter(|figure| figure.setting.contains(&rest)).max_by_key(by_median);
            let Some(slowest) = slowest else { continue };
            for (alternative, samples) in restores(cluster, size)? {
                let title = format!("PostgreSQL: {name} of {}", slowest.setting);
                report.ratio(&title, 1.0, of(slowest), (&format!("{alternative} of {rest}"), &samples));
            }
        }
    }
    Ok(())
}

fn of_world(cluster: &Cluster, world: &World, others: usize, report: &mut Report) -> Result<Vec<Figure>> {
    let mut sessions: Vec<SessionId> = Vec::new();
    for changes in CHANGES {
        let session = world.session(&format!("{changes} changes beside {others}"))?;
        add_subjects(cluster, world, session, changes)?;
        let made = world.database.change_counts(session)?.total();
        ensure!(made == changes as u64, "{made} changes instead of {changes}");
        sessions.push(session);
    }
    cluster.sql(world.size.database(), "vacuum analyze")?;
    let mut one_row = one_row_commit(cluster, world.size)?;
    let undos = std::cell::RefCell::new([Samples::default(), Samples::default(), Samples::default()]);
    let both = |at: usize| {
        let new_id = || ArchiveId(random_id());
        let reset = time(|| world.database.reset(sessions[at], new_id(), crate::fixture::NOW))?;
        let undo = time(|| {
            world.database.undo(sessions[at], None, OnConflict::Fail, new_id(), crate::fixture::NOW)
        })?;
        undos.borrow_mut()[at].push(undo);
        Ok(reset)
    };
    let [few, some, many, commit] = in_turns(
        5,
        ROUNDS,
        [&mut || both(0), &mut || both(1), &mut || both(2), &mut || {
            Ok(time(|| one_row.batch_execute("begin; update bench.one_row set n = n + 1; commit"))?)
        }],
    )?;
    let figures = [few, some, many].into_iter().zip(undos.into_inner()).zip(CHANGES);
    let figures = figures.map(|((reset, undo), changes)| Figure {
        setting: format!("{changes} changes, {} base rows, {others} other sessions", world.size.rows()),
        reset,
        undo,
    });
    let figures: Vec<Figure> = figures.collect();
    for Figure { setting, reset, undo } in &figures {
        report.say(format_args!("PostgreSQL: {setting}: reset {reset}, undo {undo}"));
    }
    report.say(format_args!("  a bare one-row commit beside them: {commit}"));
    Ok(figures)
}

/// The smallest commit that there is, on the same disk.
fn one_row_commit(cluster: &Cluster, size: Size) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(&cluster.url(size.database())?)?;
    conn.batch_execute(
        "create schema if not exists bench; \
         create table if not exists bench.one_row (n integer); truncate bench.one_row; \
         insert into bench.one_row values (0);",
    )?;
    Ok(conn)
}

/// What restores a whole database of this size, with how long each takes. Each is spared what it can be: there are no
/// sessions in the database, nothing checks the rows that come, and making room is not counted.
fn restores(cluster: &Cluster, size: Size) -> Result<Vec<(&'static str, Samples)>> {
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
    // What the guard triggers call.
    let guard = "create schema demo; create function demo.guard_base() returns trigger language plpgsql \
        as 'begin return null; end'";
    let empty = |database: &str| {
        cluster.create(database)?;
        cluster.sql(database, guard)
    };
    let restore =
        |database: &str| cluster.program("pg_restore", database, &["--jobs=2", "--no-owner", &dump]);
    empty("bench_bare")?;
    restore("bench_bare")?;
    let each =
        |statement: &str| tables.iter().map(|table| statement.replace("{}", table)).collect::<String>();
    cluster.sql("bench_bare", &each("alter table public.{} disable trigger all;"))?;
    cluster.sql("bench_bare", "vacuum analyze")?;
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
        RESTORES,
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
