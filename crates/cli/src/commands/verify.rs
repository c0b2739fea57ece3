use anyhow::Result;
use demo_reset_persistence::TableVerification;
use serde_json::{Value, json};

use crate::args::Verify;
use crate::exit::Refusal;
use crate::{backend, output};

pub(super) fn run(arguments: &Verify) -> Result<()> {
    let verification = backend::open(&arguments.database.url)?.verify()?;
    let intact = |table: &&TableVerification| table.fingerprint_matches && table.rows == table.expected_rows;
    if arguments.format.json {
        let tables: Vec<Value> = verification.tables.iter().map(table_json).collect();
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
                let state = match (intact(&table), table.rows == table.expected_rows) {
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
    }
    if verification.base_is_intact() {
        return Ok(());
    }
    let changed = verification.tables.iter().filter(|table| !intact(table));
    Err(Refusal::BaseChanged { tables: changed.map(|table| table.table.clone()).collect() }.into())
}

fn table_json(table: &TableVerification) -> Value {
    json!({
        "table": table.table,
        "expectedRows": table.expected_rows,
        "rows": table.rows,
        "fingerprintMatches": table.fingerprint_matches,
    })
}
