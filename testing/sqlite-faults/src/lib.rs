//! Makes SQLite fail on demand, for tests: a file system between SQLite and the real one whose n-th call fails, and an
//! authorizer that refuses the statements that a test wants refused.
//!
//! Faults are asked for per thread, so that tests beside each other do not meet. [`install`] comes before the first
//! connection that is to fail.

mod files;
mod power;

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;
use std::sync::{Once, PoisonError, RwLock};

use libsqlite3_sys as sqlite;

pub use power::{Disk, Event, record, recorded, stop_recording};

/// What SQLite asks of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Io {
    /// Opening or making a file.
    Open,
    /// Reading a piece of one.
    Read,
    /// Writing a piece of one.
    Write,
    /// Cutting one short.
    Truncate,
    /// Waiting until what was written is on the disk.
    Sync,
    /// Removing one.
    Delete,
    /// Mapping a piece of the index of the write-ahead log into memory.
    Map,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The disk answers with an error.
    Broken,
    /// The disk has no room. Only calls that need room can fail so: [`Io::Write`] and [`Io::Open`].
    Full,
}

/// How long it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// Once; the next call succeeds.
    Once,
    /// From then on, until the fault is taken back.
    Ever,
}

struct Plan {
    of: Io,
    nth: usize,
    seen: usize,
    failure: Failure,
    lasting: Lasting,
}

thread_local! {
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    static REFUSES: Cell<bool> = const { Cell::new(false) };
}

/// Held for reading by every call that changes a file, for writing by [`hold`].
static STILL: RwLock<()> = RwLock::new(());

/// Puts the file system and the authorizer in place, for every connection of this process that is opened from now on.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        files::install();
        // SAFETY: it sets the authorizer and keeps nothing of what it is called with.
        let registered = unsafe { sqlite::sqlite3_auto_extension(Some(on_open)) };
        assert_eq!(registered, sqlite::SQLITE_OK, "an automatic extension is registered");
    });
}

unsafe extern "C" fn on_open(
    db: *mut sqlite::sqlite3,
    _message: *mut *mut c_char,
    _api: *const sqlite::sqlite3_api_routines,
) -> c_int {
    // SAFETY: SQLite has just made the connection; the authorizer needs no data that could go away.
    unsafe { sqlite::sqlite3_set_authorizer(db, Some(authorize), null_mut()) }
}

unsafe extern "C" fn authorize(
    _data: *mut c_void,
    _action: c_int,
    _first: *const c_char,
    _second: *const c_char,
    _database: *const c_char,
    _trigger: *const c_char,
) -> c_int {
    if REFUSES.get() { sqlite::SQLITE_DENY } else { sqlite::SQLITE_OK }
}

/// Whether every statement that is prepared on this thread from now on is refused. Statements that were prepared
/// before run on: turn off the caches of the connections first.
pub fn refuse_statements(refuse: bool) {
    REFUSES.set(refuse);
}

/// A fault that waits for its call on this thread. Dropping it takes it back.
#[must_use]
#[derive(Debug)]
pub struct Fault {
    /// It belongs to the thread that asked for it.
    not_send: PhantomData<*const ()>,
}

/// Lets the `nth` call (the first is 1) of its kind fail, of those that this thread makes from now on.
pub fn fail(of: Io, nth: usize, failure: Failure, lasting: Lasting) -> Fault {
    PLAN.set(Some(Plan { of, nth, seen: 0, failure, lasting }));
    Fault { not_send: PhantomData }
}

impl Fault {
    /// Whether a call has failed.
    pub fn was_met(&self) -> bool {
        PLAN.with_borrow(|plan| plan.as_ref().is_some_and(|plan| plan.seen >= plan.nth))
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        PLAN.set(None);
    }
}

/// How this call is to fail, if it is.
fn failure_of(call: Io) -> Option<Failure> {
    PLAN.with_borrow_mut(|plan| {
        let plan = plan.as_mut().filter(|plan| plan.of == call)?;
        plan.seen += 1;
        let fails = match plan.lasting {
            Lasting::Once => plan.seen == plan.nth,
            Lasting::Ever => plan.seen >= plan.nth,
        };
        fails.then_some(plan.failure)
    })
}

/// Runs `work` while no call changes a file: what it copies is what a power cut of the process at this moment leaves.
/// It must not use SQLite itself.
pub fn hold<T>(work: impl FnOnce() -> T) -> T {
    let _still = STILL.write().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Runs a call that changes a file.
fn moving<T>(call: impl FnOnce() -> T) -> T {
    let _moving = STILL.read().unwrap_or_else(PoisonError::into_inner);
    call()
}
