//! Random statements over a random schema.

use super::schema::{Column, ColumnId, ForeignKey, Identity, Schema, Table, quote, typed};
use crate::fixture::Backend;
use crate::random::Random;

#[derive(Debug, Clone)]
pub struct Statement {
    pub form: Form,
    /// The table that it writes.
    pub writes: Option<usize>,
    /// Other tables that it needs.
    reads: Vec<usize>,
    /// Columns that it would be another statement without.
    uses: Vec<ColumnId>,
    /// What it is listed as.
    pub features: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub enum Form {
    Insert {
        columns: Vec<ColumnId>,
        rows: Vec<Vec<String>>,
        returning: bool,
    },
    /// Expressions for columns, and what follows them.
    InsertSelect {
        columns: Vec<(ColumnId, String)>,
        from: String,
        returning: bool,
    },
    /// Assignments, and what follows them.
    Update {
        sets: Vec<(ColumnId, String)>,
        from: String,
        returning: bool,
    },
    Delete {
        from: String,
        returning: bool,
    },
    /// Rows of one text.
    Query(String),
    Savepoint(usize),
    RollBackTo(usize),
    Release(usize),
}

/// All of a row of the table `t` as one text.
pub fn row_text(backend: Backend, table: &Table, alias: &str) -> String {
    let values = table.columns.iter().map(|column| {
        let name = quote(&column.name);
        match backend {
            Backend::Sqlite => format!("quote({alias}{name})"),
            Backend::Postgres => format!("coalesce(quote_literal(({alias}{name})::text), '-')"),
        }
    });
    values.collect::<Vec<_>>().join("||','||")
}

impl Statement {
    fn new(form: Form, writes: Option<usize>, uses: Vec<ColumnId>, features: &[&'static str]) -> Self {
        Self { form, writes, reads: Vec::new(), uses, features: features.to_vec() }
    }

    pub fn tables(&self) -> Vec<usize> {
        self.reads.iter().chain(&self.writes).copied().collect()
    }

    /// Whether it answers with rows.
    pub fn gives_rows(&self) -> bool {
        match &self.form {
            Form::Query(_) => true,
            Form::Insert { returning, .. }
            | Form::InsertSelect { returning, .. }
            | Form::Update { returning, .. }
            | Form::Delete { returning, .. } => *returning,
            _ => false,
        }
    }

    /// Whether it can write more than one row.
    pub fn may_write_several(&self) -> bool {
        match &self.form {
            Form::Insert { rows, .. } => rows.len() > 1,
            Form::InsertSelect { .. } | Form::Update { .. } | Form::Delete { .. } => true,
            Form::Query(_) => self.writes.is_some(),
            _ => false,
        }
    }

    pub fn is_savepoint(&self) -> bool {
        matches!(self.form, Form::Savepoint(_) | Form::RollBackTo(_) | Form::Release(_))
    }

    /// The same over fewer columns; none where it is nothing then.
    pub fn within(&self, schema: &Schema) -> Option<Self> {
        let is_there = |id: ColumnId| schema.live().any(|(_, table)| table.has(id));
        if !self.uses.iter().all(|id| is_there(*id)) {
            return None;
        }
        let mut smaller = self.clone();
        match &mut smaller.form {
            Form::Insert { columns, rows, .. } => {
                let kept: Vec<bool> = columns.iter().map(|id| is_there(*id)).collect();
                let mut keep = kept.iter();
                columns.retain(|_| *keep.next().unwrap());
                for row in rows {
                    let mut keep = kept.iter();
                    row.retain(|_| *keep.next().unwrap());
                }
                (!columns.is_empty()).then_some(())?;
            }
            Form::InsertSelect { columns, .. } => columns.retain(|(id, _)| is_there(*id)),
            Form::Update { sets, .. } => {
                sets.retain(|(id, _)| is_there(*id));
                (!sets.is_empty()).then_some(())?;
            }
            _ => {}
        }
        Some(smaller)
    }

    pub fn sql(&self, schema: &Schema, plain: bool) -> String {
        let table = || schema.table(self.writes.unwrap());
        let name = || schema.target(self.writes.unwrap());
        let alias = || schema.alias(self.writes.unwrap());
        let column = |id: &ColumnId| quote(&table().column(*id).name);
        let returning = |is_wanted: bool| {
            if is_wanted {
                format!(" returning {} as value", row_text(schema.backend, table(), &alias()))
            } else {
                String::new()
            }
        };
        // An exception of docs/embedding.md: a NULL for a column with a default takes the default.
        let takes_default = plain && schema.backend == Backend::Sqlite;
        match &self.form {
            Form::Insert { columns, rows, returning: r } => {
                let value = |id: &ColumnId, value: &String| match &table().column(*id).default {
                    Some(default) if takes_default && value == "null" => default.clone(),
                    _ => value.clone(),
                };
                let rows = rows.iter().map(|row| {
                    let values = columns.iter().zip(row).map(|(id, text)| value(id, text));
                    format!("({})", values.collect::<Vec<_>>().join(", "))
                });
                format!(
                    "insert into {} ({}) values {}{}",
                    name(),
                    columns.iter().map(column).collect::<Vec<_>>().join(", "),
                    rows.collect::<Vec<_>>().join(", "),
                    returning(*r)
                )
            }
            Form::InsertSelect { columns, from, returning: r } => {
                let value = |(id, text): &(ColumnId, String)| match &table().column(*id).default {
                    Some(default) if takes_default => format!("ifnull({text}, {default})"),
                    _ => text.clone(),
                };
                format!(
                    "insert into {} ({}) select {} {from}{}",
                    name(),
                    columns.iter().map(|(id, _)| column(id)).collect::<Vec<_>>().join(", "),
                    columns.iter().map(value).collect::<Vec<_>>().join(", "),
                    returning(*r)
                )
            }
            Form::Update { sets, from, returning: r } => {
                let sets = sets.iter().map(|(id, value)| format!("{} = {value}", column(id)));
                format!(
                    "update {} set {} {from}{}",
                    name(),
                    sets.collect::<Vec<_>>().join(", "),
                    returning(*r)
                )
            }
            Form::Delete { from, returning: r } => {
                format!("delete from {} {from}{}", name(), returning(*r))
            }
            Form::Query(sql) => sql.clone(),
            Form::Savepoint(n) => format!("savepoint s{n}"),
            Form::RollBackTo(n) => format!("rollback to savepoint s{n}"),
            Form::Release(n) => format!("release savepoint s{n}"),
        }
    }
}

/// Some statements in one transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Whether each statement has a savepoint of its own; otherwise the first that fails ends the transaction.
    pub guarded: bool,
    /// SQLite: `PRAGMA defer_foreign_keys`, until the transaction ends.
    pub defers: bool,
    pub commits: bool,
    pub statements: Vec<Statement>,
}

/// What one session does.
#[derive(Debug, Clone)]
pub struct Script {
    pub transactions: Vec<Transaction>,
}

impl Script {
    pub fn random(random: &mut Random, schema: &Schema) -> Self {
        let transactions = (0..1 + random.below(3)).map(|_| Transaction::random(random, schema)).collect();
        Self { transactions }
    }

    pub fn within(&self, schema: &Schema) -> Self {
        let mut smaller = self.clone();
        for transaction in &mut smaller.transactions {
            transaction.statements = transaction
                .statements
                .iter()
                .filter(|statement| statement.tables().iter().all(|at| schema.tables[*at].is_some()))
                .filter_map(|statement| statement.within(schema))
                .collect();
        }
        smaller
    }
}

impl Transaction {
    fn random(random: &mut Random, schema: &Schema) -> Self {
        let mut maker = Maker { random, schema };
        let mut statements = Vec::new();
        for at in 0..1 + maker.random.below(7) {
            if maker.random.below(8) > 0 {
                statements.push(maker.statement());
                continue;
            }
            let is_rolled_back = maker.random.below(2) == 0;
            statements.push(Statement::new(Form::Savepoint(at), None, Vec::new(), &[]));
            for _ in 0..1 + maker.random.below(3) {
                statements.push(maker.statement());
            }
            statements.push(if is_rolled_back {
                Statement::new(Form::RollBackTo(at), None, Vec::new(), &["rolled back savepoint"])
            } else {
                Statement::new(Form::Release(at), None, Vec::new(), &["released savepoint"])
            });
        }
        let defers = schema.backend == Backend::Sqlite && random.below(4) == 0;
        Self { guarded: random.below(3) > 0, defers, commits: random.below(8) > 0, statements }
    }
}

/// What the base begins with. Some of it fails, in the plain copy as in the base.
pub fn base(random: &mut Random, schema: &Schema) -> Vec<Statement> {
    let mut maker = Maker { random, schema };
    let mut statements = Vec::new();
    for (at, table) in schema.live() {
        if table.is_log {
            continue;
        }
        for _ in 0..3 + maker.random.below(6) {
            statements.push(maker.insert(at, false));
        }
        for _ in 0..maker.random.below(4) {
            statements.push(maker.insert(at, true));
        }
    }
    for _ in 0..4 {
        let at = maker.table();
        statements.push(maker.update(at));
    }
    statements
}

struct Maker<'a> {
    random: &'a mut Random,
    schema: &'a Schema,
}

impl Maker<'_> {
    fn one_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    fn postgres(&self) -> bool {
        self.schema.backend == Backend::Postgres
    }

    /// A table to work on. The log is left to the triggers: they may take numbers that a failing statement gives up.
    fn table(&mut self) -> usize {
        loop {
            let at = self.random.below(self.schema.tables.len());
            if !self.schema.table(at).is_log {
                return at;
            }
        }
    }

    fn literal(&mut self, column: &Column) -> String {
        let value = column.kind.values[self.random.below(column.kind.values.len())];
        typed(self.schema.backend, column.kind, value)
    }

    /// A literal that its type takes: whether a condition is computed at all is the planner's choice.
    fn fitting(&mut self, column: &Column) -> String {
        loop {
            let literal = self.literal(column);
            if !["'too long a word'", "'99999999'"].iter().any(|value| literal.starts_with(value)) {
                return literal;
            }
        }
    }

    fn value(&mut self, column: &Column) -> String {
        if self.one_in(if column.not_null { 60 } else { 7 }) {
            "null".to_owned()
        } else {
            self.literal(column)
        }
    }

    fn returning(&mut self) -> bool {
        self.postgres() && self.one_in(2)
    }

    /// Whether values can be given to it at all.
    fn is_free(&self, column: &Column) -> bool {
        column.generated.is_none() && column.identity != Some(Identity::Always)
    }

    fn statement(&mut self) -> Statement {
        let at = self.table();
        match self.random.below(20) {
            0..=4 => self.insert(at, false),
            5 => self.insert_select(at),
            6..=9 => self.update(at),
            10 | 11 => self.key_update(at),
            12 => self.update_from(at),
            13 | 14 => self.delete(at),
            15 => self.delete_using(at),
            16 => self.changing_cte(at),
            17 => self.aggregate(at),
            18 => self.join(at),
            _ => self.host_view(at),
        }
    }

    /// `many`: with few columns, so that defaults and handed out keys are used.
    fn insert(&mut self, at: usize, few: bool) -> Statement {
        let table = self.schema.table(at).clone();
        let is_wide = table.columns.len() >= 100;
        let mut columns: Vec<&Column> = Vec::new();
        let mut features = Vec::new();
        for (position, column) in table.columns.iter().enumerate() {
            let is_key = table.key.contains(&column.id);
            let is_referring = table.foreign_keys().any(|key| key.columns.contains(&column.id));
            let is_needed = column.not_null && column.default.is_none();
            let is_given = match column.identity {
                _ if column.generated.is_some() || column.identity == Some(Identity::Always) => {
                    let is_given = self.one_in(40);
                    if is_given {
                        features.push("value for a generated column");
                    }
                    is_given
                }
                Some(_) => !few && self.one_in(2),
                None if is_key => true,
                None if is_needed => !self.one_in(30),
                None if is_referring => !self.one_in(3),
                None if is_wide && position > 12 => self.one_in(15),
                None => !few && self.one_in(2),
            };
            if is_given {
                columns.push(column);
            }
        }
        if columns.is_empty() {
            columns.push(&table.columns[table.key.len()]);
        }
        let count = if self.one_in(3) { 2 + self.random.below(2) } else { 1 };
        let rows = (0..count)
            .map(|_| {
                let values = columns.iter().map(|column| {
                    if !self.is_free(column) {
                        return self.literal(column);
                    }
                    let has_default = column.default.is_some() || column.identity.is_some();
                    if self.postgres() && has_default && self.one_in(8) {
                        return "default".to_owned();
                    }
                    self.value(column)
                });
                values.collect()
            })
            .collect();
        if count > 1 {
            features.push("multi-row insert");
        }
        let returning = self.returning();
        if returning {
            features.push("returning");
        }
        let columns = columns.iter().map(|column| column.id).collect();
        Statement::new(Form::Insert { columns, rows, returning }, Some(at), Vec::new(), &features)
    }

    fn insert_select(&mut self, at: usize) -> Statement {
        let table = self.schema.table(at).clone();
        let source_at = self.table();
        let source = self.schema.table(source_at).clone();
        let mut columns = Vec::new();
        let mut uses = vec![source.key[0]];
        for column in table.columns.iter().take(40) {
            if !self.is_free(column) {
                continue;
            }
            let is_key = table.key.contains(&column.id);
            let is_needed = is_key || column.not_null && column.default.is_none();
            if !is_needed && self.one_in(2) {
                continue;
            }
            if is_key && column.identity.is_some() && self.one_in(2) {
                continue;
            }
            let same: Vec<&Column> =
                source.columns.iter().filter(|other| std::ptr::eq(other.kind, column.kind)).collect();
            let same = (!same.is_empty() && !self.one_in(3)).then(|| same[self.random.below(same.len())]);
            let expression = match same {
                Some(other) => {
                    uses.push(other.id);
                    let name = format!("s.{}", quote(&other.name));
                    if is_key && other.kind.feature == "integer" { format!("{name} + 10") } else { name }
                }
                None => match self.value(column) {
                    null if null == "null" && self.postgres() => format!("null::{}", column.kind.sql),
                    literal => literal,
                },
            };
            columns.push((column.id, expression));
        }
        if columns.is_empty() {
            return self.delete(at);
        }
        let (condition, condition_uses, reads) = self.condition(source_at, "s.");
        uses.extend(condition_uses);
        let order = source.key.iter().map(|id| format!("s.{}", quote(&source.column(*id).name)));
        uses.extend(&source.key);
        let from = format!(
            "from {} s where {condition} order by {} limit {}",
            quote(&source.name),
            order.collect::<Vec<_>>().join(", "),
            1 + self.random.below(4)
        );
        let returning = self.returning();
        let form = Form::InsertSelect { columns, from, returning };
        let mut statement = Statement::new(form, Some(at), uses, &["insert select"]);
        statement.reads.push(source_at);
        statement.reads.extend(reads);
        statement
    }

    /// A condition on the rows of `alias`, the columns that it uses and the tables that it reads.
    fn condition(&mut self, at: usize, alias: &str) -> (String, Vec<ColumnId>, Vec<usize>) {
        let table = self.schema.table(at).clone();
        let key = table.column(table.key[0]);
        let key_name = quote(&key.name);
        match self.random.below(12) {
            0..=3 => (format!("{alias}{key_name} = {}", self.fitting(key)), vec![key.id], vec![]),
            4..=6 => {
                let able: Vec<&Column> =
                    table.columns.iter().filter(|column| column.kind.can('e')).take(12).collect();
                let column = able[self.random.below(able.len())];
                let name = quote(&column.name);
                let text = match self.random.below(4) {
                    0 => format!("{alias}{name} is null"),
                    1 => format!("{alias}{name} in ({}, {})", self.fitting(column), self.fitting(column)),
                    2 if column.kind.can('k') => format!("{alias}{name} <= {}", self.fitting(column)),
                    _ => format!("{alias}{name} = {}", self.fitting(column)),
                };
                (text, vec![column.id], vec![])
            }
            7 | 8 => {
                let Some(foreign) = self.foreign_key(&table) else {
                    return ("1 = 1".to_owned(), vec![], vec![]);
                };
                let parent = self.schema.table(foreign.parent);
                let parent_key = parent.column(foreign.parent_columns[0]);
                let child = table.column(foreign.columns[0]);
                let not = if self.one_in(3) { "not " } else { "" };
                let text = format!(
                    "{alias}{} {not}in (select q.{} from {} q where q.{} <> {})",
                    quote(&child.name),
                    quote(&parent_key.name),
                    quote(&parent.name),
                    quote(&parent_key.name),
                    self.fitting(parent_key)
                );
                (text, vec![child.id, parent_key.id], vec![foreign.parent])
            }
            9 => {
                let incoming: Vec<(usize, ForeignKey)> = self
                    .schema
                    .live()
                    .flat_map(|(child, table)| table.foreign_keys().map(move |key| (child, key.clone())))
                    .filter(|(_, key)| key.parent == at)
                    .collect();
                if incoming.is_empty() {
                    return ("1 = 1".to_owned(), vec![], vec![]);
                }
                let (child_at, foreign) = &incoming[self.random.below(incoming.len())];
                let child = self.schema.table(*child_at);
                let not = if self.one_in(2) { "not " } else { "" };
                let text = format!(
                    "{not}exists (select 1 from {} q where q.{} = {alias}{})",
                    quote(&child.name),
                    quote(&child.column(foreign.columns[0]).name),
                    quote(&table.column(foreign.parent_columns[0]).name)
                );
                (text, vec![foreign.columns[0], foreign.parent_columns[0]], vec![*child_at])
            }
            _ => {
                let text = format!("{alias}{key_name} <> {}", self.fitting(key));
                (text, vec![key.id], vec![])
            }
        }
    }

    /// A condition on the rows that a statement writes.
    fn condition_on(&mut self, at: usize) -> (String, Vec<ColumnId>, Vec<usize>) {
        // An exception of docs/embedding.md: RESTRICT between rows of one statement depends on their order, which is
        // another through a view, and so does what sets a NOT NULL column to NULL.
        let table = self.schema.table(at);
        let is_ordered = table.foreign_keys().any(|key| {
            let does = |action: &str| [key.on_delete, key.on_update].contains(&action);
            let is_refused = key.columns.iter().any(|id| table.column(*id).not_null);
            key.parent == at && (does("restrict") || does("set null") && is_refused)
        });
        if is_ordered && !self.postgres() {
            return (self.one_row(at), self.schema.table(at).key.clone(), Vec::new());
        }
        let alias = self.schema.alias(at);
        self.condition(at, &alias)
    }

    fn foreign_key(&mut self, table: &Table) -> Option<ForeignKey> {
        let keys: Vec<&ForeignKey> = table.foreign_keys().collect();
        (!keys.is_empty()).then(|| keys[self.random.below(keys.len())].clone())
    }

    fn update(&mut self, at: usize) -> Statement {
        let table = self.schema.table(at).clone();
        let unique = table.unique_columns();
        let free: Vec<&Column> = table
            .columns
            .iter()
            .filter(|column| self.is_free(column) && !table.key.contains(&column.id))
            .collect();
        let mut sets: Vec<(ColumnId, String)> = Vec::new();
        let mut features = vec!["update"];
        let mut uses = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let near = if self.one_in(3) { free.len() } else { free.len().min(12) };
            // References lie at the end.
            let from_end = self.one_in(3);
            let place = self.random.below(near);
            let column = free[if from_end { free.len() - 1 - place } else { place }];
            if sets.iter().any(|(id, _)| *id == column.id) {
                continue;
            }
            let name = format!("{}{}", self.schema.alias(at), quote(&column.name));
            let is_unique = unique.contains(&column.id);
            let value = match self.random.below(5) {
                0 if column.kind.can('n') && !is_unique => {
                    features.push("self-referring update");
                    format!("{name} + 1")
                }
                0 if column.kind.can('t') && column.kind.feature == "text" && !is_unique => {
                    features.push("self-referring update");
                    format!("{name} || 'x'")
                }
                1 if !is_unique => {
                    match table
                        .columns
                        .iter()
                        .find(|other| other.kind == column.kind && other.id != column.id)
                    {
                        Some(other) => {
                            uses.push(other.id);
                            features.push("self-referring update");
                            format!("{}{}", self.schema.alias(at), quote(&other.name))
                        }
                        None => self.value(column),
                    }
                }
                2 if self.postgres() && column.default.is_some() => "default".to_owned(),
                _ => self.value(column),
            };
            sets.push((column.id, value));
        }
        let (condition, more, reads) = self.condition_on(at);
        if !reads.is_empty() {
            features.push("subquery");
        }
        uses.extend(more);
        let returning = self.returning();
        let form = Form::Update { sets, from: format!("where {condition}"), returning };
        let mut statement = Statement::new(form, Some(at), uses, &features);
        statement.reads = reads;
        statement
    }

    /// A condition that holds for one row at most.
    fn one_row(&mut self, at: usize) -> String {
        let table = self.schema.table(at).clone();
        let alias = self.schema.alias(at);
        let pairs = table.key.iter().map(|id| {
            let column = table.column(*id);
            format!("{alias}{} = {}", quote(&column.name), self.fitting(column))
        });
        pairs.collect::<Vec<_>>().join(" and ")
    }

    fn key_update(&mut self, at: usize) -> Statement {
        let table = self.schema.table(at).clone();
        let columns: Vec<&Column> = table.key.iter().map(|id| table.column(*id)).collect();
        // An exception of docs/embedding.md: PostgreSQL refuses a row that is referred to from its own table to move to
        // another partition.
        let moves = table.partitions.is_some() && table.foreign_keys().any(|key| key.parent == at);
        if moves || !columns.iter().all(|column| self.is_free(column)) {
            return self.update(at);
        }
        let column = columns[self.random.below(columns.len())];
        let name = quote(&column.name);
        let (value, condition) = if column.kind.feature == "integer" && self.one_in(3) {
            // Far enough that no row meets another on the way.
            let far = 10_000 + self.random.below(1_000_000);
            (format!("{}{name} + {far}", self.schema.alias(at)), "1 = 1".to_owned())
        } else {
            (self.literal(column), self.one_row(at))
        };
        let mut uses = table.key.clone();
        uses.push(column.id);
        let returning = self.returning();
        let form =
            Form::Update { sets: vec![(column.id, value)], from: format!("where {condition}"), returning };
        Statement::new(form, Some(at), uses, &["key update"])
    }

    /// `t` joined to the parent `p`.
    fn joined(&self, alias: &str, table: &Table, foreign: &ForeignKey) -> (String, Vec<ColumnId>) {
        let parent = self.schema.table(foreign.parent);
        let pairs = foreign.columns.iter().zip(&foreign.parent_columns).map(|(child, key)| {
            format!("{alias}{} = p.{}", quote(&table.column(*child).name), quote(&parent.column(*key).name))
        });
        let text = pairs.collect::<Vec<_>>().join(" and ");
        (text, foreign.columns.iter().chain(&foreign.parent_columns).copied().collect())
    }

    fn update_from(&mut self, at: usize) -> Statement {
        let table = self.schema.table(at).clone();
        let Some(foreign) = self.foreign_key(&table) else { return self.update(at) };
        let parent = self.schema.table(foreign.parent).clone();
        let unique = table.unique_columns();
        let target = table.columns.iter().find(|column| {
            column.kind.feature == "text" && self.is_free(column) && !unique.contains(&column.id)
        });
        let Some(target) = target else { return self.update(at) };
        let (join, mut uses) = self.joined(&self.schema.alias(at), &table, &foreign);
        let source = &parent.columns[self.random.below(parent.columns.len().min(6))];
        let name = quote(&source.name);
        let value = if self.postgres() { format!("(p.{name})::text") } else { format!("quote(p.{name})") };
        let (condition, more, reads) = self.condition(foreign.parent, "p.");
        uses.extend(more);
        uses.push(source.id);
        uses.push(target.id);
        let from = format!("from {} p where {join} and {condition}", quote(&parent.name));
        let returning = self.returning();
        let form = Form::Update { sets: vec![(target.id, value)], from, returning };
        let mut statement = Statement::new(form, Some(at), uses, &["update from"]);
        statement.reads = reads;
        statement.reads.push(foreign.parent);
        statement
    }

    fn delete(&mut self, at: usize) -> Statement {
        let (condition, uses, reads) = self.condition_on(at);
        let mut features = vec!["delete"];
        if !reads.is_empty() {
            features.push("subquery");
        }
        // An exception of docs/embedding.md: on SQLite RETURNING gives the row as the statement found it. That of a
        // DELETE is the row itself, unless an action of the same statement has changed it on the way.
        let is_stable = self.postgres() || self.schema.table(at).foreign_keys().next().is_none();
        let returning = is_stable && self.one_in(2);
        if returning {
            features.push("returning");
        }
        let form = Form::Delete { from: format!("where {condition}"), returning };
        let mut statement = Statement::new(form, Some(at), uses, &features);
        statement.reads = reads;
        statement
    }

    fn delete_using(&mut self, at: usize) -> Statement {
        let table = self.schema.table(at).clone();
        let Some(foreign) = self.foreign_key(&table).filter(|_| self.postgres()) else {
            return self.delete(at);
        };
        let parent = self.schema.table(foreign.parent).clone();
        let (join, mut uses) = self.joined(&self.schema.alias(at), &table, &foreign);
        let (condition, more, reads) = self.condition(foreign.parent, "p.");
        uses.extend(more);
        let from = format!("using {} p where {join} and {condition}", quote(&parent.name));
        let returning = self.returning();
        let mut statement =
            Statement::new(Form::Delete { from, returning }, Some(at), uses, &["delete using"]);
        statement.reads = reads;
        statement.reads.push(foreign.parent);
        statement
    }

    /// Writes inside a query, each of another table.
    fn changing_cte(&mut self, at: usize) -> Statement {
        if !self.postgres() {
            return self.update(at);
        }
        let other = self.table();
        let insert = self.insert(at, false);
        if other == at {
            return insert;
        }
        let without = |mut statement: Statement| {
            if let Form::Insert { returning, .. } | Form::Delete { returning, .. } = &mut statement.form {
                *returning = true;
            }
            statement
        };
        let (insert, delete) = (without(insert), without(self.delete(other)));
        let sql = format!(
            "with made as ({}), gone as ({}) select 'made ' || value as value from made union all \
             select 'gone ' || value from gone",
            insert.sql(self.schema, false),
            delete.sql(self.schema, false)
        );
        let mut uses = delete.uses;
        uses.extend(self.schema.table(at).columns.iter().map(|column| column.id));
        uses.extend(self.schema.table(other).columns.iter().map(|column| column.id));
        let mut statement = Statement::new(Form::Query(sql), Some(at), uses, &["changing cte"]);
        statement.reads = delete.reads;
        statement.reads.push(other);
        statement
    }

    fn text(&self, expression: &str) -> String {
        match self.schema.backend {
            Backend::Sqlite => format!("quote({expression})"),
            Backend::Postgres => format!("coalesce(({expression})::text, '-')"),
        }
    }

    fn aggregate(&mut self, at: usize) -> Statement {
        let table = self.schema.table(at).clone();
        let able: Vec<&Column> =
            table.columns.iter().filter(|column| column.kind.can('e')).take(12).collect();
        let group = able[self.random.below(able.len())];
        let number = able.iter().find(|column| column.kind.feature == "integer").unwrap_or(&able[0]);
        let aggregate = if number.kind.feature == "integer" { "sum" } else { "count" };
        let (condition, mut uses, reads) = self.condition(at, "t.");
        let name = format!("t.{}", quote(&group.name));
        let sql = format!(
            "select {} || ' ' || count(*) || ' ' || {} as value from {} t where {condition} group by {name} having count(*) >= {}",
            self.text(&name),
            self.text(&format!("{aggregate}(t.{})", quote(&number.name))),
            quote(&table.name),
            self.random.below(3)
        );
        uses.extend([group.id, number.id]);
        let mut statement = Statement::new(Form::Query(sql), None, uses, &["aggregate"]);
        statement.reads = reads;
        statement.reads.push(at);
        statement
    }

    fn join(&mut self, at: usize) -> Statement {
        let table = self.schema.table(at).clone();
        let Some(foreign) = self.foreign_key(&table) else { return self.aggregate(at) };
        let parent = self.schema.table(foreign.parent).clone();
        let (join, mut uses) = self.joined("t.", &table, &foreign);
        let left = if self.one_in(2) { "left " } else { "" };
        let (condition, more, reads) = self.condition(at, "t.");
        uses.extend(more);
        uses.push(table.key[0]);
        let sql = format!(
            "select {} || ' of ' || {} as value from {} t {left}join {} p on {join} where {condition} order by 1",
            self.text(&format!("t.{}", quote(&table.column(table.key[0]).name))),
            self.text(&format!("p.{}", quote(&parent.column(foreign.parent_columns[0]).name))),
            quote(&table.name),
            quote(&parent.name)
        );
        let mut statement = Statement::new(Form::Query(sql), None, uses, &["join"]);
        statement.reads = reads;
        statement.reads.extend([at, foreign.parent]);
        statement
    }

    fn host_view(&mut self, at: usize) -> Statement {
        let views = &self.schema.views;
        if views.is_empty() {
            return self.join(at);
        }
        let view = views[self.random.below(views.len())].clone();
        let mut statement = Statement::new(Form::Query(view.read), None, view.uses, &["host view"]);
        statement.reads = view.tables;
        statement
    }
}
