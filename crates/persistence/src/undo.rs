//! Undo: an archive becomes live again.
//!
//! Where the live layer is empty and the base is the one the archive was made over, the archived layer simply
//! becomes the live one. Otherwise the two layers are merged. Everything is set-based: a change moves from one
//! layer to another by getting the other's number.

use chrono::{DateTime, Utc};
use demo_reset_domain::{
    Archive, ArchiveId, ChangeCounts, Conflict, ConflictReason, LayerId, OnConflict, Retention, SessionId,
    choose_archive,
};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::archive::{
    SideArchive, StoredArchive, archive_list, archive_mark_restored, archive_side_layer, counts_from_json,
};
use crate::binding::{GuardedSession, count_write, guard};
use crate::connection::{Fixed, Link, Sql, fixed_text};
use crate::database::{RecordKey, UndoReport};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::idempotency::UndoRequest;
use crate::session::layer_counts;
use crate::spec::{IndexTerm, TableSpec};
use crate::sql_text::{join, literal};
use crate::types::{DbJson, sql};

fixed_text!(
    /// The newest archive that is available, or the wanted one, where nothing was changed since and the base is the same.
    ToMakeLive,
    "select a.session_number, a.ordinal, a.layer, a.counts \
     from demo_user_sessions s join demo_archives a on a.session_number = s.number \
     where s.id = ? and a.ordinal = (select o.ordinal from demo_archives o \
     where o.session_number = s.number and o.restored_at is null and o.expires_at > ? \
     and coalesce(o.id = ?, true) order by o.ordinal desc limit 1) \
     and a.epoch = (select epoch from demo_base) and not exists (select 1 from demo_layer_counts c \
     where c.layer = s.live_layer and c.created + c.edited + c.deleted > 0)"
);
fixed_text!(
    MakeLive,
    "update demo_user_sessions set live_layer = ?, live_epoch = (select epoch from demo_base) where number = ?"
);
fixed_text!(
    MarkRestored,
    "update demo_archives set restored_at = ? where session_number = ? and ordinal = ?"
);
fixed_text!(UndoOnPostgres, "select id, counts from demo.undo_reset(?, ?, ?, ?)");

/// An archive that can become live as it is.
#[derive(QueryableByName)]
struct ToMakeLiveRow {
    #[diesel(sql_type = BigInt)]
    session_number: i64,
    #[diesel(sql_type = BigInt)]
    ordinal: i64,
    #[diesel(sql_type = BigInt)]
    layer: i64,
    #[diesel(sql_type = sql::Json)]
    counts: DbJson,
}

#[derive(QueryableByName)]
struct MadeLiveRow {
    #[diesel(sql_type = sql::Json)]
    counts: DbJson,
}

/// The undo of most days: nothing was changed since the reset and the base is the same, so that the archived layer becomes
/// live as it is. Nothing is done where that cannot be, for whatever reason: [`undo`] does what can be done, or says why
/// not. Looks at the engine's own tables alone. On SQLite it runs in a writing transaction, of which it may be the first
/// statement; on PostgreSQL it is one statement, and outside of a transaction one by itself, which answers as before where
/// the same request is repeated.
pub(crate) fn undo_unchanged(link: &mut Link<'_>, request: &UndoRequest) -> Result<Option<UndoReport>> {
    let wanted = request.wanted.map(|id| id.0);
    let counts = match link.dialect() {
        Dialect::Postgres => {
            let values =
                [request.session.0.into(), wanted.into(), request.new_id.0.into(), request.now.into()];
            let made: Option<MadeLiveRow> = link.first(Fixed::<UndoOnPostgres, 4>::new(values))?;
            made.map(|made| made.counts)
        }
        Dialect::Sqlite => {
            count_write(link, request.session)?;
            let values = [request.session.0.into(), request.now.into(), wanted.into()];
            let found: Option<ToMakeLiveRow> = link.first(Fixed::<ToMakeLive, 3>::new(values))?;
            if let Some(found) = &found {
                make_live(link, LayerId(found.layer), found.session_number)?;
                let values = [request.now.into(), found.session_number.into(), found.ordinal.into()];
                link.execute(Fixed::<MarkRestored, 3>::new(values))?;
            }
            found.map(|found| found.counts)
        }
    };
    let restored = counts.map(|counts| counts_from_json(counts.0)).transpose()?;
    Ok(restored.map(|restored| UndoReport { restored, kept_archived: None, replaced: None }))
}

fn make_live(link: &mut Link<'_>, layer: LayerId, session_number: i64) -> Result<()> {
    link.execute(Fixed::<MakeLive, 2>::new([layer.0.into(), session_number.into()]))?;
    Ok(())
}

/// Brings an archive back. Runs in a writing transaction: all or nothing.
pub(crate) fn undo(
    link: &mut Link<'_>,
    tables: &[TableSpec],
    request: &UndoRequest,
    retention: Retention,
) -> Result<UndoReport> {
    let guarded = guard(link, request.session)?;
    let stored = archive_list(link, request.session)?;
    let archives: Vec<Archive> = stored.iter().map(|stored| stored.archive.clone()).collect();
    let chosen = choose_archive(&archives, request.wanted, request.now)?;
    let Some(archived) = stored.iter().find(|stored| stored.archive.id == chosen.id) else {
        return Err(demo_reset_domain::UndoRefusal::NothingToUndo.into());
    };
    let (restored, side) = merge(link, tables, request, &guarded, archived, retention)?;
    archive_mark_restored(link, &guarded, archived.archive.id, request.now)?;
    let side_of = |mode| side.filter(|_| request.on_conflict == mode);
    Ok(UndoReport {
        restored,
        kept_archived: side_of(OnConflict::KeepCurrent),
        replaced: side_of(OnConflict::RestoreArchived),
    })
}

/// Merges the archived layer with the live one; what came back, and the archive that was made for what could not
/// stay or could not come.
fn merge(
    link: &mut Link<'_>,
    tables: &[TableSpec],
    request: &UndoRequest,
    guarded: &GuardedSession,
    archived: &StoredArchive,
    retention: Retention,
) -> Result<(ChangeCounts, Option<ArchiveId>)> {
    let layers = Merge {
        tables,
        dialect: link.dialect(),
        archived: archived.layer,
        live: guarded.live_layer(),
        side: guarded.fresh_layer(1),
    };
    match request.on_conflict {
        OnConflict::Fail => {}
        OnConflict::KeepCurrent => while layers.set_archived_aside(link)? > 0 {},
        OnConflict::RestoreArchived => while layers.set_live_aside(link)? > 0 {},
    }
    let conflicts = layers.conflicts(link)?;
    if !conflicts.is_empty() {
        return Err(Error::UndoConflict(conflicts));
    }
    let restored = layer_counts(link, layers.archived)?;
    let live = layer_counts(link, layers.live)?;
    // The smaller layer moves into the larger one, whichever is live.
    let (from, to) = if live.total() < restored.total() {
        (layers.live, layers.archived)
    } else {
        (layers.archived, layers.live)
    };
    for table in tables {
        layers.move_changes(link, table, from, to, "")?;
    }
    // What was kept archived keeps its deadline; what was replaced was archived now.
    let expires_at = match request.on_conflict {
        OnConflict::RestoreArchived => retention.expires_at(request.now),
        _ => archived.archive.expires_at,
    };
    let side = SideArchive { id: request.new_id, archived_at: request.now, expires_at };
    let side = archive_side_layer(link, request.session, guarded, &side)?;
    make_live(link, to, guarded.number)?;
    Ok((restored, side.map(|archive| archive.id)))
}

/// A reset of some records.
pub(crate) struct RecordsReset<'a> {
    pub(crate) session: SessionId,
    pub(crate) records: &'a [RecordKey],
    pub(crate) new_id: ArchiveId,
    pub(crate) now: DateTime<Utc>,
}

/// Retires the changes of some records, with those that depend on them. Runs in a writing transaction.
pub(crate) fn reset_records(
    link: &mut Link<'_>,
    tables: &[TableSpec],
    request: &RecordsReset<'_>,
    retention: Retention,
) -> Result<Option<Archive>> {
    let guarded = guard(link, request.session)?;
    let layers = Merge {
        tables,
        dialect: link.dialect(),
        // No layer has this number: there is only the live one to look at.
        archived: LayerId(-1),
        live: guarded.live_layer(),
        side: guarded.fresh_layer(1),
    };
    let mut moved = 0;
    for table in tables {
        let of_table = request.records.iter().filter(|record| record.table == table.name);
        moved += layers.set_records_aside(
            link,
            table,
            &of_table.map(|record| record.key.as_slice()).collect::<Vec<_>>(),
        )?;
    }
    // What no longer fits since the base has changed depends on none of them.
    if moved == 0 {
        return Ok(None);
    }
    while layers.set_dependents_aside(link)? > 0 {}
    let clashes = layers.live_clashes(link)?;
    if !clashes.is_empty() {
        return Err(Error::UndoConflict(clashes));
    }
    let expires_at = retention.expires_at(request.now);
    let side = SideArchive { id: request.new_id, archived_at: request.now, expires_at };
    archive_side_layer(link, request.session, &guarded, &side)
}

/// The layers of a merge, and the SQL that compares and moves them.
struct Merge<'a> {
    tables: &'a [TableSpec],
    dialect: Dialect,
    archived: LayerId,
    live: LayerId,
    /// Takes what does not come back, or what is replaced.
    side: LayerId,
}

/// A condition on a row `x` of a change table, and why a row that meets it conflicts.
struct Clash {
    reason: ConflictReason,
    condition: String,
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Nullable<Text>)]
    record_key: Option<String>,
}

#[derive(QueryableByName)]
struct MovedRow {
    #[diesel(sql_type = BigInt)]
    total: i64,
}

impl Merge<'_> {
    /// All conflicts between the archived and the live layer.
    fn conflicts(&self, link: &mut Link<'_>) -> Result<Vec<Conflict>> {
        let mut conflicts = Vec::new();
        for table in self.tables {
            for clash in self.archived_clashes(table) {
                conflicts.extend(self.find(link, table, self.archived, clash.reason, &clash.condition)?);
            }
        }
        // One line per record: the first reason found explains it.
        conflicts.sort_by(|a, b| (&a.table, &a.key).cmp(&(&b.table, &b.key)));
        conflicts.dedup_by(|later, first| later.table == first.table && later.key == first.key);
        Ok(conflicts)
    }

    /// Moves archived changes that conflict to the side; how many moved. Repeated until none moves, since what
    /// depends on a change that stays archived must stay too.
    fn set_archived_aside(&self, link: &mut Link<'_>) -> Result<usize> {
        let mut moved = 0;
        for table in self.tables {
            for clash in self.archived_clashes(table) {
                moved += self.move_changes(link, table, self.archived, self.side, &clash.condition)?;
            }
        }
        Ok(moved)
    }

    /// Moves live changes that stand in the way to the side; how many moved.
    fn set_live_aside(&self, link: &mut Link<'_>) -> Result<usize> {
        let mut moved = 0;
        for table in self.tables {
            for condition in self.live_obstacles(table) {
                moved += self.move_changes(link, table, self.live, self.side, &condition)?;
            }
        }
        Ok(moved)
    }

    /// Moves the changes to some records to the side: one look at the layer, however many they are.
    fn set_records_aside(&self, link: &mut Link<'_>, table: &TableSpec, keys: &[&[String]]) -> Result<usize> {
        // A key with another number of values names no record.
        let values = table.key_columns().count();
        let keys: Vec<&[String]> = keys.iter().copied().filter(|key| key.len() == values).collect();
        match self.dialect.key_is_one_of(table, "x", &keys) {
            Some(condition) => self.move_changes(link, table, self.live, self.side, &condition),
            None => Ok(0),
        }
    }

    /// Moves to the side what depends on changes that are there: children left without a parent, children that were
    /// deleted along with a record that comes back, and the deletion of a parent that a record which comes back needs.
    /// How many moved.
    fn set_dependents_aside(&self, link: &mut Link<'_>) -> Result<usize> {
        let mut moved = 0;
        for table in self.tables {
            let mut conditions = self.orphaned(table);
            conditions.extend(self.with_children(table));
            for key in &table.foreign_keys {
                let Some(parent) = self.tables.iter().find(|other| other.name == key.parent) else {
                    continue;
                };
                let refers = key.parent_columns.iter().zip(&key.columns).map(|(p, &c)| {
                    format!("y.{} = x.{}", self.dialect.quote(p), self.dialect.quote(&table.columns[c].name))
                });
                conditions.push(format!(
                    "x.demo_kind = 'deleted' and exists (select 1 from {} as y where y.demo_layer = {} \
                     and y.demo_kind = 'deleted' and {})",
                    self.dialect.change_table(&parent.name),
                    self.side.0,
                    join(refers, " and ")
                ));
            }
            for condition in conditions {
                moved += self.move_changes(link, table, self.live, self.side, &condition)?;
            }
        }
        Ok(moved)
    }

    /// Live rows whose unique values a base row has that comes back.
    fn live_clashes(&self, link: &mut Link<'_>) -> Result<Vec<Conflict>> {
        let mut clashes = Vec::new();
        for table in self.tables {
            for condition in self.unique_conditions(table, self.archived) {
                clashes.extend(self.find(link, table, self.live, ConflictReason::UniqueClash, &condition)?);
            }
        }
        Ok(clashes)
    }

    /// The changes of `layer` that meet `condition`, as conflicts.
    fn find(
        &self,
        link: &mut Link<'_>,
        table: &TableSpec,
        layer: LayerId,
        reason: ConflictReason,
        condition: &str,
    ) -> Result<Vec<Conflict>> {
        let select = Sql::once(&format!(
            "select {} as record_key from {} as x where x.demo_layer = {} and {condition}",
            self.dialect.key_as_json_text(table, "x"),
            self.dialect.change_table(&table.name),
            layer.0,
        ));
        let rows: Vec<KeyRow> = link.load(select)?;
        let conflict = |row: KeyRow| Conflict {
            table: table.name.clone(),
            key: key_from_json(row.record_key.as_deref()),
            reason,
        };
        Ok(rows.into_iter().map(conflict).collect())
    }

    /// Moves the changes of `from` that meet `condition` (all where it is empty) to the layer `to`; how many.
    fn move_changes(
        &self,
        link: &mut Link<'_>,
        table: &TableSpec,
        from: LayerId,
        to: LayerId,
        condition: &str,
    ) -> Result<usize> {
        let and = if condition.is_empty() { String::new() } else { format!(" and {condition}") };
        let update = format!(
            "update {} as x set demo_layer = {} where x.demo_layer = {}{and}",
            self.dialect.change_table(&table.name),
            to.0,
            from.0
        );
        if self.dialect == Dialect::Sqlite {
            return link.execute(Sql::once(&update));
        }
        // On PostgreSQL the counts of both layers change once, not row by row.
        let name = literal(&table.name);
        let sql = Sql::once(&format!(
            "with moved as ({update} returning x.demo_kind), n as (select count(*) as total, \
             count(*) filter (where demo_kind = 'created') as created, \
             count(*) filter (where demo_kind = 'edited') as edited, \
             count(*) filter (where demo_kind = 'deleted') as deleted from moved), \
             gone as (update demo_layer_counts c set created = c.created - n.created, edited = c.edited - n.edited, \
             deleted = c.deleted - n.deleted from n where c.layer = {from} and c.table_name = {name}), \
             come as (insert into demo_layer_counts as c (layer, table_name, created, edited, deleted) \
             select {to}, {name}, n.created, n.edited, n.deleted from n where n.total > 0 \
             on conflict (layer, table_name) do update set created = c.created + excluded.created, \
             edited = c.edited + excluded.edited, deleted = c.deleted + excluded.deleted) \
             select total from n",
            from = from.0,
            to = to.0
        ));
        let moved: Option<MovedRow> = link.first(sql)?;
        Ok(moved.map_or(0, |row| usize::try_from(row.total).unwrap_or(usize::MAX)))
    }

    /// Why an archived change `x` of `table` could not come back.
    fn archived_clashes(&self, table: &TableSpec) -> Vec<Clash> {
        let mut clashes = vec![Clash {
            reason: ConflictReason::SameRecord,
            condition: self.changed_in(table, self.live, "true"),
        }];
        for unique in self.unique_conditions(table, self.live) {
            clashes.push(Clash { reason: ConflictReason::UniqueClash, condition: unique });
        }
        for condition in self.orphaned(table) {
            clashes.push(Clash { reason: ConflictReason::ParentGone, condition });
        }
        for condition in self.with_children(table) {
            clashes.push(Clash { reason: ConflictReason::LiveChildren, condition });
        }
        clashes
    }

    /// Why a live change `x` of `table` stands in the way of the archived ones.
    fn live_obstacles(&self, table: &TableSpec) -> Vec<String> {
        let mut obstacles = vec![self.changed_in(table, self.archived, "true")];
        obstacles.extend(self.unique_conditions(table, self.archived));
        // Rows left without a parent by what has been moved or is deleted by the archive.
        obstacles.extend(self.orphaned(table));
        // Tombstones over parents of archived rows.
        obstacles.extend(self.with_children(table));
        obstacles
    }

    /// Whether `layer` changes the same record as `x`.
    fn changed_in(&self, table: &TableSpec, layer: LayerId, also: &str) -> String {
        format!(
            "exists (select 1 from {} as y where y.demo_layer = {} and {} and {also})",
            self.dialect.change_table(&table.name),
            layer.0,
            self.same_key(table, "y", "x")
        )
    }

    fn same_key(&self, table: &TableSpec, left: &str, right: &str) -> String {
        join(
            table.key_columns().map(|column| {
                let name = self.dialect.quote(&column.name);
                format!("{left}.{name} = {right}.{name}")
            }),
            " and ",
        )
    }

    /// Per unique index: whether a row of `other`, or a base row that neither layer overrides, has the values
    /// of `x`.
    fn unique_conditions(&self, table: &TableSpec, other: LayerId) -> Vec<String> {
        let key: Vec<String> = table.key_columns().map(|column| self.dialect.quote(&column.name)).collect();
        let conditions = table.uniques.iter().map(|unique| {
            // Each row's values are computed where its columns need no alias, since expressions name none.
            let values = join(
                unique.parts.iter().enumerate().map(|(at, part)| {
                    let expression = match &part.term {
                        IndexTerm::Column(position) => self.dialect.quote(&table.columns[*position].name),
                        IndexTerm::Expression(expression) => format!("({expression})"),
                    };
                    format!("{expression} as demo_u{at}")
                }),
                ", ",
            );
            let predicate = unique.predicate.as_ref().map_or_else(String::new, |text| format!(" and ({text})"));
            let change = self.dialect.change_table(&table.name);
            let own = format!(
                "(select {values} from {change} where demo_layer = x.demo_layer and demo_kind <> 'deleted' and {}{predicate})",
                join(key.iter().map(|column| format!("{change}.{column} = x.{column}")), " and ")
            );
            let same = join(
                unique.parts.iter().enumerate().map(|(at, part)| {
                    self.dialect.unique_equal(&format!("m.demo_u{at}"), &format!("o.demo_u{at}"), unique, part)
                }),
                " and ",
            );
            let theirs = format!(
                "select {values}, {key} from {change} where demo_layer = {layer} and demo_kind <> 'deleted'{predicate}",
                key = key.join(", "),
                layer = other.0
            );
            let base = format!(
                "select {values}, {key} from {base} as b where {visible}{predicate}",
                key = key.join(", "),
                base = self.dialect.base_table(&table.name),
                visible = self.not_overridden(table, "b"),
            );
            format!(
                "(exists (select 1 from {own} as m, ({theirs}) as o where {same}) \
                 or exists (select 1 from {own} as m, ({base}) as o where {same} and not ({same_row})))",
                same_row = join(key.iter().map(|column| format!("o.{column} = x.{column}")), " and "),
            )
        });
        conditions.collect()
    }

    /// Whether neither layer of the merge has a change to the base row `alias`.
    fn not_overridden(&self, table: &TableSpec, alias: &str) -> String {
        format!(
            "not exists (select 1 from {} as v where v.demo_layer in ({}, {}) and {})",
            self.dialect.change_table(&table.name),
            self.archived.0,
            self.live.0,
            self.same_key(table, "v", alias)
        )
    }

    /// Whether the merged world shows a row of `table` that meets `condition`.
    fn merged_shows(&self, table: &TableSpec, condition: &dyn Fn(&str) -> String) -> String {
        format!(
            "(exists (select 1 from {} as b where {} and {}) or exists (select 1 from {} as c \
             where c.demo_layer in ({}, {}) and c.demo_kind <> 'deleted' and {}))",
            self.dialect.base_table(&table.name),
            condition("b"),
            self.not_overridden(table, "b"),
            self.dialect.change_table(&table.name),
            self.archived.0,
            self.live.0,
            condition("c")
        )
    }

    /// Per foreign key: whether `x` is a row that refers to a parent which the merged world does not show.
    fn orphaned(&self, table: &TableSpec) -> Vec<String> {
        let conditions = table.foreign_keys.iter().filter_map(|key| {
            let parent = self.tables.iter().find(|other| other.name == key.parent)?;
            let columns: Vec<String> =
                key.columns.iter().map(|&at| self.dialect.quote(&table.columns[at].name)).collect();
            let refers = |alias: &str| {
                let pairs = key.parent_columns.iter().zip(&columns);
                join(pairs.map(|(p, c)| format!("{alias}.{} = x.{c}", self.dialect.quote(p))), " and ")
            };
            Some(format!(
                "x.demo_kind <> 'deleted' and {} and not {}",
                join(columns.iter().map(|column| format!("x.{column} is not null")), " and "),
                self.merged_shows(parent, &refers)
            ))
        });
        conditions.collect()
    }

    /// Per reference to `table`: whether `x` is a tombstone over a row that the merged world has children of.
    fn with_children(&self, table: &TableSpec) -> Vec<String> {
        let references =
            self.tables.iter().flat_map(|child| child.foreign_keys.iter().map(move |key| (child, key)));
        let conditions = references.filter(|(_, key)| key.parent == table.name).map(|(child, key)| {
            let refers = |alias: &str| {
                let pairs = key.columns.iter().zip(&key.parent_columns);
                let pairs = pairs.map(|(&c, p)| {
                    format!(
                        "{alias}.{} = x.{}",
                        self.dialect.quote(&child.columns[c].name),
                        self.dialect.quote(p)
                    )
                });
                join(pairs, " and ")
            };
            format!("x.demo_kind = 'deleted' and {}", self.merged_shows(child, &refers))
        });
        conditions.collect()
    }
}

fn key_from_json(json: Option<&str>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
