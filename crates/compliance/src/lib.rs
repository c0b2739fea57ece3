//! The bundled demo application: compliance cases over three years.

#[allow(missing_docs)]
pub mod schema;

/// The deterministic three-year dataset.
pub mod dataset;
