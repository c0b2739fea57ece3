//! A new base under old layers: every layer, live or archived, is brought in line with it, set-based.
//!
//! Nothing that a user made is dropped. A copy of a base row that is gone becomes a record of the user's own; a
//! record whose key the new base has taken becomes an edit of that row; only a tombstone over a row that is gone
//! has nothing left to say.

use crate::connection::{Link, Sql};
use crate::error::Result;
use crate::spec::TableSpec;

/// Brings all layers in line with the base as it is now. Runs in the transaction that begins the new epoch.
pub(crate) fn reconcile(link: &mut Link<'_>, tables: &[TableSpec]) -> Result<()> {
    let dialect = link.dialect();
    for table in tables {
        let change = dialect.change_table(&table.name);
        let same: Vec<String> = table
            .key_columns()
            .map(|column| {
                let name = dialect.quote(&column.name);
                format!("b.{name} = x.{name}")
            })
            .collect();
        let in_base = format!(
            "exists (select 1 from {} as b where {})",
            dialect.base_table(&table.name),
            same.join(" and ")
        );
        for statement in [
            format!("delete from {change} as x where x.demo_kind = 'deleted' and not {in_base}"),
            format!(
                "update {change} as x set demo_kind = 'created' where x.demo_kind = 'edited' and not {in_base}"
            ),
            format!(
                "update {change} as x set demo_kind = 'edited' where x.demo_kind = 'created' and {in_base}"
            ),
        ] {
            let mut sql = Sql::default();
            sql.push(&statement);
            link.execute(sql)?;
        }
    }
    Ok(())
}
