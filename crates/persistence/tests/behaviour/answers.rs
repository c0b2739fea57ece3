//! What the engine keeps for those who ask it: answers to repeated requests, secrets, and what a new base would meet.

use std::cell::Cell;

use chrono::{DateTime, Duration, Utc};
use demo_reset_domain::{ArchiveId, IDEMPOTENCY_WINDOW, OnConflict};
use demo_reset_persistence::{
    BaseReferences, Error, HeldOverBase, IdempotencyKey, RecordKey, RecordPosition, ResetRequest, UndoRequest,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, Session, now, on_each_database};

/// Two records that stand over the base, and two new ones of which one has a parent in the base.
const CHANGES: &str = "update authors set name = 'Änn' where id = 1; delete from notes where id = 1; \
    insert into notes (isbn, body) values ('2', 'mine'); insert into publishers (code, name) values ('new', 'New');";

fn key(key: &str, request: &str) -> IdempotencyKey {
    IdempotencyKey { key: key.to_owned(), request: request.to_owned() }
}

/// Resets with a key; the answer counts how often one was made.
fn reset(
    session: &Session<'_>,
    records: Option<Vec<RecordKey>>,
    key: Option<&IdempotencyKey>,
    at: DateTime<Utc>,
    made: &Cell<u64>,
) -> Result<Value, Error> {
    let new_id = ArchiveId(Uuid::new_v4());
    let request = ResetRequest { session: session.id, records, new_id, now: at };
    session.fixture.database.reset_answering(&request, key, |report, left| {
        made.set(made.get() + 1);
        json!({
            "archive": report.archive.as_ref().map(|archive| archive.id.0),
            "left": left.total(),
            "answer": made.get(),
        })
    })
}

on_each_database! { fn a_reset_that_is_asked_for_again_is_not_done_again(backend) {
    let fixture = Fixture::library(backend);
    let (session, other) = (fixture.session("ann"), fixture.session("ben"));
    let (made, once) = (Cell::new(0), key("once", "reset everything"));
    session.write(CHANGES).unwrap();
    other.write(CHANGES).unwrap();
    let answer = reset(&session, None, Some(&once), now(), &made).unwrap();
    session.write(CHANGES).unwrap();
    let end = now() + IDEMPOTENCY_WINDOW;
    let before_end = end - Duration::microseconds(1);
    assert_eq!(reset(&session, None, Some(&once), before_end, &made).unwrap(), answer);
    assert_eq!((made.get(), fixture.database.archives(session.id).unwrap().len()), (1, 1));
    // The same name means another request elsewhere, and nothing for another request.
    assert_ne!(reset(&other, None, Some(&once), now(), &made).unwrap(), answer);
    let reused = reset(&session, None, Some(&key("once", "reset a note")), now(), &made);
    assert!(matches!(reused, Err(Error::IdempotencyKeyReused)), "{reused:?}");
    assert_ne!(reset(&session, None, Some(&once), end, &made).unwrap(), answer);
    assert_eq!((made.get(), fixture.database.archives(session.id).unwrap().len()), (3, 2));
}}

on_each_database! { fn a_request_that_failed_is_done_when_it_is_asked_for_again(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    let undo = |key: &IdempotencyKey| {
        let new_id = ArchiveId(Uuid::new_v4());
        let request = UndoRequest { session: session.id, wanted: None, on_conflict: OnConflict::Fail, new_id, now: now() };
        fixture.database.undo_answering(&request, Some(key), |report| json!(report.restored.total()))
    };
    let once = key("undo", "undo");
    assert!(matches!(undo(&once), Err(Error::Undo(_))));
    session.write(CHANGES).unwrap();
    session.reset();
    assert_eq!(undo(&once).unwrap(), json!(4));
    assert_eq!(undo(&once).unwrap(), json!(4));
    let made = Cell::new(0);
    let records = Some(vec![RecordKey { table: "publishers".to_owned(), key: vec!["new".to_owned()] }]);
    let some = key("some", "reset a publisher");
    let answer = reset(&session, records.clone(), Some(&some), now(), &made).unwrap();
    assert_eq!((&answer["left"], &answer["answer"]), (&json!(3), &json!(1)));
    assert_eq!(reset(&session, records, Some(&some), now(), &made).unwrap(), answer);
    session.write("update authors set name = 'Cy' where id = 2").unwrap();
    let unnamed = reset(&session, None, None, now(), &made).unwrap();
    assert_eq!((&unnamed["left"], &unnamed["answer"]), (&json!(0), &json!(2)));
}}

on_each_database! { fn a_secret_is_made_once_and_stays_until_it_is_replaced(backend) {
    let fixture = Fixture::library(backend);
    let database = &fixture.database;
    assert_eq!(database.secret_find("cookies").unwrap(), None);
    assert_eq!(database.secret("cookies", || "first".to_owned()).unwrap(), "first");
    assert_eq!(database.secret("cookies", || "second".to_owned()).unwrap(), "first");
    database.secret_replace("cookies", "third").unwrap();
    database.secret_replace("links", "fourth").unwrap();
    assert_eq!(database.secret_find("cookies").unwrap().as_deref(), Some("third"));
    assert_eq!(database.secret("links", || "fifth".to_owned()).unwrap(), "fourth");
}}

on_each_database! { fn what_a_new_base_would_meet_is_counted_in_layers_and_in_archives_that_can_be_undone(backend) {
    let fixture = Fixture::library(backend);
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    assert_eq!(fixture.database.base_references(now()).unwrap(), BaseReferences::default());
    ann.write(CHANGES).unwrap();
    ben.write(CHANGES).unwrap();
    let archive = ann.reset().archive.unwrap();
    ann.write("update authors set name = 'Cy' where id = 2").unwrap();
    let held = HeldOverBase { edited: 1, deleted: 1, created: 2, created_under_base: 1 };
    let live = HeldOverBase { edited: 2, ..held };
    let until = |at| fixture.database.base_references(at).unwrap();
    assert_eq!(until(now()), BaseReferences { live, archived: held });
    let expired = BaseReferences { live, archived: HeldOverBase::default() };
    assert_eq!(until(archive.expires_at - Duration::microseconds(1)), BaseReferences { live, archived: held });
    assert_eq!(until(archive.expires_at), expired);
    ann.undo().unwrap();
    let live = HeldOverBase { edited: 3, deleted: 2, created: 4, created_under_base: 2 };
    assert_eq!(until(now()), BaseReferences { live, archived: HeldOverBase::default() });
}}

on_each_database! { fn an_archive_is_read_in_pages_of_any_size(backend) {
    let fixture = Fixture::library(backend);
    let session = fixture.session("ann");
    session.write(CHANGES).unwrap();
    let archive = session.reset().archive.unwrap().id;
    let all = fixture.database.archived_changes(session.id, archive).unwrap();
    assert_eq!(all.len(), 4);
    for limit in 1..=5 {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = fixture.database.archived_changes_page(session.id, archive, after.as_ref(), limit).unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = Some(RecordPosition { table: last.table.clone(), key: json!(last.key).to_string() });
            pages.extend(page);
        }
        assert_eq!(pages, all, "{limit} at a time");
    }
    let of_another = fixture.session("ben");
    assert!(fixture.database.archived_changes_page(of_another.id, archive, None, 5).unwrap().is_empty());
}}
