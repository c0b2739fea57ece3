//! Reads the tables of `public` into [`TableSpec`]s.

use std::collections::BTreeMap;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use crate::connection::{Link, Sql};
use crate::error::Result;
use crate::spec::{
    Action, ColumnSpec, Discovery, ForeignKeySpec, GeneratedSpec, IndexPart, IndexSpec, IndexTerm, TableSpec,
    is_bookkeeping,
};
use crate::sqlite::ddl::{CONTROL_COLUMNS, TRACKING_COLUMNS};

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = BigInt)]
    oid: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    row_security: bool,
    #[diesel(sql_type = Bool)]
    has_exclusion: bool,
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
}

const TABLES: &str = "select c.oid::bigint as oid, c.relname::text as name, c.relrowsecurity as row_security, \
     exists (select 1 from pg_constraint x where x.conrelid = c.oid and x.contype = 'x') as has_exclusion \
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') \
     and not c.relispartition order by c.relname";

const COLUMNS: &str = "select a.attrelid::bigint as table_oid, a.attnum::bigint as number, a.attname::text as name, \
     format_type(a.atttypid, a.atttypmod) as declared_type, a.attnotnull as not_null, \
     pg_get_expr(d.adbin, d.adrelid) as default_text, a.attgenerated <> '' as is_generated, \
     pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname) as sequence \
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
     and i.indislive order by i.indrelid, ic.relname, k";

const FOREIGN_KEYS: &str = "select f.conrelid::bigint as table_oid, f.conname::text as name, \
     p.relname::text as parent, f.conkey[k]::bigint as column_number, pa.attname::text as parent_column, \
     f.confupdtype::text as on_update, f.confdeltype::text as on_delete, f.condeferred as is_deferred \
     from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class p on p.oid = f.confrelid \
     cross join lateral generate_series(1, array_length(f.conkey, 1)) k \
     join pg_attribute pa on pa.attrelid = f.confrelid and pa.attnum = f.confkey[k] \
     where f.contype = 'f' and f.conparentid = 0 and c.relnamespace = 'public'::regnamespace \
     and not c.relispartition order by f.conrelid, f.conname, k";

/// Reads all tables of `public`. Runs in a transaction; names come out qualified where they need to be, since
/// the search path is empty meanwhile.
pub(crate) fn discover(link: &mut Link<'_>) -> Result<Discovery> {
    link.batch("set local search_path = ''")?;
    let found = discover_qualified(link);
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
    for row in tables {
        if is_bookkeeping(&row.name) {
            continue;
        }
        let spec = table(
            &row,
            columns.remove(&row.oid).unwrap_or_default(),
            parts.remove(&row.oid).unwrap_or_default(),
            keys.remove(&row.oid).unwrap_or_default(),
        );
        match spec {
            Ok(spec) => discovery.tables.push(spec),
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
    if row.row_security {
        return Err("it has row-level security, which a view would bypass".to_owned());
    }
    if row.has_exclusion {
        return Err("it has an EXCLUDE constraint, which cannot hold across base and layer".to_owned());
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
        uniques: Vec::new(),
        indexes: Vec::new(),
        // LIKE … INCLUDING CONSTRAINTS copies them.
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        strict: false,
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
            });
        }
        if let Some(key) = spec.foreign_keys.last_mut() {
            key.columns.push(column);
            key.parent_columns.push(row.parent_column);
        }
    }
    spec.columns = columns
        .into_iter()
        .map(|column| ColumnSpec {
            name: column.name,
            declared_type: column.declared_type,
            collation: None,
            not_null: column.not_null,
            sequence: column.sequence,
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
