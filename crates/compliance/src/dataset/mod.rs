//! The three-year dataset of the demo: authored inputs, a deterministic generator, and its loading into a database.
//!
//! - [`SeedData::embedded`] parses and checks the files under `seed-data/`;
//! - [`generate()`] streams the rows into any [`Sink`];
//! - [`load()`] streams them into a database.
//!
//! The same options give the same rows, ids included, on every machine and in both databases. Nothing here reads a
//! clock: [`DatasetOptions::as_of`] says which day it is.

mod calendar;
mod case;
pub mod charts;
mod generate;
pub mod lint;
mod load;
mod people;
mod plan;
mod rng;
pub mod rows;
mod seed;
mod story;
mod template;

use chrono::NaiveDate;

pub use generate::generate;
pub use load::{LoadSummary, Progress, load, migrate, refuse_newer};
pub use rows::Batch;
pub use seed::{SeedData, SeedError, SeedMistake, Sources};

/// The seed of the bundled dataset.
pub const MASTER_SEED: u64 = 20_260_202;

/// The longest text that the database takes, in characters.
pub const LONGEST_TEXT: usize = 50_000;

/// What the dataset is made from, besides the seed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetOptions {
    /// Another number gives other people and other cases, with the same shares and patterns.
    pub master_seed: u64,
    /// The dataset shows the three years before this day (midnight UTC).
    pub as_of: NaiveDate,
    /// How many times the usual volume, for load tests.
    pub scale: u32,
}

impl DatasetOptions {
    /// The bundled dataset as of a day.
    pub fn new(as_of: NaiveDate) -> Self {
        Self { master_seed: MASTER_SEED, as_of, scale: 1 }
    }

    fn check(&self) -> Result<(), DatasetError> {
        use chrono::Datelike;
        if !(1..=1000).contains(&self.scale) {
            return Err(DatasetError::Options("the scale is a number from 1 to 1000"));
        }
        if !(1990..=2200).contains(&self.as_of.year()) {
            return Err(DatasetError::Options("the date is between the years 1990 and 2200"));
        }
        Ok(())
    }
}

/// Why a dataset could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Mistakes in the authored inputs.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The options cannot be met.
    #[error("{0}")]
    Options(&'static str),
    /// The database refused.
    #[error("the dataset could not be loaded: {0}")]
    Database(#[from] diesel::result::Error),
    /// The words of the texts could not be indexed.
    #[error("the words of the dataset could not be indexed: {0}")]
    Index(#[from] demo_reset_persistence::Error),
    /// The database holds data already.
    #[error("the table {0} is not empty: the dataset is loaded into an empty database only")]
    NotEmpty(&'static str),
    /// A migration failed.
    #[error("migration: {0}")]
    Migration(String),
    /// Rows were made for a loader that has stopped, which says why itself.
    #[error("the rows are no longer taken")]
    NotTaken,
}

/// Takes rows as they are made.
pub trait Sink {
    /// Takes all rows of `batch` and leaves it empty.
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError>;
}

/// Keeps all rows in memory.
impl Sink for Batch {
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError> {
        self.append(batch);
        Ok(())
    }
}
