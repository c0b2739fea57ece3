//! Places: small numbers that tell a read, for nearly every row of the base, that its session does not hide it.
//!
//! A view asks that of each base row that it passes. To look its key up among the changes of all sessions costs more than
//! anything else that the view adds. A place is made of the session's number and the last bits of the row id of a base row
//! that some layer of the session hides; the places of a table stand in a table of their own, a tenth of the size of the index
//! of keys. A row whose place is not there is hidden by no layer of the session. A row whose place is there may be: row ids
//! share places, and so do the layers of a session. Then the key is looked up. So places may be too many but never
//! too few, and a reset or an undo, which moves a session from one of its layers to another, has nothing to do with them.
//!
//! SQLite promises no row ids to a table whose key is another. They hold as long as nobody takes rows out and puts them back,
//! and through a VACUUM of a table that has an index. So there are places only over a base file that the engine has loaded,
//! sealed and guarded, and they are made anew where that file is another than they were made of, by its stamp. A host's base
//! has none. Nor has a table whose key is its row id, which is as short as a place.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;

use super::ddl::{change_table_name, same_key};
use crate::binding::{LAYERS_PER_SESSION, layer_of};
use crate::connection::{Link, Sql};
use crate::error::Result;
use crate::spec::TableSpec;
use crate::sql_text::quote;

/// How many places a session has in a table: with more, fewer rows share one, and the numbers are longer to read. Of a session
/// that hides fifty rows of a table, one in 300 others is looked up by its key.
const PLACES_PER_SESSION: i64 = 1 << 14;

/// The quoted name of the table with the places of a table's hidden rows.
pub(super) fn table_name(table: &str) -> String {
    quote(&format!("demo_hidden_{table}"))
}

/// Statements that remove the places of a table.
pub(super) fn drop_table(table: &str) -> String {
    format!("drop table if exists main.{};\n", table_name(table))
}

/// The place of the base row `b` in a session, given an expression for the session's first place.
pub(super) fn place(first: &str, row_id: &str) -> String {
    format!("({first} + (b.{row_id} & {}))", PLACES_PER_SESSION - 1)
}

/// The first place of the session whose number an expression gives.
pub(super) fn first_place(session_number: &str) -> String {
    format!("{session_number} * {PLACES_PER_SESSION}")
}

/// Makes the places of all sessions anew, in every table that can have them, of the base file with this stamp.
pub(super) fn remake(link: &mut Link<'_>, tables: &[TableSpec], stamp: &str) -> Result<()> {
    for spec in tables {
        let Some(row_id) = spec.implicit_row_id else { continue };
        let places = table_name(&spec.name);
        link.batch(&format!(
            "create table if not exists main.{places} (place integer primary key); delete from main.{places};"
        ))?;
        link.execute(fill(spec, row_id))?;
    }
    link.execute(Sql::new("update main.demo_base set row_ids_of = ?", [stamp.into()]))?;
    Ok(())
}

/// Forgets the places of a session in a table that its layers no longer need.
pub(crate) fn thin_out(link: &mut Link<'_>, spec: &TableSpec, session_number: i64) -> Result<()> {
    let made: Option<MadeRow> =
        link.first(Sql::new("select count(row_ids_of) as made from main.demo_base", []))?;
    let is_made = made.is_some_and(|row| row.made > 0);
    let Some(row_id) = spec.implicit_row_id.filter(|_| is_made) else { return Ok(()) };
    let mut delete = Sql::default();
    delete.push(&format!("delete from main.{} where place >= ", table_name(&spec.name)));
    delete.bind(session_number * PLACES_PER_SESSION).push(" and place < ");
    delete.bind((session_number + 1) * PLACES_PER_SESSION);
    link.execute(delete)?;
    let mut fill = fill(spec, row_id);
    fill.push(" and c.demo_layer >= ").bind(layer_of(session_number, 0).0);
    fill.push(" and c.demo_layer < ").bind(layer_of(session_number + 1, 0).0);
    link.execute(fill)?;
    Ok(())
}

#[derive(QueryableByName)]
struct MadeRow {
    #[diesel(sql_type = BigInt)]
    made: i64,
}

/// The statement that takes the places of base rows which changes hide; which changes is left to the caller to limit.
fn fill(spec: &TableSpec, row_id: &str) -> Sql {
    let mut fill = Sql::default();
    fill.push(&format!(
        "insert or ignore into main.{places} select {place} \
         from main.{change} as c cross join base.{table} as b where {same}",
        places = table_name(&spec.name),
        place = place(&first_place(&format!("(c.demo_layer / {LAYERS_PER_SESSION})")), row_id),
        change = quote(&change_table_name(&spec.name)),
        table = quote(&spec.name),
        same = same_key(spec, "b.", "c."),
    ));
    fill
}
