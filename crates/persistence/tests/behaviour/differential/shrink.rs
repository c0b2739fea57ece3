//! Makes a failing case smaller for as long as it fails.

use std::time::{Duration, Instant};

use super::run_case;
use super::schema::Schema;
use super::statement::{Form, Script};

/// A case that fails.
pub struct Case {
    pub schema: Schema,
    pub scripts: Vec<Script>,
    pub report: String,
    until: Instant,
    has_shrunk: bool,
}

impl Case {
    pub fn new(schema: Schema, scripts: Vec<Script>, report: String) -> Self {
        Self { schema, scripts, report, until: Instant::now() + Duration::from_secs(90), has_shrunk: false }
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.until
    }

    /// Goes on with a smaller case if it fails, too.
    fn attempt(&mut self, schema: Schema, scripts: Vec<Script>) -> bool {
        if self.is_over() {
            return false;
        }
        let failure = match run_case(&schema, &scripts) {
            Err(failure) if !failure.is_invalid => failure,
            _ => return false,
        };
        (self.schema, self.scripts, self.report) = (schema, scripts, failure.report);
        self.has_shrunk = true;
        true
    }

    fn attempt_scripts(&mut self, change: impl FnOnce(&mut Vec<Script>)) -> bool {
        let mut scripts = self.scripts.clone();
        change(&mut scripts);
        self.attempt(self.schema.clone(), scripts)
    }

    fn attempt_schema(&mut self, change: impl FnOnce(&mut Schema)) -> bool {
        let mut schema = self.schema.clone();
        change(&mut schema);
        let scripts = self.scripts.iter().map(|script| script.within(&schema)).collect();
        self.attempt(schema, scripts)
    }

    /// Drops what can go, over and over, until nothing more can.
    pub fn shrink(mut self) -> Self {
        loop {
            self.has_shrunk = false;
            self.drop_statements();
            self.drop_tables();
            self.drop_base();
            for at in 0..self.schema.tables.len() {
                if self.schema.tables[at].is_some() {
                    self.drop_parts(at);
                    self.drop_columns(at);
                }
            }
            for view in (0..self.schema.views.len()).rev() {
                self.attempt_schema(|schema| drop(schema.views.remove(view)));
            }
            if self.schema.tracking_columns {
                self.attempt_schema(|schema| schema.tracking_columns = false);
            }
            if !self.has_shrunk || self.is_over() {
                return self;
            }
        }
    }

    /// Whole transactions, then statements, then rows of an INSERT.
    fn drop_statements(&mut self) {
        for script in 0..self.scripts.len() {
            for at in (0..self.scripts[script].transactions.len()).rev() {
                self.attempt_scripts(|scripts| drop(scripts[script].transactions.remove(at)));
            }
            for at in 0..self.scripts[script].transactions.len() {
                for statement in (0..self.scripts[script].transactions[at].statements.len()).rev() {
                    self.attempt_scripts(|scripts| {
                        drop(scripts[script].transactions[at].statements.remove(statement));
                    });
                }
                for statement in 0..self.scripts[script].transactions[at].statements.len() {
                    let form = &self.scripts[script].transactions[at].statements[statement].form;
                    if matches!(form, Form::Insert { rows, .. } if rows.len() > 1) {
                        self.attempt_scripts(|scripts| {
                            let form = &mut scripts[script].transactions[at].statements[statement].form;
                            if let Form::Insert { rows, .. } = form {
                                rows.pop();
                            }
                        });
                    }
                }
            }
        }
    }

    fn drop_tables(&mut self) {
        for at in 0..self.schema.tables.len() {
            if self.schema.tables[at].is_some() && self.schema.live().count() > 1 {
                self.attempt_schema(|schema| *schema = schema.without_table(at));
            }
        }
    }

    fn drop_base(&mut self) {
        let mut part = self.schema.base.len();
        while part > 0 {
            let mut from = 0;
            while from < self.schema.base.len() {
                let to = (from + part).min(self.schema.base.len());
                if !self.attempt_schema(|schema| drop(schema.base.drain(from..to))) {
                    from += part;
                }
            }
            part /= 2;
        }
    }

    /// Constraints and triggers.
    fn drop_parts(&mut self, at: usize) {
        for constraint in (0..self.schema.table(at).constraints.len()).rev() {
            if self.schema.is_target(at, constraint) {
                continue;
            }
            self.attempt_schema(|schema| {
                let table = schema.tables[at].as_mut().unwrap();
                table.constraints.remove(constraint);
            });
        }
        for trigger in (0..self.schema.table(at).triggers.len()).rev() {
            self.attempt_schema(|schema| {
                let table = schema.tables[at].as_mut().unwrap();
                table.triggers.remove(trigger);
            });
        }
    }

    fn drop_columns(&mut self, at: usize) {
        let mut part = self.schema.table(at).columns.len();
        while part > 0 {
            let ids: Vec<usize> = self.schema.table(at).columns.iter().map(|column| column.id).collect();
            for ids in ids.chunks(part) {
                let smaller = ids.iter().fold(self.schema.clone(), |schema, id| {
                    let is_there = schema.table(at).has(*id);
                    is_there.then(|| schema.without_column(at, *id)).flatten().unwrap_or(schema)
                });
                if smaller.table(at).columns.len() < self.schema.table(at).columns.len() {
                    self.attempt_schema(|schema| *schema = smaller);
                }
            }
            part /= 2;
        }
    }
}
