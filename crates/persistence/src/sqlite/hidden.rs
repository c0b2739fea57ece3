//! Rows of the base that a session hides, known by their row id.
//!
//! A view asks of each base row that it passes whether the live layer has a change to it. To look its key up among the
//! changes of all sessions costs more than anything else that the view adds: keys are texts. So a change to a base row notes
//! the row's id, and an index of layers and row ids answers. It is a column of the change like others: what moves, merges or
//! removes changes has nothing to do for it.
//!
//! SQLite promises no row ids to a table whose key is another. They hold as long as nobody takes rows out and puts them back,
//! and through a VACUUM of a table that has an index. So they are noted only over a base file that the engine has loaded,
//! sealed and guarded, and noted anew where that file is another than they were noted of, by its stamp. Over a host's base
//! keys are looked up. So they are where the key is the row id, which is as short.

use super::ddl::{change_table_name, same_key};
use crate::connection::{Link, Sql};
use crate::error::Result;
use crate::spec::TableSpec;
use crate::sql_text::quote;

/// The column of a change table with the row id of the base row that the change hides: NULL where there is none.
pub(super) const BASE_ROW_ID: &str = "demo_base_row_id";

/// Notes the row ids of the base rows that changes hide anew, in every table that has them, of the base file with this stamp.
pub(super) fn note_anew(link: &mut Link<'_>, tables: &[TableSpec], stamp: &str) -> Result<()> {
    for spec in tables {
        let Some(row_id) = spec.base_row_id else { continue };
        let noted = format!(
            "(select b.{row_id} from base.{table} as b where {same})",
            table = quote(&spec.name),
            same = same_key(spec, "b.", "c."),
        );
        link.execute(Sql::once(&format!(
            "update main.{change} as c set {BASE_ROW_ID} = {noted} where c.{BASE_ROW_ID} is not {noted}",
            change = quote(&change_table_name(&spec.name)),
        )))?;
    }
    link.execute(Sql::new("update main.demo_base set row_ids_of = ?", [stamp.into()]))?;
    Ok(())
}
