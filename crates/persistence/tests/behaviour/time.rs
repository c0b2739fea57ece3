//! Fifty years of many sessions, by a clock that is moved: nothing is kept beyond its time, nothing goes before it.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{ArchiveId, DEFAULT_UNDO_WINDOW, IDLE_AFTER, OnConflict, SessionId, UserKey};
use demo_reset_persistence::Error;
use diesel::connection::SimpleConnection;
use uuid::Uuid;

use crate::fixture::{Fixture, now, on_each_database};
use crate::random::Random;

const BASE: &str = "
create table things (id integer primary key, name text not null);
insert into things values (1, 'one'), (2, 'two'), (3, 'three');
";

/// What should be there of one user.
#[derive(Default)]
struct Kept {
    session: Option<SessionId>,
    last_activity: Option<DateTime<Utc>>,
    has_changes: bool,
    /// By id: until when, and whether it was restored.
    archives: BTreeMap<ArchiveId, (DateTime<Utc>, bool)>,
}

impl Kept {
    fn archive(&mut self, id: ArchiveId, at: DateTime<Utc>) {
        self.archives.insert(id, (at + DEFAULT_UNDO_WINDOW, false));
        self.has_changes = false;
    }
}

const USERS: usize = 24;
const YEARS: i64 = 50;

on_each_database! { fn in_fifty_years_nothing_is_kept_beyond_its_time_and_nothing_goes_before_it(backend) {
    let fixture = Fixture::with_template(backend, "fifty years", BASE);
    let database = &fixture.database;
    let mut random = Random::new(50);
    let mut users: Vec<Kept> = (0..USERS).map(|_| Kept::default()).collect();
    let (mut at, end) = (now(), now() + Duration::days(YEARS * 365 + YEARS / 4));
    let (mut purged, mut removed, mut retired, mut undone, mut refused) = (0, 0, 0, 0, 0);
    let mut rounds = 0_u64;
    // In the order in which they are made, so that every run is the same.
    let made = std::cell::Cell::new(0_u128);
    let mut new_archive = || {
        made.set(made.get() + 1);
        ArchiveId(Uuid::from_u128(made.get()))
    };
    // Who has reset something lately comes back more often than others.
    let mut recent = 0;
    while at < end {
        rounds += 1;
        // Most visits are within a few days; now and then nobody comes for months. Often the clock stands exactly
        // where something ends, or one microsecond before.
        let ends = users.iter().flat_map(|user| {
            let archives = user.archives.values().map(|(expires_at, _)| *expires_at);
            archives.chain(user.last_activity.filter(|_| user.session.is_some()).map(|last| last + IDLE_AFTER))
        });
        let next_end = ends.filter(|end| *end > at).min();
        at = match (random.below(4), next_end) {
            (0, Some(end)) => end,
            (1, Some(end)) if end - at > Duration::microseconds(1) => end - Duration::microseconds(1),
            _ => at + Duration::hours([3, 40, 200, 2_000][random.below(4)]) + Duration::microseconds(random.below(1_000) as i64),
        };
        for _ in 0..random.below(4) {
            let who = if random.below(2) == 0 { recent } else { random.below(USERS) };
            let user = UserKey::new(["acme", "globex"][who % 2], format!("user {who}")).unwrap();
            let id = database.session(&user, SessionId(Uuid::new_v4()), at).unwrap().id;
            let kept = &mut users[who];
            assert!(kept.session.is_none_or(|known| known == id), "a session went before its time, at {at}");
            kept.session = Some(id);
            kept.last_activity = Some(kept.last_activity.filter(|last| at - *last < Duration::minutes(1)).unwrap_or(at));
            match random.below(5) {
                0 | 1 => {
                    let write = format!("update things set name = 'n{rounds}' where id = {}", 1 + random.below(3));
                    database.write(id, at, |conn| conn.batch_execute(&write).map_err(Error::from)).unwrap();
                    kept.has_changes = true;
                }
                2 | 3 => {
                    let archive = new_archive();
                    let report = database.reset(id, archive, at).unwrap();
                    assert_eq!(report.archive.is_some(), kept.has_changes, "changes went before their time, at {at}");
                    if kept.has_changes {
                        recent = who;
                        kept.archive(archive, at);
                    }
                }
                _ => {
                    let at_most = kept.archives.len().saturating_sub(random.below(2) * random.below(3));
                    let Some((&archive, &(expires_at, restored))) = kept.archives.iter().take(at_most).next_back() else {
                        continue;
                    };
                    let new_id = new_archive();
                    match database.undo(id, Some(archive), OnConflict::RestoreArchived, new_id, at) {
                        Ok(report) => {
                            assert!(at < expires_at && !restored, "undone at {at} what ended at {expires_at}");
                            kept.archives.insert(archive, (expires_at, true));
                            kept.has_changes = true;
                            if let Some(replaced) = report.replaced {
                                kept.archives.insert(replaced, (at + DEFAULT_UNDO_WINDOW, false));
                            }
                            undone += 1;
                        }
                        Err(Error::Undo(_)) => {
                            assert!(at >= expires_at || restored, "refused at {at} what ends at {expires_at}");
                            refused += 1;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
        }
        if random.below(3) > 0 {
            continue;
        }
        let report = database.cleanup(at, &mut new_archive).unwrap();
        purged += report.archives_purged;
        removed += report.sessions_removed;
        retired += report.sessions_archived;
        for kept in &mut users {
            let Some(id) = kept.session else { continue };
            kept.archives.retain(|_, (expires_at, _)| at < *expires_at);
            let is_idle = kept.last_activity.is_some_and(|last| last + IDLE_AFTER <= at);
            let found = database.archives(id).unwrap();
            if is_idle && kept.has_changes {
                let newest = found.first().expect("what an idle session held is archived");
                assert_eq!((newest.archived_at, newest.expires_at), (at, at + DEFAULT_UNDO_WINDOW));
                kept.archive(newest.id, at);
            } else if is_idle && kept.archives.is_empty() {
                assert_eq!(database.session_by_id(id).unwrap(), None, "a session was kept beyond its time, at {at}");
                (kept.session, kept.last_activity) = (None, None);
                continue;
            }
            let mut found: Vec<_> =
                found.into_iter().map(|a| (a.id, (a.expires_at, a.restored_at.is_some()))).collect();
            found.sort();
            let expected: Vec<_> = kept.archives.iter().map(|(id, kept)| (*id, *kept)).collect();
            assert_eq!(found, expected, "at {at}");
            assert_eq!(!database.change_counts(id).unwrap().is_empty(), kept.has_changes, "at {at}");
        }
        let stats = database.stats(None, at).unwrap();
        assert_eq!(stats.sessions, users.iter().filter(|user| user.session.is_some()).count() as u64);
        assert_eq!(stats.archives_expired, 0, "an expired archive was kept, at {at}");
    }
    // The last of them goes, and the sessions leave nothing behind.
    for days in [31, 32] {
        database.cleanup(at + Duration::days(days), &mut new_archive).unwrap();
    }
    let stats = database.stats(None, at).unwrap();
    assert_eq!((stats.sessions, stats.changes.total()), (0, 0));
    assert!(database.verify().unwrap().base_is_intact());
    eprintln!(
        "{backend:?}: {YEARS} years in {rounds} rounds: {undone} undone, {refused} refused, {purged} archives purged, \
         {retired} idle sessions archived, {removed} removed"
    );
    assert!([purged, removed, retired, undone, refused].iter().all(|count| *count > 5));
}}
