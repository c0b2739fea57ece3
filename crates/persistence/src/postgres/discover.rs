//! Reads the tables of `public` into [`TableSpec`]s.

use std::collections::BTreeMap;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use crate::attach::ViewSpec;
use crate::connection::{Link, Sql};
use crate::error::Result;
use crate::host::NoteKind;
use crate::spec::{
    Action, CheckSpec, ColumnSpec, Discovery, ForeignKeySpec, GeneratedSpec, IndexPart, IndexSpec, IndexTerm,
    TableSpec, TriggerSpec, is_bookkeeping,
};
use crate::sqlite::ddl::{CONTROL_COLUMNS, TRACKING_COLUMNS};

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = BigInt)]
    oid: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    refusal: Option<String>,
    #[diesel(sql_type = Text)]
    deferrable: String,
    #[diesel(sql_type = Nullable<Text>)]
    partitions: Option<String>,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = BigInt)]
    table_oid: i64,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    declared_type: String,
    #[diesel(sql_type = Bool)]
    not_null: bool,
    #[diesel(sql_type = Nullable<Text>)]
    default_text: Option<String>,
    #[diesel(sql_type = Bool)]
    is_generated: bool,
    #[diesel(sql_type = Nullable<Text>)]
    sequence: Option<String>,
    #[diesel(sql_type = Bool)]
    always_identity: bool,
}

#[derive(QueryableByName)]
struct TriggerRow {
    #[diesel(sql_type = BigInt)]
    table_oid: i64,
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    kind: i64,
    #[diesel(sql_type = Text)]
    definition: String,
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Bool)]
    is_constraint: bool,
    #[diesel(sql_type = Bool)]
    is_deferrable: bool,
    #[diesel(sql_type = Bool)]
    is_deferred: bool,
    #[diesel(sql_type = Bool)]
    has_transition_tables: bool,
}

#[derive(QueryableByName)]
struct CheckRow {
    #[diesel(sql_type = BigInt)]
    table_oid: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    expression: String,
}

#[derive(QueryableByName)]
struct ViewRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    definition: String,
    #[diesel(sql_type = Text)]
    options: String,
    #[diesel(sql_type = Bool)]
    has_triggers: bool,
}

#[derive(QueryableByName)]
struct IndexPartRow {
    #[diesel(sql_type = BigInt)]
    table_oid: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_unique: bool,
    #[diesel(sql_type = Bool)]
    is_primary: bool,
    #[diesel(sql_type = Bool)]
    nulls_not_distinct: bool,
    #[diesel(sql_type = Nullable<Text>)]
    predicate: Option<String>,
    #[diesel(sql_type = BigInt)]
    column_number: i64,
    #[diesel(sql_type = Text)]
    term: String,
    #[diesel(sql_type = BigInt)]
    options: i64,
    #[diesel(sql_type = Nullable<Text>)]
    collation: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    operator_class: Option<String>,
}

#[derive(QueryableByName)]
struct ForeignKeyRow {
    #[diesel(sql_type = BigInt)]
    table_oid: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = BigInt)]
    column_number: i64,
    #[diesel(sql_type = Text)]
    parent_column: String,
    #[diesel(sql_type = Text)]
    on_update: String,
    #[diesel(sql_type = Text)]
    on_delete: String,
    #[diesel(sql_type = Bool)]
    is_deferred: bool,
    #[diesel(sql_type = Bool)]
    is_full: bool,
    #[diesel(sql_type = Bool)]
    is_set_on_delete: bool,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

const TABLES: &str = "select c.oid::bigint as oid, c.relname::text as name, case \
     when c.relkind = 'f' then 'it is a foreign table, whose rows are elsewhere' \
     when c.relrowsecurity then 'it has row-level security, which a view would bypass' \
     when exists (select 1 from pg_constraint x where x.conrelid = c.oid and x.contype = 'x') \
       then 'it has an EXCLUDE constraint, which cannot hold across base and layer' \
     when exists (select 1 from pg_rewrite r where r.ev_class = c.oid) \
       then 'it has a rule, which a view would pass by' \
     when c.relkind = 'r' and exists (select 1 from pg_inherits i where i.inhparent = c.oid) \
       then 'other tables inherit from it, so that its key need not be unique' \
     when exists (select 1 from pg_partition_tree(c.oid) t join pg_constraint x on x.conrelid = t.relid \
       where t.level > 0 and x.contype = 'f' and x.conparentid = 0) \
       then 'a partition of it has a foreign key of its own' \
     when exists (select 1 from pg_constraint x join pg_partition_tree(c.oid) t on x.confrelid = t.relid \
       where t.level > 0 and x.contype = 'f' and x.conparentid = 0) \
       then 'a foreign key refers to a partition of it' \
     when exists (select 1 from pg_partition_tree(c.oid) t join pg_index x on x.indrelid = t.relid \
       where t.level > 0 and x.indisunique and not exists \
         (select 1 from pg_inherits i where i.inhrelid = x.indexrelid)) \
       then 'a partition of it has a unique index of its own' \
     when exists (select 1 from pg_partition_tree(c.oid) t join pg_trigger x on x.tgrelid = t.relid \
       where t.level > 0 and not x.tgisinternal and x.tgparentid = 0) \
       then 'a partition of it has a trigger of its own' \
     when exists (select 1 from pg_partition_tree(c.oid) t join pg_class x on x.oid = t.relid \
       where t.level > 0 and x.relrowsecurity) \
       then 'a partition of it has row-level security, which a view would bypass' \
     end as refusal, \
     coalesce((select string_agg(x.conname, ', ' order by x.conname) from pg_constraint x \
       where x.conrelid = c.oid and x.contype in ('p', 'u') and x.condeferrable), '') as deferrable, \
     case when c.relkind = 'p' then coalesce((select string_agg(pg_get_partition_constraintdef(t.relid), ' or ' order by t.relid) \
       from pg_partition_tree(c.oid) t where t.isleaf and t.level > 0), 'false') end as partitions \
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'f') \
     and not c.relispartition and not exists (select 1 from pg_depend e where e.objid = c.oid and e.deptype = 'e') \
     order by c.relname";

const COLUMNS: &str = "select a.attrelid::bigint as table_oid, a.attnum::bigint as number, a.attname::text as name, \
     format_type(a.atttypid, a.atttypmod) as declared_type, a.attnotnull as not_null, \
     pg_get_expr(d.adbin, d.adrelid) as default_text, a.attgenerated <> '' as is_generated, \
     pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname) as sequence, \
     a.attidentity = 'a' as always_identity \
     from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
     where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition \
     and a.attnum > 0 and not a.attisdropped order by a.attrelid, a.attnum";

const INDEX_PARTS: &str = "select i.indrelid::bigint as table_oid, ic.relname::text as name, \
     i.indisunique as is_unique, i.indisprimary as is_primary, i.indnullsnotdistinct as nulls_not_distinct, \
     pg_get_expr(i.indpred, i.indrelid) as predicate, i.indkey[k - 1]::bigint as column_number, \
     pg_get_indexdef(i.indexrelid, k, true) as term, i.indoption[k - 1]::bigint as options, \
     (select quote_ident(cn.nspname) || '.' || quote_ident(co.collname) from pg_collation co \
       join pg_namespace cn on cn.oid = co.collnamespace \
       where co.oid = i.indcollation[k - 1] and co.collname <> 'default') as collation, \
     (select quote_ident(onn.nspname) || '.' || quote_ident(o.opcname) from pg_opclass o \
       join pg_namespace onn on onn.oid = o.opcnamespace \
       where o.oid = i.indclass[k - 1] and not o.opcdefault) as operator_class \
     from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam \
     join pg_class c on c.oid = i.indrelid cross join lateral generate_series(1, i.indnkeyatts) k \
     where c.relnamespace = 'public'::regnamespace and not c.relispartition and am.amname = 'btree' \
     and i.indislive order by i.indrelid, i.indexrelid, k";

const CHECKS: &str = "select k.conrelid::bigint as table_oid, k.conname::text as name, \
     pg_get_constraintdef(k.oid) as expression from pg_constraint k join pg_class c on c.oid = k.conrelid \
     where k.contype = 'c' and c.relnamespace = 'public'::regnamespace and not c.relispartition \
     order by k.conrelid, k.conname";

const FOREIGN_KEYS: &str = "select f.conrelid::bigint as table_oid, f.conname::text as name, \
     p.relname::text as parent, f.conkey[k]::bigint as column_number, pa.attname::text as parent_column, \
     f.confupdtype::text as on_update, f.confdeltype::text as on_delete, f.condeferred as is_deferred, \
     f.confmatchtype = 'f' as is_full, coalesce(f.conkey[k] = any (f.confdelsetcols), false) as is_set_on_delete, \
     f.oid::bigint as number \
     from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class p on p.oid = f.confrelid \
     cross join lateral generate_series(1, array_length(f.conkey, 1)) k \
     join pg_attribute pa on pa.attrelid = f.confrelid and pa.attnum = f.confkey[k] \
     where f.contype = 'f' and f.conparentid = 0 and c.relnamespace = 'public'::regnamespace \
     and not c.relispartition order by f.conrelid, f.oid, k";

/// Triggers of the host's that are not switched off; those on partitions are clones of their parent's.
const TRIGGERS: &str = "select t.tgrelid::bigint as table_oid, c.relname::text as table_name, t.tgname::text as name, \
     t.tgtype::bigint as kind, pg_get_triggerdef(t.oid) as definition, t.tgattr::text as columns, \
     t.tgconstraint <> 0 as is_constraint, t.tgdeferrable as is_deferrable, t.tginitdeferred as is_deferred, \
     t.tgnewtable is not null or t.tgoldtable is not null as has_transition_tables \
     from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid \
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition \
     and not t.tgisinternal and t.tgenabled in ('O', 'A') \
     and p.pronamespace is distinct from to_regnamespace('demo') order by t.tgrelid, t.tgname";

/// Views in an order in which each refers only to those before it.
const VIEWS: &str = "with recursive refers as (select distinct r.ev_class as view, d.refobjid as seen \
       from pg_depend d join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass \
       where d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class), \
     depths as (select c.oid, 0 as depth from pg_class c where c.relkind in ('v', 'm') \
       union select r.view, d.depth + 1 from depths d join refers r on r.seen = d.oid) \
     select c.relname::text as name, c.relkind::text as kind, pg_get_viewdef(c.oid) as definition, \
     coalesce(array_to_string(c.reloptions, ', '), '') as options, \
     exists (select 1 from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal) as has_triggers \
     from pg_class c join depths d on d.oid = c.oid where c.relnamespace = 'public'::regnamespace \
     and c.relkind in ('v', 'm') and not exists (select 1 from pg_depend e where e.objid = c.oid and e.deptype = 'e') \
     group by c.oid, c.relname, c.relkind, c.reloptions order by max(d.depth), c.relname";

fn read_views(link: &mut Link<'_>, discovery: &mut Discovery) -> Result<()> {
    for view in link.load::<ViewRow>(Sql::new(VIEWS, []))? {
        if view.kind == "m" {
            discovery.notes.push((
                NoteKind::ViewNotCarried,
                view.name,
                "a materialized view shows every session what the base held when it was refreshed".to_owned(),
            ));
            continue;
        }
        if view.has_triggers {
            discovery.notes.push((
                NoteKind::TriggerNotRun,
                format!("view {}", view.name),
                "sessions can read it, but do not run the triggers on it".to_owned(),
            ));
        }
        let options =
            if view.options.is_empty() { String::new() } else { format!("with ({}) ", view.options) };
        let definition = format!("{options}as {}", view.definition.trim_end().trim_end_matches(';'));
        discovery.views.push(ViewSpec { name: view.name, definition });
    }
    Ok(())
}

/// The sequence of a default that is `nextval` of it and nothing else.
fn only_nextval(default: Option<&str>) -> Option<String> {
    let name = default?.strip_prefix("nextval('")?.strip_suffix("'::regclass)")?;
    (!name.contains("nextval(")).then(|| name.replace("''", "'"))
}

/// Bits of `pg_trigger.tgtype`.
mod trigger_kind {
    pub(super) const ROW: i64 = 1;
    pub(super) const BEFORE: i64 = 2;
    pub(super) const INSERT: i64 = 4;
    pub(super) const DELETE: i64 = 8;
    pub(super) const UPDATE: i64 = 16;
}

/// Takes up a trigger that sessions run, once per event, or notes that they do not.
fn read_trigger(
    row: &TriggerRow,
    numbers: &[i64],
    spec: &mut TableSpec,
    notes: &mut Vec<(NoteKind, String, String)>,
) {
    let mut not_run = |reason: &str| {
        let object = format!("trigger {} on {}", row.name, row.table_name);
        notes.push((NoteKind::TriggerNotRun, object, reason.to_owned()));
    };
    if row.kind & trigger_kind::ROW == 0 {
        not_run("it runs once per statement; sessions run row triggers only");
        return;
    }
    if row.has_transition_tables {
        not_run("it refers to transition tables, which a statement on a view has none of");
        return;
    }
    let Some((call, condition)) = call_and_condition(&row.definition) else {
        not_run("its definition cannot be read");
        return;
    };
    let events = [
        (trigger_kind::INSERT, "insert"),
        (trigger_kind::UPDATE, "update"),
        (trigger_kind::DELETE, "delete"),
    ];
    let events: Vec<&'static str> =
        events.into_iter().filter(|(bit, _)| row.kind & bit != 0).map(|(_, event)| event).collect();
    let columns: Vec<usize> = row
        .columns
        .split_whitespace()
        .filter_map(|number| numbers.iter().position(|known| number.parse() == Ok(*known)))
        .collect();
    for event in &events {
        spec.triggers.push(TriggerSpec {
            name: row.name.clone(),
            clone_name: if events.len() == 1 { row.name.clone() } else { clone_name(&row.name, event) },
            event,
            before: row.kind & trigger_kind::BEFORE != 0,
            deferrable: row.is_constraint.then_some(match (row.is_deferrable, row.is_deferred) {
                (true, true) => "deferrable initially deferred",
                (true, false) => "deferrable initially immediate",
                (false, _) => "not deferrable",
            }),
            columns: if *event == "update" { columns.clone() } else { Vec::new() },
            condition: condition.clone(),
            call: call.clone(),
        });
    }
}

/// A name of at most 63 bytes that begins as the trigger's does.
fn clone_name(name: &str, event: &str) -> String {
    let whole = format!("{name}_{event}");
    if whole.len() <= 63 {
        return whole;
    }
    let hash = &blake3::hash(name.as_bytes()).to_hex()[..8];
    let mut end = 63 - hash.len() - event.len() - 2;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash}_{event}", &name[..end])
}

/// The function call and the condition of `CREATE TRIGGER … FOR EACH ROW [WHEN (…)] EXECUTE FUNCTION …`, as
/// `pg_get_triggerdef` writes it.
fn call_and_condition(definition: &str) -> Option<(String, Option<String>)> {
    let (_, rest) = definition.split_once(" FOR EACH ROW ")?;
    if let Some(call) = rest.strip_prefix("EXECUTE FUNCTION ") {
        return Some((call.to_owned(), None));
    }
    let (condition, call) = rest.strip_prefix("WHEN (")?.rsplit_once(") EXECUTE FUNCTION ")?;
    // Written on a table, it counts its own trigger alone; here the view's is around it.
    Some((call.to_owned(), Some(condition.replace("pg_trigger_depth()", "demo.host_trigger_depth()"))))
}

/// Notes what sessions have otherwise than the table.
fn note_differences(row: &TableRow, spec: &TableSpec, notes: &mut Vec<(NoteKind, String, String)>) {
    for column in spec.columns.iter().filter(|column| column.always_identity) {
        notes.push((
            NoteKind::Different,
            format!("{}.{}", spec.name, column.name),
            "it is GENERATED ALWAYS AS IDENTITY: OVERRIDING SYSTEM VALUE is refused in sessions".to_owned(),
        ));
    }
    if !row.deferrable.is_empty() {
        notes.push((
            NoteKind::Different,
            spec.name.clone(),
            format!("{} can be deferred, but is checked row by row in sessions", row.deferrable),
        ));
    }
}

/// Reads all tables of `public`. Runs in a transaction; names come out qualified where they need to be, since
/// the search path is empty meanwhile.
pub(crate) fn discover(link: &mut Link<'_>) -> Result<Discovery> {
    link.batch("set local search_path = ''")?;
    let found = discover_qualified(link).and_then(|mut discovery| {
        // A view's text names what is in front of it only where the search path finds it.
        link.batch("set local search_path = public")?;
        read_views(link, &mut discovery)?;
        Ok(discovery)
    });
    link.batch("set local search_path = demo, public")?;
    found
}

fn discover_qualified(link: &mut Link<'_>) -> Result<Discovery> {
    let tables: Vec<TableRow> = link.load(Sql::new(TABLES, []))?;
    let mut columns: BTreeMap<i64, Vec<ColumnRow>> = BTreeMap::new();
    for row in link.load::<ColumnRow>(Sql::new(COLUMNS, []))? {
        columns.entry(row.table_oid).or_default().push(row);
    }
    let mut parts: BTreeMap<i64, Vec<IndexPartRow>> = BTreeMap::new();
    for row in link.load::<IndexPartRow>(Sql::new(INDEX_PARTS, []))? {
        parts.entry(row.table_oid).or_default().push(row);
    }
    let mut keys: BTreeMap<i64, Vec<ForeignKeyRow>> = BTreeMap::new();
    for row in link.load::<ForeignKeyRow>(Sql::new(FOREIGN_KEYS, []))? {
        keys.entry(row.table_oid).or_default().push(row);
    }
    let mut discovery = Discovery::default();
    let mut checks: BTreeMap<i64, Vec<CheckSpec>> = BTreeMap::new();
    for row in link.load::<CheckRow>(Sql::new(CHECKS, []))? {
        let check = CheckSpec { name: Some(row.name), expression: row.expression };
        checks.entry(row.table_oid).or_default().push(check);
    }
    let mut triggers: BTreeMap<i64, Vec<TriggerRow>> = BTreeMap::new();
    for row in link.load::<TriggerRow>(Sql::new(TRIGGERS, []))? {
        triggers.entry(row.table_oid).or_default().push(row);
    }
    for row in tables {
        if is_bookkeeping(&row.name) {
            continue;
        }
        let columns = columns.remove(&row.oid).unwrap_or_default();
        let numbers: Vec<i64> = columns.iter().map(|column| column.number).collect();
        let spec = table(
            &row,
            columns,
            parts.remove(&row.oid).unwrap_or_default(),
            keys.remove(&row.oid).unwrap_or_default(),
        );
        match spec {
            Ok(mut spec) => {
                // LIKE … INCLUDING CONSTRAINTS copies them; here they tell when they have changed.
                spec.checks = checks.remove(&row.oid).unwrap_or_default();
                for trigger in triggers.remove(&row.oid).unwrap_or_default() {
                    read_trigger(&trigger, &numbers, &mut spec, &mut discovery.notes);
                }
                note_differences(&row, &spec, &mut discovery.notes);
                discovery.tables.push(spec);
            }
            Err(reason) => discovery.refused.push((row.name, reason)),
        }
    }
    Ok(discovery)
}

fn table(
    row: &TableRow,
    columns: Vec<ColumnRow>,
    parts: Vec<IndexPartRow>,
    keys: Vec<ForeignKeyRow>,
) -> std::result::Result<TableSpec, String> {
    if let Some(reason) = &row.refusal {
        return Err(reason.clone());
    }
    let reserved = CONTROL_COLUMNS.iter().chain(&TRACKING_COLUMNS);
    if let Some(taken) = columns.iter().find(|column| reserved.clone().any(|name| column.name == *name)) {
        return Err(format!("its column {} has a name that the engine needs", taken.name));
    }
    if row.name.starts_with("demo_") {
        return Err("names that begin with demo_ are the engine's".to_owned());
    }
    // Dropped columns leave gaps in the numbers.
    let position = |number: i64| columns.iter().position(|column| column.number == number);
    let mut spec = TableSpec {
        name: row.name.clone(),
        columns: Vec::new(),
        key_name: String::new(),
        key: Vec::new(),
        row_id: None,
        base_row_id: None,
        uniques: Vec::new(),
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        partitions: row.partitions.clone(),
        strict: false,
        triggers: Vec::new(),
    };
    for part in parts {
        let column = usize::try_from(part.column_number).ok().filter(|number| *number > 0);
        let column = column.and_then(|_| position(part.column_number));
        if part.is_primary {
            spec.key.extend(column);
            spec.key_name = part.name;
            continue;
        }
        let target = if part.is_unique { &mut spec.uniques } else { &mut spec.indexes };
        if target.last().is_none_or(|index: &IndexSpec| index.name != part.name) {
            target.push(IndexSpec {
                name: part.name,
                parts: Vec::new(),
                predicate: part.predicate,
                nulls_not_distinct: part.nulls_not_distinct,
            });
        }
        if let Some(index) = target.last_mut() {
            index.parts.push(IndexPart {
                term: column.map_or(IndexTerm::Expression(part.term), IndexTerm::Column),
                collation: part.collation,
                operator_class: part.operator_class,
                descending: part.options & 1 != 0,
                nulls_first: part.options & 2 != 0,
            });
        }
    }
    if spec.key.is_empty() {
        return Err("it has no primary key".to_owned());
    }
    for row in keys {
        let Some(column) = position(row.column_number) else { continue };
        if spec.foreign_keys.last().is_none_or(|key| key.name != row.name) {
            spec.foreign_keys.push(ForeignKeySpec {
                name: row.name,
                columns: Vec::new(),
                parent: row.parent,
                parent_columns: Vec::new(),
                on_delete: action(&row.on_delete),
                on_update: action(&row.on_update),
                deferred: row.is_deferred,
                full: row.is_full,
                deleted_columns: Vec::new(),
                number: row.number,
            });
        }
        if let Some(key) = spec.foreign_keys.last_mut() {
            if row.is_set_on_delete {
                key.deleted_columns.push(column);
            }
            key.columns.push(column);
            key.parent_columns.push(row.parent_column);
        }
    }
    spec.columns = columns
        .into_iter()
        .map(|column| ColumnSpec {
            name: column.name,
            number: column.number,
            declared_type: column.declared_type,
            collation: None,
            not_null: column.not_null,
            sequence: column.sequence.or_else(|| only_nextval(column.default_text.as_deref())),
            always_identity: column.always_identity,
            generated: column.is_generated.then(|| GeneratedSpec {
                expression: column.default_text.clone().unwrap_or_default(),
                stored: true,
            }),
            default: column.default_text.filter(|_| !column.is_generated),
        })
        .collect();
    Ok(spec)
}

fn action(code: &str) -> Action {
    match code {
        "r" => Action::Restrict,
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        _ => Action::NoAction,
    }
}
