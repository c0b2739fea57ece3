//! Databases of several sizes with crowds of sessions, made by sets of rows: a million rows stand in a minute.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use demo_reset_compliance::attach_options;
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::{Database, DatabaseUrl, Error, OpenOptions, load_base};
use diesel::connection::SimpleConnection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::fixture::{NOW, binary, random_id};

/// The variable with the URL of a cluster whose login may create databases.
const VARIABLE: &str = "DEMO_RESET_TEST_POSTGRES";

/// The database with a copy of the tables and nothing of the engine's in it.
pub(crate) const PLAIN: &str = "bench_plain";

/// A running cluster, and a folder for files.
pub(crate) struct Cluster {
    url: String,
    pub(crate) folder: TempDir,
}

impl Cluster {
    pub(crate) fn given() -> Option<Self> {
        Some(Self { url: std::env::var(VARIABLE).ok()?, folder: TempDir::new().ok()? })
    }

    /// The URL of one of its databases.
    pub(crate) fn url(&self, database: &str) -> Result<String> {
        let (server, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let (server, _) = server.rsplit_once('/').context("a URL with a database")?;
        Ok(format!("{server}/{database}?{query}"))
    }

    /// Runs one of PostgreSQL's client programs on a database.
    pub(crate) fn program(&self, name: &str, database: &str, arguments: &[&str]) -> Result<Output> {
        let output = Command::new(name)
            .arg("--dbname")
            .arg(self.url(database)?)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| name.to_owned())?;
        if !output.status.success() {
            bail!("{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    }

    /// Runs statements; gives what the last of them answered.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
        let output = self.program("psql", database, &[&arguments[..], &["--command", sql]].concat())?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Brings a database that has been filled to rest: statistics are taken, and nothing is left to be written to the disk
    /// behind the back of what is measured.
    pub(crate) fn settle(&self, database: &str) -> Result<()> {
        self.sql(database, "vacuum analyze")?;
        self.sql(database, "checkpoint")?;
        Ok(())
    }

    /// Runs statements on the server.
    pub(crate) fn on_server(&self, sql: &str) -> Result<String> {
        self.sql("postgres", sql)
    }

    pub(crate) fn version(&self) -> Result<String> {
        Ok(format!("PostgreSQL {}", self.on_server("show server_version")?))
    }

    /// Whether there is a database of this name.
    fn has(&self, database: &str) -> Result<bool> {
        let known = format!("select count(*) from pg_database where datname = '{database}'");
        Ok(self.on_server(&known)? != "0")
    }

    /// Makes an empty database, whatever was there before.
    pub(crate) fn create(&self, database: &str) -> Result<()> {
        self.on_server(&format!("drop database if exists {database} with (force)"))?;
        self.on_server(&format!("create database {database}"))?;
        Ok(())
    }

    /// Seeds the demo by the binary itself.
    pub(crate) fn seed(&self, database: &str) -> Result<()> {
        let url = self.url(database)?;
        let output = binary().args(["seed", "--as-of", "2026-02-02", "--database-url", &url]).output()?;
        ensure!(output.status.success(), "demo-reset seed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// What makes the function that the search indexes of `database` call, in another database.
    pub(crate) fn search_words(&self, database: &str) -> Result<String> {
        let definition = "select pg_get_functiondef('demo.search_words(text)'::regprocedure)";
        Ok(format!("create schema demo; {}; ", self.sql(database, definition)?))
    }

    /// What makes the functions that the guard triggers and the search indexes of `database` call, in another database,
    /// where nothing is guarded.
    pub(crate) fn functions(&self, database: &str) -> Result<String> {
        let guard =
            "create function demo.guard_base() returns trigger language plpgsql as 'begin return null; end'";
        Ok(self.search_words(database)? + guard)
    }

    /// The columns of a table.
    fn columns(&self, database: &str, table: &str) -> Result<Vec<String>> {
        let names = "select attname from pg_attribute where attnum > 0 and not attisdropped and attrelid =";
        let names = self.sql(database, &format!("{names} 'public.{table}'::regclass order by attnum"))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The tables of the base, parents first.
    pub(crate) fn tables(&self, database: &str) -> Result<Vec<String>> {
        let names = "select relname from pg_class join demo.demo_manifest on table_name = relname \
            where relnamespace = 'public'::regnamespace order by pg_class.oid";
        Ok(self.sql(database, names)?.lines().map(str::to_owned).collect())
    }
}

/// The size of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// The cases, the reports and what they refer to, and audit entries that make it 10,000 rows.
    TenThousand,
    /// The demo with as many audit entries on top as make 100,000 rows.
    HundredThousand,
    /// 100,000 cases, an investigation of each, and audit entries that make it a million rows.
    Million,
    /// The same with audit entries that make it five million rows.
    FiveMillion,
}

impl Size {
    pub(crate) fn rows(self) -> u64 {
        match self {
            Self::TenThousand => 10_000,
            Self::HundredThousand => 100_000,
            Self::Million => 1_000_000,
            Self::FiveMillion => 5_000_000,
        }
    }

    /// The database with a base of this size and no sessions.
    pub(crate) fn database(self) -> &'static str {
        match self {
            Self::TenThousand => "bench_10k",
            Self::HundredThousand => "bench_100k",
            Self::Million => "bench_1m",
            Self::FiveMillion => "bench_5m",
        }
    }
}

/// A base of one size beside so many other sessions, opened as a server opens it.
pub(crate) struct World {
    pub(crate) size: Size,
    /// The name of the database.
    pub(crate) name: String,
    pub(crate) database: Database,
}

impl World {
    /// Opens the database of this size with so many other sessions; makes it first where there is none.
    pub(crate) fn of(cluster: &Cluster, size: Size, others: usize) -> Result<Self> {
        let base = size.database();
        let name = format!("{base}_{others}");
        let is_new = !cluster.has(&name)?;
        if is_new {
            if !cluster.has(base)? {
                cluster.create(base)?;
                cluster.seed(base)?;
                resize(cluster, size)?;
            }
            // Filled once: a copy of the files is made in seconds.
            cluster.on_server(&format!("create database {name} template {base} strategy file_copy"))?;
        }
        let url: DatabaseUrl = cluster.url(&name)?.parse()?;
        let options = OpenOptions { attach: attach_options(), ..OpenOptions::default() };
        let database = Database::open(&url, options, NOW)?;
        let rows: u64 = database.stats(None, NOW)?.base.iter().map(|(_, rows)| rows).sum();
        ensure!(rows == size.rows(), "{rows} base rows instead of {}", size.rows());
        let world = Self { size, name, database };
        if is_new {
            world.crowd(cluster, others)?;
        }
        Ok(world)
    }

    pub(crate) fn session(&self, user: &str) -> Result<SessionId> {
        let user = UserKey::new("bench", user)?;
        Ok(self.database.session(&user, SessionId(random_id()), NOW)?.id)
    }

    /// Runs statements in a session's world.
    pub(crate) fn run(&self, session: SessionId, sql: &str) -> Result<()> {
        self.database.write(session, NOW, |conn| conn.batch_execute(sql).map_err(Error::from))?;
        Ok(())
    }

    /// Makes so many other sessions, each with 50 changes: 40 edited cases and ten audit entries.
    fn crowd(&self, cluster: &Cluster, sessions: usize) -> Result<()> {
        let columns = cluster.columns(&self.name, "cases")?;
        let entry_columns = cluster.columns(&self.name, "audit_logs")?;
        let entry_value =
            |name: &String| if name == "id" { "gen_random_uuid()".to_owned() } else { format!("e.{name}") };
        cluster.sql(
            &self.name,
            &format!(
                "insert into demo.demo_user_sessions
                   (id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch)
                 select gen_random_uuid(), 'crowd', n::text, now(), now(), 0, (select epoch from demo.demo_base)
                 from generate_series(1, {sessions}) n;
                 create temporary table crowd as
                 select live_layer from demo.demo_user_sessions where organization_id = 'crowd';
                 insert into demo_changes.cases (demo_layer, demo_kind, demo_changed_at, {columns})
                 select s.live_layer, 'edited', now(), {of_case}
                 from crowd s,
                   (select * from public.cases where organization_id =
                     (select organization_id from public.cases group by 1 order by count(*) desc limit 1)
                     order by created_at desc limit 40) c;
                 insert into demo_changes.audit_logs (demo_layer, demo_kind, demo_changed_at, {entry_columns})
                 select s.live_layer, 'created', now(), {of_entry}
                 from crowd s, (select * from public.audit_logs limit 10) e",
                of_case = columns.iter().map(|name| format!("c.{name}")).collect::<Vec<_>>().join(", "),
                columns = columns.join(", "),
                of_entry = entry_columns.iter().map(entry_value).collect::<Vec<_>>().join(", "),
                entry_columns = entry_columns.join(", "),
            ),
        )?;
        let made = "select count(*) from demo.demo_user_sessions where organization_id = 'crowd'";
        let made = cluster.sql(&self.name, made)?;
        ensure!(made == sessions.to_string(), "{made} other sessions instead of {sessions}");
        cluster.settle(&self.name)
    }

    /// Copies the tables into [`PLAIN`], with nothing of the engine's in it.
    pub(crate) fn plain_copy(&self, cluster: &Cluster) -> Result<()> {
        let name = &self.name;
        let dump = cluster.folder.path().join("plain.dump").display().to_string();
        let tables: Vec<String> =
            cluster.tables(name)?.iter().map(|table| format!("--table=public.{table}")).collect();
        let mut arguments = vec!["--format=custom", "--no-owner", "--no-privileges", "--file", dump.as_str()];
        arguments.extend(tables.iter().map(String::as_str));
        cluster.program("pg_dump", name, &arguments)?;
        cluster.create(PLAIN)?;
        cluster.sql(PLAIN, &cluster.functions(name)?)?;
        cluster.program("pg_restore", PLAIN, &["--no-owner", &dump])?;
        cluster.sql(PLAIN, "drop function demo.guard_base() cascade")?;
        cluster.settle(PLAIN)
    }
}

/// A key of its own for a row that is made from another.
const ID: (&str, &str) = ("id", "gen_random_uuid()");

/// What the smallest base has none of, but for some audit entries.
const LEFT_OUT: [&str; 7] = [
    "employees",
    "subjects",
    "case_messages",
    "investigations",
    "investigation_notes",
    "riu_case_associations",
    "audit_logs",
];

/// Loads the seeded base anew with more or fewer rows, through the engine, which seals it.
fn resize(cluster: &Cluster, size: Size) -> Result<()> {
    let name = size.database();
    let tables = cluster.tables(name)?;
    let keep: Vec<String> =
        tables.iter().map(|table| format!("create table kept.{table} as table public.{table};")).collect();
    cluster.sql(name, &format!("create schema kept; {}", keep.concat()))?;
    let is_left_out = |table: &str| size == Size::TenThousand && LEFT_OUT.contains(&table);
    let mut build: String = tables
        .iter()
        .filter(|table| !is_left_out(table))
        .map(|table| format!("insert into public.{table} table kept.{table};"))
        .collect();
    // As many more rows as make `count` in all, each as a row of the demo but for the columns that are named.
    let more = |table: &str, replaced: &[(&str, &str)], count: &str| -> Result<String> {
        let columns = cluster.columns(name, table)?;
        let value = |column: &String| {
            let replaced = replaced.iter().find(|(name, _)| name == column);
            replaced.map_or_else(|| format!("r.{column}"), |(_, value)| (*value).to_owned())
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        Ok(format!(
            "insert into public.{table} select {} from kept.{table} r, generate_series(1, 1000) n limit {count};",
            values.join(", ")
        ))
    };
    if matches!(size, Size::Million | Size::FiveMillion) {
        let number = ("reference_number", "r.reference_number || '-' || n");
        let later = ("created_at", "r.created_at + n * interval '61 minutes'");
        build.push_str(&more("cases", &[ID, number, later], "100000 - (select count(*) from kept.cases)")?);
        build.push_str(
            "insert into public.investigations (organization_id, id, case_id, investigation_number, created_at, \
               updated_at, created_by_id, updated_by_id) \
             select organization_id, gen_random_uuid(), id, 1, created_at, updated_at, created_by_id, updated_by_id \
             from public.cases c where not exists \
               (select from kept.cases k where k.organization_id = c.organization_id and k.id = c.id);",
        );
    }
    let all: Vec<String> =
        tables.iter().map(|table| format!("(select count(*) from public.{table})")).collect();
    // An index is made faster than it grows.
    let indexes = "from pg_index join pg_class on oid = indexrelid \
        where indrelid = 'public.audit_logs'::regclass and not indisunique";
    let make = cluster.sql(name, &format!("select string_agg(pg_get_indexdef(oid), ';') {indexes}"))?;
    let drop =
        cluster.sql(name, &format!("select string_agg('drop index ' || oid::regclass, ';') {indexes}"))?;
    let entries = more("audit_logs", &[ID], &format!("{} - ({})", size.rows(), all.join(" + ")))?;
    build.push_str(&format!("{drop};{entries}{make};"));
    // What is copied from sound rows is sound.
    build.insert_str(0, "set local session_replication_role = replica;");
    build.push_str("set local session_replication_role = origin;");
    let url: DatabaseUrl = cluster.url(name)?.parse()?;
    load_base(&url, Uuid::from_u128(1), NOW, |conn| conn.batch_execute(&build).map_err(Error::from))?;
    cluster.sql(name, "drop schema kept cascade")?;
    cluster.settle(name)
}
