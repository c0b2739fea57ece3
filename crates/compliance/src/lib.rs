//! The bundled demo application: compliance cases over three years.
//!
//! It uses the engine as any embedding backend would: plain Diesel queries over an [`AnyConnection`], unaware of
//! sessions. What a session sees and where its writes go is settled by the connection that the queries run on.
//!
//! Every function takes the connection of a unit of work that the caller opened
//! (`Database::read`, `Database::write`), and every id and time that it stores is a parameter.
//!
//! [`AnyConnection`]: demo_reset_persistence::AnyConnection

mod attach;
mod audit;
pub mod dataset;
mod error;
mod fields;
mod input;
mod list;
mod records;
mod reference;
#[allow(missing_docs)]
pub mod schema;
mod stored;
mod wire;
mod words;

pub use attach::attach_options;
pub use audit::{AUDIT_FIELDS, Activity, Actor, EntityKind, Writer, activity_list};
pub use error::{Error, FieldError, Result};
pub use fields::{Field, FieldKind, Initial, OnCreate, OnEdit, Reference};
pub use input::{Content, New, Object, Patch};
pub use list::{Filter, ListQuery, ListSpec, MAX_LIMIT, Page, Position, Sort, SortKey};
pub use records::*;
pub use reference::*;
pub use stored::{activity_label, record_label, stored_activity, stored_record};
pub use words::{SEARCHED, index_words, make_search_indexes};
