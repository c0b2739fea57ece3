//! Reads the base file's tables into [`TableSpec`]s.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::base_file;
use super::parse;
use crate::attach::ViewSpec;
use crate::connection::{Link, Sql};
use crate::error::Result;
use crate::host::NoteKind;
use crate::search::SEARCH_PREFIX;
use crate::spec::{
    Action, CheckSpec, ColumnSpec, Discovery, ForeignKeySpec, GeneratedSpec, IndexPart, IndexSpec, IndexTerm,
    TableSpec, is_bookkeeping,
};
use crate::sql_text::quote;

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
    #[diesel(sql_type = Bool)]
    strict: bool,
    #[diesel(sql_type = Bool)]
    without_rowid: bool,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    declared_type: String,
    #[diesel(sql_type = Bool)]
    not_null: bool,
    #[diesel(sql_type = Nullable<Text>)]
    default_text: Option<String>,
    #[diesel(sql_type = BigInt)]
    key_position: i64,
    #[diesel(sql_type = BigInt)]
    hidden: i64,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct IndexRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_unique: bool,
    #[diesel(sql_type = Text)]
    origin: String,
    #[diesel(sql_type = Nullable<Text>)]
    sql: Option<String>,
}

#[derive(QueryableByName)]
struct IndexPartRow {
    #[diesel(sql_type = BigInt)]
    column_id: i64,
    #[diesel(sql_type = Bool)]
    is_descending: bool,
    #[diesel(sql_type = Nullable<Text>)]
    collation: Option<String>,
}

#[derive(QueryableByName)]
struct ForeignKeyRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = Text)]
    child_column: String,
    #[diesel(sql_type = Nullable<Text>)]
    parent_column: Option<String>,
    #[diesel(sql_type = Text)]
    on_update: String,
    #[diesel(sql_type = Text)]
    on_delete: String,
}

/// The names of all ordinary tables of the base, migration bookkeeping and the seal left out.
pub(crate) fn base_tables(link: &mut Link<'_>) -> Result<Vec<String>> {
    Ok(table_rows(link)?.into_iter().map(|row| row.name).collect())
}

fn table_rows(link: &mut Link<'_>) -> Result<Vec<TableRow>> {
    let rows: Vec<TableRow> = link.load(Sql::new(
        "select l.name, s.sql, l.strict, l.wr as without_rowid \
         from pragma_table_list l join base.sqlite_schema s on s.type = 'table' and s.name = l.name \
         where l.schema = 'base' and l.type = 'table' and l.name not like 'sqlite\\_%' escape '\\' order by l.name",
        [],
    ))?;
    let is_data = |row: &TableRow| !is_bookkeeping(&row.name) && row.name != base_file::SEAL_TABLE;
    Ok(rows.into_iter().filter(is_data).collect())
}

/// Reads all tables of the base.
pub(crate) fn discover(link: &mut Link<'_>) -> Result<Discovery> {
    let mut discovery = Discovery::default();
    let is_loaded = base_file::carried_seal(link)?.is_some();
    for row in table_rows(link)? {
        match table(link, &row, is_loaded)? {
            Ok(spec) => discovery.tables.push(spec),
            Err(reason) => discovery.refused.push((row.name, reason)),
        }
    }
    resolve_implicit_parents(&mut discovery.tables);
    read_what_stands_beside(link, &mut discovery)?;
    Ok(discovery)
}

#[derive(QueryableByName)]
struct ObjectRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    on_table: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Reads views, triggers and virtual tables.
fn read_what_stands_beside(link: &mut Link<'_>, discovery: &mut Discovery) -> Result<()> {
    let objects: Vec<ObjectRow> = link.load(Sql::new(
        "select type as kind, name, tbl_name as on_table, sql from base.sqlite_schema \
         where type in ('view', 'trigger') and name not like 'demo\\_guard\\_%' escape '\\' \
         union all select l.type, l.name, l.name, '' from pragma_table_list l \
         where l.schema = 'base' and l.type = 'virtual' order by 1, 2",
        [],
    ))?;
    for object in objects {
        match object.kind.as_str() {
            "view" => discovery
                .views
                .push(ViewSpec { definition: parse::create_view(&object.sql).to_owned(), name: object.name }),
            "trigger" => discovery.notes.push((
                NoteKind::TriggerNotRun,
                format!("trigger {} on {}", object.name, object.on_table),
                "on SQLite sessions do not run the host's triggers".to_owned(),
            )),
            // The engine's own, over what is in the tables.
            _ if object.name.starts_with(SEARCH_PREFIX) => {}
            _ => discovery
                .refused
                .push((object.name, "it is a virtual table, whose rows are not in the file".to_owned())),
        }
    }
    Ok(())
}

/// A reference without columns is to the parent's primary key.
fn resolve_implicit_parents(tables: &mut [TableSpec]) {
    let keys: Vec<(String, Vec<String>)> = tables
        .iter()
        .map(|table| (table.name.clone(), table.key_columns().map(|column| column.name.clone()).collect()))
        .collect();
    for key in tables.iter_mut().flat_map(|table| &mut table.foreign_keys) {
        if let Some((name, parent_key)) = keys.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.parent))
        {
            key.parent.clone_from(name);
            if key.parent_columns.is_empty() {
                key.parent_columns.clone_from(parent_key);
            }
        }
    }
}

fn table(
    link: &mut Link<'_>,
    row: &TableRow,
    is_loaded: bool,
) -> Result<std::result::Result<TableSpec, String>> {
    let parsed = parse::create_table(&row.sql);
    let columns: Vec<ColumnRow> = link.load(Sql::new(
        "select name, type as declared_type, \"notnull\" as not_null, dflt_value as default_text, \
         pk as key_position, hidden, cid as number from pragma_table_xinfo(?, 'base') order by cid",
        [row.name.as_str().into()],
    ))?;
    let mut key: Vec<(i64, usize)> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.key_position > 0)
        .map(|(position, column)| (column.key_position, position))
        .collect();
    key.sort_unstable();
    let key: Vec<usize> = key.into_iter().map(|(_, position)| position).collect();
    if key.is_empty() {
        return Ok(Err("it has no primary key".to_owned()));
    }
    let row_id = match key[..] {
        [only] if !row.without_rowid && columns[only].declared_type.eq_ignore_ascii_case("integer") => {
            Some(only)
        }
        _ => None,
    };
    // A column may have the name of the row id, which then has it no more.
    let is_free = |name: &&str| !columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let has_lasting_row_ids = is_loaded && !row.without_rowid && row_id.is_none();
    let base_row_id = ["rowid", "_rowid_", "oid"].into_iter().filter(|_| has_lasting_row_ids).find(is_free);
    let specs = columns
        .into_iter()
        .map(|column| {
            let parsed = parsed.columns.iter().find(|parsed| parsed.name.eq_ignore_ascii_case(&column.name));
            let generated = parsed.and_then(|parsed| parsed.generated.clone());
            ColumnSpec {
                collation: parsed.and_then(|parsed| parsed.collation.clone()),
                generated: generated
                    .map(|expression| GeneratedSpec { expression, stored: column.hidden == 3 }),
                name: column.name,
                number: column.number,
                declared_type: column.declared_type,
                not_null: column.not_null,
                sequence: None,
                always_identity: false,
                default: column.default_text,
            }
        })
        .collect();
    let mut spec = TableSpec {
        name: row.name.clone(),
        columns: specs,
        key_name: String::new(),
        key,
        row_id,
        base_row_id,
        uniques: Vec::new(),
        indexes: Vec::new(),
        checks: parsed.checks.into_iter().map(|(name, expression)| CheckSpec { name, expression }).collect(),
        foreign_keys: Vec::new(),
        partitions: None,
        strict: row.strict,
        triggers: Vec::new(),
    };
    if let Some(reason) = reserved_name(&spec) {
        return Ok(Err(reason));
    }
    if has_null_in_key(link, &spec)? {
        return Ok(Err("a row of it has NULL in its key, and could not be told from another".to_owned()));
    }
    if let Some(reason) = read_indexes(link, &mut spec)? {
        return Ok(Err(reason));
    }
    read_foreign_keys(link, &mut spec, &parsed.deferred_foreign_keys)?;
    Ok(Ok(spec))
}

/// SQLite lets a key that is not the row id be NULL.
fn has_null_in_key(link: &mut Link<'_>, spec: &TableSpec) -> Result<bool> {
    let nullable: Vec<String> = spec
        .key_columns()
        .filter(|column| spec.row_id.is_none() && !column.not_null)
        .map(|column| format!("{} is null", quote(&column.name)))
        .collect();
    if nullable.is_empty() {
        return Ok(false);
    }
    let mut query = Sql::default();
    query.push(&format!(
        "select cast(1 as integer) as found from base.{} where {} limit 1",
        quote(&spec.name),
        nullable.join(" or ")
    ));
    Ok(link.first::<FoundRow>(query)?.is_some())
}

#[derive(QueryableByName)]
struct FoundRow {
    #[diesel(sql_type = BigInt)]
    #[allow(dead_code, reason = "that there is a row is what was asked")]
    found: i64,
}

/// Names that the engine needs for itself.
fn reserved_name(spec: &TableSpec) -> Option<String> {
    if spec.name.to_ascii_lowercase().starts_with("demo_") {
        return Some("names that begin with demo_ are the engine's".to_owned());
    }
    // In a trigger that follows a reference to it, `old.id` would be the id of its own rows.
    if ["old", "new"].iter().any(|name| spec.name.eq_ignore_ascii_case(name)) {
        return Some("in a trigger its name means the row that is written".to_owned());
    }
    if let Some(column) = spec.columns.iter().find(|column| is_truth_value(&column.name)) {
        return Some(format!(
            "its column {} has a name that SQLite gives to no column of a view",
            column.name
        ));
    }
    let taken = spec.columns.iter().find(|column| {
        crate::sqlite::ddl::CONTROL_COLUMNS
            .iter()
            .chain(&crate::sqlite::ddl::TRACKING_COLUMNS)
            .any(|control| column.name.eq_ignore_ascii_case(control))
    })?;
    Some(format!("its column {} has a name that the engine needs", taken.name))
}

/// SQLite calls such a column of a view `column1` or the like, quoted or not.
fn is_truth_value(name: &str) -> bool {
    ["true", "false"].iter().any(|value| name.eq_ignore_ascii_case(value))
}

/// Whether an index compares a column as the column itself does.
pub(crate) fn has_declared_collation(column: &ColumnSpec, part: &IndexPart) -> bool {
    let name = |collation: &Option<String>| collation.as_deref().unwrap_or("binary").to_ascii_lowercase();
    name(&column.collation) == name(&part.collation)
}

/// Reads the indexes; why the table cannot be covered, where one of them says so.
fn read_indexes(link: &mut Link<'_>, spec: &mut TableSpec) -> Result<Option<String>> {
    let indexes: Vec<IndexRow> = link.load(Sql::new(
        "select l.name, l.\"unique\" as is_unique, l.origin, s.sql from pragma_index_list(?, 'base') l \
         left join base.sqlite_schema s on s.type = 'index' and s.name = l.name order by l.name",
        [spec.name.as_str().into()],
    ))?;
    for index in indexes {
        let parsed = index.sql.as_deref().map(parse::create_index).unwrap_or_default();
        let parts: Vec<IndexPartRow> = link.load(Sql::new(
            "select cid as column_id, \"desc\" as is_descending, coll as collation \
             from pragma_index_xinfo(?, 'base') where key = 1 order by seqno",
            [index.name.as_str().into()],
        ))?;
        let parts: Vec<IndexPart> = parts
            .into_iter()
            .enumerate()
            .map(|(position, part)| IndexPart {
                term: match usize::try_from(part.column_id) {
                    Ok(column) => IndexTerm::Column(column),
                    Err(_) => IndexTerm::Expression(parsed.parts.get(position).cloned().unwrap_or_default()),
                },
                collation: part.collation,
                operator_class: None,
                descending: part.is_descending,
                nulls_first: false,
            })
            .collect();
        if index.origin == "pk" {
            let is_as_declared = |part: &IndexPart| match part.term {
                IndexTerm::Column(at) => has_declared_collation(&spec.columns[at], part),
                IndexTerm::Expression(_) => true,
            };
            if !parts.iter().all(is_as_declared) {
                return Ok(Some("its key compares by another collation than its column declares".to_owned()));
            }
            continue;
        }
        let target = if index.is_unique { &mut spec.uniques } else { &mut spec.indexes };
        target.push(IndexSpec {
            name: index.name,
            parts,
            predicate: parsed.predicate,
            nulls_not_distinct: false,
        });
    }
    Ok(None)
}

fn read_foreign_keys(link: &mut Link<'_>, spec: &mut TableSpec, deferred: &[bool]) -> Result<()> {
    let rows: Vec<ForeignKeyRow> = link.load(Sql::new(
        "select id, \"table\" as parent, \"from\" as child_column, \"to\" as parent_column, on_update, on_delete \
         from pragma_foreign_key_list(?, 'base') order by id, seq",
        [spec.name.as_str().into()],
    ))?;
    let mut last_id = None;
    for row in rows {
        let Some(column) = spec.column(&row.child_column) else { continue };
        if last_id != Some(row.id) {
            last_id = Some(row.id);
            // SQLite numbers foreign keys from the last declared to the first.
            let declared = usize::try_from(row.id).ok().and_then(|id| deferred.len().checked_sub(id + 1));
            spec.foreign_keys.push(ForeignKeySpec {
                name: String::new(),
                columns: Vec::new(),
                parent: row.parent,
                parent_columns: Vec::new(),
                on_delete: action(&row.on_delete),
                on_update: action(&row.on_update),
                deferred: declared.and_then(|at| deferred.get(at).copied()).unwrap_or_default(),
                full: false,
                deleted_columns: Vec::new(),
                number: row.id,
            });
        }
        if let Some(key) = spec.foreign_keys.last_mut() {
            key.columns.push(column);
            key.parent_columns.extend(row.parent_column);
        }
    }
    Ok(())
}

fn action(text: &str) -> Action {
    match text.to_ascii_uppercase().as_str() {
        "RESTRICT" => Action::Restrict,
        "CASCADE" => Action::Cascade,
        "SET NULL" => Action::SetNull,
        "SET DEFAULT" => Action::SetDefault,
        _ => Action::NoAction,
    }
}
