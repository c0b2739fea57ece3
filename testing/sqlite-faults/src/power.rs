//! What a power cut leaves: everything that was synced, and of what was written since, any pieces.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A disk writes so many bytes wholly or not at all.
const SECTOR: usize = 512;

/// What happened to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These bytes were written there.
    Write(PathBuf, usize, Vec<u8>),
    /// It was cut to so many bytes, or filled up with zeros.
    Truncate(PathBuf, usize),
    /// Everything that was written to it is on the disk.
    Sync(PathBuf),
    /// It was removed.
    Delete(PathBuf),
}

impl Event {
    fn file(&self) -> &Path {
        match self {
            Self::Write(file, ..) | Self::Truncate(file, _) | Self::Sync(file) | Self::Delete(file) => file,
        }
    }
}

thread_local! {
    static EVENTS: RefCell<Option<Vec<Event>>> = const { RefCell::new(None) };
}

/// Keeps what happens to the files that this thread writes through SQLite, from now on.
pub fn record() {
    EVENTS.set(Some(Vec::new()));
}

/// How much has happened since [`record`].
pub fn recorded() -> usize {
    EVENTS.with_borrow(|events| events.as_ref().map_or(0, Vec::len))
}

/// Ends the recording; everything that happened, in order.
pub fn stop_recording() -> Vec<Event> {
    EVENTS.take().unwrap_or_default()
}

/// Keeps the event, if this thread records.
pub(crate) fn happened(event: impl FnOnce() -> Event) {
    EVENTS.with_borrow_mut(|events| {
        if let Some(events) = events {
            events.push(event());
        }
    });
}

/// A disk, as it would be found after a power cut. That a file was made or removed is on it at once: SQLite syncs the
/// folder.
#[derive(Debug)]
pub struct Disk {
    synced: BTreeMap<PathBuf, Vec<u8>>,
    written: Vec<Event>,
}

impl Disk {
    /// With these files, wholly written.
    pub fn new(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        Self { synced: files.into_iter().collect(), written: Vec::new() }
    }

    /// Does what was recorded next.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Write(..) | Event::Truncate(..) => self.written.push(event.clone()),
            Event::Sync(file) => {
                let (synced, written): (Vec<Event>, _) =
                    self.written.drain(..).partition(|event| event.file() == file);
                self.written = written;
                synced.iter().for_each(|event| apply(&mut self.synced, event, &mut || true));
            }
            Event::Delete(file) => {
                self.written.retain(|event| event.file() != file);
                self.synced.remove(file);
            }
        }
    }

    /// The files after a cut: of each piece that was not synced `is_kept` says whether it is there all the same.
    pub fn cut(&self, mut is_kept: impl FnMut() -> bool) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = self.synced.clone();
        self.written.iter().for_each(|event| apply(&mut files, event, &mut is_kept));
        files
    }
}

fn apply(files: &mut BTreeMap<PathBuf, Vec<u8>>, event: &Event, is_kept: &mut impl FnMut() -> bool) {
    match event {
        Event::Write(file, at, bytes) => {
            let content = files.entry(file.clone()).or_default();
            let mut from = 0;
            while from < bytes.len() {
                // To the end of the sector in which it begins.
                let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
                if is_kept() {
                    let end = at + to;
                    content.resize(content.len().max(end), 0);
                    content[at + from..end].copy_from_slice(&bytes[from..to]);
                }
                from = to;
            }
        }
        Event::Truncate(file, size) => {
            if is_kept() {
                files.entry(file.clone()).or_default().resize(*size, 0);
            }
        }
        Event::Sync(_) | Event::Delete(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(at: usize, bytes: &[u8]) -> Event {
        Event::Write("log".into(), at, bytes.to_vec())
    }

    #[test]
    fn a_cut_keeps_what_was_synced_and_chosen_sectors_of_the_rest() {
        let mut disk = Disk::new([("log".into(), b"old".to_vec())]);
        disk.take(&write(0, b"new"));
        assert_eq!(disk.cut(|| false)[Path::new("log")], b"old");
        disk.take(&Event::Sync("another".into()));
        assert_eq!(disk.cut(|| false)[Path::new("log")], b"old");
        disk.take(&Event::Sync("log".into()));
        assert_eq!(disk.cut(|| false)[Path::new("log")], b"new");
        disk.take(&write(500, &[7; 600]));
        let mut sector = 0;
        let files = disk.cut(|| {
            sector += 1;
            sector == 2
        });
        assert_eq!(sector, 3);
        let content = &files[Path::new("log")];
        assert_eq!((content.len(), content[511], content[512], content[1023]), (1024, 0, 7, 7));
    }

    #[test]
    fn a_file_that_was_removed_does_not_come_back() {
        let mut disk = Disk::new([]);
        disk.take(&write(0, b"new"));
        disk.take(&Event::Delete("log".into()));
        assert!(disk.cut(|| true).is_empty());
    }
}
