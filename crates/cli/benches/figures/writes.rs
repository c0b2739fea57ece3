//! Writing through the views against writing the bare tables: the same statements, each in a transaction of its own.

use std::cell::{Cell, RefCell};

use anyhow::Result;
use diesel::connection::SimpleConnection;

use crate::fixture::{Fixtures, Setting};
use crate::measure::{in_turns, time};
use crate::report::Report;

/// A kind of write. `{n}` stands for a number that is given once.
struct Write {
    name: &'static str,
    /// What makes a row for it, and is not measured.
    before: String,
    sql: String,
    /// Whether the session is reset after each, so that it is the base that is edited every time.
    afresh: bool,
    rounds: usize,
}

pub(crate) fn measure(fixtures: &Fixtures, report: &mut Report) -> Result<()> {
    report.section(
        "SQLite: writes",
        "the same statements through the view, in a session's unit of work, and on plain tables of a copy of the base, each \
         in a transaction of its own. There is no goal: this is what isolation costs.",
    );
    let fixture = fixtures.of(Setting { scale: 1, others: 10 }, report)?;
    let new_id = "printf('00000000-0000-4000-b000-%012x', {n})";
    let new_case =
        fixture.insert_like("cases", 1, &[("id", new_id), ("reference_number", "'NEW-' || {n}")])?;
    let child = |id: &str| {
        fixture.insert_like(
            "subjects",
            1,
            &[("id", &format!("printf('{id}-%012x', {{n}})")), ("case_id", new_id)],
        )
    };
    let children = child("00000000-0000-4000-b001")? + &child("00000000-0000-4000-b002")?;
    let of_some = "id in (select id from audit_logs order by id limit 10000)";
    let writes = [
        Write {
            name: "edit of a base record",
            before: String::new(),
            sql: "update cases set severity = 'LOW', summary = 'edited {n}' where id = (select id from cases order by id limit 1)".to_owned(),
            afresh: true,
            rounds: 200,
        },
        Write {
            name: "second edit of a record",
            before: String::new(),
            sql: "update cases set severity = 'LOW', summary = 'edited {n}' where id = (select id from cases order by id limit 1)".to_owned(),
            afresh: false,
            rounds: 200,
        },
        Write { name: "create of a record", before: String::new(), sql: new_case.clone(), afresh: false, rounds: 200 },
        Write {
            name: "delete of a record with two children",
            before: new_case.clone() + &children,
            sql: format!("delete from cases where id = {new_id}"),
            afresh: false,
            rounds: 200,
        },
        Write {
            name: "update of 10,000 records",
            before: String::new(),
            sql: format!("update audit_logs set action_description = action_description || '.' where {of_some}"),
            afresh: true,
            rounds: 10,
        },
    ];
    let session = fixture.session(700)?;
    let plain = RefCell::new(fixture.plain("plain-writes.db")?);
    let number = Cell::new(0_u128);
    let with_number = |sql: &str| sql.replace("{n}", &number.get().to_string());
    let in_transaction =
        |sql: &str| plain.borrow_mut().batch_execute(&format!("begin immediate; {sql}; commit"));
    for write in &writes {
        let [view, table] = in_turns(
            2,
            report.effort.rounds(write.rounds),
            [
                &mut || {
                    number.set(number.get() + 1);
                    if !write.before.is_empty() {
                        fixture.run(session, &with_number(&write.before))?;
                    }
                    let sql = with_number(&write.sql);
                    let took = time(|| fixture.run(session, &sql))?;
                    if write.afresh {
                        fixture.forget(session, number.get())?;
                    }
                    Ok(took)
                },
                &mut || {
                    number.set(number.get() + 1);
                    if !write.before.is_empty() {
                        in_transaction(&with_number(&write.before))?;
                    }
                    let sql = with_number(&write.sql);
                    Ok(time(|| in_transaction(&sql))?)
                },
            ],
        )?;
        report.ratio(
            &format!("SQLite: {} through the view", write.name),
            None,
            &view,
            ("the bare table", &table),
        );
    }
    Ok(())
}
