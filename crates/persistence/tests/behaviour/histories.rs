//! Randomized histories of several sessions, each step checked against a small reference model: one table of
//! parents, one of children that cascade, a unique value, and maps instead of databases.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{ArchiveId, OnConflict, UndoRefusal};
use demo_reset_persistence::Error;
use uuid::Uuid;

use crate::fixture::{Backend, Fixture, Session, now, on_each_database};
use crate::random::Random;

const BASE: &str = "
create table parents (id text primary key not null, label text not null unique, size integer);
create table children (
  id text primary key not null, parent text not null references parents (id) on delete cascade, size integer
);
create index children_by_parent on children (parent);
insert into parents values ('p0', 'l0', 0), ('p1', 'l1', 0), ('p2', 'l2', 0), ('p3', 'l3', 0);
insert into children values ('c0', 'p0', 0), ('c1', 'p0', 0), ('c2', 'p1', 0), ('c3', 'p2', 0);
";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parent {
    label: String,
    size: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Child {
    parent: String,
    size: i64,
}

/// What a user sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct World {
    parents: BTreeMap<String, Parent>,
    children: BTreeMap<String, Child>,
}

/// A layer: what each touched record has become; `None` is deleted. A record that the base lacks and that is
/// deleted again is not touched any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Layer {
    parents: BTreeMap<String, Option<Parent>>,
    children: BTreeMap<String, Option<Child>>,
}

#[derive(Debug, Clone)]
struct Archived {
    id: ArchiveId,
    layer: Layer,
    expires_at: DateTime<Utc>,
    restored: bool,
}

#[derive(Debug, Default)]
struct Model {
    live: Layer,
    archives: Vec<Archived>,
}

fn base() -> World {
    let mut world = World::default();
    for n in 0..4 {
        world.parents.insert(format!("p{n}"), Parent { label: format!("l{n}"), size: 0 });
    }
    for (child, parent) in [("c0", "p0"), ("c1", "p0"), ("c2", "p1"), ("c3", "p2")] {
        world.children.insert(child.to_owned(), Child { parent: parent.to_owned(), size: 0 });
    }
    world
}

fn overlay<T: Clone>(base: &BTreeMap<String, T>, layer: &BTreeMap<String, Option<T>>) -> BTreeMap<String, T> {
    let mut seen = base.clone();
    for (key, value) in layer {
        match value {
            Some(value) => drop(seen.insert(key.clone(), value.clone())),
            None => drop(seen.remove(key)),
        }
    }
    seen
}

impl Layer {
    fn world(&self) -> World {
        let base = base();
        World {
            parents: overlay(&base.parents, &self.parents),
            children: overlay(&base.children, &self.children),
        }
    }

    fn is_empty(&self) -> bool {
        self.parents.is_empty() && self.children.is_empty()
    }

    fn len(&self) -> usize {
        self.parents.len() + self.children.len()
    }

    fn delete_parent(&mut self, id: &str) {
        if base().parents.contains_key(id) {
            self.parents.insert(id.to_owned(), None);
        } else {
            self.parents.remove(id);
        }
    }

    fn delete_child(&mut self, id: &str) {
        if base().children.contains_key(id) {
            self.children.insert(id.to_owned(), None);
        } else {
            self.children.remove(id);
        }
    }
}

impl World {
    /// Whether the constraints hold.
    fn is_valid(&self) -> bool {
        let labels: BTreeSet<&str> = self.parents.values().map(|parent| parent.label.as_str()).collect();
        labels.len() == self.parents.len()
            && self.children.values().all(|child| self.parents.contains_key(&child.parent))
    }
}

#[derive(Debug, Clone)]
enum Step {
    PutParent { id: String, label: String, size: i64 },
    DeleteParent { id: String },
    PutChild { id: String, parent: String, size: i64 },
    DeleteChild { id: String },
    Reset,
    Undo { nth: Option<usize>, on_conflict: OnConflict },
    Wait { hours: i64 },
    Cleanup,
}

fn step(random: &mut Random) -> Step {
    let parent = |random: &mut Random| format!("p{}", random.below(6));
    let child = |random: &mut Random| format!("c{}", random.below(6));
    match random.below(16) {
        0..4 => Step::PutParent {
            id: parent(random),
            label: format!("l{}", random.below(7)),
            size: random.below(3) as i64,
        },
        4..6 => Step::DeleteParent { id: parent(random) },
        6..9 => Step::PutChild { id: child(random), parent: parent(random), size: random.below(3) as i64 },
        9 => Step::DeleteChild { id: child(random) },
        10 | 11 => Step::Reset,
        12..14 => Step::Undo {
            nth: [None, Some(0), Some(1), Some(2)][random.below(4)],
            on_conflict: [OnConflict::Fail, OnConflict::KeepCurrent, OnConflict::RestoreArchived]
                [random.below(3)],
        },
        14 => Step::Wait { hours: random.below(10) as i64 },
        _ => Step::Cleanup,
    }
}

/// Runs a write on the model; whether the tables would accept it.
fn apply(model: &mut Model, step: &Step) -> bool {
    let world = model.live.world();
    let mut layer = model.live.clone();
    match step {
        Step::PutParent { id, label, size } => {
            layer.parents.insert(id.clone(), Some(Parent { label: label.clone(), size: *size }));
        }
        Step::PutChild { id, parent, size } => {
            layer.children.insert(id.clone(), Some(Child { parent: parent.clone(), size: *size }));
        }
        Step::DeleteParent { id } => {
            if !world.parents.contains_key(id) {
                return true;
            }
            layer.delete_parent(id);
            for child in world.children.iter().filter(|(_, child)| child.parent == *id) {
                layer.delete_child(child.0);
            }
        }
        Step::DeleteChild { id } if world.children.contains_key(id) => layer.delete_child(id),
        _ => {}
    }
    let is_valid = layer.world().is_valid();
    if is_valid {
        model.live = layer;
    }
    is_valid
}

/// The same write as SQL: an INSERT where the record is not seen, an UPDATE where it is.
fn sql(world: &World, step: &Step) -> String {
    match step {
        Step::PutParent { id, label, size } if world.parents.contains_key(id) => {
            format!("update parents set label = '{label}', size = {size} where id = '{id}'")
        }
        Step::PutParent { id, label, size } => {
            format!("insert into parents (id, label, size) values ('{id}', '{label}', {size})")
        }
        Step::PutChild { id, parent, size } if world.children.contains_key(id) => {
            format!("update children set parent = '{parent}', size = {size} where id = '{id}'")
        }
        Step::PutChild { id, parent, size } => {
            format!("insert into children (id, parent, size) values ('{id}', '{parent}', {size})")
        }
        Step::DeleteParent { id } => format!("delete from parents where id = '{id}'"),
        Step::DeleteChild { id } => format!("delete from children where id = '{id}'"),
        other => panic!("{other:?} is no write"),
    }
}

fn seen(session: &Session<'_>) -> Vec<String> {
    session.query(
        "select 'p '||id||' '||label||' '||size as value from parents \
         union all select 'c '||id||' '||parent||' '||size from children order by 1",
    )
}

fn shown(world: &World) -> Vec<String> {
    let parents = world.parents.iter().map(|(id, parent)| format!("p {id} {} {}", parent.label, parent.size));
    let children = world.children.iter().map(|(id, child)| format!("c {id} {} {}", child.parent, child.size));
    let mut rows: Vec<String> = parents.chain(children).collect();
    rows.sort();
    rows
}

/// Both layers at once, the archived one on top; none where they touch the same record.
fn merged(live: &Layer, archived: &Layer) -> Option<Layer> {
    let mut layer = live.clone();
    for (id, parent) in &archived.parents {
        if layer.parents.insert(id.clone(), parent.clone()).is_some() {
            return None;
        }
    }
    for (id, child) in &archived.children {
        if layer.children.insert(id.clone(), child.clone()).is_some() {
            return None;
        }
    }
    Some(layer)
}

/// Undoes in the database and checks the outcome against what the model allows.
fn undo(
    model: &mut Model,
    session: &Session<'_>,
    nth: Option<usize>,
    on_conflict: OnConflict,
    at: DateTime<Utc>,
) {
    let wanted = nth.map(|nth| model.archives.iter().rev().nth(nth).map_or(ArchiveId(Uuid::nil()), |a| a.id));
    let before = seen(session);
    let result = session.undo_with(wanted, on_conflict, at);
    let is_chosen = |archive: &Archived| match wanted {
        Some(id) => archive.id == id,
        None => !archive.restored && at < archive.expires_at,
    };
    let chosen = model.archives.iter().rposition(is_chosen);
    let Some(chosen) = chosen else {
        let refused =
            matches!(result, Err(Error::Undo(UndoRefusal::NothingToUndo | UndoRefusal::Expired { .. })));
        assert!(refused, "{result:?}");
        return;
    };
    let archive = model.archives[chosen].clone();
    if archive.restored {
        assert!(matches!(result, Err(Error::Undo(UndoRefusal::AlreadyRestored))), "{result:?}");
        return;
    }
    if at >= archive.expires_at {
        assert!(matches!(result, Err(Error::Undo(UndoRefusal::Expired { .. }))), "{result:?}");
        return;
    }
    let whole = merged(&model.live, &archive.layer).filter(|layer| layer.world().is_valid());
    match (whole, on_conflict) {
        (Some(layer), _) => {
            let report = result.unwrap();
            assert_eq!((report.kept_archived, report.replaced), (None, None));
            assert_eq!(report.restored.total() as usize, archive.layer.len());
            model.live = layer;
        }
        (None, OnConflict::Fail) => {
            assert!(matches!(result, Err(Error::UndoConflict(_))), "{result:?}");
            assert_eq!(seen(session), before);
            return;
        }
        (None, on_conflict) => {
            let Ok(report) = result else {
                assert!(matches!(result, Err(Error::UndoConflict(_))), "{result:?}");
                assert_eq!(seen(session), before);
                assert_eq!(on_conflict, OnConflict::RestoreArchived);
                return;
            };
            partly(model, session, &archive, on_conflict, &report, at);
        }
    }
    model.archives[chosen].restored = true;
    assert_eq!(seen(session), shown(&model.live.world()));
}

/// What an undo with conflicts settled on: every change is in exactly one place, the preferred side won where the
/// two touched the same record, and the world is valid.
fn partly(
    model: &mut Model,
    session: &Session<'_>,
    archive: &Archived,
    on_conflict: OnConflict,
    report: &demo_reset_persistence::UndoReport,
    at: DateTime<Utc>,
) {
    let aside = report.kept_archived.or(report.replaced).unwrap();
    let (side, expires_at) = layer_of_archive(session, aside);
    let (winner, loser) = match on_conflict {
        OnConflict::KeepCurrent => (&model.live, &archive.layer),
        _ => (&archive.layer, &model.live),
    };
    let mut rest = loser.clone();
    for (id, parent) in &side.parents {
        assert_eq!(rest.parents.remove(id).as_ref(), Some(parent));
    }
    for (id, child) in &side.children {
        assert_eq!(rest.children.remove(id).as_ref(), Some(child));
    }
    let layer = merged(winner, &rest).unwrap();
    assert!(layer.world().is_valid());
    assert!(!side.is_empty());
    model.live = layer;
    let expected =
        if on_conflict == OnConflict::KeepCurrent { archive.expires_at } else { at + Duration::hours(24) };
    assert_eq!(expires_at, expected);
    model.archives.push(Archived { id: aside, layer: side, expires_at, restored: false });
}

/// Reads an archive back from its snapshots.
fn layer_of_archive(session: &Session<'_>, id: ArchiveId) -> (Layer, DateTime<Utc>) {
    let archives = session.fixture.database.archives(session.id).unwrap();
    let archive = archives.iter().find(|archive| archive.id == id).unwrap();
    let object = match session.fixture.backend {
        Backend::Sqlite => "json_object('t', table_name, 'k', kind, 's', json(snapshot))",
        Backend::Postgres => "cast(json_build_object('t', table_name, 'k', kind, 's', snapshot) as text)",
    };
    let rows = session
        .query(&format!("select {object} as value from demo_archived_changes where archive_id = '{id}'"));
    let mut layer = Layer::default();
    for row in rows {
        let row: serde_json::Value = serde_json::from_str(&row).unwrap();
        let text = |name: &str| row["s"][name].as_str().unwrap_or_default().to_owned();
        let size = row["s"]["size"].as_i64().unwrap();
        let is_deleted = row["k"] == "deleted";
        if row["t"] == "parents" {
            let parent = (!is_deleted).then(|| Parent { label: text("label"), size });
            layer.parents.insert(text("id"), parent);
        } else {
            let child = (!is_deleted).then(|| Child { parent: text("parent"), size });
            layer.children.insert(text("id"), child);
        }
    }
    (layer, archive.expires_at)
}

/// Runs one history; panics where database and model differ.
fn run(backend: Backend, seed: u64, steps: usize) {
    let fixture = Fixture::with_template(backend, "histories", BASE);
    let mut random = Random::new(seed);
    let sessions: Vec<Session<'_>> = (0..3).map(|n| fixture.session(&format!("user{n}"))).collect();
    let mut models: Vec<Model> = (0..3).map(|_| Model::default()).collect();
    let mut at = now();
    for number in 0..steps {
        let who = random.below(3);
        let step = step(&mut random);
        let (session, model) = (&sessions[who], &mut models[who]);
        match &step {
            Step::Reset => {
                let report = session.reset_at(at);
                assert_eq!(report.archive.is_none(), model.live.is_empty(), "seed {seed} step {number}");
                if let Some(archive) = report.archive {
                    assert_eq!(archive.counts.total() as usize, model.live.len());
                    let layer = std::mem::take(&mut model.live);
                    model.archives.push(Archived {
                        id: archive.id,
                        layer,
                        expires_at: archive.expires_at,
                        restored: false,
                    });
                }
            }
            Step::Undo { nth, on_conflict } => undo(model, session, *nth, *on_conflict, at),
            Step::Wait { hours } => at += Duration::hours(*hours),
            Step::Cleanup => {
                fixture.database.cleanup(at, &mut || ArchiveId(Uuid::new_v4())).unwrap();
                for model in &mut models {
                    model.archives.retain(|archive| at < archive.expires_at);
                }
            }
            write => {
                let statement = sql(&model.live.world(), write);
                let accepted = apply(model, write);
                let result = session.write(&statement);
                assert_eq!(result.is_ok(), accepted, "seed {seed} step {number}: {statement}: {result:?}");
            }
        }
        for (session, model) in sessions.iter().zip(&models) {
            assert_eq!(seen(session), shown(&model.live.world()), "seed {seed} step {number}: {step:?}");
            let counts = fixture.database.change_counts(session.id).unwrap();
            assert_eq!(counts.total() as usize, model.live.len(), "seed {seed} step {number}: {step:?}");
        }
    }
}

// `DEMO_RESET_HISTORIES` sets how many histories are run, `DEMO_RESET_SEED` the first seed.
on_each_database! {
    fn histories_of_several_sessions_agree_with_the_model(backend) {
        let number = |name: &str, default: u64| {
            std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        let first = number("DEMO_RESET_SEED", 0);
        let histories = number("DEMO_RESET_HISTORIES", if backend == Backend::Sqlite { 40 } else { 20 });
        for seed in first..first + histories {
            let outcome = std::panic::catch_unwind(|| super::run(backend, seed, 60));
            assert!(outcome.is_ok(), "replay with DEMO_RESET_SEED={seed} DEMO_RESET_HISTORIES=1");
        }
    }
}
