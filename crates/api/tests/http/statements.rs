//! The statements that a request runs.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{LazyLock, Mutex, Once};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

use crate::fixture::Home;

/// Statements of watched databases, by what their connections' addresses contain.
static SEEN: LazyLock<Mutex<HashMap<String, Vec<String>>>> = LazyLock::new(Mutex::default);

/// Statements that any connection has kept prepared.
static KEPT: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Keeps the statements of one connection.
#[derive(Default)]
struct Recorder {
    /// Where it is connected to.
    url: String,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => self.url = url.to_owned(),
            InstrumentationEvent::CacheQuery { sql, .. } => {
                KEPT.lock().unwrap().insert(sql.trim().to_owned());
            }
            // A pool opens connections ahead of need, on threads of its own, at any time.
            InstrumentationEvent::StartQuery { query, .. } if !on_a_thread_of_the_pool() => {
                let mut seen = SEEN.lock().unwrap();
                let watched = seen.iter_mut().find(|(place, _)| self.url.contains(place.as_str()));
                if let Some((_, statements)) = watched {
                    let text = query.to_string();
                    let text = text.split("-- binds").next().unwrap_or_default().trim();
                    statements.push(text.to_owned());
                }
            }
            _ => {}
        }
    }
}

/// Whether this thread is one on which r2d2 opens connections.
fn on_a_thread_of_the_pool() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("r2d2-worker"))
}

/// Makes connections opened from now on tell what they run.
pub fn record() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_default_instrumentation(|| Some(Box::<Recorder>::default())).unwrap());
}

/// Whether a connection that runs this statement again finds it prepared.
pub fn is_kept(statement: &str) -> bool {
    KEPT.lock().unwrap().contains(statement)
}

/// What `work` gives, and the statements that were run on the database meanwhile.
pub async fn of<T>(home: &Home, work: impl Future<Output = T>) -> (T, Vec<String>) {
    let place = home.place();
    SEEN.lock().unwrap().insert(place.clone(), Vec::new());
    let done = work.await;
    let statements = SEEN.lock().unwrap().remove(&place).unwrap_or_default();
    (done, statements)
}
