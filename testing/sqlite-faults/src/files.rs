//! The file system between SQLite and the real one. Each file is ours, with the real one in the same piece of memory
//! behind it; each call goes on to the real one unless it is to fail.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use libsqlite3_sys as sqlite;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::power::{Event, happened};
use crate::{Failure, Io, failure_of, moving};

/// The real file system. SQLite never frees it.
struct Real(*mut sqlite3_vfs);

// SAFETY: SQLite's file systems are made to be called from any thread.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

/// A file of ours; the real one begins right behind it, which keeps its alignment.
#[repr(C)]
struct File {
    base: sqlite3_file,
    /// Null for one that SQLite removes when it closes it.
    name: *const c_char,
}

/// The path of a file; none for one without a name.
///
/// # Safety
/// `name` is null or what [`open`] was given, of a file that is still open, or of one that [`delete`] was given.
unsafe fn path(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite's names end with a zero, and it keeps them while the file is open.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

/// Tells a recording what happened to an open file. It is called where the call has succeeded.
///
/// # Safety
/// `file` is one that [`open`] has opened.
unsafe fn tell(file: *mut sqlite3_file, event: impl FnOnce(PathBuf) -> Event) {
    // SAFETY: it is a file of ours, and open.
    if let Some(path) = unsafe { path((*file.cast::<File>()).name) } {
        happened(|| event(path));
    }
}

/// The real file behind ours.
///
/// # Safety
/// `file` is one that [`open`] was given.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` asked for room for both.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// The methods of the real file behind ours.
///
/// # Safety
/// `file` is one that [`open`] has opened.
unsafe fn methods<'a>(file: *mut sqlite3_file) -> &'a sqlite3_io_methods {
    // SAFETY: the real open has set them, and they are static.
    unsafe { &*(*real(file)).pMethods }
}

/// Calls a method of the real file.
macro_rules! forward {
    ($file:ident . $method:ident ( $($argument:expr),* )) => {{
        // SAFETY: SQLite calls the methods of a file with what they take, and only while it is open.
        unsafe {
            match methods($file).$method {
                Some(call) => call(real($file), $($argument),*),
                None => sqlite::SQLITE_IOERR,
            }
        }
    }};
}

fn code(failure: Failure, broken: c_int) -> c_int {
    match failure {
        Failure::Broken => broken,
        Failure::Full => sqlite::SQLITE_FULL,
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    moving(|| forward!(file.xClose()))
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    from: sqlite3_int64,
) -> c_int {
    match failure_of(Io::Read) {
        Some(failure) => code(failure, sqlite::SQLITE_IOERR_READ),
        None => forward!(file.xRead(into, amount, from)),
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    what: *const c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    match failure_of(Io::Write) {
        // A disk that fills up takes what it can: half a piece is there.
        Some(failure) => moving(|| {
            let _ = forward!(file.xWrite(what, amount / 2, at));
            code(failure, sqlite::SQLITE_IOERR_WRITE)
        }),
        None => {
            let written = moving(|| forward!(file.xWrite(what, amount, at)));
            if written == sqlite::SQLITE_OK {
                // SAFETY: SQLite wants so many bytes written from there.
                let bytes = unsafe { std::slice::from_raw_parts(what.cast::<u8>(), amount as usize) };
                // SAFETY: the file is open.
                unsafe { tell(file, |path| Event::Write(path, at as usize, bytes.to_vec())) };
            }
            written
        }
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    match failure_of(Io::Truncate) {
        Some(failure) => code(failure, sqlite::SQLITE_IOERR_TRUNCATE),
        None => {
            let cut = moving(|| forward!(file.xTruncate(size)));
            if cut == sqlite::SQLITE_OK {
                // SAFETY: the file is open.
                unsafe { tell(file, |path| Event::Truncate(path, size as usize)) };
            }
            cut
        }
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    match failure_of(Io::Sync) {
        Some(failure) => code(failure, sqlite::SQLITE_IOERR_FSYNC),
        None => {
            let synced = moving(|| forward!(file.xSync(flags)));
            if synced == sqlite::SQLITE_OK {
                // SAFETY: the file is open.
                unsafe { tell(file, Event::Sync) };
            }
            synced
        }
    }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    forward!(file.xFileSize(size))
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xLock(level))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xUnlock(level))
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, found: *mut c_int) -> c_int {
    forward!(file.xCheckReservedLock(found))
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    forward!(file.xFileControl(what, argument))
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    forward!(file.xSectorSize())
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    forward!(file.xDeviceCharacteristics())
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    mapped: *mut *mut c_void,
) -> c_int {
    match failure_of(Io::Map) {
        Some(failure) => code(failure, sqlite::SQLITE_IOERR_SHMMAP),
        None => forward!(file.xShmMap(page, size, extend, mapped)),
    }
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, n: c_int, flags: c_int) -> c_int {
    forward!(file.xShmLock(offset, n, flags))
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: as in `forward`; this one answers nothing.
    unsafe {
        if let Some(call) = methods(file).xShmBarrier {
            call(real(file));
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    moving(|| forward!(file.xShmUnmap(delete)))
}

/// Version 2: with shared memory, which the write-ahead log needs, and without reading through mapped memory, which no
/// call would fail in.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn real_vfs() -> *mut sqlite3_vfs {
    REAL.get().map_or(null_mut(), |real| real.0)
}

unsafe extern "C" fn open(
    _vfs: *mut sqlite3_vfs,
    name: sqlite::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // Without methods SQLite does not close what was not opened.
    // SAFETY: SQLite has allocated `szOsFile` bytes for the file.
    unsafe {
        (*file).pMethods = null();
        (*file.cast::<File>()).name = name;
        (*real(file)).pMethods = null();
    }
    if let Some(failure) = failure_of(Io::Open) {
        return code(failure, sqlite::SQLITE_CANTOPEN);
    }
    // SAFETY: the real open gets its own file system and its own file, and the rest as SQLite gave it.
    let opened = unsafe {
        match (*real_vfs()).xOpen {
            Some(call) => moving(|| call(real_vfs(), name, real(file), flags, out_flags)),
            None => sqlite::SQLITE_CANTOPEN,
        }
    };
    // SAFETY: as above. A real file with methods must be closed, even where its open failed.
    unsafe {
        if !(*real(file)).pMethods.is_null() {
            (*file).pMethods = &raw const METHODS;
        }
    }
    opened
}

unsafe extern "C" fn delete(_vfs: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    if let Some(failure) = failure_of(Io::Delete) {
        return code(failure, sqlite::SQLITE_IOERR_DELETE);
    }
    // SAFETY: the real call gets its own file system, and the rest as SQLite gave it.
    unsafe {
        let deleted = match (*real_vfs()).xDelete {
            Some(call) => moving(|| call(real_vfs(), name, sync_folder)),
            None => sqlite::SQLITE_IOERR_DELETE,
        };
        if deleted == sqlite::SQLITE_OK
            && let Some(path) = path(name)
        {
            happened(|| Event::Delete(path));
        }
        deleted
    }
}

/// Makes it the file system that connections use unless they name another.
pub(crate) fn install() {
    // SAFETY: no name asks for the default one, which is static.
    let default = unsafe { sqlite::sqlite3_vfs_find(null()) };
    assert!(!default.is_null(), "SQLite has a file system");
    let real = REAL.get_or_init(|| Real(default)).0;
    // SAFETY: it is valid and not changed after its registration. What is not replaced here needs nothing of the
    // real one but its data, which the copy has too.
    let mut vfs = unsafe { *real };
    vfs.szOsFile += size_of::<File>() as c_int;
    vfs.pNext = null_mut();
    vfs.zName = c"faults".as_ptr();
    vfs.xOpen = Some(open);
    vfs.xDelete = Some(delete);
    // SAFETY: it is never freed, as SQLite wants it.
    let registered = unsafe { sqlite::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 1) };
    assert_eq!(registered, sqlite::SQLITE_OK, "a file system is registered");
}
