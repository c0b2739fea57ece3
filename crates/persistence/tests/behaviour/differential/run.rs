//! Runs what was made up: on a plain copy, and through a session.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use demo_reset_domain::{ArchiveId, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AnyConnection, AttachOptions, ConstraintKind, Database, Error, OpenOptions, attach,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;
use serde_json::Value;
use uuid::Uuid;

use super::schema::{Identity, Schema, Table, quote};
use super::statement::{Script, Statement, Transaction, row_text};
use crate::fixture::{Backend, HostDatabase, now};

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

/// How a statement ended.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Rows(Vec<String>),
    Count(usize),
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq)]
struct Refusal {
    kind: String,
    constraint: Option<String>,
    message: String,
}

/// What came up in a run, and how often.
pub type Counts = BTreeMap<&'static str, usize>;

/// A difference.
pub struct Failure {
    /// The script that shows it; none where it is there without any.
    pub script: Option<usize>,
    pub report: String,
    /// The database takes no such tables, sessions or not.
    pub is_invalid: bool,
}

impl Failure {
    fn invalid(report: String) -> Self {
        Self { script: None, report, is_invalid: true }
    }

    pub fn of(script: Option<usize>) -> impl FnOnce(String) -> Self {
        move |report| Self { script, report, is_invalid: false }
    }
}

/// Why a unit of work of a session ends without a commit.
enum Stop {
    /// It is to be rolled back.
    RollBack,
    Different(String),
    Engine(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Refusal {
    /// An exception of docs/embedding.md: what a partition refuses is refused in the name of its table.
    fn of_whole_table(&mut self, partition_names: &[(String, String)]) {
        for (partition, whole) in partition_names {
            self.message = self.message.replace(&format!("\"{partition}\""), &format!("\"{whole}\""));
            if self.constraint.as_ref() == Some(partition) {
                self.constraint = Some(whole.clone());
            }
        }
    }
}

/// What partitions and their constraints are called, and what they are parts of.
fn partition_names(plain: &mut AnyConnection, backend: Backend) -> Vec<(String, String)> {
    if backend == Backend::Sqlite {
        return Vec::new();
    }
    let sql = "select c.relname || chr(1) || p.relname as value from pg_inherits i join pg_class c on c.oid = i.inhrelid \
         join pg_class p on p.oid = i.inhparent \
         union all select c.conname || chr(1) || p.conname from pg_constraint c join pg_constraint p on p.oid = c.conparentid \
         where c.conname <> p.conname";
    let rows = texts(plain, sql).unwrap();
    let pairs = rows.iter().filter_map(|row| row.split_once('\u{1}'));
    pairs.map(|(part, whole)| (part.to_owned(), whole.to_owned())).collect()
}

fn refusal(error: DieselError) -> Refusal {
    match error {
        DieselError::DatabaseError(kind, info) => Refusal {
            kind: format!("{kind:?}"),
            constraint: info.constraint_name().map(str::to_owned),
            message: info.message().to_owned(),
        },
        other => Refusal { kind: "other".to_owned(), constraint: None, message: other.to_string() },
    }
}

/// What a refusal on SQLite is of, in the words that tables and triggers share; none of anything else, which no
/// statement here should run into.
fn kind_on_sqlite(refusal: &Refusal) -> Option<&'static str> {
    const BEGINNINGS: [(&str, &str); 7] = [
        ("UNIQUE constraint failed", "UNIQUE"),
        ("NOT NULL constraint failed", "NOT NULL"),
        ("CHECK constraint failed", "CHECK"),
        ("FOREIGN KEY constraint failed", "FOREIGN KEY"),
        ("cannot store ", "type"),
        ("datatype mismatch", "type"),
        ("cannot INSERT into generated column", "generated"),
    ];
    let message = refusal.message.strip_prefix("demo-reset: ").unwrap_or(&refusal.message);
    let found = BEGINNINGS.iter().find(|(beginning, _)| message.starts_with(beginning));
    found.map(|(_, kind)| *kind)
}

fn texts(conn: &mut AnyConnection, sql: &str) -> QueryResult<Vec<String>> {
    Ok(diesel::sql_query(sql).load::<TextRow>(conn)?.into_iter().map(|row| row.value).collect())
}

fn answer(conn: &mut AnyConnection, sql: &str, gives_rows: bool) -> Answer {
    let answered = if gives_rows {
        texts(conn, sql).map(|mut rows| {
            rows.sort();
            Answer::Rows(rows)
        })
    } else {
        diesel::sql_query(sql).execute(conn).map(Answer::Count)
    };
    answered.unwrap_or_else(|error| Answer::Refused(refusal(error)))
}

/// Everything that is there, table by table.
fn world(conn: &mut AnyConnection, schema: &Schema) -> Vec<String> {
    let mut rows = Vec::new();
    for (at, table) in schema.live() {
        let mut text = row_text(schema.backend, table, "t.");
        if table.is_log {
            // Rows of one statement are written in any order: the numbers of their lines say nothing.
            text = format!("t.{}", quote(&table.columns[1].name));
        }
        let sql =
            format!("select 'table {at}: ' || {text} as value from {} t order by 1", quote(&table.name));
        rows.extend(texts(conn, &sql).unwrap_or_else(|error| vec![format!("{sql}: {error}")]));
    }
    rows.sort();
    rows
}

fn difference(what: &str, expected: &[String], found: &[String]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let (e, f): (BTreeSet<_>, BTreeSet<_>) = (expected.iter().collect(), found.iter().collect());
    Err(format!(
        "{what}\n  missing: {:#?}\n  too much: {:#?}\n  ({} rows, expected {})",
        e.difference(&f).collect::<Vec<_>>(),
        f.difference(&e).collect::<Vec<_>>(),
        found.len(),
        expected.len()
    ))
}

/// Both sides over one schema.
pub struct Sides<'a> {
    schema: &'a Schema,
    database: Database,
    plain: AnyConnection,
    /// Brings the plain copy back to its beginning.
    restore: String,
    base_world: Vec<String>,
    users: usize,
    partition_names: Vec<(String, String)>,
    pub counts: Counts,
    touched: BTreeSet<usize>,
    /// The plain copy refused a COMMIT though no reference is broken: what follows cannot be compared.
    is_miscounted: bool,
    _host: HostDatabase,
}

impl<'a> Sides<'a> {
    pub fn new(schema: &'a Schema) -> Result<Self, Failure> {
        let host = HostDatabase::new(schema.backend, "");
        let mut outsider = host.outsider();
        let mut plain = match schema.backend {
            Backend::Sqlite => {
                outsider.batch_execute("pragma synchronous = off").unwrap();
                let mut conn = SqliteConnection::establish(":memory:").unwrap();
                conn.batch_execute(
                    "pragma foreign_keys = on; pragma recursive_triggers = on; attach ':memory:' as saved",
                )
                .unwrap();
                AnyConnection::Sqlite(conn)
            }
            Backend::Postgres => {
                let mut conn = host.outsider();
                conn.batch_execute(
                    "create schema plain; create schema saved; set search_path = plain; \
                     set default_transaction_isolation = 'read committed'",
                )
                .unwrap();
                conn
            }
        };
        for (conn, is_plain) in [(&mut outsider, false), (&mut plain, true)] {
            for sql in schema.ddl(is_plain) {
                conn.batch_execute(&sql).map_err(|error| Failure::invalid(format!("{sql}: {error}")))?;
            }
            for statement in &schema.base {
                // Those that fail do so on both.
                let _ = conn.batch_execute(&statement.sql(schema, false));
            }
            for sql in schema.triggers(is_plain) {
                conn.batch_execute(&sql).map_err(|error| Failure::invalid(format!("{sql}: {error}")))?;
            }
        }
        let numbers = "select format('select setval(%L, 1000);', quote_ident('public') || '.' || quote_ident(relname)) as value \
             from pg_class where relkind = 'S' and relnamespace = 'public'::regnamespace";
        if schema.backend == Backend::Postgres {
            let numbers = texts(&mut outsider, numbers).unwrap().concat();
            outsider.batch_execute(&format!("select 1; {numbers}")).unwrap();
        }
        let base_world = world(&mut plain, schema);
        difference("the base differs", &base_world, &world(&mut outsider, schema))
            .map_err(Failure::invalid)?;
        drop(outsider);
        let options = AttachOptions { tables: None, tracking_columns: schema.tracking_columns };
        attach(&host.url, &options, now()).map_err(|error| Failure::of(None)(format!("attach: {error}")))?;
        let options = OpenOptions {
            readers: 1,
            connection_timeout: std::time::Duration::from_secs(60),
            ..Default::default()
        };
        let database = Database::open_attached(&host.url, options, now())
            .map_err(|error| Failure::of(None)(format!("open: {error}")))?;
        let restore = save(&mut plain, schema);
        let partition_names = partition_names(&mut plain, schema.backend);
        Ok(Self {
            schema,
            database,
            plain,
            restore,
            base_world,
            users: 0,
            partition_names,
            counts: Counts::new(),
            touched: BTreeSet::new(),
            is_miscounted: false,
            _host: host,
        })
    }

    /// Runs one script in a session of its own.
    pub fn run(&mut self, script: &Script) -> Result<(), String> {
        self.plain.batch_execute(&self.restore).unwrap();
        self.users += 1;
        let key = UserKey::new("acme", format!("user {}", self.users)).unwrap();
        let session = self.database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
        for transaction in &script.transactions {
            self.transaction(session, transaction)?;
            if std::mem::take(&mut self.is_miscounted) {
                return Ok(());
            }
            let found = self.session_world(session);
            difference("what is there differs", &world(&mut self.plain, self.schema), &found)?;
        }
        self.reset_and_undo(session)?;
        let features: BTreeSet<&'static str> = std::mem::take(&mut self.touched)
            .into_iter()
            .flat_map(|at| self.schema.table(at).features(at, self.schema))
            .collect();
        for feature in features {
            *self.counts.entry(feature).or_default() += 1;
        }
        *self.counts.entry("scripts").or_default() += 1;
        Ok(())
    }

    fn session_world(&self, session: SessionId) -> Vec<String> {
        self.database.read(session, |conn| Ok::<_, Error>(world(conn, self.schema))).unwrap()
    }

    fn transaction(&mut self, session: SessionId, transaction: &Transaction) -> Result<(), String> {
        // After a statement that was refused for another key, SQLite counts its deferred keys as broken for the rest
        // of the transaction, unless it is rolled back to a savepoint.
        let has_deferred = || {
            self.schema
                .live()
                .any(|(_, table)| table.foreign_keys().any(|key| key.timing.contains("initially deferred")))
        };
        let guarded = transaction.guarded
            || transaction.defers
            || self.schema.backend == Backend::Sqlite && has_deferred();
        let begin = if self.schema.backend == Backend::Sqlite { "begin immediate" } else { "begin" };
        self.plain.batch_execute(begin).unwrap();
        const DEFER: &str = "pragma defer_foreign_keys = on";
        if transaction.defers {
            self.plain.batch_execute(DEFER).unwrap();
        }
        let (schema, plain, partition_names) = (self.schema, &mut self.plain, &self.partition_names);
        let mut done: Vec<&Statement> = Vec::new();
        let mut has_failed = false;
        let ended = self.database.write(session, now(), |conn| {
            if transaction.defers {
                conn.batch_execute(DEFER).map_err(Error::from)?;
            }
            for statement in &transaction.statements {
                let compared = compare(schema, partition_names, plain, conn, statement, guarded);
                let is_done = compared.map_err(Stop::Different)?;
                if is_done {
                    done.push(statement);
                    if has_failed {
                        has_failed = false;
                        *self.counts.entry("failing statement in the middle").or_default() += 1;
                    }
                    continue;
                }
                has_failed = true;
                if statement.features.contains(&"value for a generated column") {
                    *self.counts.entry("value for a generated column").or_default() += 1;
                }
                if schema.backend == Backend::Postgres && !guarded {
                    return Err(Stop::RollBack);
                }
            }
            if transaction.commits { Ok(()) } else { Err(Stop::RollBack) }
        });
        for statement in done {
            self.touched.extend(statement.writes);
            for feature in &statement.features {
                *self.counts.entry(feature).or_default() += 1;
            }
        }
        match ended {
            Err(Stop::Different(report)) => {
                self.plain.batch_execute("rollback").unwrap();
                Err(report)
            }
            Err(Stop::RollBack) => {
                self.plain.batch_execute("rollback").unwrap();
                Ok(())
            }
            ended => {
                let committed = self.plain.batch_execute("commit");
                if committed.is_err() && self.schema.backend == Backend::Sqlite {
                    // An exception of docs/embedding.md: SQLite counts a deferred key as broken where an UPDATE of
                    // its key has made a row its own parent, or another letter case has.
                    let broken = "select \"table\" as value from pragma_foreign_key_check";
                    self.is_miscounted = ended.is_ok() && texts(&mut self.plain, broken).unwrap().is_empty();
                    self.plain.batch_execute("rollback").unwrap();
                    if self.is_miscounted {
                        *self.counts.entry("miscounted by SQLite").or_default() += 1;
                        return Ok(());
                    }
                }
                match (committed, ended) {
                    (Ok(()), Ok(())) => {
                        if transaction.defers {
                            *self.counts.entry("deferred for a transaction").or_default() += 1;
                        }
                        Ok(())
                    }
                    (Err(expected), Err(Stop::Engine(Error::Constraint { kind, message }))) => {
                        let expected = refusal(expected);
                        let is_same = expected.message == message
                            || (kind == ConstraintKind::ForeignKey && expected.kind == "ForeignKeyViolation");
                        if is_same {
                            Ok(())
                        } else {
                            Err(format!("COMMIT: {message} instead of {expected:?}"))
                        }
                    }
                    (expected, Err(Stop::Engine(error))) => {
                        Err(format!("COMMIT: {error:?} instead of {expected:?}"))
                    }
                    (expected, _) => Err(format!("COMMIT succeeded instead of {expected:?}")),
                }
            }
        }
    }

    /// A reset shows the base again and keeps complete snapshots; an undo brings every byte back.
    fn reset_and_undo(&mut self, session: SessionId) -> Result<(), String> {
        let archive = ArchiveId(Uuid::new_v4());
        let report =
            self.database.reset(session, archive, now()).map_err(|error| format!("reset: {error}"))?;
        difference("a reset does not show the base", &self.base_world, &self.session_world(session))?;
        if report.archive.is_none() {
            return Ok(());
        }
        let rows = snapshots(&mut self.plain, self.schema);
        let archived = self
            .database
            .archived_changes(session, archive)
            .map_err(|error| format!("archived changes: {error}"))?;
        for change in archived {
            let (at, table) = self.schema.live().find(|(_, table)| table.name == change.table).unwrap();
            if table.is_log {
                continue;
            }
            let kind = format!("{:?}", change.kind);
            let is_there = rows[&at].contains(&change.snapshot.to_string());
            if !kind.contains("Deleted") && !is_there {
                return Err(format!("the snapshot is of no row: {} of {:#?}", change.snapshot, rows[&at]));
            }
        }
        self.database
            .undo(session, None, OnConflict::Fail, ArchiveId(Uuid::new_v4()), now() + Duration::hours(1))
            .map_err(|error| format!("undo: {error}"))?;
        let expected = world(&mut self.plain, self.schema);
        difference("an undo does not bring everything back", &expected, &self.session_world(session))
    }

    /// What is to be true at the end, and what has come up.
    pub fn finish(mut self) -> Result<Counts, String> {
        if !self.database.verify().unwrap().base_is_intact() {
            return Err("the base is not intact".to_owned());
        }
        Ok(std::mem::take(&mut self.counts))
    }
}

/// Runs a statement on both sides and compares how it ends. Whether it succeeded.
fn compare(
    schema: &Schema,
    partition_names: &[(String, String)],
    plain: &mut AnyConnection,
    session: &mut AnyConnection,
    statement: &Statement,
    guarded: bool,
) -> Result<bool, String> {
    let guarded = guarded && !statement.is_savepoint();
    // The plain side is looked at again after a refusal.
    let plain_guarded = guarded || !statement.is_savepoint() && schema.backend == Backend::Postgres;
    let on_plain = statement.sql(schema, true);
    let run = |conn: &mut AnyConnection, sql: &str, guarded: bool| {
        if guarded {
            conn.batch_execute("savepoint guard").unwrap();
        }
        let answer = if statement.is_savepoint() {
            match conn.batch_execute(sql) {
                Ok(()) => Answer::Count(0),
                Err(error) => Answer::Refused(refusal(error)),
            }
        } else {
            answer(conn, sql, statement.gives_rows())
        };
        if guarded {
            let end = match answer {
                Answer::Refused(_) => "rollback to savepoint guard; release savepoint guard",
                _ => "release savepoint guard",
            };
            conn.batch_execute(end).unwrap();
        }
        answer
    };
    let mut expected = run(plain, &on_plain, plain_guarded);
    if let Answer::Refused(refusal) = &mut expected {
        refusal.of_whole_table(partition_names);
    }
    let found = run(session, &statement.sql(schema, false), guarded);
    if plain_guarded && schema.backend == Backend::Postgres && matches!(found, Answer::Refused(_)) {
        // An exception of docs/embedding.md: a refused statement may have taken numbers that the table would not have.
        take_numbers(plain);
    }
    let is_same = match (&expected, &found) {
        (Answer::Refused(expected), Answer::Refused(found)) if schema.backend == Backend::Postgres => {
            // An exception of docs/embedding.md: such a value is refused where its row is written, not before.
            let is_given = expected.message.starts_with("cannot insert a non-DEFAULT value");
            // Of a row that has lost its parent, the check of either may come first.
            let is_reference = expected.kind == "ForeignKeyViolation"
                && (&expected.kind, &expected.constraint) == (&found.kind, &found.constraint);
            // And of several rows that are refused, the one that comes first is up to the planner.
            let is_constraint = |refusal: &Refusal| refusal.kind.ends_with("Violation");
            let is_of_another_row =
                statement.may_write_several() && is_constraint(expected) && is_constraint(found);
            expected == found
                || is_given
                || is_reference
                || plain_guarded && also_breaks(plain, schema, statement, expected, found)
                || is_of_another_row
        }
        // On SQLite a refusal by a trigger has a code of its own: its words say which constraint it is of.
        (Answer::Refused(expected), Answer::Refused(found)) => {
            let (expected, found) = (kind_on_sqlite(expected), kind_on_sqlite(found));
            // An exception of docs/embedding.md: of a row that breaks several constraints, that its key is taken is
            // looked at first.
            let is_key_first = matches!(expected, Some("NOT NULL" | "CHECK")) && found == Some("UNIQUE");
            // And of several rows, those that actions reach included, one may come before the other.
            let is_of_another_row = statement.may_write_several() && expected.is_some();
            found.is_some() && (expected == found || is_key_first || is_of_another_row)
        }
        // And a view counts no rows.
        (Answer::Count(_), Answer::Count(_)) if schema.backend == Backend::Sqlite => true,
        _ => expected == found,
    };
    if is_same {
        return Ok(!matches!(expected, Answer::Refused(_)));
    }
    Err(format!("{on_plain}\n  ends with {found:?}\n  instead of {expected:?}"))
}

/// Brings the sequences of the plain copy to where those of sessions are.
fn take_numbers(plain: &mut AnyConnection) {
    let sql = "select coalesce(string_agg(format('select setval(%L, last_value, is_called) from demo.%I;', format('plain.%I', relname), relname), ''), 'select 1') as value \
         from pg_class where relkind = 'S' and relnamespace = 'plain'::regnamespace";
    let sql = texts(plain, sql).unwrap().concat();
    plain.batch_execute(&sql).unwrap();
}

/// Whether a statement that breaks several constraints may be refused for `found` instead of `expected`: without the
/// constraints that stand before it, the plain table refuses it for the same.
fn also_breaks(
    plain: &mut AnyConnection,
    schema: &Schema,
    statement: &Statement,
    expected: &Refusal,
    found: &Refusal,
) -> bool {
    plain.batch_execute("savepoint without").unwrap();
    let mut refused = expected.clone();
    let mut is_so = false;
    for _ in 0..6 {
        let Some(table) = statement.writes else { break };
        let table = quote(&schema.table(table).name);
        let constraint = refused.constraint.clone().unwrap_or_default();
        let ways = match refused.message.split('"').collect::<Vec<_>>()[..] {
            ["null value in column ", column, ..] => {
                vec![format!("alter table {table} alter column {} drop not null", quote(column))]
            }
            _ => vec![
                format!("alter table {table} drop constraint {} cascade", quote(&constraint)),
                format!("drop index {}", quote(&constraint)),
            ],
        };
        let is_gone = ways.iter().any(|sql| {
            plain.batch_execute("savepoint way").unwrap();
            let gone = plain.batch_execute(sql).is_ok();
            plain
                .batch_execute(if gone { "release savepoint way" } else { "rollback to savepoint way" })
                .unwrap();
            gone
        });
        if !is_gone {
            break;
        }
        plain.batch_execute("savepoint way").unwrap();
        let again = answer(plain, &statement.sql(schema, true), statement.gives_rows());
        plain.batch_execute("rollback to savepoint way").unwrap();
        match again {
            Answer::Refused(again) if again == *found => {
                is_so = true;
                break;
            }
            Answer::Refused(again) => refused = again,
            _ => break,
        }
    }
    plain.batch_execute("rollback to savepoint without; release savepoint without").unwrap();
    is_so
}

/// Keeps the rows of the plain copy; what brings them back.
fn save(plain: &mut AnyConnection, schema: &Schema) -> String {
    let mut save = String::new();
    let mut restore = match schema.backend {
        Backend::Sqlite => "pragma foreign_keys = off; begin;".to_owned(),
        Backend::Postgres => "begin; set local session_replication_role = replica;".to_owned(),
    };
    let mut has_sequences = false;
    for (at, table) in schema.live() {
        let name = quote(&table.name);
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
            .map(|column| quote(&column.name))
            .collect();
        let columns = columns.join(", ");
        let overriding = if schema.backend == Backend::Postgres { "overriding system value" } else { "" };
        save.push_str(&format!("create table saved.s{at} as select {columns} from {name};"));
        restore.push_str(&format!(
            "delete from {name}; insert into {name} ({columns}) {overriding} select {columns} from saved.s{at};"
        ));
        has_sequences |= matches!(table.columns[0].identity, Some(Identity::RowId | Identity::AutoIncrement));
    }
    match schema.backend {
        Backend::Sqlite if has_sequences => {
            save.push_str("create table saved.numbers as select * from sqlite_sequence;");
            restore.push_str(
                "delete from sqlite_sequence; insert into sqlite_sequence select * from saved.numbers;",
            );
        }
        Backend::Sqlite => {}
        Backend::Postgres => restore.push_str(
            "select setval(format('plain.%I', relname), 1000), setval(format('demo.%I', relname), 1000) \
             from pg_class where relkind = 'S' and relnamespace = 'plain'::regnamespace;",
        ),
    }
    restore.push_str(match schema.backend {
        Backend::Sqlite => "commit; pragma foreign_keys = on;",
        Backend::Postgres => "commit;",
    });
    plain.batch_execute(&save).unwrap();
    restore
}

/// Every row of the plain copy as an archive would show it.
fn snapshots(plain: &mut AnyConnection, schema: &Schema) -> BTreeMap<usize, BTreeSet<String>> {
    let of_table = |(at, table): (usize, &Table)| {
        let name = quote(&table.name);
        let rows = match schema.backend {
            Backend::Postgres => texts(plain, &format!("select to_jsonb(t.*)::text as value from {name} t")),
            Backend::Sqlite => {
                let values = table.columns.iter().map(|column| {
                    let name = quote(&column.name);
                    format!(
                        "json_quote({0}) || ':' || case when typeof({name}) = 'blob' then json_object('$hex', hex({name})) \
                         when {name} is null then 'null' else json_quote({name}) end",
                        format_args!("'{}'", column.name.replace('\'', "''"))
                    )
                });
                let row = values.collect::<Vec<_>>().join(" || ',' || ");
                texts(plain, &format!("select '{{' || {row} || '}}' as value from {name}"))
            }
        };
        // Read as JSON and written again: the order of the members does not count.
        let rows =
            rows.unwrap().into_iter().map(|row| serde_json::from_str::<Value>(&row).unwrap().to_string());
        (at, rows.collect())
    };
    schema.live().map(of_table).collect()
}
