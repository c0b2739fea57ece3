//! Made-up histories of several sessions, each step checked against a reference model: what every user sees, what
//! every answer says, and at the end every archive.
//!
//! `DEMO_RESET_HISTORIES` sets how many are run on each database, `DEMO_RESET_SEED` the first seed. A failure prints
//! the seed that replays it and the shortest history found that still fails; after every thousand it says how many agreed.

mod model;
mod steps;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{ArchiveId, ChangeCounts, Conflict, OnConflict, SessionId, UndoRefusal, UserKey};
use demo_reset_persistence::{
    AnyConnection, AttachOptions, CleanupReport, Database, Error, OpenOptions, RecordKey, attach, suspend,
};
use diesel::QueryableByName;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use self::model::{
    Archived, Counts, Kind, Layer, Model, OnDelete, Reference, Refused, Row, Table, World, Write,
};
use self::steps::{Act, Step};
use crate::fixture::{Backend, Fixture, now, on_each_database, say};
use crate::random::Random;

const TABLES: &str = "
create table parents (
  id integer primary key, label text unique, twin integer references parents (id) on delete set null, size integer
);
create table children (
  parent integer not null references parents (id) on delete cascade, name text not null, size integer,
  primary key (parent, name)
);
create table leaves (
  id text primary key not null, parent integer not null, name text not null, size integer,
  foreign key (parent, name) references children (parent, name) on delete cascade
);
create table loans (
  id integer primary key, parent integer references parents (id), leaf text references leaves (id) on delete set null,
  size integer
);
create index leaves_by_child on leaves (parent, name);
create index loans_by_leaf on loans (leaf);
insert into parents values
  (1, 'l0', null, 0), (2, 'l1', 1, 0), (3, 'l2', 3, 0), (4, 'l3', 2, 0), (5, null, null, 0);
insert into children values
  (1, 'a', 0), (1, 'b', 0), (2, 'a', 0), (3, 'a', 0), (3, 'b', 0), (4, 'a', 0), (5, 'a', 0);
insert into leaves values
  ('f0', 1, 'a', 0), ('f1', 1, 'b', 0), ('f2', 2, 'a', 0), ('f3', 3, 'a', 0), ('f4', 4, 'a', 0);
insert into loans values (1, 2, 'f0', 0), (2, null, 'f2', 0), (3, 5, null, 0);
";

/// What every session named sees, in one round trip: rows as lines of text.
const WORLDS: &str = "
create function worlds(ids uuid[], out who bigint, out value text) returns setof record language plpgsql as $$
begin
  for at in 1 .. coalesce(array_length(ids, 1), 0) loop
    who := at;
    perform demo.bind_session(ids[at], 'read', null);
    select string_agg(row_text, e'\n' order by row_text collate \"C\") into value from (
      select '0' || (t.*)::text as row_text from parents t union all select '1' || (t.*)::text from children t
      union all select '2' || (t.*)::text from leaves t union all select '3' || (t.*)::text from loans t
    ) as rows;
    return next;
  end loop;
end $$;
";

fn tables() -> Vec<Table> {
    let reference =
        |columns: &[usize], parent, on_delete| Reference { columns: columns.to_vec(), parent, on_delete };
    vec![
        Table {
            name: "parents",
            columns: vec![("id", false), ("label", true), ("twin", false), ("size", false)],
            key: 1,
            unique: Some(1),
            references: vec![reference(&[2], 0, OnDelete::SetNull)],
        },
        Table {
            name: "children",
            columns: vec![("parent", false), ("name", true), ("size", false)],
            key: 2,
            unique: None,
            references: vec![reference(&[0], 0, OnDelete::Cascade)],
        },
        Table {
            name: "leaves",
            columns: vec![("id", true), ("parent", false), ("name", true), ("size", false)],
            key: 1,
            unique: None,
            references: vec![reference(&[1, 2], 1, OnDelete::Cascade)],
        },
        Table {
            name: "loans",
            columns: vec![("id", false), ("parent", false), ("leaf", true), ("size", false)],
            key: 1,
            unique: None,
            references: vec![reference(&[1], 0, OnDelete::NoAction), reference(&[2], 2, OnDelete::SetNull)],
        },
    ]
}

fn base(tables: &[Table]) -> World {
    let row = |text: &str| -> Row {
        text.split(' ').map(|value| (value != "-").then(|| value.to_owned())).collect()
    };
    let rows: [&[&str]; 4] = [
        &["1 l0 - 0", "2 l1 1 0", "3 l2 3 0", "4 l3 2 0", "5 - - 0"],
        &["1 a 0", "1 b 0", "2 a 0", "3 a 0", "3 b 0", "4 a 0", "5 a 0"],
        &["f0 1 a 0", "f1 1 b 0", "f2 2 a 0", "f3 3 a 0", "f4 4 a 0"],
        &["1 2 f0 0", "2 - f2 0", "3 5 - 0"],
    ];
    let keyed = |(table, rows): (&Table, &[&str])| {
        rows.iter().map(|text| row(text)).map(|row| (table.key_of(&row), row)).collect()
    };
    tables.iter().zip(rows).map(keyed).collect()
}

/// The same statement as SQL.
fn sql(tables: &[Table], world: &World, write: &Write) -> String {
    let literal = |table: &Table, at: usize, value: &Option<String>| match value {
        None => "null".to_owned(),
        Some(value) if table.columns[at].1 => format!("'{value}'"),
        Some(value) => value.clone(),
    };
    let is_key = |table: &Table, row: &Row| {
        let parts: Vec<String> = (0..table.key)
            .map(|at| format!("{} = {}", table.columns[at].0, literal(table, at, &row[at])))
            .collect();
        parts.join(" and ")
    };
    match write {
        Write::Put { table, row } => {
            let (at, table) = (*table, &tables[*table]);
            let values: Vec<String> =
                row.iter().enumerate().map(|(at, value)| literal(table, at, value)).collect();
            let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
            if world[at].contains_key(&table.key_of(row)) {
                let set: Vec<String> =
                    (table.key..row.len()).map(|at| format!("{} = {}", names[at], values[at])).collect();
                format!("update {} set {} where {}", table.name, set.join(", "), is_key(table, row))
            } else {
                format!("insert into {} ({}) values ({})", table.name, names.join(", "), values.join(", "))
            }
        }
        Write::Delete { table, key } => {
            let row: Row = key.iter().cloned().map(Some).collect();
            format!("delete from {} where {}", tables[*table].name, is_key(&tables[*table], &row))
        }
    }
}

/// The statement with a value for every column that the host has added since: the default that the table has.
fn widened(tables: &[Table], write: &Write) -> Write {
    match write {
        Write::Put { table, row } => {
            let mut row = row.clone();
            row.resize(tables[*table].columns.len(), Some("own".to_owned()));
            Write::Put { table: *table, row }
        }
        delete => delete.clone(),
    }
}

/// A world as the databases print it.
fn shown(world: &World) -> String {
    let values = |row: &Row| {
        row.iter().map(|value| value.as_deref().unwrap_or_default()).collect::<Vec<_>>().join(",")
    };
    let rows = world.iter().enumerate().flat_map(|(at, rows)| rows.values().map(move |row| (at, row)));
    let mut rows: Vec<String> = rows.map(|(at, row)| format!("{at}({})", values(row))).collect();
    rows.sort();
    rows.join("\n")
}

/// One statement for SQLite that prints a world.
fn world_query(tables: &[Table]) -> String {
    let arms = tables.iter().enumerate().map(|(at, table)| {
        let values: Vec<String> =
            table.columns.iter().map(|(name, _)| format!("coalesce(cast({name} as text), '')")).collect();
        format!("select '{at}('||{}||')' as line from {}", values.join("||','||"), table.name)
    });
    let rows = arms.collect::<Vec<_>>().join(" union all ");
    format!(
        "select 1 as who, coalesce(group_concat(line, char(10) order by line), '') as value from ({rows})"
    )
}

/// A statement that Diesel keeps prepared, by its text.
struct Prepared(String);

impl QueryId for Prepared {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Prepared {
    type SqlType = diesel::sql_types::Untyped;
}

impl<C> diesel::RunQueryDsl<C> for Prepared {}

impl<DB: diesel::backend::Backend> QueryFragment<DB> for Prepared {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(&self.0);
        Ok(())
    }
}

#[derive(QueryableByName)]
struct WorldRow {
    #[diesel(sql_type = BigInt)]
    who: i64,
    #[diesel(sql_type = Text)]
    value: String,
}

fn load(conn: &mut AnyConnection, query: String) -> Result<Vec<WorldRow>, Error> {
    Ok(match conn {
        AnyConnection::Sqlite(conn) => Prepared(query).load(conn)?,
        // The ids differ each time: nothing worth keeping.
        AnyConnection::Postgres(conn) => diesel::sql_query(query).load(conn)?,
    })
}

/// How often each kind of step came up, by what came of it.
type Seen = BTreeMap<String, u64>;

/// Everything that must have come up in a full run.
const KINDS: &[&str] = &[
    "insert",
    "update",
    "delete",
    "delete of nothing",
    "refused insert",
    "refused update",
    "refused delete",
    "effects on other tables",
    "rolled back",
    "reset",
    "reset of nothing",
    "reset by an administrator",
    "reset of records",
    "reset of records that are not changed",
    "reset of records refused",
    "undo at once",
    "undo as a merge",
    "undo with something set aside: KeepCurrent",
    "undo with something set aside: RestoreArchived",
    "undo of a chosen archive",
    "undo refused: nothing",
    "undo refused: expired",
    "undo refused: already restored",
    "undo refused: same_record",
    "undo refused: unique_clash",
    "undo refused: parent_gone",
    "undo refused: live_children",
    "cleanup of all",
    "cleanup of one organization",
    "cleanup that purged an archive",
    "cleanup that archived a session",
    "cleanup that removed a session",
    "session made again",
    "stale session refused",
    "stale session at work",
    "just before an expiry",
    "at an expiry",
    "just before idle",
    "at idle",
    "verify",
    "base changed",
    "base changed under layers",
    "column added",
    "column added under layers",
    "reconciled: now created",
    "reconciled: now edited",
    "reconciled: tombstone dropped",
    "reconciled: unique clash",
    "reconciled: missing parent",
];

macro_rules! check {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}

/// One history on one database.
struct Run<'a> {
    place: &'a Fixture,
    database: Database,
    model: Model,
    /// Sets the users of this history apart from those before.
    seed: u64,
    at: DateTime<Utc>,
    query: String,
    /// What each user should see, printed; none where something may have changed it.
    expected: Vec<Option<String>>,
    seen: Seen,
    ids: u128,
}

type Outcome = Result<(), String>;

fn told(error: Error) -> String {
    format!("unexpected: {error}: {error:?}")
}

impl<'a> Run<'a> {
    fn new(place: &'a Fixture, seed: u64, sessions: usize, at: DateTime<Utc>) -> Self {
        let tables = tables();
        let base = base(&tables);
        let query = world_query(&tables);
        let model = Model::new(tables, base, sessions, at);
        let database = place.database.clone();
        Self {
            place,
            database,
            model,
            seed,
            at,
            query,
            expected: vec![None; sessions],
            seen: Seen::new(),
            ids: 0,
        }
    }

    fn saw(&mut self, kind: &str) {
        *self.seen.entry(kind.to_owned()).or_default() += 1;
    }

    fn new_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128((u128::from(self.seed) << 64) + self.ids)
    }

    fn user(&self, who: usize) -> UserKey {
        let organization = ["acme", "globex"][self.model.sessions[who].organization];
        UserKey::new(organization, format!("user {who} of {}", self.seed)).unwrap()
    }

    fn all(&mut self, steps: &[Step]) -> Outcome {
        for (number, step) in steps.iter().enumerate() {
            self.step(step)
                .and_then(|()| self.compare(step))
                .map_err(|why| format!("step {number}: {step:?}\n  {why}"))?;
            self.at += Duration::seconds(7);
        }
        self.archives().map_err(|why| format!("at the end: {why}"))
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::User { who, stale, act } => self.user_step(*who, *stale, act),
            Step::AdminReset { who } => {
                let Some(id) = self.model.sessions[*who].id else { return Ok(()) };
                let found = self.database.session_by_id(id).map_err(told)?;
                let user = found.map(|session| session.user);
                check!(user == Some(self.user(*who)), "session_by_id says {user:?}");
                self.saw("reset by an administrator");
                self.reset(*who, id)
            }
            Step::Wait { minutes } => {
                self.at += Duration::minutes(*minutes);
                Ok(())
            }
            Step::WaitForExpiry { just_before } => {
                let archives = self.model.sessions.iter().flat_map(|session| &session.archives);
                let next = archives.map(|archive| archive.expires_at).min();
                self.wait(next, *just_before, ["just before an expiry", "at an expiry"]);
                Ok(())
            }
            Step::WaitForIdle { just_before } => {
                let sessions = self.model.sessions.iter().filter(|session| session.id.is_some());
                let next = sessions.map(model::Session::idle_at).min();
                self.wait(next, *just_before, ["just before idle", "at idle"]);
                Ok(())
            }
            Step::Cleanup { organization } => self.cleanup(*organization),
            Step::Verify => {
                self.saw("verify");
                let verification = self.database.verify().map_err(told)?;
                check!(verification.base_is_intact(), "{verification:?}");
                let rows: u64 = verification.tables.iter().map(|table| table.rows).sum();
                check!(
                    rows as usize == self.model.base.iter().map(BTreeMap::len).sum::<usize>(),
                    "{verification:?}"
                );
                Ok(())
            }
            Step::ChangeBase { writes } => self.change_base(writes),
            Step::AddColumn { table } => self.add_column(*table),
        }
    }

    fn wait(&mut self, until: Option<DateTime<Utc>>, just_before: bool, kinds: [&str; 2]) {
        let until = until.map(|until| until - Duration::microseconds(i64::from(just_before)));
        if let Some(until) = until.filter(|until| *until > self.at) {
            self.at = until;
            self.saw(kinds[usize::from(!just_before)]);
        }
    }

    fn user_step(&mut self, who: usize, stale: bool, act: &Act) -> Outcome {
        let id = if let Some(known) = self.model.sessions[who].known.filter(|_| stale) {
            if self.model.sessions[who].id != Some(known) {
                self.saw("stale session refused");
                let write = self.database.write(known, self.at, |_| Ok::<_, Error>(()));
                let read = self.database.read(known, |_| Ok::<_, Error>(()));
                let new_id = ArchiveId(self.new_id());
                let reset = self.database.reset(known, new_id, self.at).map(|_| ());
                let all = [write, read, reset];
                check!(all.iter().all(|each| matches!(each, Err(Error::UnknownSession))), "{all:?}");
                return Ok(());
            }
            self.saw("stale session at work");
            known
        } else {
            if self.model.sessions[who].id.is_none() && self.model.sessions[who].known.is_some() {
                self.saw("session made again");
            }
            let new_id = SessionId(self.new_id());
            let id = self.model.touch(who, new_id, self.at);
            let user = self.user(who);
            let found = self.database.session(&user, new_id, self.at).map_err(told)?;
            check!(found.id == id, "the session is {:?}, not {id:?}", found.id);
            let expected = self.model.sessions[who].last_activity;
            check!(
                found.last_activity_at == expected,
                "active at {}, not {expected}",
                found.last_activity_at
            );
            id
        };
        match act {
            Act::Write(write) => self.write(who, id, write),
            Act::RolledBack(write) => {
                self.saw("rolled back");
                let write = widened(&self.model.tables, write);
                let statement = sql(&self.model.tables, &self.model.world(who), &write);
                let result = self.database.write(id, self.at, |conn| {
                    // Whether the tables take it or not: nothing may stay.
                    let _ = conn.batch_execute(&statement);
                    Err::<(), Error>(Error::UnknownSession)
                });
                check!(matches!(result, Err(Error::UnknownSession)), "{result:?}");
                let unbound =
                    self.database.read_base(|conn| conn.batch_execute(&statement).map_err(Error::from));
                // On SQLite a statement that finds no row meets no trigger.
                check!(unbound.is_err() || !statement.starts_with("insert"), "{statement} was not refused");
                Ok(())
            }
            Act::Reset => self.reset(who, id),
            Act::ResetRecords(records) => self.reset_records(who, id, records),
            Act::Undo { nth, on_conflict } => self.undo(who, id, *nth, *on_conflict),
        }
    }

    fn write(&mut self, who: usize, id: SessionId, write: &Write) -> Outcome {
        let write = widened(&self.model.tables, write);
        let world = self.model.world(who);
        let statement = sql(&self.model.tables, &world, &write);
        let touched = self.model.write(who, &write);
        let accepted = touched.is_some();
        let result =
            self.database.write(id, self.at, |conn| conn.batch_execute(&statement).map_err(Error::from));
        let verb = statement.split(' ').next().unwrap_or_default();
        match touched {
            None => self.saw(&format!("refused {verb}")),
            Some(0) => self.saw("delete of nothing"),
            Some(_) => self.saw(verb),
        }
        if touched.is_some_and(|tables| tables > 1) {
            self.saw("effects on other tables");
        }
        let is_as_expected = match &result {
            Ok(()) => accepted,
            Err(Error::Constraint { .. }) => !accepted,
            Err(_) => false,
        };
        check!(is_as_expected, "{statement}: {result:?}, but the model says {accepted}");
        Ok(())
    }

    fn reset(&mut self, who: usize, id: SessionId) -> Outcome {
        let new_id = ArchiveId(self.new_id());
        let expected = self.model.reset(who, new_id, self.at);
        self.saw(if expected.is_some() { "reset" } else { "reset of nothing" });
        let report = self.database.reset(id, new_id, self.at).map_err(told)?;
        check!(report.base_is_sealed, "the base is not sealed");
        self.same_archive(report.archive, new_id, expected)
    }

    fn same_archive(
        &self,
        archive: Option<demo_reset_domain::Archive>,
        new_id: ArchiveId,
        expected: Option<Counts>,
    ) -> Outcome {
        let found = archive.map(|archive| (archive.id, archive.expires_at, archive.counts));
        let expected = expected.map(|counts| (new_id, self.at + Duration::hours(24), self.counts(&counts)));
        check!(found == expected, "archived {found:?}, not {expected:?}");
        Ok(())
    }

    fn counts(&self, counts: &Counts) -> ChangeCounts {
        let mut all = ChangeCounts::default();
        for (table, [created, edited, deleted]) in counts {
            let kinds =
                demo_reset_domain::KindCounts { created: *created, edited: *edited, deleted: *deleted };
            all.add(self.model.tables[*table].name, kinds);
        }
        all
    }

    fn reset_records(&mut self, who: usize, id: SessionId, records: &[(usize, model::Key)]) -> Outcome {
        let new_id = ArchiveId(self.new_id());
        let expected = self.model.reset_records(who, records, new_id, self.at);
        let name = |(table, key): &(usize, model::Key)| RecordKey {
            table: self.model.tables[*table].name.to_owned(),
            key: key.clone(),
        };
        let keys: Vec<RecordKey> = records.iter().map(name).collect();
        let result = self.database.reset_records(id, &keys, new_id, self.at);
        match (expected, result) {
            (Ok(expected), Ok(report)) => {
                self.saw(match expected {
                    Some(_) => "reset of records",
                    None => "reset of records that are not changed",
                });
                self.same_archive(report.archive, new_id, expected)
            }
            (Err(Refused::Conflicts(expected)), Err(Error::UndoConflict(found))) => {
                self.saw("reset of records refused");
                self.same_conflicts(&expected, &found)
            }
            (expected, result) => Err(format!("{result:?}, but the model says {expected:?}")),
        }
    }

    fn same_conflicts(&self, expected: &model::Conflicts, found: &[Conflict]) -> Outcome {
        let expected = expected.iter().map(|((table, key), reason)| Conflict {
            table: self.model.tables[*table].name.to_owned(),
            key: key.clone(),
            reason: *reason,
        });
        let mut expected: Vec<Conflict> = expected.collect();
        let mut found = found.to_vec();
        expected.sort();
        found.sort();
        check!(found == expected, "conflicts {found:?}, not {expected:?}");
        Ok(())
    }

    fn undo(&mut self, who: usize, id: SessionId, nth: Option<usize>, on_conflict: OnConflict) -> Outcome {
        let of_model = &self.model.sessions[who].archives;
        let none = ArchiveId(Uuid::nil());
        let wanted = nth.map(|nth| of_model.iter().rev().nth(nth).map_or(none, |archive| archive.id));
        let new_id = ArchiveId(self.new_id());
        let expected = self.model.undo(who, wanted, on_conflict, new_id, self.at);
        let result = self.database.undo(id, wanted, on_conflict, new_id, self.at);
        match (expected, result) {
            (Ok(undone), Ok(report)) => {
                self.saw(if undone.is_merge { "undo as a merge" } else { "undo at once" });
                if nth.is_some_and(|nth| nth > 0) {
                    self.saw("undo of a chosen archive");
                }
                if undone.is_aside {
                    self.saw(&format!("undo with something set aside: {on_conflict:?}"));
                }
                let aside = |mode| (undone.is_aside && on_conflict == mode).then_some(new_id);
                let expected = demo_reset_persistence::UndoReport {
                    restored: self.counts(&undone.restored),
                    kept_archived: aside(OnConflict::KeepCurrent),
                    replaced: aside(OnConflict::RestoreArchived),
                };
                check!(report == expected, "{report:?}, not {expected:?}");
                let is_clean =
                    self.model.epoch > 0 || model::is_valid(&self.model.tables, &self.model.world(who));
                check!(is_clean, "the undo has left broken constraints behind");
                Ok(())
            }
            (Err(Refused::Conflicts(expected)), Err(Error::UndoConflict(found))) => {
                for reason in expected.values() {
                    self.saw(&format!("undo refused: {reason}"));
                }
                self.same_conflicts(&expected, &found)
            }
            (Err(expected), Err(Error::Undo(found))) => {
                let (kind, found) = match found {
                    UndoRefusal::NothingToUndo => ("nothing", Refused::Nothing),
                    UndoRefusal::Expired { .. } => ("expired", Refused::Expired),
                    UndoRefusal::AlreadyRestored => ("already restored", Refused::AlreadyRestored),
                };
                check!(found == expected, "refused as {found:?}, not as {expected:?}");
                self.saw(&format!("undo refused: {kind}"));
                Ok(())
            }
            (expected, result) => Err(format!("{result:?}, but the model says {expected:?}")),
        }
    }

    fn cleanup(&mut self, organization: Option<usize>) -> Outcome {
        let first = self.ids;
        let seed = u128::from(self.seed) << 64;
        // Which archive gets which id is the engine's choice: those of idle sessions are read afterwards.
        let mut made = first;
        let mut new_id = || {
            made += 1;
            ArchiveId(Uuid::from_u128(seed + made))
        };
        let expected = self.model.cleanup(organization, self.at, &mut || ArchiveId(Uuid::nil()));
        let result = match organization {
            None => self.database.cleanup(self.at, &mut new_id),
            Some(which) => {
                self.database.cleanup_organization(["acme", "globex"][which], self.at, &mut new_id)
            }
        };
        self.ids = made;
        let report = result.map_err(told)?;
        self.saw(if organization.is_none() { "cleanup of all" } else { "cleanup of one organization" });
        let expected = CleanupReport {
            archives_purged: expected.archives_purged,
            changes_purged: expected.changes_purged,
            sessions_archived: expected.sessions_archived,
            sessions_removed: expected.sessions_removed,
        };
        check!(report == expected, "{report:?}, not {expected:?}");
        for (count, kind) in [
            (report.archives_purged, "cleanup that purged an archive"),
            (report.sessions_archived, "cleanup that archived a session"),
            (report.sessions_removed, "cleanup that removed a session"),
        ] {
            if count > 0 {
                self.saw(kind);
            }
        }
        for session in &mut self.model.sessions {
            let Some(id) = session.id else { continue };
            let unnamed = session.archives.iter_mut().find(|archive| archive.id.0.is_nil());
            if let Some(unnamed) = unnamed {
                let archives = self.database.archives(id).map_err(told)?;
                unnamed.id = archives.first().map_or(unnamed.id, |archive| archive.id);
            }
        }
        Ok(())
    }

    fn change_base(&mut self, writes: &[Write]) -> Outcome {
        suspend(&self.place.url).map_err(told)?;
        let mut host = self.place.outsider();
        if let AnyConnection::Sqlite(_) = host {
            host.batch_execute("pragma foreign_keys = on").map_err(|error| error.to_string())?;
        }
        for write in writes {
            let write = widened(&self.model.tables, write);
            let statement = sql(&self.model.tables, &self.model.base, &write);
            let accepted = self.model.write_base(&write);
            let result = host.batch_execute(&statement);
            check!(
                result.is_ok() == accepted,
                "the host's own {statement}: {result:?}, but the model says {accepted}"
            );
        }
        drop(host);
        self.saw("base changed");
        self.attach_again("base changed under layers")
    }

    fn add_column(&mut self, table: usize) -> Outcome {
        const NAMES: [&str; 4] = ["note0", "note1", "note2", "note3"];
        if self.model.tables[table].columns.len() > tables()[table].columns.len() {
            return Ok(());
        }
        suspend(&self.place.url).map_err(told)?;
        let name = self.model.tables[table].name;
        let alter = format!("alter table {name} add column {} text default 'none'", NAMES[table]);
        self.place.outsider().batch_execute(&alter).map_err(|error| error.to_string())?;
        self.model.add_column(table, NAMES[table], "none");
        self.query = world_query(&self.model.tables);
        self.saw("column added");
        self.attach_again("column added under layers")?;
        self.database = Database::open_attached(&self.place.url, options(), self.at).map_err(told)?;
        Ok(())
    }

    fn attach_again(&mut self, under_layers: &str) -> Outcome {
        if self.model.sessions.iter().any(|session| !session.live.0.is_empty()) {
            self.saw(under_layers);
        }
        let report = attach(&self.place.url, &AttachOptions::default(), self.at).map_err(told)?;
        let expected = self.model.reconcile();
        let found = report.reconciled.iter().map(|found| {
            let table =
                self.model.tables.iter().position(|table| table.name == found.table).unwrap_or(usize::MAX);
            let counts = [
                found.now_created,
                found.now_edited,
                found.tombstones_dropped,
                found.unique_clashes,
                found.missing_parents,
            ];
            (table, counts)
        });
        let found: model::Reconciled = found.collect();
        check!(found == expected, "reconciled {found:?}, not {expected:?}");
        let kinds = ["now created", "now edited", "tombstone dropped", "unique clash", "missing parent"];
        for (at, kind) in kinds.into_iter().enumerate() {
            if found.values().any(|counts| counts[at] > 0) {
                self.saw(&format!("reconciled: {kind}"));
            }
        }
        Ok(())
    }

    /// Everybody sees what the model says, and the counts of whoever did something are right.
    fn compare(&mut self, step: &Step) -> Outcome {
        let sessions = self.model.sessions.iter().enumerate();
        let alive: Vec<(usize, SessionId)> =
            sessions.filter_map(|(who, session)| Some((who, session.id?))).collect();
        let mut worlds = vec![String::new(); alive.len()];
        if self.place.backend == Backend::Postgres {
            let ids: Vec<String> = alive.iter().map(|(_, id)| format!("'{}'::uuid", id.0)).collect();
            let query = format!("select who, value from public.worlds(array[{}]::uuid[])", ids.join(", "));
            for row in self.database.read_base(|conn| load(conn, query)).map_err(told)? {
                worlds[row.who as usize - 1] = row.value;
            }
        } else {
            for ((_, id), world) in alive.iter().zip(&mut worlds) {
                let rows = self.database.read(*id, |conn| load(conn, self.query.clone())).map_err(told)?;
                *world = rows.into_iter().map(|row| row.value).collect();
            }
        }
        match step {
            Step::User { who, .. } | Step::AdminReset { who } => self.expected[*who] = None,
            Step::Wait { .. } | Step::WaitForExpiry { .. } | Step::WaitForIdle { .. } | Step::Verify => {}
            Step::Cleanup { .. } | Step::ChangeBase { .. } | Step::AddColumn { .. } => {
                self.expected.fill(None)
            }
        }
        for ((who, _), found) in alive.iter().zip(&worlds) {
            let model = &self.model;
            let expected = self.expected[*who].get_or_insert_with(|| shown(&model.world(*who)));
            let differs = |left: &str, right: &str| -> Vec<String> {
                left.lines()
                    .filter(|row| !right.lines().any(|other| other == *row))
                    .map(str::to_owned)
                    .collect()
            };
            check!(
                found == expected,
                "user {who} sees {:?} that should not be there, and not {:?}",
                differs(found, expected),
                differs(expected, found)
            );
        }
        let who = match step {
            Step::User { who, .. } | Step::AdminReset { who } => *who,
            _ => return Ok(()),
        };
        if self.model.epoch == 0 {
            let world = self.model.world(who);
            check!(model::is_valid(&self.model.tables, &world), "the constraints of user {who} are broken");
        }
        if let Some(id) = self.model.sessions[who].id {
            let found = self.database.change_counts(id).map_err(told)?;
            let expected = self.counts(&self.model.sessions[who].live.counts());
            check!(found == expected, "user {who} has {found:?}, not {expected:?}");
        }
        Ok(())
    }

    /// Every archive of every session is there with all that it holds.
    fn archives(&self) -> Outcome {
        for (who, session) in self.model.sessions.iter().enumerate() {
            let Some(id) = session.id else { continue };
            let found = self.database.archives(id).map_err(told)?;
            let found: Vec<_> = found
                .into_iter()
                .map(|archive| {
                    (archive.id, archive.expires_at, archive.restored_at.is_some(), archive.counts)
                })
                .collect();
            let expected = session.archives.iter().rev();
            let expected: Vec<_> = expected
                .map(|archive| {
                    (archive.id, archive.expires_at, archive.restored, self.counts(&archive.counts))
                })
                .collect();
            check!(found == expected, "user {who} has the archives {found:?}, not {expected:?}");
            for archive in &session.archives {
                self.archive(id, archive)?;
            }
        }
        Ok(())
    }

    fn archive(&self, session: SessionId, archive: &Archived) -> Outcome {
        let mut found = Layer::default();
        for change in self.database.archived_changes(session, archive.id).map_err(told)? {
            let table =
                self.model.tables.iter().position(|table| table.name == change.table).unwrap_or(usize::MAX);
            let value = |(name, _): &(&str, bool)| match &change.snapshot[*name] {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            let row: Row = self.model.tables[table].columns.iter().map(value).collect();
            let kind = match change.kind {
                demo_reset_domain::ChangeKind::Created => Kind::Created,
                demo_reset_domain::ChangeKind::Edited => Kind::Edited,
                demo_reset_domain::ChangeKind::Deleted => Kind::Deleted,
            };
            found.0.insert((table, change.key), model::Change { kind, row });
        }
        check!(found == archive.layer, "archive {:?} holds {found:?}, not {:?}", archive.id, archive.layer);
        Ok(())
    }

    /// When everybody has gone, nothing is left.
    fn end(&mut self) -> Outcome {
        self.at += Duration::days(31);
        self.cleanup(None)?;
        self.at += Duration::days(1);
        self.cleanup(None)?;
        let stats = self.database.stats(None, self.at).map_err(told)?;
        let archives = stats.archives_available + stats.archives_expired + stats.archives_restored;
        check!((stats.sessions, archives, stats.changes.total()) == (0, 0, 0), "left behind: {stats:?}");
        let kept = "select layer as who, table_name as value from demo_layer_counts";
        let kept = self.database.read_base(|conn| load(conn, kept.to_owned())).map_err(told)?;
        let kept: Vec<(i64, String)> = kept.into_iter().map(|row| (row.who, row.value)).collect();
        check!(kept.is_empty(), "counts of layers are left behind: {kept:?}");
        if self.place.backend == Backend::Sqlite {
            let places = "select 0 as who, name as value from main.sqlite_schema where name like 'demo\\_hidden\\_%' escape '\\'";
            for table in self.database.read_base(|conn| load(conn, places.to_owned())).map_err(told)? {
                let left = format!("select count(*) as who, '' as value from main.{}", table.value);
                let left = self.database.read_base(|conn| load(conn, left)).map_err(told)?;
                check!(left.iter().all(|row| row.who == 0), "places are left behind in {}", table.value);
            }
        }
        Ok(())
    }
}

fn options() -> OpenOptions {
    // One connection keeps what it has prepared.
    OpenOptions { readers: 1, ..Default::default() }
}

/// How many steps a history has.
const STEPS: usize = 20;

/// One in so many histories has a database of its own, whose base changes.
const OWN_DATABASE: u64 = 25;

fn script(backend: Backend) -> String {
    let worlds = if backend == Backend::Postgres { WORLDS } else { "" };
    format!("{TABLES}{worlds}")
}

fn shared(backend: Backend) -> Fixture {
    Fixture::with_options(backend, "histories", &script(backend), options())
}

fn own(backend: Backend) -> Fixture {
    Fixture::of_host(backend, "histories of a host", &script(backend), options())
}

fn made_up(seed: u64) -> (usize, Vec<Step>) {
    let mut random = Random::new(seed);
    let sessions = steps::sessions(&mut random);
    let steps = steps::history(&mut random, sessions, STEPS, seed.is_multiple_of(OWN_DATABASE));
    (sessions, steps)
}

/// Runs a history; what it saw, or why it fails.
fn run(
    place: &Fixture,
    seed: u64,
    sessions: usize,
    steps: &[Step],
    at: DateTime<Utc>,
) -> Result<Seen, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Run::new(place, seed, sessions, at);
        // As if others waited for the connection: on PostgreSQL what has read leaves its transaction open then. Where the base
        // changes, whoever changes it would wait for that.
        let alone = seed.is_multiple_of(2) || seed.is_multiple_of(OWN_DATABASE);
        let _others = (!alone).then(|| run.database.demand());
        run.all(steps)?;
        run.end().map_err(|why| format!("in the end: {why}"))?;
        Ok(run.seen)
    }));
    outcome.unwrap_or_else(|_| Err("it panicked".to_owned()))
}

/// Runs a history on a database of its own.
fn run_alone(backend: Backend, seed: u64, sessions: usize, steps: &[Step]) -> Result<Seen, String> {
    let place = if seed.is_multiple_of(OWN_DATABASE) { own(backend) } else { shared(backend) };
    run(&place, seed, sessions, steps, now())
}

/// Drops steps, many at a time and then one by one, while what is left still fails.
fn shrunk(
    backend: Backend,
    seed: u64,
    sessions: usize,
    mut steps: Vec<Step>,
    mut why: String,
) -> (Vec<Step>, String) {
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..steps.len().min(at + size));
            match run_alone(backend, seed, sessions, &fewer) {
                Err(reason) => (steps, why) = (fewer, reason),
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    (steps, why)
}

fn failure(backend: Backend, seed: u64, why: &str) -> String {
    let (sessions, steps) = made_up(seed);
    let replay = format!("DEMO_RESET_SEED={seed} DEMO_RESET_HISTORIES=1");
    match run_alone(backend, seed, sessions, &steps) {
        Ok(_) => format!("seed {seed} fails after other histories, but not alone: {why}"),
        Err(alone) => {
            let (steps, why) = shrunk(backend, seed, sessions, steps, alone);
            let steps: Vec<String> = steps.iter().map(|step| format!("  {step:?}")).collect();
            format!(
                "replay with {replay}\nshrunk to {} steps of {sessions} sessions:\n{}\n{why}",
                steps.len(),
                steps.join("\n")
            )
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}: expected a number, found {text}"))
    })
}

/// Runs histories on two threads, each with a database that its histories share one after the other.
fn run_all(backend: Backend, first: u64, histories: u64) -> Seen {
    let next = AtomicU64::new(first);
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let all: Mutex<Seen> = Mutex::new(Seen::new());
    let done = AtomicU64::new(0);
    let work = || {
        let place = shared(backend);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + histories || failed.lock().unwrap().is_some() {
                return;
            }
            let (sessions, steps) = made_up(seed);
            let result = if seed.is_multiple_of(OWN_DATABASE) {
                run_alone(backend, seed, sessions, &steps)
            } else {
                // The last one has left nothing behind: the clock can begin again.
                run(&place, seed, sessions, &steps, now())
            };
            match result {
                Ok(seen) => {
                    let mut all = all.lock().unwrap();
                    seen.into_iter().for_each(|(kind, count)| *all.entry(kind).or_default() += count);
                    // So that a long run which is cut off has shown something.
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of(1_000) {
                        say(&format!(
                            "{done} of {histories} histories from seed {first} on {backend:?} agree"
                        ));
                    }
                }
                Err(why) => drop(failed.lock().unwrap().get_or_insert((seed, why))),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    if let Some((seed, why)) = failed.into_inner().unwrap() {
        panic!("{}", failure(backend, seed, &why));
    }
    all.into_inner().unwrap()
}

on_each_database! { fn histories_of_several_sessions_agree_with_the_model(backend) {
    let usual = if std::env::var_os("CI").is_some() { 2_000 } else { 200 };
    let histories = number("DEMO_RESET_HISTORIES", usual);
    let seen = run_all(backend, number("DEMO_RESET_SEED", 0), histories);
    let count = |kind: &str| seen.get(kind).copied().unwrap_or_default();
    eprintln!("{histories} histories on {backend:?}:");
    seen.iter().for_each(|(kind, count)| eprintln!("{count:>9} {kind}"));
    if histories >= 2_000 {
        let missing: Vec<&&str> = KINDS.iter().filter(|kind| count(kind) == 0).collect();
        assert_eq!(missing, Vec::<&&str>::new(), "these never came up");
    }
}}
