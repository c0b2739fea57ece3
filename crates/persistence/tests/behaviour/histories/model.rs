//! The reference model: what the engine promises, in maps and loops. It knows nothing of SQL, views or triggers.
//!
//! A [`World`] is plain tables and the rules of their constraints. A [`Layer`] is what a session has made of the
//! base. Everything else (reset, undo, a new base, cleanup) is done to layers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{ArchiveId, ConflictReason, OnConflict, SessionId};

pub type Row = Vec<Option<String>>;
pub type Key = Vec<String>;

/// What happens to rows whose parent is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    Cascade,
    SetNull,
    NoAction,
}

/// A foreign key to the primary key of `parent`.
#[derive(Debug, Clone)]
pub struct Reference {
    pub columns: Vec<usize>,
    pub parent: usize,
    pub on_delete: OnDelete,
}

/// A table: its first `key` columns are its primary key.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: &'static str,
    /// Each with whether it is text; the others are integers.
    pub columns: Vec<(&'static str, bool)>,
    pub key: usize,
    pub unique: Option<usize>,
    pub references: Vec<Reference>,
}

impl Table {
    pub fn key_of(&self, row: &Row) -> Key {
        row[..self.key].iter().map(|value| value.clone().unwrap_or_default()).collect()
    }
}

/// The key of the parent that a row refers to, if it refers to one.
fn parent_key(reference: &Reference, row: &Row) -> Option<Key> {
    reference.columns.iter().map(|&at| row[at].clone()).collect()
}

/// Rows by table and key.
pub type World = Vec<BTreeMap<Key, Row>>;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// An INSERT where the record is not seen, an UPDATE of all other columns where it is.
    Put { table: usize, row: Row },
    /// Nothing where the record is not seen.
    Delete { table: usize, key: Key },
}

/// What a statement did to one row.
#[derive(Debug, Clone)]
pub struct Effect {
    pub table: usize,
    pub key: Key,
    pub before: Option<Row>,
    pub after: Option<Row>,
}

/// Runs a statement on plain tables: what it did, in order; none where a constraint refuses it.
pub fn apply(tables: &[Table], mut world: World, write: &Write) -> Option<Vec<Effect>> {
    let mut effects = Vec::new();
    match write {
        Write::Put { table, row } => {
            let spec = &tables[*table];
            let key = spec.key_of(row);
            let before = world[*table].get(&key).cloned();
            if let Some(unique) = spec.unique {
                let taken = |(other, row_of): (&Key, &Row)| {
                    *other != key && row[unique].is_some() && row_of[unique] == row[unique]
                };
                if world[*table].iter().any(taken) {
                    return None;
                }
            }
            world[*table].insert(key.clone(), row.clone());
            for reference in &spec.references {
                let is_same = before
                    .as_ref()
                    .is_some_and(|before| reference.columns.iter().all(|&at| before[at] == row[at]));
                let parent = parent_key(reference, row);
                if !is_same && parent.is_some_and(|parent| !world[reference.parent].contains_key(&parent)) {
                    return None;
                }
            }
            effects.push(Effect { table: *table, key, before, after: Some(row.clone()) });
        }
        Write::Delete { table, key } => {
            remove(tables, &mut world, *table, key, &mut effects);
            let is_left = |effect: &&Effect| {
                effect.after.is_none()
                    && children(tables, effect.table).any(|(child, reference)| {
                        reference.on_delete == OnDelete::NoAction
                            && world[child]
                                .values()
                                .any(|row| parent_key(reference, row).as_ref() == Some(&effect.key))
                    })
            };
            if effects.iter().any(|effect| is_left(&effect)) {
                return None;
            }
        }
    }
    Some(effects)
}

/// The references to a table.
fn children(tables: &[Table], parent: usize) -> impl Iterator<Item = (usize, &Reference)> {
    let all =
        tables.iter().enumerate().flat_map(|(at, table)| table.references.iter().map(move |key| (at, key)));
    all.filter(move |(_, reference)| reference.parent == parent)
}

fn remove(tables: &[Table], world: &mut World, table: usize, key: &Key, effects: &mut Vec<Effect>) {
    let Some(before) = world[table].remove(key) else { return };
    effects.push(Effect { table, key: key.clone(), before: Some(before), after: None });
    for (child, reference) in children(tables, table) {
        let refers = |row: &Row| parent_key(reference, row).as_ref() == Some(key);
        let referring: Vec<Key> =
            world[child].iter().filter(|(_, row)| refers(row)).map(|(key, _)| key.clone()).collect();
        for key in referring {
            match reference.on_delete {
                OnDelete::Cascade => remove(tables, world, child, &key, effects),
                OnDelete::SetNull => {
                    let Some(row) = world[child].get_mut(&key) else { continue };
                    let before = row.clone();
                    reference.columns.iter().for_each(|&at| row[at] = None);
                    effects.push(Effect {
                        table: child,
                        key,
                        before: Some(before),
                        after: Some(row.clone()),
                    });
                }
                OnDelete::NoAction => {}
            }
        }
    }
}

/// Whether every constraint holds.
pub fn is_valid(tables: &[Table], world: &World) -> bool {
    tables.iter().enumerate().all(|(at, table)| {
        let mut seen = BTreeSet::new();
        world[at].values().all(|row| {
            table.unique.is_none_or(|unique| row[unique].is_none() || seen.insert(row[unique].clone()))
                && table.references.iter().all(|reference| {
                    parent_key(reference, row)
                        .is_none_or(|parent| world[reference.parent].contains_key(&parent))
                })
        })
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Created,
    Edited,
    Deleted,
}

/// What became of one record. A deleted one keeps the row as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    pub row: Row,
}

/// What a session has made of the base, by table and key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer(pub BTreeMap<(usize, Key), Change>);

/// Changes by table: created, edited, deleted.
pub type Counts = BTreeMap<usize, [u64; 3]>;

impl Layer {
    /// Base and layer as one world.
    pub fn over(&self, base: &World) -> World {
        let mut world = base.clone();
        for ((table, key), change) in &self.0 {
            match change.kind {
                Kind::Deleted => drop(world[*table].remove(key)),
                _ => drop(world[*table].insert(key.clone(), change.row.clone())),
            }
        }
        world
    }

    /// Keeps what a statement did.
    pub fn record(&mut self, base: &World, effects: Vec<Effect>) {
        for Effect { table, key, before, after } in effects {
            let in_base = base[table].contains_key(&key);
            let change = match (after, in_base) {
                (Some(row), true) => Some(Change { kind: Kind::Edited, row }),
                (Some(row), false) => Some(Change { kind: Kind::Created, row }),
                (None, true) => before.map(|row| Change { kind: Kind::Deleted, row }),
                (None, false) => None,
            };
            match change {
                Some(change) => drop(self.0.insert((table, key), change)),
                None => drop(self.0.remove(&(table, key))),
            }
        }
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for ((table, _), change) in &self.0 {
            counts.entry(*table).or_default()[change.kind as usize] += 1;
        }
        counts
    }
}

/// What an undo compares: an archived layer, the live one, and the base under both.
struct Merge<'a> {
    tables: &'a [Table],
    base: &'a World,
    archived: Layer,
    live: Layer,
    aside: Layer,
}

impl Merge<'_> {
    /// Base rows that neither layer has changed, and the rows of both.
    fn shown(&self, table: usize) -> impl Iterator<Item = (&Key, &Row, Option<&Layer>)> {
        let is_changed = move |key: &Key| {
            [&self.archived, &self.live].iter().any(|layer| layer.0.contains_key(&(table, key.clone())))
        };
        let base = self.base[table]
            .iter()
            .filter(move |(key, _)| !is_changed(key))
            .map(|(key, row)| (key, row, None));
        let layers = [&self.archived, &self.live].into_iter().flat_map(move |layer| {
            let rows =
                layer.0.iter().filter(move |((at, _), change)| *at == table && change.kind != Kind::Deleted);
            rows.map(move |((_, key), change)| (key, &change.row, Some(layer)))
        });
        base.chain(layers)
    }

    /// Why a change of `own` cannot stand beside `other`.
    fn reason(&self, own: &Layer, other: &Layer, table: usize, key: &Key) -> Option<ConflictReason> {
        let change = &own.0[&(table, key.clone())];
        if other.0.contains_key(&(table, key.clone())) {
            return Some(ConflictReason::SameRecord);
        }
        if change.kind == Kind::Deleted {
            let has_children = children(self.tables, table).any(|(child, reference)| {
                self.shown(child).any(|(_, row, _)| parent_key(reference, row).as_ref() == Some(key))
            });
            return has_children.then_some(ConflictReason::LiveChildren);
        }
        let spec = &self.tables[table];
        let is_taken = spec.unique.is_some_and(|unique| {
            change.row[unique].is_some()
                && self.shown(table).any(|(of, row, layer)| {
                    of != key
                        && row[unique] == change.row[unique]
                        && layer.is_none_or(|layer| std::ptr::eq(layer, other))
                })
        });
        if is_taken {
            return Some(ConflictReason::UniqueClash);
        }
        let is_orphan = |reference: &Reference| {
            parent_key(reference, &change.row)
                .is_some_and(|parent| !self.shown(reference.parent).any(|(key, ..)| *key == parent))
        };
        spec.references.iter().any(is_orphan).then_some(ConflictReason::ParentGone)
    }

    fn conflicts(&self) -> Conflicts {
        let of = |(table, key): &(usize, Key)| {
            let reason = self.reason(&self.archived, &self.live, *table, key)?;
            Some(((*table, key.clone()), reason))
        };
        self.archived.0.keys().filter_map(of).collect()
    }

    /// Moves what conflicts, and what depends on it, out of one of the layers until nothing is left to move.
    fn set_aside(&mut self, of_archived: bool) {
        loop {
            let (own, other) =
                if of_archived { (&self.archived, &self.live) } else { (&self.live, &self.archived) };
            let is_in_the_way = |(table, key): &&(usize, Key)| self.reason(own, other, *table, key).is_some();
            let Some(place) = own.0.keys().find(is_in_the_way).cloned() else { return };
            let own = if of_archived { &mut self.archived } else { &mut self.live };
            if let Some(change) = own.0.remove(&place) {
                self.aside.0.insert(place, change);
            }
        }
    }
}

pub type Conflicts = BTreeMap<(usize, Key), ConflictReason>;

/// A layer that was retired.
#[derive(Debug, Clone)]
pub struct Archived {
    pub id: ArchiveId,
    pub layer: Layer,
    pub counts: Counts,
    /// The epoch of the base that all of it stood over; none for a part of what a session had.
    pub epoch: Option<u64>,
    pub expires_at: DateTime<Utc>,
    pub restored: bool,
}

/// One user's session.
#[derive(Debug, Clone)]
pub struct Session {
    pub organization: usize,
    /// None before the first use and after a cleanup has removed it.
    pub id: Option<SessionId>,
    /// The id that the user knew last.
    pub known: Option<SessionId>,
    pub live: Layer,
    pub live_epoch: u64,
    /// Oldest first.
    pub archives: Vec<Archived>,
    pub last_activity: DateTime<Utc>,
}

/// Why an undo is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    Nothing,
    Expired,
    AlreadyRestored,
    Conflicts(Conflicts),
}

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    pub restored: Counts,
    pub is_aside: bool,
    pub is_merge: bool,
}

/// What cleanup did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub archives_purged: u64,
    pub changes_purged: u64,
    pub sessions_archived: u64,
    pub sessions_removed: u64,
}

/// Per table: edited that are now created, created that are now edited, tombstones dropped, unique clashes, missing
/// parents.
pub type Reconciled = BTreeMap<usize, [u64; 5]>;

/// Everything.
#[derive(Debug, Clone)]
pub struct Model {
    pub tables: Vec<Table>,
    pub base: World,
    pub epoch: u64,
    pub sessions: Vec<Session>,
}

const UNDO_WINDOW: Duration = Duration::hours(24);
const IDLE_AFTER: Duration = Duration::days(30);

impl Session {
    pub fn idle_at(&self) -> DateTime<Utc> {
        self.last_activity + IDLE_AFTER
    }
}

impl Model {
    pub fn new(tables: Vec<Table>, base: World, sessions: usize, now: DateTime<Utc>) -> Self {
        let session = |number: usize| Session {
            organization: number % 2,
            id: None,
            known: None,
            live: Layer::default(),
            live_epoch: 0,
            archives: Vec::new(),
            last_activity: now,
        };
        Self { tables, base, epoch: 0, sessions: (0..sessions).map(session).collect() }
    }

    pub fn world(&self, who: usize) -> World {
        self.sessions[who].live.over(&self.base)
    }

    /// The user comes with a request.
    pub fn touch(&mut self, who: usize, new_id: SessionId, now: DateTime<Utc>) -> SessionId {
        let epoch = self.epoch;
        let session = &mut self.sessions[who];
        if session.id.is_none() {
            session.live_epoch = epoch;
            session.last_activity = now;
        } else if now - session.last_activity >= Duration::minutes(1) {
            session.last_activity = now;
        }
        let id = *session.id.get_or_insert(new_id);
        session.known = Some(id);
        id
    }

    /// Runs a statement in a session: how many tables it touched, or none where they refuse it.
    pub fn write(&mut self, who: usize, write: &Write) -> Option<usize> {
        let effects = apply(&self.tables, self.world(who), write)?;
        let touched: BTreeSet<usize> = effects.iter().map(|effect| effect.table).collect();
        self.sessions[who].live.record(&self.base, effects);
        Some(touched.len())
    }

    /// Retires the live layer; what it held, or none where it held nothing.
    pub fn reset(&mut self, who: usize, id: ArchiveId, now: DateTime<Utc>) -> Option<Counts> {
        let session = &mut self.sessions[who];
        if session.live.0.is_empty() {
            return None;
        }
        let layer = std::mem::take(&mut session.live);
        let counts = layer.counts();
        let epoch = session.live_epoch;
        session.live_epoch = self.epoch;
        let expires_at = now + UNDO_WINDOW;
        session.archives.push(Archived {
            id,
            counts: counts.clone(),
            layer,
            epoch: Some(epoch),
            expires_at,
            restored: false,
        });
        Some(counts)
    }

    /// Retires the changes to some records and what hangs on them: rows created under a row that goes, what was
    /// deleted along with a row that comes back, and the deletion of a row that one which comes back needs.
    pub fn reset_records(
        &mut self,
        who: usize,
        records: &[(usize, Key)],
        id: ArchiveId,
        now: DateTime<Utc>,
    ) -> Result<Option<Counts>, Refused> {
        let session = &self.sessions[who];
        let mut merge = Merge {
            tables: &self.tables,
            base: &self.base,
            archived: Layer::default(),
            live: session.live.clone(),
            aside: Layer::default(),
        };
        for record in records {
            if let Some(change) = merge.live.0.remove(record) {
                merge.aside.0.insert(record.clone(), change);
            }
        }
        let none = Layer::default();
        let depends = |merge: &Merge<'_>, (table, key): &(usize, Key)| {
            let change = &merge.live.0[&(*table, key.clone())];
            let reason = merge.reason(&merge.live, &none, *table, key);
            let deleted_along = || {
                self.tables[*table].references.iter().any(|reference| {
                    let parent = parent_key(reference, &change.row);
                    let aside = parent.and_then(|parent| merge.aside.0.get(&(reference.parent, parent)));
                    aside.is_some_and(|aside| aside.kind == Kind::Deleted)
                })
            };
            match change.kind {
                Kind::Deleted => reason.is_some() || deleted_along(),
                _ => reason == Some(ConflictReason::ParentGone),
            }
        };
        if merge.aside.0.is_empty() {
            return Ok(None);
        }
        while let Some(place) = merge.live.0.keys().find(|place| depends(&merge, place)).cloned() {
            if let Some(change) = merge.live.0.remove(&place) {
                merge.aside.0.insert(place, change);
            }
        }
        let clash = |(table, key): &(usize, Key)| {
            let reason = merge.reason(&merge.live, &none, *table, key)?;
            (reason == ConflictReason::UniqueClash).then(|| ((*table, key.clone()), reason))
        };
        let clashes: Conflicts = merge.live.0.keys().filter_map(clash).collect();
        if !clashes.is_empty() {
            return Err(Refused::Conflicts(clashes));
        }
        let Merge { live, aside, .. } = merge;
        let counts = aside.counts();
        let session = &mut self.sessions[who];
        session.live = live;
        session.archives.push(Archived {
            id,
            counts: counts.clone(),
            layer: aside,
            epoch: None,
            expires_at: now + UNDO_WINDOW,
            restored: false,
        });
        Ok(Some(counts))
    }

    /// Which archive an undo takes.
    fn choose(&self, who: usize, wanted: Option<ArchiveId>, now: DateTime<Utc>) -> Result<usize, Refused> {
        let archives = &self.sessions[who].archives;
        let Some(id) = wanted else {
            let newest = archives.iter().rposition(|archive| !archive.restored && now < archive.expires_at);
            let unused = archives.iter().any(|archive| !archive.restored);
            return newest.ok_or(if unused { Refused::Expired } else { Refused::Nothing });
        };
        let chosen = archives.iter().position(|archive| archive.id == id).ok_or(Refused::Nothing)?;
        if archives[chosen].restored {
            Err(Refused::AlreadyRestored)
        } else if now >= archives[chosen].expires_at {
            Err(Refused::Expired)
        } else {
            Ok(chosen)
        }
    }

    /// Brings an archive back.
    pub fn undo(
        &mut self,
        who: usize,
        wanted: Option<ArchiveId>,
        on_conflict: OnConflict,
        new_id: ArchiveId,
        now: DateTime<Utc>,
    ) -> Result<Undone, Refused> {
        let chosen = self.choose(who, wanted, now)?;
        let epoch = self.epoch;
        let archive = self.sessions[who].archives[chosen].clone();
        let mut merge = Merge {
            tables: &self.tables,
            base: &self.base,
            archived: archive.layer,
            live: self.sessions[who].live.clone(),
            aside: Layer::default(),
        };
        let is_merge = !merge.live.0.is_empty() || archive.epoch != Some(epoch);
        if is_merge {
            match on_conflict {
                OnConflict::Fail => {}
                OnConflict::KeepCurrent => merge.set_aside(true),
                OnConflict::RestoreArchived => merge.set_aside(false),
            }
            let conflicts = merge.conflicts();
            if !conflicts.is_empty() {
                return Err(Refused::Conflicts(conflicts));
            }
        }
        let Merge { archived, mut live, aside, .. } = merge;
        let restored = if is_merge { archived.counts() } else { archive.counts };
        live.0.extend(archived.0);
        let session = &mut self.sessions[who];
        session.live = live;
        session.live_epoch = epoch;
        session.archives[chosen].restored = true;
        session.archives[chosen].layer = Layer::default();
        let is_aside = !aside.0.is_empty();
        if is_aside {
            let expires_at = match on_conflict {
                OnConflict::RestoreArchived => now + UNDO_WINDOW,
                _ => archive.expires_at,
            };
            session.archives.push(Archived {
                id: new_id,
                counts: aside.counts(),
                layer: aside,
                epoch: None,
                expires_at,
                restored: false,
            });
        }
        Ok(Undone { restored, is_aside, is_merge })
    }

    /// Purges what is expired and retires what is idle. `new_id` names an archive by whose it is.
    pub fn cleanup(
        &mut self,
        organization: Option<usize>,
        now: DateTime<Utc>,
        new_id: &mut dyn FnMut() -> ArchiveId,
    ) -> Cleaned {
        let mut cleaned = Cleaned::default();
        for who in 0..self.sessions.len() {
            let session = &mut self.sessions[who];
            if session.id.is_none()
                || organization.is_some_and(|organization| organization != session.organization)
            {
                continue;
            }
            session.archives.retain(|archive| {
                let is_expired = archive.expires_at <= now;
                if is_expired && !archive.restored {
                    cleaned.archives_purged += 1;
                    cleaned.changes_purged += archive.layer.0.len() as u64;
                }
                !is_expired
            });
            if session.idle_at() > now {
                continue;
            }
            if !session.live.0.is_empty() {
                self.reset(who, new_id(), now);
                cleaned.sessions_archived += 1;
            } else if session.archives.is_empty() {
                session.id = None;
                cleaned.sessions_removed += 1;
            }
        }
        cleaned
    }

    /// A statement of the host's on its own tables; whether they take it.
    pub fn write_base(&mut self, write: &Write) -> bool {
        let Some(effects) = apply(&self.tables, self.base.clone(), write) else { return false };
        for effect in effects {
            match effect.after {
                Some(row) => drop(self.base[effect.table].insert(effect.key, row)),
                None => drop(self.base[effect.table].remove(&effect.key)),
            }
        }
        true
    }

    /// A new column with a default, at the end of a table.
    pub fn add_column(&mut self, table: usize, name: &'static str, default: &str) {
        self.tables[table].columns.push((name, true));
        let value = Some(default.to_owned());
        self.base[table].values_mut().for_each(|row| row.push(value.clone()));
        for session in &mut self.sessions {
            let archived = session.archives.iter_mut().map(|archive| &mut archive.layer);
            for layer in archived.chain([&mut session.live]) {
                let of_table = layer.0.iter_mut().filter(|((at, _), _)| *at == table);
                of_table.for_each(|(_, change)| change.row.push(value.clone()));
            }
        }
    }

    /// Brings every layer in line with a base that has changed.
    pub fn reconcile(&mut self) -> Reconciled {
        self.epoch += 1;
        let mut reconciled = Reconciled::new();
        let (base, tables) = (&self.base, &self.tables);
        for session in &mut self.sessions {
            let archived = session.archives.iter_mut().map(|archive| &mut archive.layer);
            for layer in archived.chain([&mut session.live]) {
                layer.0.retain(|(table, key), change| {
                    let in_base = base[*table].contains_key(key);
                    let found = reconciled.entry(*table).or_default();
                    match change.kind {
                        Kind::Deleted if !in_base => {
                            found[2] += 1;
                            return false;
                        }
                        Kind::Edited if !in_base => {
                            change.kind = Kind::Created;
                            found[0] += 1;
                        }
                        Kind::Created if in_base => {
                            change.kind = Kind::Edited;
                            found[1] += 1;
                        }
                        _ => {}
                    }
                    true
                });
                let merge = Merge {
                    tables,
                    base,
                    archived: Layer::default(),
                    live: layer.clone(),
                    aside: Layer::default(),
                };
                for ((table, key), change) in
                    layer.0.iter().filter(|(_, change)| change.kind != Kind::Deleted)
                {
                    let found = reconciled.entry(*table).or_default();
                    let spec = &tables[*table];
                    let clashes = spec.unique.is_some_and(|unique| {
                        let taken = |(of, row, layer): (&Key, &Row, Option<&Layer>)| {
                            layer.is_none() && of != key && row[unique] == change.row[unique]
                        };
                        change.row[unique].is_some() && merge.shown(*table).any(taken)
                    });
                    found[3] += u64::from(clashes);
                    for reference in &spec.references {
                        let is_missing = parent_key(reference, &change.row).is_some_and(|parent| {
                            !merge.shown(reference.parent).any(|(key, ..)| *key == parent)
                        });
                        found[4] += u64::from(is_missing);
                    }
                }
                // Base rows that are seen under a parent that the layer has deleted.
                for ((parent, deleted), _) in layer
                    .0
                    .iter()
                    .filter(|((at, key), change)| change.kind == Kind::Deleted && base[*at].contains_key(key))
                {
                    for (child, reference) in children(tables, *parent) {
                        let is_left = |(key, row): &(&Key, &Row)| {
                            parent_key(reference, row).as_ref() == Some(deleted)
                                && !layer.0.contains_key(&(child, (*key).clone()))
                        };
                        let left = base[child].iter().filter(is_left).count() as u64;
                        reconciled.entry(child).or_default()[4] += left;
                    }
                }
            }
        }
        reconciled.retain(|_, found| found.iter().any(|count| *count > 0));
        reconciled
    }
}
