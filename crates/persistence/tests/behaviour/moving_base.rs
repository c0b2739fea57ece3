//! The base moves on: the owner adds, changes and deletes rows while sessions hold copies, children and archives.

use chrono::Duration;
use demo_reset_domain::{ArchiveId, ConflictReason, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AttachOptions, AttachReport, Database, Error, OpenOptions, Reconciliation, attach, suspend,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use crate::fixture::{Backend, HostDatabase, now, on_each_database};

const WORKSHOP: &str = "
    create table makers (id integer primary key, name text not null unique);
    create table parts (id integer primary key, maker_id integer references makers (id), label text not null);
    insert into makers values (1, 'one'), (2, 'two'), (3, 'three');
    insert into parts values (10, 1, 'ten'), (20, 2, 'twenty'), (30, 3, 'thirty');";

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

/// A workshop, and Ann's session in it.
struct Workshop {
    host: HostDatabase,
    database: Database,
    ann: SessionId,
}

impl Workshop {
    fn new(backend: Backend) -> Self {
        let host = HostDatabase::new(backend, WORKSHOP);
        attach(&host.url, &AttachOptions::default(), now()).unwrap();
        let database = Database::open_attached(&host.url, OpenOptions::default(), now()).unwrap();
        let key = UserKey::new("workshop", "ann").unwrap();
        let ann = database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
        Self { host, database, ann }
    }

    /// What the owner does to the base while sessions have stepped aside.
    fn owner(&mut self, sql: &str) -> AttachReport {
        suspend(&self.host.url).unwrap();
        self.host.outsider().batch_execute(sql).unwrap();
        let report = attach(&self.host.url, &AttachOptions::default(), now()).unwrap();
        self.database = Database::open_attached(&self.host.url, OpenOptions::default(), now()).unwrap();
        assert!(self.database.verify().unwrap().base_is_intact());
        report
    }

    fn write(&self, sql: &str) {
        self.database.write(self.ann, now(), |conn| conn.batch_execute(sql).map_err(Error::from)).unwrap();
    }

    /// All that Ann sees.
    fn world(&self) -> Vec<String> {
        let rows = "select value from (select 'maker ' || id || ' ' || name as value from makers union all \
            select 'part ' || id || ' of ' || coalesce(cast(maker_id as text), '-') || ' ' || label from parts) as w";
        let rows = self
            .database
            .read(self.ann, |conn| diesel::sql_query(rows).load::<TextRow>(conn).map_err(Error::from))
            .unwrap();
        let mut rows: Vec<String> = rows.into_iter().map(|row| row.value).collect();
        rows.sort();
        rows
    }

    fn reset(&self) {
        self.database.reset(self.ann, ArchiveId(Uuid::new_v4()), now()).unwrap();
    }

    fn undo(&self, on_conflict: OnConflict) -> Result<(), Error> {
        let at = now() + Duration::hours(1);
        self.database.undo(self.ann, None, on_conflict, ArchiveId(Uuid::new_v4()), at).map(|_| ())
    }

    /// Why an undo is refused: table, first value of the key, reason.
    fn conflicts(&self) -> Vec<(String, String, ConflictReason)> {
        let before = self.world();
        let Err(Error::UndoConflict(conflicts)) = self.undo(OnConflict::Fail) else {
            panic!("it is refused")
        };
        assert_eq!(self.world(), before, "a refused undo changes nothing");
        conflicts
            .into_iter()
            .map(|conflict| (conflict.table, conflict.key[0].clone(), conflict.reason))
            .collect()
    }
}

fn of(table: &str) -> Reconciliation {
    Reconciliation { table: table.to_owned(), ..Reconciliation::default() }
}

on_each_database! { fn what_an_archive_holds_is_brought_in_line_with_the_new_base_and_comes_back(backend) {
    let mut shop = Workshop::new(backend);
    shop.write("update makers set name = 'mine' where id = 1; delete from parts where id = 20; \
                insert into makers values (9, 'new'); insert into parts values (90, 9, 'ninety')");
    shop.reset();
    let report = shop.owner("delete from parts where id in (10, 20); delete from makers where id = 1; \
                             insert into makers values (9, 'theirs')");
    assert_eq!(report.reconciled, [
        Reconciliation { now_created: 1, now_edited: 1, ..of("makers") },
        Reconciliation { tombstones_dropped: 1, ..of("parts") },
    ]);
    assert_eq!(shop.world(), ["maker 2 two", "maker 3 three", "maker 9 theirs", "part 30 of 3 thirty"]);
    shop.undo(OnConflict::Fail).unwrap();
    let restored = ["maker 1 mine", "maker 2 two", "maker 3 three", "maker 9 new", "part 30 of 3 thirty", "part 90 of 9 ninety"];
    assert_eq!(shop.world(), restored);
    // And once more, over one and the same base.
    shop.reset();
    shop.undo(OnConflict::Fail).unwrap();
    assert_eq!(shop.world(), restored);
}}

on_each_database! { fn an_undo_waits_for_a_unique_value_that_the_new_base_has_taken(backend) {
    let mut shop = Workshop::new(backend);
    shop.write("insert into makers values (9, 'nine'); insert into parts values (90, 9, 'ninety'); \
                update parts set label = 'mine' where id = 10");
    shop.reset();
    let report = shop.owner("insert into makers values (50, 'nine')");
    assert_eq!(report.reconciled, [Reconciliation { unique_clashes: 1, ..of("makers") }]);
    assert_eq!(shop.conflicts(), [("makers".to_owned(), "9".to_owned(), ConflictReason::UniqueClash)]);
    shop.undo(OnConflict::KeepCurrent).unwrap();
    // What does not conflict is back; the rest, with what hangs on it, is in an archive still.
    assert!(shop.world().contains(&"part 10 of 1 mine".to_owned()));
    assert!(!shop.world().iter().any(|row| row.starts_with("part 90") || row.starts_with("maker 9")));
    shop.owner("delete from makers where id = 50");
    shop.undo(OnConflict::Fail).unwrap();
    for row in ["maker 9 nine", "part 90 of 9 ninety", "part 10 of 1 mine"] {
        assert!(shop.world().contains(&row.to_owned()), "{row}");
    }
}}

on_each_database! { fn an_undo_waits_for_a_parent_that_the_new_base_no_longer_has(backend) {
    let mut shop = Workshop::new(backend);
    shop.write("insert into parts values (90, 3, 'ninety')");
    shop.reset();
    let report = shop.owner("delete from parts where id = 30; delete from makers where id = 3");
    assert_eq!(report.reconciled, [Reconciliation { missing_parents: 1, ..of("parts") }]);
    assert_eq!(shop.conflicts(), [("parts".to_owned(), "90".to_owned(), ConflictReason::ParentGone)]);
    shop.owner("insert into makers values (3, 'three again')");
    shop.undo(OnConflict::Fail).unwrap();
    assert!(shop.world().contains(&"part 90 of 3 ninety".to_owned()));
}}

on_each_database! { fn what_no_longer_fits_in_a_live_layer_stays_and_is_told(backend) {
    let mut shop = Workshop::new(backend);
    shop.write("insert into makers values (9, 'nine'); insert into parts values (90, 3, 'ninety'); \
                delete from parts where id = 10; delete from makers where id = 1");
    let report = shop.owner("insert into makers values (50, 'nine'); delete from parts where id = 30; \
                             delete from makers where id = 3; insert into parts values (11, 1, 'eleven')");
    assert_eq!(report.reconciled, [
        Reconciliation { unique_clashes: 1, ..of("makers") },
        // Ann's part of a maker who is gone, and the owner's part of a maker whom Ann has deleted.
        Reconciliation { missing_parents: 2, ..of("parts") },
    ]);
    assert_eq!(shop.world(), ["maker 2 two", "maker 50 nine", "maker 9 nine", "part 11 of 1 eleven",
        "part 20 of 2 twenty", "part 90 of 3 ninety"]);
    shop.reset();
    assert_eq!(shop.world(), ["maker 1 one", "maker 2 two", "maker 50 nine", "part 10 of 1 ten", "part 11 of 1 eleven",
        "part 20 of 2 twenty"]);
    // It was let be where it was; to bring it back would be to make it anew.
    let refused = |table: &str, key: &str, reason| (table.to_owned(), key.to_owned(), reason);
    assert_eq!(shop.conflicts(), [
        refused("makers", "1", ConflictReason::LiveChildren),
        refused("makers", "9", ConflictReason::UniqueClash),
        refused("parts", "90", ConflictReason::ParentGone),
    ]);
    shop.owner("delete from makers where id = 50; delete from parts where id = 11; insert into makers values (3, 'three')");
    shop.undo(OnConflict::Fail).unwrap();
    assert_eq!(shop.world(), ["maker 2 two", "maker 3 three", "maker 9 nine", "part 20 of 2 twenty", "part 90 of 3 ninety"]);
}}

on_each_database! { fn a_row_that_the_owner_changes_stays_as_the_session_made_it_until_its_reset(backend) {
    let mut shop = Workshop::new(backend);
    shop.write("update makers set name = 'mine' where id = 1; delete from parts where id = 20");
    let report = shop.owner("update makers set name = 'theirs ' || id where id in (1, 2); \
                             update parts set label = 'changed'");
    assert_eq!(report.reconciled, []);
    assert_eq!(shop.world(), ["maker 1 mine", "maker 2 theirs 2", "maker 3 three", "part 10 of 1 changed", "part 30 of 3 changed"]);
    shop.reset();
    assert_eq!(shop.world().first().map(String::as_str), Some("maker 1 theirs 1"));
    shop.undo(OnConflict::Fail).unwrap();
    assert_eq!(shop.world().first().map(String::as_str), Some("maker 1 mine"));
}}
