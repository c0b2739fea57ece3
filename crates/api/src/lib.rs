//! HTTP for demo sessions.
//!
//! Two ways to use it:
//!
//! - **In a host's own server**: mount [`demo::configure`] with an extractor that says whose session a request is
//!   for ([`demo::SessionUser`]). No other part of this crate is needed, so the feature `bundled-demo` can be off.
//! - **As the bundled demo** (feature `bundled-demo`): [`serve`] runs the compliance demo with sign-in, records and
//!   all the rest.
//!
//! Handlers are thin: they check the form of a request, hand it to a use case off the async worker, and write the
//! answer. There is no SQL here and no rule; every refusal becomes a status in one place, [`error`].

mod body;
mod clock;
pub mod demo;
mod engine;
pub mod error;
mod queue;
mod request_id;
mod routing;

#[cfg(feature = "bundled-demo")]
mod bundled;

#[cfg(feature = "bundled-demo")]
pub use bundled::*;
pub use clock::{Clock, Ids, System};
pub use engine::Engine;
pub use request_id::{assign_request_id, current as current_request_id};
