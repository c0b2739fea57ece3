//! Generates everything that puts a table under sessions: the change table with its indexes and counting
//! triggers in the sessions file, and the TEMP view with its INSTEAD OF triggers on each connection.
//!
//! Inside a trigger SQLite allows no schema in front of a table that is written, so names resolve as temp, main,
//! base: that is why change tables have names of their own, and why a cascade that names a table hits its view.

use std::fmt::Write;

use crate::attach::Attached;
use crate::dialect::Dialect;
use crate::error::{CHANGE_TABLE_PREFIX, TRIGGER_ERROR};
use crate::spec::{Action, ColumnSpec, ForeignKeySpec, IndexSpec, IndexTerm, TableSpec};
use crate::sql_text::{join, literal, quote};
use crate::sqlite::discover::has_declared_collation;
use crate::sqlite::hidden::BASE_ROW_ID;

/// Columns that a change table can have besides those of its table.
pub(crate) const CONTROL_COLUMNS: [&str; 4] = ["demo_layer", "demo_kind", "demo_changed_at", BASE_ROW_ID];

/// Columns that a view can end with besides those of its table.
pub(crate) const TRACKING_COLUMNS: [&str; 3] = ["demo_user_session_id", "is_base_data", "change_kind"];

/// The live layer of the bound session; NULL, which equals nothing, where none is bound.
const LIVE: &str = "(select layer from temp.demo_binding)";

/// The live layer of the bound session where it edits or deletes rows of a table: only then is anything of its base
/// hidden. NULL, which equals nothing, elsewhere: for most tables of most sessions no row of the base is looked up among
/// the changes.
fn hiding_layer(spec: &TableSpec) -> String {
    format!(
        "(select l.layer from temp.demo_binding cross join main.demo_layer_counts as l \
         where l.layer = demo_binding.layer and l.table_name = {} and l.edited + l.deleted > 0)",
        literal(&spec.name)
    )
}

/// The time that was given at binding.
const NOW: &str = "(select now from temp.demo_binding)";

/// The unquoted name of a table's change table.
pub(crate) fn change_table_name(table: &str) -> String {
    format!("{CHANGE_TABLE_PREFIX}{table}")
}

/// Statements that make a change table in the sessions file, with its indexes and counting triggers.
pub(crate) fn change_table(spec: &TableSpec) -> String {
    let name = quote(&change_table_name(&spec.name));
    let mut lines = vec![
        "demo_layer integer not null".to_owned(),
        "demo_kind text not null check (demo_kind in ('created', 'edited', 'deleted'))".to_owned(),
        "demo_changed_at text not null".to_owned(),
    ];
    lines.extend(spec.base_row_id.map(|_| format!("{BASE_ROW_ID} integer")));
    lines.extend(
        spec.columns.iter().enumerate().map(|(position, column)| column_definition(spec, position, column)),
    );
    lines.push(format!("primary key (demo_layer, {})", key_list(spec)));
    for check in &spec.checks {
        let constraint = check.name.as_deref().map(|name| format!("constraint {} ", quote(name)));
        lines.push(format!("{}check ({})", constraint.unwrap_or_default(), check.expression));
    }
    let strict = if spec.strict { " strict" } else { "" };
    let mut sql = format!("create table main.{name} (\n  {}\n){strict};\n", lines.join(",\n  "));
    for (kind, indexes) in [("unique ", &spec.uniques), ("", &spec.indexes)] {
        for index in indexes {
            sql.push_str(&change_index(spec, kind, index));
        }
    }
    if spec.base_row_id.is_some() {
        // Of all changes, those to no base row too: for IN over a whole table SQLite takes no partial index.
        let index = quote(&format!("{}_{BASE_ROW_ID}", change_table_name(&spec.name)));
        let _ = writeln!(sql, "create index main.{index} on {name} (demo_layer, {BASE_ROW_ID});");
    }
    sql.push_str(&counting_triggers(spec));
    sql
}

/// Statements that remove a change table.
pub(crate) fn drop_change_table(table: &str) -> String {
    // Sessions files of earlier versions have a table beside it for what it hides.
    let names = [change_table_name(table), format!("demo_hidden_{table}")];
    names.map(|name| format!("drop table if exists main.{};\n", quote(&name))).concat()
}

fn column_definition(spec: &TableSpec, position: usize, column: &ColumnSpec) -> String {
    let mut sql = format!("{} {}", quote(&column.name), column.declared_type);
    if let Some(collation) = &column.collation {
        let _ = write!(sql, " collate {}", quote(collation));
    }
    if let Some(generated) = &column.generated {
        let storage = if generated.stored { "stored" } else { "virtual" };
        let _ = write!(sql, " generated always as ({}) {storage}", generated.expression);
    }
    // SQLite lets a key that is not the row id be NULL; a change to such a row could not be told from another.
    if column.not_null || spec.key.contains(&position) {
        sql.push_str(" not null");
    }
    if spec.row_id == Some(position) {
        let _ = write!(sql, " check (typeof({}) = 'integer')", quote(&column.name));
    }
    sql
}

fn change_index(spec: &TableSpec, kind: &str, index: &IndexSpec) -> String {
    let table = change_table_name(&spec.name);
    let parts = index.parts.iter().map(|part| {
        let (mut sql, is_implied) = match &part.term {
            IndexTerm::Column(column) => {
                let column = &spec.columns[*column];
                (quote(&column.name), has_declared_collation(column, part))
            }
            IndexTerm::Expression(expression) => (expression.clone(), false),
        };
        // Where it is spelled out, SQLite calls the collation's function for each comparison, BINARY's too.
        if let Some(collation) = part.collation.as_ref().filter(|_| !is_implied) {
            let _ = write!(sql, " collate {}", quote(collation));
        }
        if part.descending {
            sql.push_str(" desc");
        }
        sql
    });
    // A tombstone keeps the values of its row but no longer occupies them, and no read asks for it by them.
    let predicate =
        index.predicate.as_ref().map_or_else(String::new, |predicate| format!(" and ({predicate})"));
    format!(
        "create {kind}index main.{} on {} (demo_layer, {}) where demo_kind <> 'deleted'{predicate};\n",
        quote(&format!("{table}_{}", index.name)),
        quote(&table),
        join(parts, ", ")
    )
}

/// Triggers that keep the counts of a layer as it grows, so that a reset need not count.
fn counting_triggers(spec: &TableSpec) -> String {
    let table = change_table_name(&spec.name);
    let name = |event: &str| quote(&format!("demo_count_{event}_{}", spec.name));
    let plus = format!(
        "insert into demo_layer_counts (layer, table_name, created, edited, deleted) values (new.demo_layer, {}, \
         new.demo_kind = 'created', new.demo_kind = 'edited', new.demo_kind = 'deleted') \
         on conflict (layer, table_name) do update set created = created + excluded.created, \
         edited = edited + excluded.edited, deleted = deleted + excluded.deleted;",
        literal(&spec.name)
    );
    let minus = format!(
        "update demo_layer_counts set created = created - (old.demo_kind = 'created'), \
         edited = edited - (old.demo_kind = 'edited'), deleted = deleted - (old.demo_kind = 'deleted') \
         where layer = old.demo_layer and table_name = {};",
        literal(&spec.name)
    );
    let on = quote(&table);
    format!(
        "create trigger main.{} after insert on {on} begin {plus} end;\n\
         create trigger main.{} after delete on {on} begin {minus} end;\n\
         create trigger main.{} after update of demo_layer, demo_kind on {on} \
         when new.demo_layer <> old.demo_layer or new.demo_kind <> old.demo_kind begin {minus} {plus} end;\n",
        name("insert"),
        name("delete"),
        name("update"),
    )
}

/// The view over all archives: every archived change with a complete JSON snapshot of its record.
///
/// JSON has no binary type: a BLOB is written as `{"$hex": "…"}`.
pub(crate) fn archived_changes_view(tables: &[TableSpec]) -> String {
    let arm = |spec: &TableSpec| {
        let key = Dialect::Sqlite.key_as_json_text(spec, "c");
        format!(
            "select a.id as archive_id, a.session_id, {} as table_name, {key} as record_key, \
             c.demo_kind as kind, c.demo_changed_at as changed_at, {} as snapshot \
             from demo_archives a join {} c on c.demo_layer = a.layer where a.restored_at is null",
            literal(&spec.name),
            snapshot(spec, "c"),
            quote(&change_table_name(&spec.name))
        )
    };
    let arms = join(tables.iter().map(arm), "\nunion all\n");
    format!(
        "drop view if exists main.demo_archived_changes;\ncreate view main.demo_archived_changes as\n{arms};\n"
    )
}

/// A record as one JSON object.
pub(crate) fn snapshot(spec: &TableSpec, alias: &str) -> String {
    let pairs = spec.columns.iter().map(|column| {
        let value = format!("{alias}.{}", quote(&column.name));
        format!(
            "{}, case when typeof({value}) = 'blob' then json_object('$hex', hex({value})) else {value} end",
            literal(&column.name)
        )
    });
    format!("json_object({})", join(pairs, ", "))
}

/// Statements that make the TEMP objects of a connection.
pub(crate) fn connection_objects(attached: &Attached) -> String {
    let widths = attached.tables.iter().flat_map(|table| &table.foreign_keys).map(|key| key.columns.len());
    let width = widths.max().unwrap_or(1);
    let keys = join((1..=width).map(|at| format!("k{at}")), ", ");
    let kept = attached.tables.iter().map(|table| kept_columns(table).len()).max().unwrap_or(0).max(1);
    let kept = join((1..=kept).map(|at| format!("k{at}")), ", ");
    // A row in demo_pending is a foreign key that is broken for now. Its own foreign key can never be satisfied,
    // so the database refuses the statement, or the transaction, unless the row is gone by its end.
    let mut sql = format!(
        "create temp table demo_binding (one integer primary key check (one = 1), session_number integer not null, \
         session_id text not null, layer integer not null, writable integer not null, now text not null);\n\
         create temp table demo_kept ({kept});\n\
         create temp table demo_never (id integer primary key);\n\
         create temp table demo_pending (fk integer not null, {keys}, \
         never integer not null default 1 references demo_never (id));\n\
         create temp table demo_pending_deferred (fk integer not null, {keys}, \
         never integer not null default 1 references demo_never (id) deferrable initially deferred);\n"
    );
    for spec in &attached.tables {
        sql.push_str(&view(spec, attached));
    }
    for spec in &attached.tables {
        let triggers = Triggers { attached, spec, change: quote(&change_table_name(&spec.name)) };
        sql.push_str(&triggers.insert());
        sql.push_str(&triggers.update_same_key());
        sql.push_str(&triggers.update_key());
        sql.push_str(&triggers.delete());
    }
    // Names in a TEMP view are looked up among the TEMP objects first: the host's views see what the session sees.
    for view in &attached.views {
        let _ = writeln!(sql, "create temp view {} {}\n;", quote(&view.name), view.definition);
    }
    sql
}

/// The view in front of a table. Its two arms must have the same affinity in every column, or SQLite
/// materializes the whole view for each query.
fn view(spec: &TableSpec, attached: &Attached) -> String {
    let columns =
        |alias: &str| join(spec.columns.iter().map(|c| format!("{alias}.{}", quote(&c.name))), ", ");
    let (base_tracking, layer_tracking) = if attached.tracking_columns {
        (
            ", cast(null as text) as demo_user_session_id, cast(1 as integer) as is_base_data, \
             cast(null as text) as change_kind",
            ", cast((select session_id from temp.demo_binding) as text), cast(0 as integer), c.demo_kind",
        )
    } else {
        ("", "")
    };
    let change = quote(&change_table_name(&spec.name));
    format!(
        "create temp view {name} as select {base}{base_tracking} from base.{name} as b \
         where {is_seen} \
         union all select {layer}{layer_tracking} from main.{change} as c \
         where c.demo_layer = {LIVE} and c.demo_kind <> 'deleted';\n",
        name = quote(&spec.name),
        base = columns("b"),
        is_seen = is_seen(spec),
        layer = columns("c"),
    )
}

/// Whether the session sees the base row `b`: it has no change of its own to it.
///
/// That is told by an IN over a whole table: SQLite looks its left side up in the table as it stands, with one cursor for all
/// rows, where for NOT EXISTS it opens one for each row and steps through what it finds. (NOT IN would read the whole table
/// after each miss, in search of a NULL.) The correlated select, of which nothing is ever asked, makes SQLite put the
/// condition last: it asks all others on a row first.
fn is_seen(spec: &TableSpec) -> String {
    let (row, changes) = match spec.base_row_id {
        Some(row_id) => (vec![format!("b.{row_id}")], BASE_ROW_ID.to_owned()),
        None => {
            let key = spec.key_columns().map(|column| format!("b.{}", quote(&column.name)));
            (key.collect(), key_list(spec))
        }
    };
    format!(
        "(({layer}, {row}) in (select demo_layer, {changes} from main.{change})) is not true \
         or ({first} is null and (select {first}))",
        layer = hiding_layer(spec),
        row = row.join(", "),
        change = quote(&change_table_name(&spec.name)),
        first = row.first().map_or("null", String::as_str),
    )
}

fn key_list(spec: &TableSpec) -> String {
    join(spec.key_columns().map(|column| quote(&column.name)), ", ")
}

pub(super) fn same_key(spec: &TableSpec, left: &str, right: &str) -> String {
    join(spec.key_columns().map(|c| format!("{left}{0} = {right}{0}", quote(&c.name))), " and ")
}

/// Columns outside of the key that an action of a foreign key can change on the way of a statement.
fn kept_columns(spec: &TableSpec) -> Vec<usize> {
    let referring = |position: &usize| spec.foreign_keys.iter().any(|key| key.columns.contains(position));
    (0..spec.columns.len()).filter(referring).filter(|position| !spec.key.contains(position)).collect()
}

/// The default of a column as an expression. SQLite takes a bare word for a text.
pub(crate) fn default_expression(text: &str) -> String {
    let is_word = text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit());
    let is_keyword = ["current_time", "current_date", "current_timestamp", "true", "false", "null"]
        .iter()
        .any(|keyword| text.eq_ignore_ascii_case(keyword));
    if is_word && !is_keyword { literal(text) } else { format!("({text})") }
}

/// Generates the INSTEAD OF triggers of one view.
struct Triggers<'a> {
    attached: &'a Attached,
    spec: &'a TableSpec,
    /// The change table's name in quotes.
    change: String,
}

/// A foreign key of the table at hand, with its number over all attached tables.
struct Outgoing<'a> {
    id: usize,
    key: &'a ForeignKeySpec,
    parent: &'a TableSpec,
}

/// A foreign key that refers to the table at hand.
struct Incoming<'a> {
    id: usize,
    child: &'a TableSpec,
    key: &'a ForeignKeySpec,
    attached: bool,
}

impl<'a> Triggers<'a> {
    /// Columns of this row that an action may have set since the statement began: none unless what is done to a row
    /// of the table can come back to the table by actions of foreign keys.
    fn kept(&self) -> Vec<usize> {
        let follows = |key: &ForeignKeySpec| {
            let acts = |action| !matches!(action, Action::NoAction | Action::Restrict);
            acts(key.on_delete) || acts(key.on_update)
        };
        let mut reached: Vec<&str> = vec![&self.spec.name];
        let mut at = 0;
        while at < reached.len() {
            for child in &self.attached.tables {
                let is_acted_on =
                    |key: &ForeignKeySpec| key.parent.eq_ignore_ascii_case(reached[at]) && follows(key);
                if child.foreign_keys.iter().any(is_acted_on) {
                    if child.name == self.spec.name {
                        return kept_columns(self.spec);
                    }
                    if !reached.contains(&child.name.as_str()) {
                        reached.push(&child.name);
                    }
                }
            }
            at += 1;
        }
        Vec::new()
    }

    /// Refuses a write on a connection that is not bound for writing.
    fn guard(&self) -> String {
        format!(
            "select raise(abort, '{TRIGGER_ERROR}not bound for writing') \
             where not exists (select 1 from temp.demo_binding where writable = 1);\n"
        )
    }

    /// Skips a row that has gone since the statement chose it, for instance by a cascade of the same statement.
    fn skip_unless_visible(&self) -> String {
        format!(
            "select raise(ignore) where not {};\n",
            self.visible(self.spec, |alias| self.key_is(alias, "old."))
        )
    }

    fn key_is(&self, alias: &str, side: &str) -> String {
        same_key(self.spec, &format!("{alias}."), side)
    }

    fn is_attached(&self, table: &str) -> Option<&'a TableSpec> {
        self.attached.tables.iter().find(|spec| spec.name.eq_ignore_ascii_case(table))
    }

    /// Whether the session sees a row of `spec` for which `condition` holds.
    fn visible(&self, spec: &TableSpec, condition: impl Fn(&str) -> String) -> String {
        let table = quote(&spec.name);
        if self.is_attached(&spec.name).is_none() {
            return format!("exists (select 1 from base.{table} as b where {})", condition("b"));
        }
        let change = quote(&change_table_name(&spec.name));
        format!(
            "(exists (select 1 from base.{table} as b where {} and not exists \
             (select 1 from main.{change} as o where o.demo_layer = {LIVE} and {})) \
             or exists (select 1 from main.{change} as c where c.demo_layer = {LIVE} \
             and c.demo_kind <> 'deleted' and {}))",
            condition("b"),
            same_key(spec, "o.", "b."),
            condition("c")
        )
    }

    /// Foreign keys of the table at hand.
    fn outgoing(&self) -> impl Iterator<Item = Outgoing<'a>> {
        let before = self.attached.tables.iter().take_while(|table| table.name != self.spec.name);
        let first: usize = before.map(|table| table.foreign_keys.len()).sum();
        let all = self.attached.tables.iter().chain(&self.attached.outside);
        self.spec.foreign_keys.iter().enumerate().filter_map(move |(at, key)| {
            let parent = all.clone().find(|table| table.name.eq_ignore_ascii_case(&key.parent))?;
            Some(Outgoing { id: first + at, key, parent })
        })
    }

    /// Foreign keys that refer to the table at hand.
    fn incoming(&self) -> Vec<Incoming<'a>> {
        let mut id = 0;
        let mut incoming = Vec::new();
        let attached = self.attached.tables.iter().map(|table| (table, true));
        let outside = self.attached.outside.iter().map(|table| (table, false));
        for (child, attached) in attached.chain(outside) {
            for key in &child.foreign_keys {
                if key.parent.eq_ignore_ascii_case(&self.spec.name) {
                    incoming.push(Incoming { id, child, key, attached });
                }
                id += 1;
            }
        }
        incoming
    }

    /// The condition that picks the stored row, given the prefix of the written one.
    fn stored(&self, inserted: bool) -> String {
        let key = join(
            self.spec.key.iter().map(|&position| {
                let name = quote(&self.spec.columns[position].name);
                format!("{name} = {}", self.new_value(position, inserted))
            }),
            " and ",
        );
        format!("demo_layer = {LIVE} and {key}")
    }

    /// The value that a write gives to a column. A view cannot tell a column that was left out from a NULL:
    /// on INSERT both take the default.
    fn new_value(&self, position: usize, inserted: bool) -> String {
        let column = &self.spec.columns[position];
        let value = format!("new.{}", quote(&column.name));
        if inserted && self.spec.row_id == Some(position) {
            return format!(
                "ifnull({value}, (select last_number from main.demo_sequences where session_number = \
                 (select session_number from temp.demo_binding) and name = {}))",
                literal(&format!("key:{}", self.spec.name))
            );
        }
        if !inserted && let Some(at) = self.kept().iter().position(|kept| *kept == position) {
            let name = quote(&column.name);
            return format!(
                "case when {value} is old.{name} then (select k{} from temp.demo_kept) else {value} end",
                at + 1
            );
        }
        match &column.default {
            Some(default) if inserted => format!("ifnull({value}, {})", default_expression(default)),
            _ => value,
        }
    }

    /// Refuses a value for a generated column, as SQLite does: the view itself would drop it in silence.
    fn refuse_given_values(&self, inserted: bool) -> String {
        let generated = self.spec.columns.iter().filter(|column| column.generated.is_some());
        let refusals = generated.map(|column| {
            let name = quote(&column.name);
            let (given, verb) = if inserted {
                (format!("new.{name} is not null"), "INSERT into")
            } else {
                (format!("new.{name} is not old.{name}"), "UPDATE")
            };
            let message = format!("{TRIGGER_ERROR}cannot {verb} generated column \"{}\"", column.name);
            format!("select raise(abort, {}) where {given};\n", literal(&message))
        });
        refusals.collect()
    }

    fn unique_error(&self, columns: &str) -> String {
        literal(&format!("{TRIGGER_ERROR}UNIQUE constraint failed: {columns}"))
    }

    fn qualified(&self, positions: impl IntoIterator<Item = usize>) -> String {
        join(
            positions.into_iter().map(|at| format!("{}.{}", self.spec.name, self.spec.columns[at].name)),
            ", ",
        )
    }

    /// Refuses a key that the session already sees.
    fn refuse_taken_key(&self, inserted: bool) -> String {
        let condition = |alias: &str| {
            let equal = self.spec.key.iter().map(|&position| {
                format!(
                    "{alias}.{} = {}",
                    quote(&self.spec.columns[position].name),
                    self.new_value(position, inserted)
                )
            });
            join(equal, " and ")
        };
        format!(
            "select raise(abort, {}) where {};\n",
            self.unique_error(&self.qualified(self.spec.key.iter().copied())),
            self.visible(self.spec, condition)
        )
    }

    /// Keys that a session was given are never given out again: remembers the highest.
    fn remember_row_id(&self, inserted: bool) -> String {
        let Some(position) = self.spec.row_id else { return String::new() };
        let column = quote(&self.spec.columns[position].name);
        let name = literal(&format!("key:{}", self.spec.name));
        let last = format!(
            "ifnull((select last_number from main.demo_sequences where session_number = s.session_number \
             and name = {name}), 0)"
        );
        let next = format!(
            "1 + max({last}, ifnull((select max({column}) from base.{}), 0))",
            quote(&self.spec.name)
        );
        let given = format!("max(new.{column}, {last})");
        let number = if inserted {
            format!("case when new.{column} is null then {next} else {given} end")
        } else {
            given
        };
        format!(
            "insert into demo_sequences (session_number, name, last_number) select s.session_number, {name}, {number} \
             from temp.demo_binding as s where true \
             on conflict (session_number, name) do update set last_number = excluded.last_number;\n"
        )
    }

    fn writable_list(&self) -> String {
        join(self.spec.writable().map(|column| quote(&column.name)), ", ")
    }

    /// Writes the new row into the layer; over a tombstone it becomes the edited form of its base row.
    fn write_new_row(&self, inserted: bool) -> String {
        let values = self.spec.columns.iter().enumerate().filter(|(_, column)| column.generated.is_none());
        let values = join(values.map(|(position, _)| self.new_value(position, inserted)), ", ");
        let set = join(self.spec.writable().map(|c| format!("{0} = excluded.{0}", quote(&c.name))), ", ");
        format!(
            "insert into {change} (demo_layer, demo_kind, demo_changed_at, {columns}) \
             values ({LIVE}, 'created', {NOW}, {values}) on conflict (demo_layer, {key}) \
             do update set demo_kind = 'edited', demo_changed_at = excluded.demo_changed_at, {set};\n",
            change = self.change,
            columns = self.writable_list(),
            key = key_list(self.spec),
        )
    }

    /// Refuses a row whose unique values the session sees in a base row. (Rows of the layer are kept apart by
    /// the unique indexes of the change table.)
    fn refuse_unique_clash(&self, unique: &IndexSpec, inserted: bool) -> String {
        let stored = self.stored(inserted);
        let of_stored =
            |expression: &str| format!("(select {expression} from main.{} where {stored})", self.change);
        let mut conditions = Vec::new();
        let mut columns = Vec::new();
        for part in &unique.parts {
            let expression = match &part.term {
                IndexTerm::Column(position) => {
                    columns.push(*position);
                    quote(&self.spec.columns[*position].name)
                }
                IndexTerm::Expression(expression) => format!("({expression})"),
            };
            let collate = part.collation.as_ref().map(|name| format!(" collate {}", quote(name)));
            conditions.push(format!(
                "{expression} = {}{}",
                of_stored(&expression),
                collate.unwrap_or_default()
            ));
        }
        if let Some(predicate) = &unique.predicate {
            conditions.push(format!("({predicate})"));
            conditions.push(of_stored(&format!("({predicate})")));
        }
        let changed = match self.decided_by(unique) {
            Some(columns) if !inserted => format!("({}) and ", changed(self.spec, &columns)),
            _ => String::new(),
        };
        let message = if columns.len() == unique.parts.len() {
            self.qualified(columns)
        } else {
            format!("index '{}'", unique.name)
        };
        format!(
            "select raise(abort, {}) where {changed}exists (select 1 from base.{} as b where {} and not exists \
             (select 1 from main.{} as o where o.demo_layer = {LIVE} and {}));\n",
            self.unique_error(&message),
            quote(&self.spec.name),
            conditions.join(" and "),
            self.change,
            same_key(self.spec, "o.", "b."),
        )
    }

    /// These columns, if an UPDATE names each of them that it changes: a generated column changes with others.
    fn settable(&self, columns: Vec<usize>) -> Option<Vec<usize>> {
        columns.iter().all(|&at| self.spec.columns[at].generated.is_none()).then_some(columns)
    }

    /// The columns that decide whether two rows clash in a unique index; none where an expression, a predicate or a
    /// generated column does.
    fn decided_by(&self, unique: &IndexSpec) -> Option<Vec<usize>> {
        let columns = unique.parts.iter().map(|part| match part.term {
            IndexTerm::Column(position) => Some(position),
            IndexTerm::Expression(_) => None,
        });
        let columns = columns.collect::<Option<Vec<usize>>>().filter(|_| unique.predicate.is_none())?;
        self.settable(columns)
    }

    fn refuse_unique_clashes(&self, inserted: bool) -> String {
        self.spec.uniques.iter().map(|unique| self.refuse_unique_clash(unique, inserted)).collect()
    }

    /// Refuses a row whose unique columns another row of the layer has. The change table's index would, too, but for a
    /// statement that says OR REPLACE: it would take that other row away, and nothing that hangs on it would follow.
    fn refuse_clash_in_layer(&self, unique: &IndexSpec, inserted: bool, same_key: bool) -> String {
        let Some(columns) = self.decided_by(unique) else { return String::new() };
        let equal = unique.parts.iter().zip(&columns).map(|(part, &position)| {
            let collate = part.collation.as_ref().map(|name| format!(" collate {}", quote(name)));
            format!(
                "c.{} = {}{}",
                quote(&self.spec.columns[position].name),
                self.new_value(position, inserted),
                collate.unwrap_or_default()
            )
        });
        let equal = join(equal, " and ");
        let (changed, other) = if same_key {
            (
                format!("({}) and ", changed(self.spec, &columns)),
                format!(" and not ({})", self.key_is("c", "old.")),
            )
        } else {
            (String::new(), String::new())
        };
        format!(
            "select raise(abort, {}) where {changed}exists (select 1 from main.{} as c where c.demo_layer = {LIVE} \
             and {} and c.demo_kind <> 'deleted'{other});\n",
            self.unique_error(&self.qualified(columns)),
            self.change,
            equal,
        )
    }

    fn refuse_clashes_in_layer(&self, inserted: bool) -> String {
        let uniques = self.spec.uniques.iter();
        uniques.map(|unique| self.refuse_clash_in_layer(unique, inserted, false)).collect()
    }

    /// Notes a foreign key of the written row that has no visible parent.
    fn note_missing_parent(&self, outgoing: &Outgoing<'_>, inserted: bool) -> String {
        let Outgoing { id, key, parent } = outgoing;
        let changed = match self.settable(key.columns.clone()) {
            Some(columns) if !inserted => format!(" and ({})", changed(self.spec, &columns)),
            _ => String::new(),
        };
        let columns: Vec<String> = key.columns.iter().map(|&at| quote(&self.spec.columns[at].name)).collect();
        let parent_has = |alias: &str| {
            let equal = key.parent_columns.iter().zip(&columns);
            join(equal.map(|(parent, child)| format!("{alias}.{} = n.{child}", quote(parent))), " and ")
        };
        format!(
            "insert into {pending} (fk, {keys}) select {id}, {values} from main.{change} as n where {stored}{changed} \
             and {not_null} and not {visible};\n",
            pending = pending_table(key),
            keys = pending_keys(key),
            values = join(columns.iter().map(|column| format!("n.{column}")), ", "),
            change = self.change,
            stored = self.stored(inserted),
            not_null = join(columns.iter().map(|column| format!("n.{column} is not null")), " and "),
            visible = self.visible(parent, parent_has),
        )
    }

    fn note_missing_parents(&self, inserted: bool) -> String {
        self.outgoing().map(|outgoing| self.note_missing_parent(&outgoing, inserted)).collect()
    }

    /// Forgets a broken foreign key of the row that was there, where no other row has it.
    fn forget_key_of_child(&self, outgoing: &Outgoing<'_>) -> String {
        let Outgoing { id, key, parent } = outgoing;
        let kept = self.kept();
        let was = |position: usize| match kept.iter().position(|kept| *kept == position) {
            Some(at) => format!("(select k{} from temp.demo_kept)", at + 1),
            None => format!("old.{}", quote(&self.spec.columns[position].name)),
        };
        let same = key.columns.iter().enumerate().map(|(at, &c)| format!("k{} = {}", at + 1, was(c)));
        let pending = pending_table(key);
        // Looks at the broken reference, of which there is none but for a moment: what concerns the row alone
        // SQLite works out before it knows whether there is one, and other rows with the same values may be far.
        let child_has = |alias: &str| {
            let equal = key.columns.iter().zip(&key.parent_columns).map(|(&c, name)| {
                let collate = collate_reference(parent, name, self.spec, c);
                format!("{alias}.{} = {}{collate}", quote(&self.spec.columns[c].name), was(c))
            });
            format!("{pending}.fk = {id} and {}", join(equal, " and "))
        };
        format!(
            "delete from {pending} where fk = {id} and {} and not {};\n",
            join(same, " and "),
            self.visible(self.spec, child_has)
        )
    }

    fn forget_as_child(&self) -> String {
        self.outgoing().map(|outgoing| self.forget_key_of_child(&outgoing)).collect()
    }

    /// Forgets broken references to the row that is there now. Within one statement only a table that refers to
    /// itself can have them, and until COMMIT any, since `PRAGMA defer_foreign_keys` defers every key.
    fn forget_key_of_parent(&self, incoming: &Incoming<'_>, inserted: bool) -> String {
        let Incoming { id, key, .. } = incoming;
        let same = key.parent_columns.iter().enumerate().map(|(at, column)| {
            format!(
                "k{} = (select {} from main.{} where {}){}",
                at + 1,
                quote(column),
                self.change,
                self.stored(inserted),
                collate(self.spec, column)
            )
        });
        format!("delete from {} where fk = {id} and {};\n", pending_table(key), join(same, " and "))
    }

    fn forget_as_parent(&self, inserted: bool) -> String {
        self.incoming().iter().map(|incoming| self.forget_key_of_parent(incoming, inserted)).collect()
    }

    /// What happens to the children of a row that is gone, or whose key has changed.
    fn act_on_children(&self, incoming: &Incoming<'_>, updated: bool) -> String {
        let Incoming { id, child, key, attached } = incoming;
        let action = if updated { key.on_update } else { key.on_delete };
        let columns: Vec<String> = key.columns.iter().map(|&at| quote(&child.columns[at].name)).collect();
        let parents: Vec<String> = key.parent_columns.iter().map(|name| quote(name)).collect();
        let refers = |alias: &str| {
            let dot = if alias.is_empty() { "" } else { "." };
            let pairs = columns.iter().zip(&parents).zip(key.parent_columns.iter().zip(&key.columns));
            let equal = pairs.map(|((c, p), (name, &at))| {
                format!("{alias}{dot}{c} = old.{p}{}", collate_reference(self.spec, name, child, at))
            });
            join(equal, " and ")
        };
        let written = |at: usize| {
            let name = &parents[at];
            let column = self.spec.column(&key.parent_columns[at]);
            let is_generated = column.is_some_and(|column| self.spec.columns[column].generated.is_some());
            // In a view's NEW a generated column has the value that it had.
            match is_generated {
                true => format!("(select {name} from main.{} where {})", self.change, self.stored(false)),
                false => format!("new.{name}"),
            }
        };
        let changed =
            join(parents.iter().enumerate().map(|(at, p)| format!("{} is not old.{p}", written(at))), " or ");
        let when = if updated { format!(" and ({changed})") } else { String::new() };
        let parent_has =
            |alias: &str| join(parents.iter().map(|p| format!("{alias}.{p} = old.{p}")), " and ");
        let table = quote(&child.name);
        let set = |value: &dyn Fn(usize) -> String| {
            let assignments =
                columns.iter().enumerate().map(|(at, column)| format!("{column} = {}", value(at)));
            format!("update {table} set {} where {}{when};\n", join(assignments, ", "), refers(""))
        };
        let left_behind = format!(
            "insert into {pending} (fk, {keys}) select {id}, {values} where {children}{when} and not {parent};\n",
            pending = pending_table(key),
            keys = pending_keys(key),
            values = join(parents.iter().map(|p| format!("old.{p}")), ", "),
            children = self.visible(child, refers),
            parent = self.visible(self.spec, parent_has),
        );
        match action {
            // A table outside sessions cannot follow: its rows hold the parent.
            _ if !attached => format!(
                "select raise(abort, '{TRIGGER_ERROR}FOREIGN KEY constraint failed') where {}{when};\n",
                self.visible(child, refers)
            ),
            // SQLite takes RESTRICT for NO ACTION where a transaction defers all its keys.
            Action::Restrict => format!(
                "select raise(abort, '{TRIGGER_ERROR}FOREIGN KEY constraint failed') where {}{when} \
                 and not (select defer_foreign_keys from pragma_defer_foreign_keys);\n{left_behind}",
                self.visible(child, refers)
            ),
            Action::NoAction => left_behind,
            Action::Cascade if updated => set(&written),
            Action::Cascade => format!("delete from {table} where {};\n", refers("")),
            Action::SetNull => set(&|_| "null".to_owned()),
            // A default that is what was there before changes nothing, and refers to nothing now.
            Action::SetDefault => {
                let default = |at: usize| {
                    let default = child.columns[key.columns[at]].default.as_deref();
                    default.map_or_else(|| "null".to_owned(), default_expression)
                };
                set(&default) + &left_behind
            }
        }
    }

    /// Keeps what the row refers to now. A reference that this statement leaves alone may have been set by an action
    /// of the same statement since; the values that the statement began with must not bring it back.
    fn keep_references(&self) -> String {
        let kept = self.kept();
        if kept.is_empty() {
            return String::new();
        }
        let of = |alias: &str| {
            join(kept.iter().map(|&at| format!("{alias}.{}", quote(&self.spec.columns[at].name))), ", ")
        };
        format!(
            "delete from demo_kept;\n\
             insert into demo_kept ({keys}) select {of_layer} from main.{change} as c where c.demo_layer = {LIVE} and {layer_key} \
             union all select {of_base} from base.{table} as b where {base_key} and not exists \
             (select 1 from main.{change} as o where o.demo_layer = {LIVE} and {same});\n",
            keys = join((1..=kept.len()).map(|at| format!("k{at}")), ", "),
            of_layer = of("c"),
            of_base = of("b"),
            change = self.change,
            layer_key = self.key_is("c", "old."),
            base_key = self.key_is("b", "old."),
            table = quote(&self.spec.name),
            same = same_key(self.spec, "o.", "b."),
        )
    }

    /// What notes the row id of the base row that a change hides, given its value: a column and a value, each with its
    /// comma, for the lists of an INSERT. Nothing where changes do not note it.
    fn noting(&self, value: impl Fn(&str) -> String) -> (String, String) {
        match self.spec.base_row_id {
            Some(row_id) => (format!("{BASE_ROW_ID}, "), format!("{}, ", value(row_id))),
            None => Default::default(),
        }
    }

    /// Takes the row with the old key out of the session's sight.
    fn remove_old_row(&self) -> String {
        let (noted, row_id) = self.noting(|row_id| format!("b.{row_id}"));
        let columns = self.writable_list();
        let of_base = join(self.spec.writable().map(|column| format!("b.{}", quote(&column.name))), ", ");
        let old = format!("demo_layer = {LIVE} and {}", same_key(self.spec, "", "old."));
        format!(
            "update {change} set demo_kind = 'deleted', demo_changed_at = {NOW} where {old} and demo_kind = 'edited';\n\
             insert into {change} (demo_layer, demo_kind, demo_changed_at, {noted}{columns}) \
             select {LIVE}, 'deleted', {NOW}, {row_id}{of_base} from base.{table} as b where {base_key} and not exists \
             (select 1 from main.{change} as o where o.demo_layer = {LIVE} and {same});\n\
             delete from {change} where {old} and demo_kind = 'created';\n",
            change = self.change,
            table = quote(&self.spec.name),
            base_key = self.key_is("b", "old."),
            same = same_key(self.spec, "o.", "b."),
        )
    }

    fn trigger(&self, event: &str, name: &str, body: &str) -> String {
        format!(
            "create temp trigger {} instead of {event} begin\n{body}end;\n",
            quote(&format!("demo_{name}_{}", self.spec.name)),
        )
    }

    fn insert(&self) -> String {
        let body = [
            self.guard(),
            self.refuse_given_values(true),
            self.remember_row_id(true),
            self.refuse_taken_key(true),
            self.refuse_clashes_in_layer(true),
            self.write_new_row(true),
            self.refuse_unique_clashes(true),
            self.note_missing_parents(true),
            self.forget_as_parent(true),
        ]
        .concat();
        self.trigger(&format!("insert on {}", quote(&self.spec.name)), "insert", &body)
    }

    /// An UPDATE that leaves the key: the base row stays, its edited copy is written or written again.
    ///
    /// SQLite compiles every trigger that an UPDATE may run each time it prepares one, and Diesel prepares each UPDATE anew:
    /// so what only some columns need stands in triggers of those columns, which an UPDATE of others has nothing to do with.
    fn update_same_key(&self) -> String {
        let is_kept = |position: usize| {
            // A foreign key column that this statement leaves alone may have been set by a cascade of the same
            // statement since; the values that the statement began with must not bring it back.
            self.spec.foreign_keys.iter().any(|key| key.columns.contains(&position))
        };
        let set = self.spec.columns.iter().enumerate().filter(|(_, column)| column.generated.is_none());
        // A key is the same for its collation, and yet another text.
        let may_differ = |position: &usize, column: &ColumnSpec| {
            !self.spec.key.contains(position) || column.collation.is_some()
        };
        let set = set.filter(|(position, column)| may_differ(position, column)).map(|(position, column)| {
            let column = quote(&column.name);
            if is_kept(position) {
                format!(
                    "{column} = case when new.{column} is old.{column} collate binary then {}.{column} else excluded.{column} end",
                    self.change
                )
            } else {
                format!("{column} = excluded.{column}")
            }
        });
        let set =
            join(std::iter::once("demo_changed_at = excluded.demo_changed_at".to_owned()).chain(set), ", ");
        let values = join(self.spec.writable().map(|column| format!("new.{}", quote(&column.name))), ", ");
        let (noted, row_id) = self.noting(|row_id| {
            let old_row = self.key_is("b", "old.");
            format!("(select b.{row_id} from base.{} as b where {old_row})", quote(&self.spec.name))
        });
        let write = format!(
            "insert into {change} (demo_layer, demo_kind, demo_changed_at, {noted}{columns}) \
             values ({LIVE}, 'edited', {NOW}, {row_id}{values}) on conflict (demo_layer, {key}) do update set {set};\n",
            change = self.change,
            columns = self.writable_list(),
            key = key_list(self.spec),
        );
        let body = [
            self.guard(),
            self.refuse_given_values(false),
            self.skip_unless_visible(),
            self.keep_references(),
        ];
        let table = quote(&self.spec.name);
        let same =
            join(self.spec.key_columns().map(|c| format!("new.{0} is old.{0}", quote(&c.name))), " and ");
        let mut triggers = Vec::new();
        let mut add = |columns: Option<Vec<usize>>, name: &str, body: &str| {
            let of = columns.map(|columns| {
                let beyond_key = columns.into_iter().filter(|column| !self.spec.key.contains(column));
                join(beyond_key.map(|column| quote(&self.spec.columns[column].name)), ", ")
            });
            let event = match of.as_deref() {
                None => format!("update on {table} when {same}"),
                // An UPDATE that leaves the key can change none of its columns.
                Some("") => return,
                Some(columns) => format!("update of {columns} on {table} when {same}"),
            };
            triggers.push(self.trigger(&event, name, body));
        };
        add(None, "update_begin", &body.concat());
        for (at, unique) in self.spec.uniques.iter().enumerate() {
            if let Some(columns) = self.decided_by(unique) {
                let refusal = self.refuse_clash_in_layer(unique, false, true);
                add(Some(columns), &format!("update_layer{at}"), &refusal);
            }
        }
        add(None, "update", &write);
        for (at, unique) in self.spec.uniques.iter().enumerate() {
            let refusal = self.refuse_unique_clash(unique, false);
            add(self.decided_by(unique), &format!("update_unique{at}"), &refusal);
        }
        for outgoing in self.outgoing() {
            let body = self.note_missing_parent(&outgoing, false) + &self.forget_key_of_child(&outgoing);
            add(self.settable(outgoing.key.columns.clone()), &format!("update_child{}", outgoing.id), &body);
        }
        for incoming in self.incoming() {
            let parent = incoming.key.parent_columns.iter();
            let columns = parent.map(|name| self.spec.column(name)).collect::<Option<Vec<usize>>>();
            let columns = columns.and_then(|columns| self.settable(columns));
            let body = self.act_on_children(&incoming, true) + &self.forget_key_of_parent(&incoming, false);
            add(columns, &format!("update_parent{}", incoming.id), &body);
        }
        // SQLite runs the triggers of an event from the one made last to the one made first.
        triggers.reverse();
        triggers.concat()
    }

    /// An UPDATE that changes the key: the old row goes, a new one comes, references follow their actions.
    fn update_key(&self) -> String {
        let mut body = [
            self.guard(),
            self.refuse_given_values(false),
            self.skip_unless_visible(),
            self.refuse_taken_key(false),
            self.keep_references(),
            self.remove_old_row(),
            self.remember_row_id(false),
            self.refuse_clashes_in_layer(false),
            self.write_new_row(false),
            self.refuse_unique_clashes(false),
            self.forget_as_child(),
        ]
        .concat();
        for incoming in &self.incoming() {
            body.push_str(&self.act_on_children(incoming, true));
        }
        body.push_str(&self.note_missing_parents(false));
        body.push_str(&self.forget_as_parent(false));
        let differs = changed(self.spec, &self.spec.key);
        let event = format!("update of {} on {} when {differs}", key_list(self.spec), quote(&self.spec.name));
        self.trigger(&event, "update_key", &body)
    }

    fn delete(&self) -> String {
        let mut body = [
            self.guard(),
            self.skip_unless_visible(),
            self.keep_references(),
            self.remove_old_row(),
            self.forget_as_child(),
        ]
        .concat();
        for incoming in &self.incoming() {
            body.push_str(&self.act_on_children(incoming, false));
        }
        self.trigger(&format!("delete on {}", quote(&self.spec.name)), "delete", &body)
    }
}

/// References compare as the referred-to column does: its collation, where it declares one.
fn collate(parent: &TableSpec, column: &str) -> String {
    let declared = parent.column(column).and_then(|at| parent.columns[at].collation.as_ref());
    declared.map_or_else(String::new, |name| format!(" collate {}", quote(name)))
}

/// The same for a comparison that names the child's column first, whose own collation would decide otherwise.
fn collate_reference(parent: &TableSpec, column: &str, child: &TableSpec, at: usize) -> String {
    let declared = collate(parent, column);
    let is_of_child = declared.is_empty() && child.columns[at].collation.is_some();
    if is_of_child { " collate binary".to_owned() } else { declared }
}

/// Whether an UPDATE changes any of these columns.
fn changed(spec: &TableSpec, positions: &[usize]) -> String {
    join(positions.iter().map(|&at| format!("new.{0} is not old.{0}", quote(&spec.columns[at].name))), " or ")
}

fn pending_table(key: &ForeignKeySpec) -> &'static str {
    if key.deferred { "demo_pending_deferred" } else { "demo_pending" }
}

fn pending_keys(key: &ForeignKeySpec) -> String {
    join((1..=key.columns.len()).map(|at| format!("k{at}")), ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_as_a_default_is_a_text() {
        assert_eq!(default_expression("open"), "'open'");
        assert_eq!(default_expression("in_progress2"), "'in_progress2'");
        for expression in ["7", "2e3", "NULL", "current_date", "'open'", "-1", "lower('A')"] {
            assert_eq!(default_expression(expression), format!("({expression})"));
        }
    }
}
