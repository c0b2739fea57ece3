//! Random schemas: tables with everything that the engine claims to cover, and what they are called.

use std::collections::BTreeSet;

use super::statement::Statement;
use crate::fixture::Backend;
use crate::random::Random;

/// A type with some of its values. They are few, so that they meet.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// What it is listed as.
    pub feature: &'static str,
    pub sql: &'static str,
    /// Literals of it.
    pub values: &'static [&'static str],
    /// What can be done with it, in letters: (e)quals, (k)ey, (n)umber, (t)ext, (s)trict tables have it.
    can: &'static str,
}

impl Kind {
    pub fn can(&self, what: char) -> bool {
        self.can.contains(what)
    }
}

const fn kind(
    feature: &'static str,
    sql: &'static str,
    can: &'static str,
    values: &'static [&'static str],
) -> Kind {
    Kind { feature, sql, values, can }
}

const INTEGERS: &[&str] = &["1", "2", "3", "4", "5", "6", "7"];
const TEXTS: &[&str] = &["'a'", "'b'", "'A'", "'ä'", "''", "'it''s \\ \"so\" %s'", "'bad'"];
const UUIDS: &[&str] = &[
    "'11111111-1111-1111-1111-111111111111'",
    "'22222222-2222-2222-2222-222222222222'",
    "'a3333333-3333-4333-8333-333333333333'",
    "'b4444444-4444-4444-8444-444444444444'",
];
const MOMENTS: &[&str] =
    &["'2026-01-01 00:00:00'", "'2026-03-29 02:30:00.123456'", "'1999-12-31 23:59:59.9'"];

pub const POSTGRES_KINDS: &[Kind] = &[
    kind("integer", "integer", "eknt", INTEGERS),
    kind("text", "text", "ekt", TEXTS),
    kind("uuid", "uuid", "ek", UUIDS),
    kind(
        "numeric",
        "numeric",
        "ekn",
        &["'1.0'", "'1.00'", "'2.5'", "'NaN'", "'123456789012345678901.5'", "'-0.5'"],
    ),
    kind("numeric", "numeric(8,2)", "en", &["'1.005'", "'2.5'", "'0'", "'123456.78'", "'99999999'"]),
    kind("json", "json", "", &["'{\"b\": 1, \"a\": 1, \"a\":2}'", "'null'", "'[1, 2]'", "'\"x\"'"]),
    kind("jsonb", "jsonb", "e", &["'{\"b\": 1, \"a\": 1.50}'", "'null'", "'[1, 2]'", "'\"x\"'"]),
    kind("bytea", "bytea", "ek", &["'\\x00ff'", "'\\x'", "'\\x27'"]),
    kind("array", "integer[]", "e", &["'{}'", "'{1,null,3}'", "'[0:1]={1,2}'"]),
    kind("array", "text[]", "e", &["'{a,\"b c\",null}'", "'{}'", "'{{a},{b}}'"]),
    kind("enum", "mood", "ek", &["'sad'", "'ok'", "'happy'"]),
    kind("domain", "short_word", "ek", &["'x'", "'yy'", "'zzz'", "'too long a word'"]),
    kind("range", "int4range", "e", &["'[1,5)'", "'empty'", "'(,3]'", "'[2,2]'"]),
    kind("range", "tstzrange", "e", &["'[2026-01-01 00:00+02,2026-02-01 00:00+00)'", "'empty'"]),
    kind("timestamp", "timestamp", "ek", MOMENTS),
    kind(
        "timestamp with zone",
        "timestamptz",
        "ek",
        &[
            "'2026-01-01 00:00:00+01'",
            "'2026-03-29 02:30:00.123456 Europe/Berlin'",
            "'infinity'",
            "'1999-12-31 23:59:59Z'",
        ],
    ),
    kind("date", "date", "ek", &["'2026-02-28'", "'infinity'", "'0044-03-15 BC'"]),
    kind("time", "time", "e", &["'02:30'", "'23:59:59.999999'"]),
    kind("interval", "interval", "ek", &["'1 mon'", "'30 days'", "'720:00'", "'-1 s'"]),
    kind("boolean", "boolean", "e", &["true", "false"]),
    kind("double", "double precision", "ekn", &["'0.30000000000000004'", "'-0'", "'0'", "'NaN'", "'1e300'"]),
    kind("real", "real", "en", &["'0.1'", "'-0'", "'3e38'"]),
    kind("bigint", "bigint", "ekn", &["1", "2", "'9223372036854775807'", "3"]),
    kind("smallint", "smallint", "en", &["1", "2", "'32767'", "3"]),
    kind("varchar", "varchar(3)", "et", &["'a'", "'abc'", "'abcd'", "'b'"]),
    kind("char", "char(3)", "e", &["'a'", "'ab '", "'abc'"]),
    kind("network", "inet", "e", &["'10.0.0.1/8'", "'::1'"]),
    kind("no equality", "point", "", &["'(1,2)'", "'(0.1,-0)'"]),
    kind("bits", "bit varying(4)", "e", &["B'101'", "B''"]),
    kind("composite", "pair", "e", &["row(1, 'a')", "row(null, '\"')"]),
];

pub const SQLITE_KINDS: &[Kind] = &[
    kind("integer", "integer", "eknts", INTEGERS),
    kind("integer", "int", "ekns", &["1", "2", "'3'", "4", "5"]),
    kind("text", "text", "ekts", TEXTS),
    kind("uuid", "text", "eks", UUIDS),
    kind(
        "uuid",
        "blob",
        "eks",
        &["x'11111111111111111111111111111111'", "x'22222222222222222222222222222222'", "x'33'"],
    ),
    kind("numeric", "numeric", "ekn", &["1.0", "'1.50'", "2", "'many'", "1e300", "-0.0"]),
    kind("numeric", "decimal(8,2)", "en", &["1.005", "2.50", "'3'", "0"]),
    kind("json", "json", "e", &["'{\"b\": 1, \"a\": 1}'", "'null'", "'[1, 2]'"]),
    kind("jsonb", "blob", "es", &["jsonb('{\"b\": 1}')", "jsonb('[1, 2]')"]),
    kind("blob", "blob", "eks", &["x'00ff'", "x''", "x'27'"]),
    kind("timestamp", "datetime", "ek", MOMENTS),
    kind(
        "timestamp with zone",
        "text",
        "eks",
        &["'2026-01-01T00:00:00.000000Z'", "'2026-01-01T01:00:00+01:00'"],
    ),
    kind("boolean", "boolean", "e", &["true", "false", "2"]),
    kind("double", "real", "ekns", &["0.30000000000000004", "1", "1e300", "2.5"]),
    kind("any", "any", "es", &["1", "'1'", "1.5", "x'31'"]),
    kind("untyped", "", "e", &["1", "'1'", "1.5", "x'31'"]),
    kind("varchar", "varchar(3)", "et", &["'a'", "'abcd'", "5"]),
];

pub fn kinds(backend: Backend) -> &'static [Kind] {
    match backend {
        Backend::Sqlite => SQLITE_KINDS,
        Backend::Postgres => POSTGRES_KINDS,
    }
}

/// Stands for a column in all of a schema.
pub type ColumnId = usize;

#[derive(Debug, Clone)]
pub struct Column {
    pub id: ColumnId,
    pub name: String,
    pub kind: &'static Kind,
    pub not_null: bool,
    pub default: Option<String>,
    /// The expression, the column that it uses, and whether it is stored.
    pub generated: Option<(String, ColumnId, bool)>,
    pub identity: Option<Identity>,
    pub collation: Option<&'static str>,
}

/// Who hands out the values of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Identity {
    ByDefault,
    Always,
    Serial,
    RowId,
    AutoIncrement,
}

#[derive(Debug, Clone)]
pub struct Constraint {
    pub name: String,
    pub rule: Rule,
    /// Columns that it would be nothing without.
    pub uses: Vec<ColumnId>,
}

#[derive(Debug, Clone)]
pub enum Rule {
    /// A constraint over columns.
    Unique {
        columns: Vec<ColumnId>,
        nulls_not_distinct: bool,
    },
    /// An index over anything.
    UniqueIndex {
        terms: String,
        predicate: Option<String>,
        nulls_not_distinct: bool,
    },
    Index {
        terms: String,
    },
    Check(String),
    ForeignKey(ForeignKey),
}

#[derive(Debug, Clone)]
pub struct ForeignKey {
    pub columns: Vec<ColumnId>,
    pub parent: usize,
    pub parent_columns: Vec<ColumnId>,
    pub on_delete: &'static str,
    pub on_update: &'static str,
    pub timing: &'static str,
    pub full: bool,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub key: Vec<ColumnId>,
    pub constraints: Vec<Constraint>,
    pub strict: bool,
    pub without_row_id: bool,
    /// PostgreSQL: PARTITION BY, and what makes the partitions.
    pub partitions: Option<(String, Vec<String>)>,
    pub triggers: Vec<Trigger>,
    /// How its name is made.
    pub name_feature: &'static str,
    pub is_log: bool,
}

#[derive(Debug, Clone)]
pub struct Trigger {
    pub uses: Vec<ColumnId>,
    /// DDL as the host writes it, and as the plain copy has it.
    pub sql: String,
    pub plain: String,
}

#[derive(Debug, Clone)]
pub struct View {
    pub sql: String,
    /// What is read of it, as one text.
    pub read: String,
    pub uses: Vec<ColumnId>,
    pub tables: Vec<usize>,
}

#[derive(Debug, Clone)]
pub struct Schema {
    pub backend: Backend,
    /// Tables that were shrunk away are none.
    pub tables: Vec<Option<Table>>,
    pub views: Vec<View>,
    pub tracking_columns: bool,
    /// What the base holds, statement by statement; some of them fail.
    pub base: Vec<Statement>,
}

pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub const ACTIONS: [&str; 5] = ["no action", "restrict", "cascade", "set null", "set default"];

impl Table {
    pub fn column(&self, id: ColumnId) -> &Column {
        self.columns.iter().find(|column| column.id == id).unwrap()
    }

    pub fn has(&self, id: ColumnId) -> bool {
        self.columns.iter().any(|column| column.id == id)
    }

    fn names(&self, columns: &[ColumnId]) -> String {
        columns.iter().map(|id| quote(&self.column(*id).name)).collect::<Vec<_>>().join(", ")
    }

    pub fn foreign_keys(&self) -> impl Iterator<Item = &ForeignKey> {
        self.constraints.iter().filter_map(|constraint| match &constraint.rule {
            Rule::ForeignKey(key) => Some(key),
            _ => None,
        })
    }

    /// Columns whose values must differ from row to row.
    pub fn unique_columns(&self) -> BTreeSet<ColumnId> {
        let mut columns: BTreeSet<ColumnId> = self.key.iter().copied().collect();
        for constraint in &self.constraints {
            if matches!(constraint.rule, Rule::Unique { .. } | Rule::UniqueIndex { .. }) {
                columns.extend(&constraint.uses);
            }
        }
        columns
    }

    /// What the list says of it.
    pub fn features(&self, at: usize, schema: &Schema) -> BTreeSet<&'static str> {
        let mut features = BTreeSet::from([self.name_feature]);
        let differ_at_the_end = |names: &mut dyn Iterator<Item = &String>| {
            let long: Vec<&String> = names.filter(|name| name.len() == 60).collect();
            long.len() > 1 && long.iter().all(|name| name[..58] == long[0][..58])
        };
        if self.name.len() == 60 && differ_at_the_end(&mut schema.live().map(|(_, table)| &table.name)) {
            features.insert("60-character tables that differ at the end");
        }
        if differ_at_the_end(&mut self.columns.iter().map(|column| &column.name)) {
            features.insert("60-character columns that differ at the end");
        }
        let key = self.key.iter().map(|id| self.column(*id)).collect::<Vec<_>>();
        features.insert(match &key[..] {
            [only] => match only.kind.feature {
                "integer" | "bigint" => "integer key",
                "text" => "text key",
                "uuid" => "uuid key",
                _ => "key of another type",
            },
            _ => "composite key",
        });
        for column in &self.columns {
            features.insert(column.kind.feature);
            if column.default.is_some() {
                features.insert("default");
            }
            features.insert(match column.identity {
                Some(Identity::ByDefault) => "identity",
                Some(Identity::Always) => "identity always",
                Some(Identity::Serial) => "serial",
                Some(Identity::RowId | Identity::AutoIncrement) => "row id",
                None => "integer",
            });
            if let Some((_, _, stored)) = &column.generated {
                features.insert(if *stored { "generated stored" } else { "generated virtual" });
            }
        }
        for constraint in &self.constraints {
            match &constraint.rule {
                Rule::Unique { nulls_not_distinct, .. } => {
                    features.insert(if *nulls_not_distinct { "nulls not distinct" } else { "unique" });
                }
                Rule::UniqueIndex { terms, predicate, nulls_not_distinct } => {
                    if predicate.is_some() {
                        features.insert("partial unique");
                    }
                    if terms.contains('(') {
                        features.insert("unique on expression");
                    }
                    if *nulls_not_distinct {
                        features.insert("nulls not distinct");
                    }
                }
                Rule::Check(_) => {
                    features.insert("check");
                }
                Rule::Index { .. } => {}
                Rule::ForeignKey(key) => {
                    features.insert(match key.on_delete {
                        "no action" => "on delete no action",
                        "restrict" => "on delete restrict",
                        "cascade" => "on delete cascade",
                        "set null" => "on delete set null",
                        _ => "on delete set default",
                    });
                    features.insert(match key.on_update {
                        "no action" => "on update no action",
                        "restrict" => "on update restrict",
                        "cascade" => "on update cascade",
                        "set null" => "on update set null",
                        _ => "on update set default",
                    });
                    match key.timing {
                        "" => {}
                        "deferrable initially deferred" => drop(features.insert("deferred key")),
                        _ => drop(features.insert("deferrable key")),
                    }
                    if key.full {
                        features.insert("match full");
                    }
                    if key.columns.len() > 1 {
                        features.insert("multi-column reference");
                    }
                    if key.parent == at {
                        features.insert("self-reference");
                    } else if schema.tables[key.parent]
                        .as_ref()
                        .is_some_and(|parent| parent.foreign_keys().any(|back| back.parent == at))
                    {
                        features.insert("reference cycle");
                    }
                }
            }
        }
        if self.strict {
            features.insert("strict");
        }
        if self.without_row_id {
            features.insert("without rowid");
        }
        if self.partitions.is_some() {
            features.insert("partitioned");
        }
        if !self.triggers.is_empty() {
            features.insert("row triggers");
        }
        if self.columns.len() >= 200 {
            features.insert("200 columns");
        }
        features
    }
}

/// Every line of the coverage on a database. Each must come up often enough.
pub fn wanted(backend: Backend) -> Vec<&'static str> {
    let mut all = vec![
        "integer key",
        "text key",
        "uuid key",
        "composite key",
        "key of another type",
        "self-reference",
        "reference cycle",
        "multi-column reference",
        "on delete no action",
        "on delete restrict",
        "on delete cascade",
        "on delete set null",
        "on delete set default",
        "on update no action",
        "on update restrict",
        "on update cascade",
        "on update set null",
        "on update set default",
        "deferred key",
        "deferrable key",
        "unique",
        "partial unique",
        "unique on expression",
        "check",
        "default",
        "generated stored",
        "numeric",
        "json",
        "jsonb",
        "timestamp",
        "timestamp with zone",
        "mixed-case name",
        "quoted name",
        "spaced name",
        "reserved name",
        "60-character tables that differ at the end",
        "60-character columns that differ at the end",
        "name of the engine's own words",
        "200 columns",
        "host view",
        "multi-row insert",
        "insert select",
        "update",
        "key update",
        "self-referring update",
        "update from",
        "delete",
        "subquery",
        "aggregate",
        "join",
        "rolled back savepoint",
        "released savepoint",
        "failing statement in the middle",
        "returning",
        "value for a generated column",
    ];
    all.extend(match backend {
        Backend::Sqlite => {
            ["row id", "strict", "without rowid", "generated virtual", "blob", "deferred for a transaction"]
                .as_slice()
        }
        Backend::Postgres => [
            "identity",
            "identity always",
            "serial",
            "nulls not distinct",
            "bytea",
            "array",
            "enum",
            "domain",
            "range",
            "partitioned",
            "row triggers",
            "delete using",
            "changing cte",
            "match full",
            "composite",
            "no equality",
        ]
        .as_slice(),
    });
    all
}

/// Makes one schema.
struct Maker<'a> {
    random: &'a mut Random,
    backend: Backend,
    next_column: ColumnId,
    tables: Vec<Table>,
}

impl Maker<'_> {
    fn one_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.below(all.len())]
    }

    fn kind_that(&mut self, can: char, strict: bool) -> &'static Kind {
        loop {
            let all = kinds(self.backend);
            let kind = &all[self.random.below(all.len())];
            if kind.can(can) && (!strict || kind.can('s')) {
                return kind;
            }
        }
    }

    fn any_kind(&mut self, strict: bool) -> &'static Kind {
        loop {
            let all = kinds(self.backend);
            let kind = &all[self.random.below(all.len())];
            if !strict || kind.can('s') {
                return kind;
            }
        }
    }

    fn named_kind(&self, feature: &str) -> &'static Kind {
        kinds(self.backend).iter().find(|kind| kind.feature == feature).unwrap()
    }

    fn table_name(&mut self, at: usize) -> (String, &'static str) {
        match self.random.below(9) {
            0 => (format!("MixedCase{at}"), "mixed-case name"),
            1 => (format!("we\"ird'{at}"), "quoted name"),
            2 => (format!("my table {at}"), "spaced name"),
            3 => (["select", "order", "user", "table"][at].to_owned(), "reserved name"),
            4 | 5 => {
                (format!("{}{at}", "a_table_with_a_name_".repeat(3).split_at(59).0), "60-character name")
            }
            6 => (["c", "b", "demo", "user"][at].to_owned(), "name of the engine's own words"),
            // On SQLite an attach refuses these.
            7 if self.backend == Backend::Postgres => {
                (["old", "new", "public", "o"][at].to_owned(), "name of the engine's own words")
            }
            _ => (format!("t{at}"), "plain name"),
        }
    }

    fn column_name(&mut self, id: ColumnId) -> String {
        match self.random.below(12) {
            0 => format!("Col{id}"),
            1 => format!("a column {id}"),
            2 => format!("{}{id:02}", "a_column_whose_name_ends_late_".repeat(2).split_at(58).0),
            3 => format!("q\"{id}"),
            4 => {
                ["select", "order", "old", "new", "group", "check", "end", "c", "b", "o", "u", "k1", "value"]
                    [id % 13]
                    .to_owned()
            }
            _ => format!("c{id}"),
        }
    }

    fn column(&mut self, table: &Table, kind: &'static Kind) -> Column {
        let id = self.next_column;
        self.next_column += 1;
        let mut name = self.column_name(id);
        if table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
            name = format!("c{id}");
        }
        Column {
            id,
            name,
            kind,
            not_null: false,
            default: None,
            generated: None,
            identity: None,
            collation: None,
        }
    }

    fn literal(&mut self, kind: &'static Kind) -> String {
        let value = self.pick(kind.values);
        typed(self.backend, kind, value)
    }

    fn key(&mut self, table: &mut Table) {
        let integer = self.named_kind("integer");
        let strict = table.strict;
        let kinds: Vec<&'static Kind> = match self.random.below(8) {
            0..=2 => vec![integer],
            3 => vec![self.named_kind("text")],
            4 => vec![self.named_kind("uuid")],
            5 => {
                let other = self.kind_that('k', strict);
                vec![other]
            }
            _ => {
                let other = self.kind_that('k', strict);
                vec![integer, other]
            }
        };
        let is_integer = kinds.len() == 1 && kinds[0] == integer;
        for kind in kinds {
            let mut column = self.column(table, kind);
            column.not_null = true;
            if is_integer {
                column.identity = match (self.backend, self.random.below(5)) {
                    (Backend::Postgres, 0) => Some(Identity::ByDefault),
                    (Backend::Postgres, 1) => Some(Identity::Always),
                    (Backend::Postgres, 2) => Some(Identity::Serial),
                    (Backend::Sqlite, 0) if !table.without_row_id => Some(Identity::AutoIncrement),
                    // Such a key is the row id, whether one asks for it or not.
                    (Backend::Sqlite, _) if !table.without_row_id => Some(Identity::RowId),
                    _ => None,
                };
            }
            table.key.push(column.id);
            table.columns.push(column);
        }
    }

    fn plain_columns(&mut self, table: &mut Table) {
        let count = if self.one_in(16) { 199 } else { 2 + self.random.below(5) };
        for at in 0..count {
            let kind = match at {
                // So that checks, expressions and triggers have something to work on.
                0 => self.named_kind("text"),
                1 => self.named_kind("integer"),
                _ => self.any_kind(table.strict),
            };
            let mut column = self.column(table, kind);
            column.not_null = at < 20 && self.one_in(4);
            if at < 20 && self.one_in(3) {
                column.default = Some(match kind.feature {
                    "integer" if self.one_in(2) => "(1 + 2)".to_owned(),
                    "text" if self.one_in(2) => "lower('DEF')".to_owned(),
                    _ => self.literal(kind),
                });
            }
            if self.backend == Backend::Sqlite && kind.can('t') && self.one_in(4) {
                column.collation = Some("nocase");
            }
            table.columns.push(column);
        }
        if self.backend == Backend::Sqlite {
            for column in &mut table.columns {
                // SQLite wants a default that is an expression in parentheses.
                if let Some(default) = &mut column.default
                    && default.contains('(')
                    && !default.starts_with('(')
                {
                    *default = format!("({default})");
                }
            }
        }
        let sources: Vec<(ColumnId, String, bool)> = table.columns[table.key.len()..]
            .iter()
            .filter(|column| ["text", "integer"].contains(&column.kind.feature) && column.kind.can('t'))
            .map(|column| (column.id, column.name.clone(), column.kind.feature == "text"))
            .collect();
        for (id, name, is_text) in sources.into_iter().take(2) {
            if !self.one_in(3) {
                continue;
            }
            let name = quote(&name);
            let (expression, kind) = match is_text {
                true => (format!("upper({name})"), self.named_kind("text")),
                false => (format!("{name} * 2"), self.named_kind("integer")),
            };
            let stored = self.backend == Backend::Postgres || self.one_in(2);
            let mut column = self.column(table, kind);
            column.generated = Some((expression, id, stored));
            table.columns.push(column);
        }
    }

    /// Columns that are there to be constrained.
    fn candidates(&self, table: &Table, can: char) -> Vec<(ColumnId, String, &'static Kind)> {
        let plain = table.columns.iter().filter(|column| !table.key.contains(&column.id));
        let able = plain.filter(|column| column.kind.can(can) && column.generated.is_none());
        able.take(8).map(|column| (column.id, quote(&column.name), column.kind)).collect()
    }

    fn constraints(&mut self, table: &mut Table, at: usize) {
        let add = |table: &mut Table, what: &str, rule: Rule, uses: Vec<ColumnId>| {
            let name = format!("{what}_{at}_{}", table.constraints.len());
            table.constraints.push(Constraint { name, rule, uses });
        };
        let postgres = self.backend == Backend::Postgres;
        // A unique constraint of a partitioned table must hold the partition key.
        if table.partitions.is_none() {
            let comparable = self.candidates(table, 'k');
            if !comparable.is_empty() && self.one_in(3) {
                let (id, _, _) = comparable[self.random.below(comparable.len())];
                let nulls_not_distinct = postgres && self.one_in(3);
                add(table, "unique", Rule::Unique { columns: vec![id], nulls_not_distinct }, vec![id]);
            }
            if comparable.len() >= 2 && self.one_in(3) {
                let ids = vec![comparable[0].0, comparable[1].0];
                let nulls_not_distinct = postgres && self.one_in(2);
                add(table, "unique", Rule::Unique { columns: ids.clone(), nulls_not_distinct }, ids);
            }
            let texts = self.candidates(table, 't');
            let numbers = self.candidates(table, 'n');
            if let [(text, name, _), ..] = &texts[..]
                && self.one_in(3)
            {
                let terms = match self.random.below(3) {
                    0 => format!("lower({name})"),
                    1 => format!("(coalesce({name}, '?') || '!')"),
                    _ => name.clone(),
                };
                let mut uses = vec![*text];
                let predicate = match &numbers[..] {
                    [(number, name, _), ..] if self.one_in(2) => {
                        uses.push(*number);
                        Some(format!("{name} > 2"))
                    }
                    _ => terms.contains('"').then(|| format!("{name} is not null")),
                };
                let nulls_not_distinct = postgres && self.one_in(4);
                add(table, "index", Rule::UniqueIndex { terms, predicate, nulls_not_distinct }, uses);
            }
            if let [(number, name, _), ..] = &numbers[..]
                && self.one_in(5)
            {
                let rule = Rule::UniqueIndex {
                    terms: format!("abs({name}) desc"),
                    predicate: None,
                    nulls_not_distinct: false,
                };
                add(table, "index", rule, vec![*number]);
            }
            if let [(number, name, _), ..] = &numbers[..]
                && self.one_in(4)
            {
                add(table, "index", Rule::Index { terms: format!("{name} desc") }, vec![*number]);
            }
        }
        let numbers = self.candidates(table, 'n');
        let texts = self.candidates(table, 't');
        if let [(number, name, _), ..] = &numbers[..]
            && self.one_in(3)
        {
            add(table, "check", Rule::Check(format!("{name} < 7")), vec![*number]);
        }
        if let [(text, name, _), ..] = &texts[..]
            && self.one_in(3)
        {
            add(table, "check", Rule::Check(format!("{name} <> 'bad'")), vec![*text]);
        }
    }

    /// Splits the table by its key.
    fn partitions(&mut self, table: &mut Table, at: usize) {
        let key = table.column(table.key[0]);
        let column = quote(&key.name);
        let name = table.name.clone();
        let is_integer = key.kind.feature == "integer";
        let part = |n: usize, bound: &str| {
            let mut short = name.clone();
            short.truncate(40);
            format!(
                "create table {} partition of {} {bound}",
                quote(&format!("{short}_{at}p{n}")),
                quote(&name)
            )
        };
        table.partitions = Some(match self.random.below(3) {
            0 if is_integer => (
                format!("range ({column})"),
                vec![part(0, "for values from (minvalue) to (3)"), part(1, "for values from (3) to (2000)")],
            ),
            1 if is_integer => {
                (format!("list ({column})"), vec![part(0, "for values in (1, 2, 3)"), part(1, "default")])
            }
            _ => (
                format!("hash ({column})"),
                vec![
                    part(0, "for values with (modulus 2, remainder 0)"),
                    part(1, "for values with (modulus 2, remainder 1)"),
                ],
            ),
        });
    }

    fn reference(&mut self, child: usize) {
        let parent = self.random.below(self.tables.len());
        let mut targets: Vec<Vec<ColumnId>> = vec![self.tables[parent].key.clone()];
        for constraint in &self.tables[parent].constraints {
            if let Rule::Unique { columns, .. } = &constraint.rule {
                targets.push(columns.clone());
            }
        }
        let parent_columns = targets.swap_remove(self.random.below(targets.len()));
        let mut table = self.tables[child].clone();
        let on_delete = self.pick(&ACTIONS);
        let on_update = self.pick(&ACTIONS);
        let mut columns = Vec::new();
        for id in &parent_columns {
            let target = self.tables[parent].column(*id);
            let (kind, collation) = (target.kind, target.collation);
            if table.strict && !kind.can('s') {
                return;
            }
            // An exception of docs/embedding.md: a row that is its own parent by its collation alone.
            if parent == child && collation.is_some() {
                return;
            }
            let mut column = self.column(&table, kind);
            column.collation = collation;
            column.not_null = self.one_in(5);
            if on_delete == "set default" || on_update == "set default" || self.one_in(6) {
                column.default = self.one_in(4).then(|| "null".to_owned()).filter(|_| !column.not_null);
                if column.default.is_none() && !self.one_in(4) {
                    column.default = Some(self.literal(kind));
                }
            }
            columns.push(column.id);
            table.columns.push(column);
        }
        let timing =
            self.pick(&["", "", "", "deferrable initially deferred", "deferrable initially immediate"]);
        let full = self.backend == Backend::Postgres && columns.len() > 1 && self.one_in(3);
        let mut uses = columns.clone();
        uses.extend(&parent_columns);
        let name = format!("fk_{child}_{}", table.constraints.len());
        let rule = Rule::ForeignKey(ForeignKey {
            columns,
            parent,
            parent_columns,
            on_delete,
            on_update,
            timing,
            full,
        });
        table.constraints.push(Constraint { name, rule, uses });
        self.tables[child] = table;
    }

    /// An `updated_at` in spirit, a search vector, a log, and one that forbids.
    fn triggers(&mut self, at: usize, log: usize) {
        let mut table = self.tables[at].clone();
        let name = quote(&table.name);
        let text = self.candidates(&table, 't').into_iter().find(|(_, _, kind)| kind.feature == "text");
        let Some((text, text_name, _)) = text else { return };
        let integer = self.named_kind("integer");
        let add = |table: &mut Table, uses: Vec<ColumnId>, timing: &str, plain_when: &str, body: &str| {
            let function = format!("f_{at}_{}", table.triggers.len());
            let trigger = format!("z_{}", table.triggers.len());
            let make = |when: &str| {
                format!(
                    "create function {function}() returns trigger language plpgsql as $f$ begin {body} end $f$; \
                     create trigger {trigger} {timing_of} on {name} for each row {when} execute function {function}()",
                    timing_of = timing,
                )
            };
            table.triggers.push(Trigger { uses, sql: make(""), plain: make(plain_when) });
        };
        if self.one_in(2) {
            let mut version = self.column(&table, integer);
            version.name = "version".to_owned();
            version.default = Some("'1'::integer".to_owned());
            let id = version.id;
            table.columns.push(version);
            add(&mut table, vec![id], "before update", "", "new.version := old.version + 1; return new;");
        }
        if self.one_in(2) {
            let mut search = self.column(&table, self.named_kind("text"));
            search.name = "search".to_owned();
            let id = search.id;
            table.columns.push(search);
            let body = format!(
                "new.search := to_tsvector('simple', coalesce(new.{text_name}, ''))::text; return new;"
            );
            add(&mut table, vec![id, text], "before insert or update", "", &body);
        }
        if self.one_in(2) {
            let log = self.tables[log].clone();
            let into = format!("insert into {} ({})", quote(&log.name), quote(&log.columns[1].name));
            let body = format!(
                "if tg_op <> 'INSERT' then {into} values (tg_op || ' old ' || coalesce(old.{text_name}, '-')); end if; \
                 if tg_op <> 'DELETE' then {into} values (tg_op || ' new ' || coalesce(new.{text_name}, '-')); end if; \
                 return null;"
            );
            add(&mut table, vec![text], "after insert or update or delete", "", &body);
        }
        if self.one_in(3) {
            let body = format!("if old.{text_name} = 'A' then return null; end if; return old;");
            add(&mut table, vec![text], "before delete", "", &body);
        }
        if self.one_in(3) {
            let log = self.tables[log].clone();
            let body = format!(
                "insert into {} ({}) values ('column of {at}'); return null;",
                quote(&log.name),
                quote(&log.columns[1].name)
            );
            // An exception of docs/embedding.md: UPDATE OF fires where the value changes.
            let when = format!("when (old.{text_name} is distinct from new.{text_name})");
            add(&mut table, vec![text], &format!("after update of {text_name}"), &when, &body);
        }
        self.tables[at] = table;
    }

    fn views(&mut self) -> Vec<View> {
        let mut views = Vec::new();
        for at in 0..self.tables.len() {
            if !self.one_in(3) {
                continue;
            }
            let table = self.tables[at].clone();
            let name = format!("View {at}");
            let key = quote(&table.column(table.key[0]).name);
            let text = |alias: &str, column: &str| match self.backend {
                Backend::Sqlite => format!("coalesce(quote({alias}{column}), '-')"),
                Backend::Postgres => format!("coalesce(({alias}{column})::text, '-')"),
            };
            let parent = table.foreign_keys().find(|key| key.parent != at).cloned();
            let (query, read, uses, tables) = match parent {
                Some(foreign) if self.random.below(2) == 0 => {
                    let parent = &self.tables[foreign.parent];
                    let on = foreign.columns.iter().zip(&foreign.parent_columns).map(|(c, p)| {
                        format!("f.{} = p.{}", quote(&table.column(*c).name), quote(&parent.column(*p).name))
                    });
                    let mut uses = foreign.columns.clone();
                    uses.extend(&foreign.parent_columns);
                    uses.push(table.key[0]);
                    uses.push(parent.key[0]);
                    let query = format!(
                        "select f.{key} as k, p.{} as pk from {} f left join {} p on {}",
                        quote(&parent.column(parent.key[0]).name),
                        quote(&table.name),
                        quote(&parent.name),
                        on.collect::<Vec<_>>().join(" and ")
                    );
                    let read = format!("{} || ' ' || {}", text("", "k"), text("", "pk"));
                    (query, read, uses, vec![at, foreign.parent])
                }
                _ => {
                    let query =
                        format!("select {key} as k from {} where {key} is not null", quote(&table.name));
                    (query, text("", "k"), vec![table.key[0]], vec![at])
                }
            };
            let sql = format!("create view {} as {query}", quote(&name));
            let read = format!("select {read} as value from {}", quote(&name));
            views.push(View { sql, read, uses, tables });
        }
        views
    }
}

/// A literal of a type.
pub fn typed(backend: Backend, kind: &Kind, value: &str) -> String {
    match backend {
        Backend::Sqlite => value.to_owned(),
        Backend::Postgres => format!("{value}::{}", kind.sql),
    }
}

impl Schema {
    pub fn random(random: &mut Random, backend: Backend) -> Self {
        let mut maker = Maker { random, backend, next_column: 0, tables: Vec::new() };
        let count = 1 + maker.random.below(3);
        for at in 0..count {
            let (name, name_feature) = maker.table_name(at);
            let sqlite = backend == Backend::Sqlite;
            let mut table = Table {
                name,
                columns: Vec::new(),
                key: Vec::new(),
                constraints: Vec::new(),
                strict: sqlite && maker.one_in(4),
                without_row_id: sqlite && maker.one_in(4),
                partitions: None,
                triggers: Vec::new(),
                name_feature,
                is_log: false,
            };
            maker.key(&mut table);
            maker.plain_columns(&mut table);
            if !sqlite && maker.one_in(4) && table.columns[0].identity.is_none() {
                maker.partitions(&mut table, at);
            }
            maker.constraints(&mut table, at);
            maker.tables.push(table);
        }
        for child in 0..count {
            for _ in 0..maker.random.below(3) {
                maker.reference(child);
            }
        }
        // A way back makes a cycle.
        if maker.one_in(2) {
            let forth: Vec<(usize, usize)> = (0..count)
                .flat_map(|at| {
                    maker.tables[at].foreign_keys().map(move |key| (at, key.parent)).collect::<Vec<_>>()
                })
                .filter(|(child, parent)| child != parent)
                .collect();
            if let Some((_, parent)) = forth.first().copied() {
                for _ in 0..6 {
                    let before = maker.tables[parent].constraints.len();
                    maker.reference(parent);
                    if maker.tables[parent].constraints.len() > before {
                        break;
                    }
                }
            }
        }
        if backend == Backend::Postgres && maker.one_in(2) {
            let integer = maker.named_kind("integer");
            let text = maker.named_kind("text");
            let mut log = Table {
                name: "log".to_owned(),
                columns: Vec::new(),
                key: Vec::new(),
                constraints: Vec::new(),
                strict: false,
                without_row_id: false,
                partitions: None,
                triggers: Vec::new(),
                name_feature: "plain name",
                is_log: true,
            };
            let mut id = maker.column(&log, integer);
            id.not_null = true;
            id.identity = Some(Identity::ByDefault);
            log.key.push(id.id);
            log.columns.push(id);
            let line = maker.column(&log, text);
            log.columns.push(line);
            maker.tables.push(log);
            for at in 0..count {
                // An exception of docs/embedding.md: a row that goes to another partition is updated in a session,
                // while in the table it is deleted from one and inserted into the other.
                if maker.tables[at].partitions.is_none() {
                    maker.triggers(at, count);
                }
            }
        }
        let views = maker.views();
        let tracking_columns = maker.one_in(3);
        let tables = maker.tables.into_iter().map(Some).collect();
        let mut schema = Self { backend, tables, views, tracking_columns, base: Vec::new() };
        schema.base = super::statement::base(random, &schema);
        schema
    }

    pub fn live(&self) -> impl Iterator<Item = (usize, &Table)> {
        self.tables.iter().enumerate().filter_map(|(at, table)| Some((at, table.as_ref()?)))
    }

    pub fn table(&self, at: usize) -> &Table {
        self.tables[at].as_ref().unwrap()
    }

    /// How a statement names the table that it writes. An exception of docs/embedding.md: on SQLite an UPDATE or
    /// DELETE of a view knows no alias of it.
    pub fn target(&self, at: usize) -> String {
        let name = quote(&self.table(at).name);
        if self.backend == Backend::Sqlite { name } else { format!("{name} as t") }
    }

    /// What stands before a column of that table.
    pub fn alias(&self, at: usize) -> String {
        if self.backend == Backend::Sqlite {
            format!("{}.", quote(&self.table(at).name))
        } else {
            "t.".to_owned()
        }
    }

    /// Types that the tables use.
    pub fn types(&self) -> Vec<&'static str> {
        if self.backend == Backend::Sqlite {
            return Vec::new();
        }
        vec![
            "create type mood as enum ('sad', 'ok', 'happy')",
            "create domain short_word as text check (length(value) < 4)",
            "create type pair as (number integer, word text)",
        ]
    }

    /// The DDL; the plain copy's has the listed exceptions written into it.
    pub fn ddl(&self, plain: bool) -> Vec<String> {
        let mut sql: Vec<String> = self.types().into_iter().map(str::to_owned).collect();
        for (_, table) in self.live() {
            sql.push(self.create_table(table, plain));
            sql.extend(table.partitions.iter().flat_map(|(_, parts)| parts.clone()));
            for constraint in &table.constraints {
                sql.extend(self.index(table, constraint));
            }
            if plain && self.backend == Backend::Sqlite {
                sql.extend(self.never_again(table));
            }
        }
        if self.backend == Backend::Postgres {
            for (_, table) in self.live() {
                for constraint in &table.constraints {
                    if let Rule::ForeignKey(key) = &constraint.rule {
                        sql.push(format!(
                            "alter table {} add constraint {} {}",
                            quote(&table.name),
                            quote(&constraint.name),
                            self.foreign_key(table, key)
                        ));
                    }
                }
            }
        }
        sql.extend(self.views.iter().map(|view| view.sql.clone()));
        sql
    }

    /// The triggers, which come after the base's rows.
    pub fn triggers(&self, plain: bool) -> Vec<String> {
        let triggers = self.live().flat_map(|(_, table)| &table.triggers);
        triggers.map(|trigger| if plain { trigger.plain.clone() } else { trigger.sql.clone() }).collect()
    }

    /// An exception of docs/embedding.md: keys that a session was given are never given out again, also where the
    /// key came by an UPDATE.
    fn never_again(&self, table: &Table) -> Option<String> {
        let key = table.column(table.key[0]);
        matches!(key.identity, Some(Identity::RowId | Identity::AutoIncrement)).then(|| {
            format!(
                "create trigger {} after update on {} begin insert into sqlite_sequence (name, seq) select {name}, 0 \
                 where not exists (select 1 from sqlite_sequence where name = {name}); \
                 update sqlite_sequence set seq = max(seq, new.{}) where name = {name}; end",
                quote(&format!("never again {}", table.name)),
                quote(&table.name),
                quote(&key.name),
                name = format!("'{}'", table.name.replace('\'', "''")),
            )
        })
    }

    fn foreign_key(&self, table: &Table, key: &ForeignKey) -> String {
        let parent = self.table(key.parent);
        format!(
            "foreign key ({}) references {} ({}){} on delete {} on update {} {}",
            table.names(&key.columns),
            quote(&parent.name),
            parent.names(&key.parent_columns),
            if key.full { " match full" } else { "" },
            key.on_delete,
            key.on_update,
            key.timing
        )
    }

    fn create_table(&self, table: &Table, plain: bool) -> String {
        let sqlite = self.backend == Backend::Sqlite;
        let mut lines: Vec<String> = Vec::new();
        for column in &table.columns {
            let mut line = format!("{} ", quote(&column.name));
            match column.identity {
                Some(Identity::Serial) => line.push_str("serial"),
                _ => line.push_str(column.kind.sql),
            }
            match column.identity {
                Some(Identity::ByDefault) => line.push_str(" generated by default as identity"),
                Some(Identity::Always) => line.push_str(" generated always as identity"),
                Some(Identity::AutoIncrement) => line.push_str(" primary key autoincrement"),
                // An exception of docs/embedding.md: a session never gives a key out again.
                Some(Identity::RowId) if plain => line.push_str(" primary key autoincrement"),
                Some(Identity::RowId) => line.push_str(" primary key"),
                _ => {}
            }
            if let Some(collation) = column.collation {
                line.push_str(&format!(" collate {collation}"));
            }
            let is_row_id = matches!(column.identity, Some(Identity::RowId | Identity::AutoIncrement));
            if column.not_null && !is_row_id {
                line.push_str(" not null");
            }
            if let Some(default) = &column.default {
                line.push_str(&format!(" default {default}"));
            }
            if let Some((expression, _, stored)) = &column.generated {
                let stored = if *stored { "stored" } else { "virtual" };
                line.push_str(&format!(" generated always as ({expression}) {stored}"));
            }
            lines.push(line);
        }
        let key = table.column(table.key[0]);
        if !matches!(key.identity, Some(Identity::RowId | Identity::AutoIncrement)) {
            lines.push(format!("primary key ({})", table.names(&table.key)));
        }
        for constraint in &table.constraints {
            let body = match &constraint.rule {
                Rule::Unique { columns, nulls_not_distinct } => Some(format!(
                    "unique {}({})",
                    if *nulls_not_distinct { "nulls not distinct " } else { "" },
                    table.names(columns)
                )),
                Rule::Check(condition) => Some(format!("check ({condition})")),
                Rule::ForeignKey(key) if sqlite => Some(self.foreign_key(table, key)),
                _ => None,
            };
            lines.extend(body.map(|body| format!("constraint {} {body}", quote(&constraint.name))));
        }
        let mut options = Vec::new();
        if table.strict {
            options.push("strict".to_owned());
        }
        if table.without_row_id {
            options.push("without rowid".to_owned());
        }
        if let Some((by, _)) = &table.partitions {
            options.push(format!("partition by {by}"));
        }
        format!("create table {} (\n  {}\n) {}", quote(&table.name), lines.join(",\n  "), options.join(", "))
    }

    fn index(&self, table: &Table, constraint: &Constraint) -> Option<String> {
        let (unique, terms, predicate, nulls) = match &constraint.rule {
            Rule::UniqueIndex { terms, predicate, nulls_not_distinct } => {
                ("unique ", terms, predicate.clone(), *nulls_not_distinct)
            }
            Rule::Index { terms } => ("", terms, None, false),
            _ => return None,
        };
        Some(format!(
            "create {unique}index {} on {} ({terms}){}{}",
            quote(&constraint.name),
            quote(&table.name),
            if nulls { " nulls not distinct" } else { "" },
            predicate.map_or_else(String::new, |predicate| format!(" where {predicate}"))
        ))
    }

    /// Whether a foreign key needs this constraint.
    pub fn is_target(&self, at: usize, constraint: usize) -> bool {
        let Rule::Unique { columns, .. } = &self.table(at).constraints[constraint].rule else { return false };
        self.live().any(|(_, child)| {
            child.foreign_keys().any(|key| key.parent == at && key.parent_columns == *columns)
        })
    }

    /// The same without a table, and without what hangs on it.
    pub fn without_table(&self, at: usize) -> Self {
        let mut smaller = self.clone();
        smaller.tables[at] = None;
        for table in smaller.tables.iter_mut().flatten() {
            table
                .constraints
                .retain(|constraint| !matches!(&constraint.rule, Rule::ForeignKey(key) if key.parent == at));
        }
        if self.table(at).is_log {
            smaller.tables.iter_mut().flatten().for_each(|table| table.triggers.clear());
        }
        smaller.views.retain(|view| !view.tables.contains(&at));
        smaller.base.retain(|statement| !statement.tables().contains(&at));
        smaller
    }

    /// The same without a column of no key.
    pub fn without_column(&self, at: usize, id: ColumnId) -> Option<Self> {
        let table = self.table(at);
        let is_target = self.live().any(|(_, child)| {
            child.foreign_keys().any(|key| key.parent == at && key.parent_columns.contains(&id))
        });
        if table.key.contains(&id) || is_target || table.is_log {
            return None;
        }
        let mut smaller = self.clone();
        let columns = &mut smaller.tables[at].as_mut()?.columns;
        columns.retain(|column| {
            column.id != id && column.generated.as_ref().is_none_or(|(_, source, _)| *source != id)
        });
        let table = smaller.tables[at].as_mut()?;
        table.constraints.retain(|constraint| !constraint.uses.contains(&id));
        table.triggers.retain(|trigger| !trigger.uses.contains(&id));
        smaller.views.retain(|view| !view.uses.contains(&id));
        let shape = smaller.clone();
        smaller.base = smaller.base.iter().filter_map(|statement| statement.within(&shape)).collect();
        Some(smaller)
    }
}
