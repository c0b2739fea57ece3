use anyhow::Result;
use demo_reset_persistence::{DifferingRows, TableVerification};
use serde_json::{Value, json};

use crate::args::Verify;
use crate::exit::Refusal;
use crate::{backend, output};

/// How many rows of a table are named.
const MOST_ROWS: u32 = 1_000;

pub(super) fn run(arguments: &Verify) -> Result<()> {
    let database = backend::open(&arguments.database.url)?;
    let (verification, differing) = match arguments.rows {
        true => database.verify_rows(MOST_ROWS)?,
        false => (database.verify()?, Vec::new()),
    };
    if arguments.format.json {
        let tables = verification.tables.iter().map(|table| {
            let rows = differing.iter().find(|rows| rows.table == table.table);
            table_json(table, arguments.rows.then_some(rows))
        });
        let tables: Vec<Value> = tables.collect();
        output::json(&json!({
            "method": "fingerprint",
            "baseDataIntact": verification.base_is_intact(),
            "tables": tables,
        }))?;
    } else {
        let rows: Vec<Vec<String>> = verification
            .tables
            .iter()
            .map(|table| {
                let state = match (table.is_intact(), table.rows == table.expected_rows) {
                    (true, _) => "intact".to_owned(),
                    (false, true) => "CHANGED: values differ".to_owned(),
                    (false, false) => {
                        format!("CHANGED: sealed with {}", output::grouped(table.expected_rows))
                    }
                };
                vec![table.table.clone(), output::grouped(table.rows), state]
            })
            .collect();
        output::table(&rows)?;
        let named = differing.iter().flat_map(|rows| {
            let keys = rows.keys.iter().map(|key| vec![rows.table.clone(), key.join(", ")]);
            let more = rows.count - rows.keys.len() as u64;
            let more =
                (more > 0).then(|| vec![rows.table.clone(), format!("… and {} more", output::grouped(more))]);
            let gone = rows.gone.saturating_sub(rows.count);
            let gone = (gone > 0)
                .then(|| vec![rows.table.clone(), format!("{} row(s) gone", output::grouped(gone))]);
            keys.chain(more).chain(gone)
        });
        let named: Vec<Vec<String>> = named.collect();
        if !named.is_empty() {
            output::line("\nRows that are not as they were sealed:")?;
            output::table(&named)?;
        }
    }
    if verification.base_is_intact() {
        return Ok(());
    }
    let changed = verification.tables.iter().filter(|table| !table.is_intact());
    Err(Refusal::BaseChanged { tables: changed.map(|table| table.table.clone()).collect() }.into())
}

/// With the rows that differ where they were asked for: null where there are none, or their hashes are not kept.
fn table_json(table: &TableVerification, rows: Option<Option<&DifferingRows>>) -> Value {
    let mut json = json!({
        "table": table.table,
        "expectedRows": table.expected_rows,
        "rows": table.rows,
        "fingerprintMatches": table.fingerprint_matches,
    });
    if let Some(rows) = rows {
        json["differingRows"] = rows
            .map_or(Value::Null, |rows| json!({"count": rows.count, "keys": rows.keys, "gone": rows.gone}));
    }
    json
}
