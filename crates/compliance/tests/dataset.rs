//! Every property of the bundled dataset, checked on the generated rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use chrono::NaiveDate;
use demo_reset_compliance::dataset::{Batch, DatasetOptions, SeedData, generate, load, migrate};
use demo_reset_persistence::AnyConnection;
use diesel::prelude::*;

fn as_of() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, 2).unwrap()
}

fn made(options: &DatasetOptions) -> Batch {
    let mut all = Batch::default();
    generate(SeedData::embedded().unwrap(), options, &mut all).unwrap();
    all
}

fn dataset() -> &'static Batch {
    static DATASET: OnceLock<Batch> = OnceLock::new();
    DATASET.get_or_init(|| made(&DatasetOptions::new(as_of())))
}

#[test]
fn loads_into_sqlite() {
    let mut conn = AnyConnection::Sqlite(
        SqliteConnection::establish(&std::env::var("DATASET_TEST_DB").unwrap_or(":memory:".into())).unwrap(),
    );
    migrate(&mut conn).unwrap();
    let mut reports = Vec::new();
    let start = std::time::Instant::now();
    let summary = conn
        .transaction::<_, demo_reset_compliance::dataset::DatasetError, _>(|conn| {
            load(conn, DatasetOptions::new(as_of()), &mut |progress| reports.push(progress))
        })
        .unwrap();
    println!("{:?} {summary:?} {} {:?}", start.elapsed(), summary.rows(), reports.first());
    let start = std::time::Instant::now();
    for (table, rows) in &summary.tables {
        let counts: BTreeMap<_, _> = Batch::TABLES.iter().copied().zip(dataset().counts()).collect();
        assert_eq!(counts[table] as u64, *rows, "{table}");
    }
    println!("{:?}", start.elapsed());
    let _: BTreeSet<u8> = BTreeSet::new();
}
