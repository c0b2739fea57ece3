//! Generates the change table, the view and the triggers of a table on PostgreSQL.
//!
//! Foreign keys and their actions are queued as deferred constraint triggers on the change tables, and the
//! statement trigger of the view settles the queue at the end of the outermost statement: the same moment at
//! which PostgreSQL itself checks the constraints of a table.

use std::fmt::Write;

use crate::attach::Attached;
use crate::spec::{Action, ColumnSpec, ForeignKeySpec, IndexSpec, IndexTerm, TableSpec, TriggerSpec};
use crate::sql_text::{join, literal, quote};

fn key_names(spec: &TableSpec) -> Vec<String> {
    spec.key_columns().map(|column| quote(&column.name)).collect()
}

fn same_key(spec: &TableSpec, left: &str, right: &str) -> String {
    join(key_names(spec).iter().map(|name| format!("{left}.{name} = {right}.{name}")), " and ")
}

/// Whether two values differ by their bytes: 1.0 and 1.00 do, and not every type has an equality.
fn differs(left: &str, right: &str) -> String {
    format!("row({left})::record *<> row({right})::record")
}

fn writable(spec: &TableSpec) -> Vec<String> {
    spec.writable().map(|column| quote(&column.name)).collect()
}

fn all_columns(spec: &TableSpec) -> Vec<String> {
    spec.columns.iter().map(|column| quote(&column.name)).collect()
}

/// A name in the schema of the change tables, for a function of a table or its queue, that fits in 63 characters,
/// whatever the table is called.
fn own_name(spec: &TableSpec, purpose: &str) -> String {
    format!("demo_changes.demo_{purpose}_{}", name_hash(&spec.name))
}

/// Stands for a name in other names, which must not grow too long.
fn name_hash(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex()[..16].to_owned()
}

/// The shadow of a sequence: of the same name, in the schema `demo`, so that the host's never advances.
pub(crate) fn shadow_sequence(sequence: &str) -> String {
    match sequence.strip_prefix("public.") {
        Some(name) => format!("demo.{name}"),
        // Of another schema: its name may be taken in `demo`.
        None => format!("demo.demo_sequence_{}", name_hash(sequence)),
    }
}

/// What `nextval` is called with in a default, in front of the name and behind it.
const NEXTVAL: (&str, &str) = ("nextval('", "'::regclass)");

/// The sequences that a default takes numbers from.
pub(crate) fn sequences_of(default: &str) -> Vec<String> {
    let calls = default.split(NEXTVAL.0).skip(1);
    calls.filter_map(|call| Some(call.split_once(NEXTVAL.1)?.0.replace("''", "'"))).collect()
}

/// The same default over the shadows of its sequences.
fn shadowed(default: &str) -> String {
    sequences_of(default).iter().fold(default.to_owned(), |text, sequence| {
        let call = |name: &str| format!("nextval({}::regclass)", literal(name));
        text.replace(&call(sequence), &call(&shadow_sequence(sequence)))
    })
}

/// What a column gets where a statement gives it nothing.
pub(crate) fn default_value(column: &ColumnSpec) -> Option<String> {
    match (&column.sequence, &column.default) {
        (Some(sequence), _) => Some(format!("nextval({}::regclass)", literal(&shadow_sequence(sequence)))),
        (None, default) => default.as_deref().map(shadowed),
    }
}

/// How full a page of a change table gets, in percent, so that an edit of a changed row finds room beside it.
const FILL_FACTOR: u8 = 90;

/// Statements that make the change table with its indexes and counting triggers.
pub(crate) fn change_table(spec: &TableSpec) -> String {
    let table = quote(&spec.name);
    let mut sql = format!(
        "create table demo_changes.{table} (demo_layer bigint not null, demo_kind text not null, \
         demo_changed_at timestamptz not null, like public.{table} including constraints including generated \
         including storage including compression, \
         constraint demo_kind check (demo_kind in ('created', 'edited', 'deleted'))) with (fillfactor = {FILL_FACTOR});\n",
    );
    // By its number a column is known again when it has another name.
    let numbers: serde_json::Map<String, serde_json::Value> =
        spec.columns.iter().map(|column| (column.name.clone(), column.number.into())).collect();
    let _ = writeln!(
        sql,
        "comment on table demo_changes.{table} is {};",
        literal(&serde_json::Value::Object(numbers).to_string())
    );
    for (is_unique, indexes) in [(true, &spec.uniques), (false, &spec.indexes)] {
        for index in indexes {
            sql.push_str(&change_index(spec, index, is_unique));
        }
    }
    // Last of the indexes: of two that look equally good, as any does that has the key's columns somewhere, the planner
    // takes the newer one, and another would be read over the whole layer for one row.
    let _ = writeln!(
        sql,
        "alter table demo_changes.{table} add constraint {} primary key (demo_layer, {});",
        quote(&spec.key_name),
        key_names(spec).join(", ")
    );
    // A statement on a view changes a row at a time and writes the counts at its end.
    let counts_rows = "(coalesce(current_setting('demo.counting', true), '') = '1')";
    let _ = writeln!(
        sql,
        "create trigger demo_count_insert after insert on demo_changes.{table} \
         referencing new table as new_changes for each statement when (not {counts_rows}) execute function demo.count_changes();\n\
         create trigger demo_count_delete after delete on demo_changes.{table} \
         referencing old table as old_changes for each statement when (not {counts_rows}) execute function demo.count_changes();\n\
         create trigger demo_count_row after insert or delete on demo_changes.{table} for each row \
         when {counts_rows} execute function demo.count_row();\n\
         create trigger demo_count_kind after update of demo_kind on demo_changes.{table} for each row \
         when (old.demo_kind <> new.demo_kind) execute function demo.count_kind();"
    );
    sql
}

/// Pages that a change table keeps on disk. One with less is cheap to read as a whole, the planner thinks after a VACUUM
/// has found it empty, and does so for each base row of a statement that fills it meanwhile; more than this is worth an
/// index to it, whatever the costs of a page are set to.
pub(crate) const ROOM: u8 = 20;

/// Makes a change table [`ROOM`] pages long and has it stay so: with copies of base rows, few to a page, whose writing is
/// undone. Does nothing where the base has few rows, and so nothing to lose.
pub(crate) fn make_room(spec: &TableSpec) -> String {
    format!(
        "do $demo$\ndeclare\n  demo_v_layer bigint := 0;\nbegin\n  \
         if (select count(*) from (select from public.{table} limit 1000) as rows) < 1000 then\n    return;\n  end if;\n  \
         alter table demo_changes.{table} set (vacuum_truncate = off, fillfactor = 10);\n  \
         begin\n    \
         while pg_relation_size({relation}) < {ROOM} * current_setting('block_size')::bigint loop\n      \
         demo_v_layer := demo_v_layer - 1;\n      \
         insert into demo_changes.{table} (demo_layer, demo_kind, demo_changed_at, {columns})\n        \
         select demo_v_layer, 'deleted', now(), {columns} from public.{table} limit {ROOM};\n    \
         end loop;\n    raise exception 'undone';\n  \
         exception when others then\n    null;\n  end;\n  \
         alter table demo_changes.{table} set (fillfactor = {FILL_FACTOR});\nend\n$demo$;\n",
        table = quote(&spec.name),
        relation = literal(&format!("demo_changes.{}", quote(&spec.name))),
        columns = writable(spec).join(", "),
    )
}

fn change_index(spec: &TableSpec, index: &IndexSpec, is_unique: bool) -> String {
    let parts = index.parts.iter().map(|part| {
        let mut sql = match &part.term {
            IndexTerm::Column(column) => quote(&spec.columns[*column].name),
            IndexTerm::Expression(expression) => format!("({expression})"),
        };
        if let Some(collation) = &part.collation {
            let _ = write!(sql, " collate {collation}");
        }
        if let Some(class) = &part.operator_class {
            let _ = write!(sql, " {class}");
        }
        sql.push_str(if part.descending { " desc" } else { " asc" });
        sql.push_str(if part.nulls_first { " nulls first" } else { " nulls last" });
        sql
    });
    let mut conditions = Vec::new();
    if is_unique {
        // A tombstone keeps the values of its row but no longer occupies them.
        conditions.push("demo_kind <> 'deleted'".to_owned());
    }
    conditions.extend(index.predicate.as_ref().map(|predicate| format!("({predicate})")));
    let filter =
        if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) };
    format!(
        "create {}index {} on demo_changes.{} (demo_layer, {}){}{filter};\n",
        if is_unique { "unique " } else { "" },
        quote(&index.name),
        quote(&spec.name),
        join(parts, ", "),
        if index.nulls_not_distinct { " nulls not distinct" } else { "" }
    )
}

/// The view over all archives: every archived change with a complete JSON snapshot of its record.
pub(crate) fn archived_changes_view(tables: &[TableSpec]) -> String {
    let arms = tables.iter().map(|spec| {
        let key = join(key_names(spec).iter().map(|name| format!("c.{name}::text")), ", ");
        format!(
            "select a.id as archive_id, a.session_id, {}::text as table_name, json_build_array({key})::text as record_key, \
             c.demo_kind as kind, c.demo_changed_at as changed_at, \
             to_jsonb(c.*) - '{{demo_layer,demo_kind,demo_changed_at}}'::text[] as snapshot \
             from demo.demo_archives a join demo_changes.{} c on c.demo_layer = a.layer where a.restored_at is null",
            literal(&spec.name),
            quote(&spec.name)
        )
    });
    format!("create or replace view demo.demo_archived_changes as\n{};\n", join(arms, "\nunion all\n"))
}

/// Statements that make the view and the triggers of each table.
pub(crate) fn objects(attached: &Attached) -> String {
    let mut sql = ROW_BY_ROW_FUNCTION.to_owned();
    for spec in &attached.tables {
        sql.push_str(&view(spec, attached.tracking_columns));
    }
    for spec in &attached.tables {
        let triggers = Triggers { attached, spec, table: quote(&spec.name) };
        sql.push_str(&triggers.insert());
        sql.push_str(&triggers.update());
        sql.push_str(&triggers.delete());
        sql.push_str(&triggers.settle());
        for trigger in &spec.triggers {
            sql.push_str(&host_trigger(spec, trigger));
        }
    }
    sql
}

/// Whether a write is one of the session's, which the host's triggers run for, and not one of the engine's around it.
const RUNS_HOST_TRIGGERS: &str = "current_setting('demo.host_triggers', true) = '1'";

/// Clones a row trigger of the host's onto the change table.
fn host_trigger(spec: &TableSpec, trigger: &TriggerSpec) -> String {
    let mut when = vec![RUNS_HOST_TRIGGERS.to_owned()];
    if trigger.event == "insert" {
        // A tombstone is written where the session deletes.
        when.push("new.demo_kind <> 'deleted'".to_owned());
    }
    if !trigger.columns.is_empty() {
        // A view cannot tell which columns a statement names: those that get another value count. Compared by
        // their bytes, since not every type has an equality.
        let changed = trigger.columns.iter().map(|&at| {
            let name = quote(&spec.columns[at].name);
            differs(&format!("new.{name}"), &format!("old.{name}"))
        });
        when.push(format!("({})", join(changed, " or ")));
    }
    when.extend(trigger.condition.as_ref().map(|condition| format!("({condition})")));
    format!(
        "create {kind}trigger {name} {time} {event} on demo_changes.{table} {deferrable} for each row \
         when ({when}) execute function {call};\n",
        kind = if trigger.deferrable.is_some() { "constraint " } else { "" },
        name = quote(&trigger.clone_name),
        time = if trigger.before { "before" } else { "after" },
        event = trigger.event,
        table = quote(&spec.name),
        deferrable = trigger.deferrable.unwrap_or_default(),
        when = when.join(" and "),
        call = trigger.call,
    )
}

/// The bound session's layer; one that nobody has where none is bound.
const LAYER: &str = "coalesce(demo.live_layer(), -1)";

/// The view in front of a table. Its arms carry no conditions of their own: only so does the planner flatten it
/// into an append of index scans, merged in order.
///
/// The layer is a condition of both arms, and the base's rows carry it as well: so the planner knows that it is the same
/// for all rows, and reads the session's own in the order of an index that begins with it. It would sort them otherwise,
/// and reckons that it sorts the changes of all sessions.
fn view(spec: &TableSpec, tracking_columns: bool) -> String {
    let table = quote(&spec.name);
    let columns = all_columns(spec).join(", ");
    let of_row = join(all_columns(spec).iter().map(|name| format!("u.{name}")), ", ");
    let tracking = if tracking_columns {
        ", case when u.layer_kind = 1 then demo.bound_session() end as demo_user_session_id, \
         u.layer_kind = 0 as is_base_data, u.demo_kind as change_kind"
    } else {
        ""
    };
    let mut sql = format!(
        "create view demo.{table} as select {of_row}{tracking} from (\
         select 0 as layer_kind, {columns}, {LAYER} as demo_layer, null::text as demo_kind from public.{table} \
         union all select 1, {columns}, demo_layer, demo_kind from demo_changes.{table}) u \
         where u.demo_layer = {LAYER} and ((u.layer_kind = 0 and not exists (select 1 from demo_changes.{table} o \
         where o.demo_layer = demo.live_layer() and {same})) \
         or (u.layer_kind = 1 and u.demo_kind <> 'deleted'));\n",
        same = same_key(spec, "o", "u"),
    );
    // A value for GENERATED ALWAYS AS IDENTITY is refused, so that its trigger must see that none was given.
    for column in spec.writable().filter(|column| !column.always_identity) {
        let Some(default) = default_value(column) else { continue };
        let _ = writeln!(
            sql,
            "alter view demo.{table} alter column {} set default {default};",
            quote(&column.name)
        );
    }
    sql
}

/// Switches the host's triggers off and on around what a write does, and back to what they were before it: a trigger
/// of the host's may itself write through a view.
const OFF: &str = "  perform set_config('demo.host_triggers', '', true);\n";
const ON: &str = "  perform set_config('demo.host_triggers', '1', true);\n";
const BACK: &str = "  perform set_config('demo.host_triggers', demo_v_outer, true);\n";

/// What the detail of a broken reference says besides. The queue does its work when the view's statement trigger asks
/// for it or at COMMIT; anywhere else the host has told PostgreSQL to hold no queue.
const ROW_BY_ROW: &str = " || demo_changes.demo_row_by_row()";

/// The function that knows: it is called only where a reference is refused.
pub(crate) const ROW_BY_ROW_FUNCTION: &str = "create or replace function demo_changes.demo_row_by_row() returns text \
     language plpgsql as $demo$\ndeclare\n  demo_v_stack text;\nbegin\n  get diagnostics demo_v_stack = pg_context;\n  \
     if pg_trigger_depth() < 2 or demo_v_stack like '%set constraints demo_changes.demo_settle_%' then\n    \
     return '';\n  end if;\n  return ' After SET CONSTRAINTS ALL IMMEDIATE a session has this checked row by row: \
     change the rows in another order, or leave it out.';\nend\n$demo$;\n";

/// Generates the triggers of one view and its change table.
struct Triggers<'a> {
    attached: &'a Attached,
    spec: &'a TableSpec,
    /// The table's name in quotes.
    table: String,
}

/// A foreign key that refers to the table at hand.
struct Incoming<'a> {
    child: &'a TableSpec,
    key: &'a ForeignKeySpec,
    attached: bool,
}

impl Triggers<'_> {
    fn incoming(&self) -> Vec<Incoming<'_>> {
        let attached = self.attached.tables.iter().map(|table| (table, true));
        let outside = self.attached.outside.iter().map(|table| (table, false));
        let all = attached.chain(outside).flat_map(|(child, attached)| {
            child.foreign_keys.iter().map(move |key| Incoming { child, key, attached })
        });
        let mut incoming: Vec<_> = all.filter(|incoming| incoming.key.parent == self.spec.name).collect();
        incoming.sort_by_key(|incoming| incoming.key.number);
        incoming
    }

    /// Where the rows of a table are seen: its view, or the table itself if it has none.
    fn seen(&self, table: &str) -> String {
        let is_attached = self.attached.tables.iter().any(|spec| spec.name == table);
        format!("{}.{}", if is_attached { "demo" } else { "public" }, quote(table))
    }

    /// A trigger function. It finds every row by a key, whatever the tables looked like when its statements were
    /// planned: a plan made over a change table that a VACUUM has found empty reads it as a whole, and one statement
    /// that then writes many rows would do so for each of them.
    fn function(&self, purpose: &str, declarations: &str, body: &str) -> String {
        format!(
            "create or replace function {}() returns trigger language plpgsql set enable_seqscan = off as $demo$\n\
             #variable_conflict use_column\ndeclare\n{declarations}begin\n{body}end\n$demo$;\n",
            own_name(self.spec, purpose)
        )
    }

    /// Attaches a row trigger to the view, with the statement triggers around it.
    fn instead_of(&self, event: &str, purpose: &str) -> String {
        let table = &self.table;
        let function = own_name(self.spec, purpose);
        format!(
            "create trigger demo_guard_{event} before {event} on demo.{table} for each statement execute function demo.guard_write();\n\
             create trigger demo_{event} instead of {event} on demo.{table} for each row execute function {function}();\n\
             create trigger demo_settle_{event} after {event} on demo.{table} for each statement execute function demo.settle();\n"
        )
    }

    /// The assignments that give RETURNING the row as it is stored: only a generated column is stored otherwise than it
    /// comes here, or any column where a trigger of the host's may give it another value. Each begins with a comma.
    fn returning_into_new(&self) -> (String, String) {
        let differs = |column: &&ColumnSpec| self.has_host_triggers() || column.generated.is_some();
        let columns: Vec<_> =
            self.spec.columns.iter().filter(differs).map(|column| quote(&column.name)).collect();
        let from = columns.iter().map(|name| format!(", c.{name}")).collect();
        let into = columns.iter().map(|name| format!(", new.{name}")).collect();
        (from, into)
    }

    fn tracking(&self) -> &'static str {
        if self.attached.tracking_columns {
            "  new.demo_user_session_id := demo.bound_session();\n  new.is_base_data := false;\n  new.change_kind := demo_v_kind;\n"
        } else {
            ""
        }
    }

    fn unique_violation(&self, constraint: &str) -> String {
        format!(
            "raise exception {} using errcode = 'unique_violation', constraint = {}, table = {}, schema = 'public'",
            literal(&format!("duplicate key value violates unique constraint \"{constraint}\""))
                .replace('%', "%%"),
            literal(constraint),
            literal(&self.spec.name)
        )
    }

    /// Refuses a row whose unique values the session sees in a base row. (Rows of the layer are kept apart by
    /// the unique indexes of the change table.)
    fn refuse_unique_clash(&self, inserted: bool) -> String {
        let mut sql = String::new();
        for unique in &self.spec.uniques {
            let mut conditions = Vec::new();
            let mut columns = Vec::new();
            for part in &unique.parts {
                let (base, new) = match &part.term {
                    IndexTerm::Column(at) => {
                        let name = quote(&self.spec.columns[*at].name);
                        columns.push(name.clone());
                        (format!("b.{name}"), format!("new.{name}"))
                    }
                    IndexTerm::Expression(expression) => {
                        (format!("({expression})"), format!("(select {expression} from (select new.*) n)"))
                    }
                };
                let collate =
                    part.collation.as_ref().map_or_else(String::new, |name| format!(" collate {name}"));
                let equals = if unique.nulls_not_distinct { "is not distinct from" } else { "=" };
                conditions.push(format!("{base} {equals} {new}{collate}"));
            }
            if let Some(predicate) = &unique.predicate {
                conditions.push(format!("({predicate})"));
                conditions.push(format!("(select {predicate} from (select new.*) n)"));
            }
            let is_plain = columns.len() == unique.parts.len() && unique.predicate.is_none();
            // In a condition of its own: one with a subquery is planned, and run, also where it asks for nothing.
            let (begin, end) = if inserted || !is_plain {
                (String::new(), "")
            } else {
                let changed = columns.iter().map(|name| format!("new.{name} is distinct from old.{name}"));
                (format!("  if {} then\n", join(changed, " or ")), "  end if;\n")
            };
            let _ = write!(
                sql,
                "{begin}  if exists (select 1 from public.{table} b where {conditions} and not exists \
                 (select 1 from demo_changes.{table} o where o.demo_layer = demo_v_layer and {same})) then\n    {raise};\n  end if;\n{end}",
                table = self.table,
                conditions = conditions.join(" and "),
                same = same_key(self.spec, "o", "b"),
                raise = self.unique_violation(&unique.name),
            );
        }
        sql
    }

    /// Variables have names that no column of a host's has, since PL/pgSQL takes one for the other.
    const DECLARATIONS: &'static str = "  demo_v_layer constant bigint := demo.live_layer();\n  demo_v_at constant timestamptz := demo.bound_now();\n  demo_v_kind text;\n";

    /// Refuses a value for a column that no statement gives one to: the view itself would drop it in silence.
    fn refuse_given_values(&self, inserted: bool) -> String {
        let mut sql = String::new();
        for column in &self.spec.columns {
            if column.generated.is_none() && !column.always_identity {
                continue;
            }
            let name = quote(&column.name);
            let (given, message) = if inserted {
                (
                    format!("new.{name} is not null"),
                    format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
                )
            } else {
                (
                    differs(&format!("new.{name}"), &format!("old.{name}")),
                    format!("column \"{}\" can only be updated to DEFAULT", column.name),
                )
            };
            let _ = writeln!(
                sql,
                "  if {given} then\n    raise exception {} using errcode = 'generated_always', column = {}, table = {}, schema = 'public';\n  end if;",
                literal(&message).replace('%', "%%"),
                literal(&column.name),
                literal(&self.spec.name)
            );
            if inserted
                && column.always_identity
                && let Some(value) = default_value(column)
            {
                let _ = writeln!(sql, "  new.{name} := {value};");
            }
        }
        sql
    }

    /// Refuses a row that no partition takes; the change table has none.
    fn refuse_without_partition(&self) -> String {
        let Some(condition) = &self.spec.partitions else { return String::new() };
        format!(
            "  if (select ({condition}) is not true from (select new.*) n) then\n    \
             raise exception {} using errcode = 'check_violation', table = {}, schema = 'public';\n  end if;\n",
            literal(&format!("no partition of relation \"{}\" found for row", self.spec.name))
                .replace('%', "%%"),
            literal(&self.spec.name)
        )
    }

    /// Whether the host has row triggers, which must see every change of a row as the table would make it.
    fn has_host_triggers(&self) -> bool {
        !self.spec.triggers.is_empty()
    }

    /// Declarations of a function that runs the host's triggers.
    fn host_declarations(&self) -> String {
        format!(
            "  demo_v_outer constant text := coalesce(current_setting('demo.host_triggers', true), '');\n  \
             demo_v_row demo_changes.{}%rowtype;\n  demo_v_copied boolean := false;\n  demo_v_was_there boolean := false;\n",
            self.table
        )
    }

    /// INSERT into a table with row triggers of the host's. A tombstone under the key makes way first, so that the
    /// row is inserted and not updated; it comes as created, which is what has its foreign keys checked.
    fn insert_with_host_triggers(&self) -> String {
        let columns = writable(self.spec);
        let (from, into) = self.returning_into_new();
        let layer = "demo_layer, demo_kind, demo_changed_at";
        let tombstone = join(columns.iter().map(|name| format!("demo_v_row.{name}")), ", ");
        format!(
            "{OFF}  delete from demo_changes.{table} c where c.demo_layer = demo_v_layer and {same_c} and c.demo_kind = 'deleted'\n    \
             returning c.* into demo_v_row;\n  demo_v_was_there := found;\n{ON}  \
             insert into demo_changes.{table} as c ({layer}, {columns})\n    \
             values (demo_v_layer, 'created', demo_v_at, {values})\n    \
             returning c.demo_kind{from} into demo_v_kind{into};\n  \
             if not found then\n    if demo_v_was_there then\n{OFF}      \
             insert into demo_changes.{table} ({layer}, {columns}) values (demo_v_layer, 'deleted', demo_v_at, {tombstone});\n    \
             end if;\n{BACK}    return null;\n  end if;\n  \
             if demo_v_was_there then\n{OFF}    demo_v_kind := 'edited';\n    \
             update demo_changes.{table} c set demo_kind = demo_v_kind where c.demo_layer = demo_v_layer and {same_c};\n{BACK}  \
             else\n{BACK}    if exists (select 1 from public.{table} b where {same_b}) then\n      {raise};\n    end if;\n  end if;\n",
            table = self.table,
            same_c = same_key(self.spec, "c", "new"),
            same_b = same_key(self.spec, "b", "new"),
            columns = columns.join(", "),
            values = join(columns.iter().map(|name| format!("new.{name}")), ", "),
            raise = self.unique_violation(&self.spec.key_name),
        )
    }

    fn insert(&self) -> String {
        let columns = writable(self.spec);
        let (from, into) = self.returning_into_new();
        let values = join(columns.iter().map(|name| format!("new.{name}")), ", ");
        let set = join(columns.iter().map(|name| format!("{name} = excluded.{name}")), ", ");
        let write = format!(
            "  insert into demo_changes.{table} as c (demo_layer, demo_kind, demo_changed_at, {columns})\n    \
             values (demo_v_layer, 'created', demo_v_at, {values})\n    \
             on conflict (demo_layer, {key}) do update set demo_kind = 'edited', demo_changed_at = demo_v_at, {set}\n    \
             where c.demo_kind = 'deleted'\n    returning c.demo_kind{from} into demo_v_kind{into};\n  \
             if not found or (demo_v_kind = 'created' and exists (select 1 from public.{table} b where {same})) then\n    {raise};\n  end if;\n",
            table = self.table,
            columns = columns.join(", "),
            key = key_names(self.spec).join(", "),
            same = same_key(self.spec, "b", "new"),
            raise = self.unique_violation(&self.spec.key_name),
        );
        let mut body = self.refuse_given_values(true);
        body.push_str(&self.refuse_without_partition());
        let mut declarations = Self::DECLARATIONS.to_owned();
        let has_keys = self.spec.foreign_keys.iter().any(|key| !key.deferred);
        if self.has_host_triggers() {
            body.push_str(&self.insert_with_host_triggers());
            declarations.push_str(&self.host_declarations());
        } else if has_keys && self.knows_parents_first() {
            declarations.push_str("  demo_v_orphan text := '';\n");
            body.push_str(&self.look_for_parents());
            body.push_str(&write);
            body.push_str("  if demo_v_orphan <> '' then\n    demo_v_orphan := set_config('demo.orphan', '', true);\n  end if;\n");
        } else {
            body.push_str(&write);
        }
        body.push_str(&self.refuse_unique_clash(true));
        if has_keys {
            if !self.knows_parents_first() {
                body.push_str(&self.mark_unsettled(&[own_name(self.spec, "settle_insert")]));
            }
            // It has come under a tombstone's key, which was updated.
            body.push_str("  if demo_v_kind = 'edited' then\n");
            body.push_str(&self.mark_unsettled(&[own_name(self.spec, "settle_update")]));
            body.push_str("  end if;\n");
        }
        body.push_str(self.tracking());
        body.push_str("  return new;\n");
        self.function("insert", &declarations, &body) + &self.instead_of("insert", "insert")
    }

    /// Whether the parents of a new row can be looked for before it is written: its values are what the statement gives. A
    /// trigger of the host's may give it others, and a generated column has none yet.
    fn knows_parents_first(&self) -> bool {
        let mut keys = self.spec.foreign_keys.iter().filter(|key| !key.deferred).flat_map(|key| &key.columns);
        !self.has_host_triggers() && keys.all(|&at| self.spec.columns[at].generated.is_none())
    }

    /// Has the queue take a new row up where a parent is not seen yet, which the same statement may still bring, or where the
    /// statement does more than INSERT, and may still take it away. Naming queues to be settled costs more than looking
    /// (docs/performance.md, "PostgreSQL: a single write").
    fn look_for_parents(&self) -> String {
        let keys = self.spec.foreign_keys.iter().filter(|key| !key.deferred);
        format!(
            "  if current_setting('demo.alone', true) is distinct from '1' or {} then\n    \
             demo_v_orphan := set_config('demo.orphan', '1', true);\n{}  end if;\n",
            join(keys.map(|key| format!("({})", self.misses_parent(key))), " or "),
            self.mark_unsettled(&[own_name(self.spec, "settle_insert")])
        )
    }

    /// Finds the row in the layer; a base row is copied there first, exactly, so that whatever watches the change
    /// table sees the right old and new row.
    fn take_into_layer(&self) -> String {
        let copied = if self.has_host_triggers() { "    demo_v_copied := true;\n" } else { "" };
        self.copy_base_row("edited", &format!("    demo_v_kind := 'edited';\n{copied}"))
    }

    /// Finds the row in the layer, or copies a base row there as one of this kind and goes on with `then`; ends where
    /// there is neither.
    fn copy_base_row(&self, kind: &str, then: &str) -> String {
        let columns = writable(self.spec);
        format!(
            "  select c.demo_kind into demo_v_kind from demo_changes.{table} c where c.demo_layer = demo_v_layer and {same_c};\n  \
             if not found then\n    \
             insert into demo_changes.{table} (demo_layer, demo_kind, demo_changed_at, {columns})\n      \
             select demo_v_layer, {kind}, demo_v_at, {of_base} from public.{table} b where {same_b};\n    \
             if not found then\n{back}      return null;\n    end if;\n{then}  \
             elsif demo_v_kind = 'deleted' then\n{back}    return null;\n  end if;\n",
            back = if self.has_host_triggers() { BACK } else { "" },
            kind = literal(kind),
            table = self.table,
            columns = columns.join(", "),
            of_base = join(columns.iter().map(|name| format!("b.{name}")), ", "),
            same_c = same_key(self.spec, "c", "old"),
            same_b = same_key(self.spec, "b", "old"),
        )
    }

    fn update(&self) -> String {
        let columns = writable(self.spec);
        let (from, into) = self.returning_into_new();
        let keys = key_names(self.spec);
        let key_changed =
            join(keys.iter().map(|name| format!("new.{name} is distinct from old.{name}")), " or ");
        let set = join(columns.iter().map(|name| format!("{name} = new.{name}")), ", ");
        let write = format!(
            "update demo_changes.{table} c set demo_kind = demo_v_kind, demo_changed_at = demo_v_at, {set}\n    \
             where c.demo_layer = demo_v_layer and {same_c_old} returning c.demo_kind{from}",
            table = self.table,
            same_c_old = same_key(self.spec, "c", "old"),
        );
        let bury = format!(
            "insert into demo_changes.{table} (demo_layer, demo_kind, demo_changed_at, {columns})\n      \
             select demo_v_layer, 'deleted', demo_v_at, {of_base} from public.{table} b where {same_b_old}",
            table = self.table,
            columns = columns.join(", "),
            of_base = join(columns.iter().map(|name| format!("b.{name}")), ", "),
            same_b_old = same_key(self.spec, "b", "old"),
        );
        let with_host = self.has_host_triggers();
        let write = if with_host {
            // One statement, so that triggers which run after it find the old row gone.
            format!(
                "{ON}  with moved as ({write}), buried as ({bury} and demo_v_was_base and exists (select 1 from moved))\n    \
                 select moved.* into demo_v_kind{into} from moved;\n{}{BACK}",
                self.skipped_by_host()
            )
        } else {
            format!("  {write} into demo_v_kind{into};\n  if demo_v_was_base then\n    {bury};\n  end if;\n")
        };
        let mut change = self.take_into_layer();
        let _ = write!(
            change,
            "  if {key_changed} then\n    \
             if exists (select 1 from demo.{table} v where {same_new}) then\n      {raise};\n    end if;\n    \
             delete from demo_changes.{table} c where c.demo_layer = demo_v_layer and {same_c_new} and c.demo_kind = 'deleted';\n    \
             demo_v_was_base := exists (select 1 from public.{table} b where {same_b_old});\n    \
             demo_v_kind := case when exists (select 1 from public.{table} b where {same_new_b}) then 'edited' else 'created' end;\n  \
             end if;\n{write}",
            table = self.table,
            same_new = same_key(self.spec, "v", "new"),
            same_c_new = same_key(self.spec, "c", "new"),
            same_b_old = same_key(self.spec, "b", "old"),
            same_new_b = same_key(self.spec, "b", "new"),
            raise = self.unique_violation(&self.spec.key_name),
        );
        let mut body = self.refuse_given_values(false);
        body.push_str(&self.refuse_without_partition());
        let watched = self.watched_columns();
        // In a view's NEW a generated column has the value that it had.
        let generated = self.spec.columns.iter().filter(|column| column.generated.is_some());
        let watches_generated =
            generated.map(|column| quote(&column.name)).any(|name| watched.contains(&name));
        if with_host {
            body.push_str(OFF);
            body.push_str(&change);
        } else if watches_generated {
            body.push_str(&change);
        } else {
            let changed = join(
                watched.iter().map(|name| differs(&format!("new.{name}"), &format!("old.{name}"))),
                " or ",
            );
            let _ =
                write!(body, "  if {changed} then\n{change}  else\n{}  end if;\n", self.update_in_place());
        }
        body.push_str(&self.refuse_unique_clash(false));
        let referring = self.referring_columns();
        if !self.settled(false).is_empty() {
            let changed =
                referring.iter().map(|name| differs(&format!("new.{name}"), &format!("old.{name}")));
            let _ = writeln!(
                body,
                "  if {} then\n{}  end if;",
                join(changed, " or "),
                self.mark_unsettled(&self.queues_of_a_change())
            );
        }
        body.push_str(self.tracking());
        body.push_str("  return new;\n");
        let mut declarations = format!("{}  demo_v_was_base boolean := false;\n", Self::DECLARATIONS);
        if with_host {
            declarations.push_str(&self.host_declarations());
        }
        self.function("update", &declarations, &body) + &self.instead_of("update", "update")
    }

    /// An update that neither the key nor a foreign key notices: nothing has to see the row as it was, so that a base
    /// row comes into the layer as it is to be. A row that is gone is left so.
    fn update_in_place(&self) -> String {
        let columns = writable(self.spec);
        let (from, into) = self.returning_into_new();
        format!(
            "    update demo_changes.{table} c set demo_changed_at = demo_v_at, {set}\n      \
             where c.demo_layer = demo_v_layer and {same_c} and c.demo_kind <> 'deleted'\n      \
             returning c.demo_kind{from} into demo_v_kind{into};\n    \
             if not found then\n      \
             insert into demo_changes.{table} as c (demo_layer, demo_kind, demo_changed_at, {names})\n        \
             select demo_v_layer, 'edited', demo_v_at, {values} from public.{table} b where {same_b}\n        \
             on conflict (demo_layer, {key}) do nothing returning c.demo_kind{from} into demo_v_kind{into};\n      \
             if not found then\n        return null;\n      end if;\n    end if;\n",
            table = self.table,
            set = join(columns.iter().map(|name| format!("{name} = new.{name}")), ", "),
            names = columns.join(", "),
            values = join(columns.iter().map(|name| format!("new.{name}")), ", "),
            key = key_names(self.spec).join(", "),
            same_c = same_key(self.spec, "c", "old"),
            same_b = same_key(self.spec, "b", "old"),
        )
    }

    /// Columns of which the queue sees every change.
    fn watched_columns(&self) -> Vec<String> {
        let mut names = self.referring_columns();
        names.extend(key_names(self.spec));
        names.sort();
        names.dedup();
        names
    }

    /// Columns that refer to another table or are referred to: only their changes concern foreign keys.
    fn referring_columns(&self) -> Vec<String> {
        let own = self.spec.foreign_keys.iter().flat_map(|key| &key.columns);
        let mut names: Vec<String> = own.map(|&at| quote(&self.spec.columns[at].name)).collect();
        let incoming = self.incoming();
        names.extend(
            incoming.iter().flat_map(|incoming| incoming.key.parent_columns.iter().map(|name| quote(name))),
        );
        names.sort();
        names.dedup();
        names
    }

    /// After a write that a trigger of the host's has skipped: a copy that was made for it goes again.
    fn skipped_by_host(&self) -> String {
        format!(
            "  if not found then\n    if demo_v_copied then\n{OFF}      delete from demo_changes.{} c where c.demo_layer = demo_v_layer and {};\n    \
             end if;\n{BACK}    return null;\n  end if;\n{OFF}",
            self.table,
            same_key(self.spec, "c", "old")
        )
    }

    /// DELETE from a table with row triggers of the host's: the copy is deleted, which they see, and its tombstone
    /// comes in the same statement, so that those that run after it find the row gone.
    fn delete_with_host_triggers(&self) -> String {
        let columns = writable(self.spec);
        format!(
            "{ON}  if demo_v_kind = 'created' then\n    \
             delete from demo_changes.{table} c where c.demo_layer = demo_v_layer and {same};\n  else\n    \
             with gone as (delete from demo_changes.{table} c where c.demo_layer = demo_v_layer and {same} returning c.*)\n    \
             insert into demo_changes.{table} (demo_layer, demo_kind, demo_changed_at, {columns})\n      \
             select demo_v_layer, 'deleted', demo_v_at, {of_gone} from gone g;\n  end if;\n{skipped}{BACK}",
            table = self.table,
            same = same_key(self.spec, "c", "old"),
            columns = columns.join(", "),
            of_gone = join(columns.iter().map(|name| format!("g.{name}")), ", "),
            skipped = self.skipped_by_host(),
        )
    }

    fn delete(&self) -> String {
        let mut declarations = Self::DECLARATIONS.to_owned();
        let mut body = String::new();
        if self.has_host_triggers() {
            declarations.push_str(&self.host_declarations());
            body.push_str(OFF);
            body.push_str(&self.take_into_layer());
            body.push_str(&self.delete_with_host_triggers());
        } else {
            body.push_str(&self.delete_or_bury());
        }
        if !self.settled(false).is_empty() {
            body.push_str(&self.mark_unsettled(&self.queues_of_a_change()));
        }
        body.push_str("  return old;\n");
        self.function("delete", &declarations, &body) + &self.instead_of("delete", "delete")
    }

    fn delete_or_bury(&self) -> String {
        let table = &self.table;
        let same = same_key(self.spec, "c", "old");
        let bury = format!(
            "  if demo_v_kind = 'created' then\n    \
             delete from demo_changes.{table} c where c.demo_layer = demo_v_layer and {same};\n  else\n    \
             update demo_changes.{table} c set demo_kind = 'deleted', demo_changed_at = demo_v_at where c.demo_layer = demo_v_layer and {same};\n  \
             end if;\n"
        );
        if !self.incoming().is_empty() {
            return self.take_into_layer() + &bury;
        }
        // Nothing refers to the row and acts on its going: a base row gets its tombstone at once.
        self.copy_base_row("deleted", "    return old;\n") + &bury
    }

    /// The queue: constraint triggers on the change table that act on the children of a row that has gone, and check
    /// the foreign keys of a row that has come. They concern only the live layer of the bound session: the engine
    /// itself moves and purges changes past them.
    ///
    /// What the database does at the end of a statement is done when the view's statement trigger asks for it; what
    /// it does at COMMIT is left in the queue. Of a deferred key that is its check and NO ACTION; an action is never
    /// deferred.
    fn settle(&self) -> String {
        let mut sql = String::new();
        for (at_commit, purpose) in [(false, "settle"), (true, "deferred")] {
            let body = self.settled(at_commit);
            if !body.is_empty() {
                sql.push_str(&self.queue(purpose, at_commit, &body));
            }
        }
        sql
    }

    /// Has `demo.settle` settle these queues at the end of the outermost statement. The first of them stands for all:
    /// wherever it was marked before, the others were too.
    fn mark_unsettled(&self, queues: &[String]) -> String {
        let marked = "coalesce(current_setting('demo.unsettled', true), '')";
        format!(
            "  if strpos({marked}, '{}') = 0 then\n    \
             perform set_config('demo.unsettled', concat_ws(', ', nullif({marked}, ''), '{}'), true);\n  end if;\n",
            queues[0],
            queues.join(", ")
        )
    }

    /// The queues that an update or a deletion of the table's rows can put something in: its own, and those of the tables
    /// that actions of foreign keys lead to from there. They are settled together, so that an action has been followed
    /// to its end before the next one begins.
    fn queues_of_a_change(&self) -> Vec<String> {
        let acts = |action| !matches!(action, Action::NoAction | Action::Restrict);
        let mut reached = vec![self.spec];
        let mut at = 0;
        while let Some(parent) = reached.get(at).copied() {
            for child in &self.attached.tables {
                let follows = child
                    .foreign_keys
                    .iter()
                    .any(|key| key.parent == parent.name && (acts(key.on_delete) || acts(key.on_update)));
                if follows && !reached.iter().any(|spec| spec.name == child.name) {
                    reached.push(child);
                }
            }
            at += 1;
        }
        let has_queue = |spec: &&TableSpec| {
            !Triggers { attached: self.attached, spec, table: quote(&spec.name) }.settled(false).is_empty()
        };
        let queues = reached.into_iter().filter(has_queue);
        queues
            .flat_map(|spec| ["settle_delete", "settle_update"].map(|queue| own_name(spec, queue)))
            .collect()
    }

    /// What is done at the end of a statement, or at COMMIT; empty where that is nothing.
    fn settled(&self, at_commit: bool) -> String {
        let actions = self.incoming();
        let actions = actions.iter().map(|incoming| self.act_on_children(incoming, at_commit));
        let keys = self.spec.foreign_keys.iter().filter(|key| key.deferred == at_commit);
        actions.chain(keys.map(|key| self.check_parent(key))).collect()
    }

    fn queue(&self, purpose: &str, at_commit: bool, body: &str) -> String {
        let table = &self.table;
        // At COMMIT another session may be bound: the row is looked at in its own world.
        let (declarations, begin, end) = if at_commit {
            (
                "  demo_v_bound constant text := coalesce(current_setting('demo.layer', true), '');\n",
                "  perform set_config('demo.layer', (case when tg_op = 'DELETE' then old.demo_layer else new.demo_layer end)::text, true);\n",
                "  perform set_config('demo.layer', demo_v_bound, true);\n  return null;\n",
            )
        } else {
            ("", "", "  return null;\n")
        };
        let mut sql = self.function(purpose, declarations, &format!("{begin}{body}{end}"));
        let function = own_name(self.spec, purpose);
        let hash = name_hash(&self.spec.name);
        // A row that has moved to another key since it was checked is checked again there.
        let watched = self.watched_columns();
        let changed =
            join(watched.iter().map(|name| differs(&format!("new.{name}"), &format!("old.{name}"))), " or ");
        let looks_first = !at_commit && self.knows_parents_first();
        let is_orphan = if looks_first { " and current_setting('demo.orphan', true) = '1'" } else { "" };
        for event in ["insert", "update", "delete"] {
            let when = match event {
                "insert" => {
                    format!("new.demo_kind = 'created' and new.demo_layer = demo.live_layer(){is_orphan}")
                }
                "update" => format!(
                    "new.demo_layer = old.demo_layer and new.demo_layer = demo.live_layer() and \
                     ((new.demo_kind = 'deleted') <> (old.demo_kind = 'deleted') or {changed})"
                ),
                _ => "old.demo_kind <> 'deleted' and old.demo_layer = demo.live_layer()".to_owned(),
            };
            // An earlier version called them all the same.
            let _ = writeln!(
                sql,
                "drop trigger if exists demo_{purpose}_{event} on demo_changes.{table};\n\
                 drop trigger if exists demo_{purpose}_{event}_{hash} on demo_changes.{table};\n\
                 create constraint trigger demo_{purpose}_{event}_{hash} after {event} on demo_changes.{table} \
                 deferrable initially deferred for each row when ({when}) execute function {function}();"
            );
        }
        sql
    }

    /// Whether a row refers to a parent that is not seen.
    fn misses_parent(&self, key: &ForeignKeySpec) -> String {
        let columns: Vec<String> = key.columns.iter().map(|&at| quote(&self.spec.columns[at].name)).collect();
        let parents = key.parent_columns.iter().map(|name| quote(name));
        let are =
            |what: &str, all: &str| join(columns.iter().map(|name| format!("new.{name} is {what}")), all);
        let (refers, is_mixed) = if key.full {
            (format!("({})", are("not null", " or ")), format!("({}) or ", are("null", " or ")))
        } else {
            (are("not null", " and "), String::new())
        };
        format!(
            "{refers} and ({is_mixed}not exists (select 1 from {parent} p where {is_parent}))",
            parent = self.seen(&key.parent),
            is_parent = join(parents.zip(&columns).map(|(p, c)| format!("p.{p} = new.{c}")), " and "),
        )
    }

    /// Checks that the parent of a row is seen, unless the row has changed again since. It may have another key by
    /// then: any row that still refers to what is missing is one too many.
    fn check_parent(&self, key: &ForeignKeySpec) -> String {
        let columns: Vec<String> = key.columns.iter().map(|&at| quote(&self.spec.columns[at].name)).collect();
        format!(
            "  if tg_op <> 'DELETE' and new.demo_kind <> 'deleted'\n    \
             and (tg_op = 'INSERT' or old.demo_kind = 'deleted' or {changed})\n    \
             and {misses_parent}\n    \
             and exists (select 1 from demo_changes.{table} c where c.demo_layer = new.demo_layer and c.demo_kind <> 'deleted' and {same_values}) then\n    \
             raise exception {message} using errcode = 'foreign_key_violation', constraint = {name}, table = {table_name}, schema = 'public',\n      \
             detail = format({detail}, concat_ws(', ', {values})){ROW_BY_ROW};\n  end if;\n",
            changed =
                join(columns.iter().map(|name| format!("new.{name} is distinct from old.{name}")), " or "),
            misses_parent = self.misses_parent(key),
            table = self.table,
            same_values =
                join(columns.iter().map(|name| format!("c.{name} is not distinct from new.{name}")), " and "),
            message = literal(&format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
                self.spec.name, key.name
            ))
            .replace('%', "%%"),
            name = literal(&key.name),
            table_name = literal(&self.spec.name),
            detail = literal(&format!(
                "Key ({})=(%s) is not present in table \"{}\".",
                join(key.columns.iter().map(|&at| self.spec.columns[at].name.replace('%', "%%")), ", "),
                key.parent.replace('%', "%%")
            )),
            values = join(columns.iter().map(|name| format!("new.{name}")), ", "),
        )
    }

    /// What a reference does when the row it refers to has gone or its key has changed, at the end of the statement or
    /// at COMMIT; empty where that is nothing.
    fn act_on_children(&self, incoming: &Incoming<'_>, at_commit: bool) -> String {
        let Incoming { child, key, attached } = incoming;
        let columns: Vec<String> = key.columns.iter().map(|&at| quote(&child.columns[at].name)).collect();
        let parents: Vec<String> = key.parent_columns.iter().map(|name| quote(name)).collect();
        let refers = join(columns.iter().zip(&parents).map(|(c, p)| format!("x.{c} = old.{p}")), " and ");
        let seen = self.seen(&child.name);
        let refuse = |restrict: bool| {
            let unless = if restrict {
                String::new()
            } else {
                format!(
                    " and not exists (select 1 from demo.{} p where {})",
                    self.table,
                    join(parents.iter().map(|p| format!("p.{p} = old.{p}")), " and ")
                )
            };
            format!(
                "    if exists (select 1 from {seen} x where {refers}){unless} then\n      \
                 raise exception {message} using errcode = 'foreign_key_violation', constraint = {name}, table = {child_name}, schema = 'public',\n        \
                 detail = format({detail}, concat_ws(', ', {values})){ROW_BY_ROW};\n    end if;\n",
                message = literal(&format!(
                    "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
                    self.spec.name, key.name, child.name
                ))
                .replace('%', "%%"),
                name = literal(&key.name),
                child_name = literal(&child.name),
                detail = literal(&format!(
                    "Key ({})=(%s) is still referenced from table \"{}\".",
                    key.parent_columns.join(", ").replace('%', "%%"),
                    child.name.replace('%', "%%")
                )),
                values = join(parents.iter().map(|p| format!("old.{p}")), ", "),
            )
        };
        let set = |updated: bool, value: &dyn Fn(usize) -> String| {
            let is_set = |at: &usize| {
                updated || key.deleted_columns.is_empty() || key.deleted_columns.contains(&key.columns[*at])
            };
            let set = (0..columns.len()).filter(is_set);
            let assignments = set.map(|at| format!("{} = {}", columns[at], value(at)));
            format!("    update {seen} x set {} where {refers};\n", join(assignments, ", "))
        };
        let act = |action: Action, updated: bool| match action {
            // An action is never deferred; NO ACTION is where its key is.
            Action::NoAction if key.deferred != at_commit => String::new(),
            Action::NoAction => refuse(false),
            _ if at_commit => String::new(),
            // A table outside sessions cannot follow: its rows hold the parent.
            _ if !attached => refuse(true),
            Action::Restrict => refuse(true),
            Action::Cascade if updated => set(updated, &|at| format!("new.{}", parents[at])),
            Action::Cascade => format!("    delete from {seen} x where {refers};\n"),
            Action::SetNull => set(updated, &|_| "null".to_owned()),
            Action::SetDefault => {
                let set = set(updated, &|at| {
                    default_value(&child.columns[key.columns[at]]).unwrap_or_else(|| "null".to_owned())
                });
                // A default that is what was there before changes nothing, and refers to nothing now.
                set + &refuse(false)
            }
        };
        let (deleted, updated) = (act(key.on_delete, false), act(key.on_update, true));
        if deleted.is_empty() && updated.is_empty() {
            return String::new();
        }
        // References follow a key that looks different, be it equal.
        let changed = join(parents.iter().map(|p| differs(&format!("new.{p}"), &format!("old.{p}"))), " or ");
        format!(
            "  if tg_op = 'DELETE' or (tg_op = 'UPDATE' and new.demo_kind = 'deleted' and old.demo_kind <> 'deleted') then\n{deleted}    null;\n  \
             elsif tg_op = 'UPDATE' and old.demo_kind <> 'deleted' and ({changed}) then\n{updated}    null;\n  end if;\n",
        )
    }
}
