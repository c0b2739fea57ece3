//! The base moves on: the owner adds, changes and deletes rows while sessions hold copies, children and archives.

use chrono::Duration;
use demo_reset_domain::{ArchiveId, ConflictReason, OnConflict, SessionId, UserKey};
use demo_reset_persistence::{
    AttachOptions, AttachReport, Database, Error, OpenOptions, Reconciliation, RecordKey, attach, suspend,
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
        Self::over(backend, WORKSHOP)
    }

    fn over(backend: Backend, tables: &str) -> Self {
        let host = HostDatabase::new(backend, tables);
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
        self.write_as("ann", sql);
    }

    fn write_as(&self, user: &str, sql: &str) {
        let key = UserKey::new("workshop", user).unwrap();
        let session = self.database.session(&key, SessionId(Uuid::new_v4()), now()).unwrap().id;
        self.database.write(session, now(), |conn| conn.batch_execute(sql).map_err(Error::from)).unwrap();
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
    // What an edit leaves as it is stays, be it named.
    shop.write("update makers set name = name where id = 9; update parts set maker_id = 3, label = 'XC' where id = 90; \
                update parts set label = 'ninety', maker_id = maker_id where id = 90");
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

on_each_database! { fn a_reset_of_records_that_are_not_changed_leaves_what_no_longer_fits(backend) {
    let mut shop = Workshop::new(backend);
    shop.write("delete from parts where id = 10; delete from makers where id = 1; insert into makers values (9, 'nine')");
    shop.owner("insert into parts values (11, 1, 'eleven'); insert into makers values (50, 'nine')");
    let world = shop.world();
    let records = [RecordKey { table: "parts".into(), key: vec!["20".into()] }];
    let report = shop.database.reset_records(shop.ann, &records, ArchiveId(Uuid::new_v4()), now()).unwrap();
    assert_eq!((report.archive, shop.world()), (None, world));
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

const SHELVES: &str = "
    create table items (region integer not null, number integer not null, code text, is_sold integer not null,
        primary key (region, number));
    create unique index codes on items (lower(code)) where is_sold = 0;
    insert into items values (1, 1, 'a', 0), (1, 2, 'b', 0), (2, 1, 'c', 1), (2, 2, 'd', 0);";

on_each_database! { fn a_unique_value_clashes_only_with_rows_that_the_session_sees_and_the_index_holds(backend) {
    let mut shop = Workshop::over(backend, SHELVES);
    // A value of a base row that Ann's own copy hides, and one of a row that the index does not hold.
    shop.write("update items set code = 'mine' where region = 1 and number = 1; insert into items values (9, 1, 'A', 0), (9, 2, 'C', 0)");
    assert_eq!(shop.owner("insert into items values (3, 3, 'e', 0)").reconciled, []);
    // A row of hers that the index does not hold, and the copy of a row that she has deleted.
    shop.write("insert into items values (9, 3, 'f', 1); delete from items where region = 1 and number = 2");
    let report = shop.owner("update items set code = 'bb' where region = 1 and number = 2; \
                             insert into items values (3, 4, 'B', 0), (3, 5, 'F', 0)");
    assert_eq!(report.reconciled, []);
    // Ben's row of the same key is Ben's, and what he does not see of the base, she does.
    shop.write("insert into items values (8, 1, 'x', 0), (8, 2, 'g', 0)");
    shop.write_as("ben", "insert into items values (8, 1, 'z', 0); update items set code = 'ben' where region = 2 and number = 2");
    let report = shop.owner("insert into items values (3, 6, 'Z', 0); update items set code = 'G' where region = 2 and number = 2");
    assert_eq!(report.reconciled, [Reconciliation { unique_clashes: 2, ..of("items") }]);
}}

on_each_database! { fn a_row_is_told_by_all_the_columns_of_its_key(backend) {
    let mut shop = Workshop::over(backend, SHELVES);
    shop.write("update items set code = 'mine' where region = 1 and number = 1; delete from items where region = 2 and number = 2; \
                insert into items values (2, 3, 'x', 0), (3, 1, 'y', 0)");
    let report = shop.owner("delete from items where (region = 1 and number = 1) or (region = 2 and number = 2); \
                             insert into items values (3, 2, 'z', 0), (2, 3, 'w', 0)");
    assert_eq!(report.reconciled, [Reconciliation { now_created: 1, tombstones_dropped: 1, now_edited: 1, ..of("items") }]);
}}

on_each_database! { fn a_parent_is_one_that_the_session_itself_sees(backend) {
    let mut shop = Workshop::over(backend, "
        create table makers (id integer primary key, code text unique, name text);
        create table parts (id integer primary key, code text references makers (code), label text);
        insert into makers values (1, 'one', ''), (2, 'two', ''), (3, 'three', ''), (4, 'four', ''), (5, 'five', '');
        insert into parts values (50, 'five', '');");
    let missing = |count| vec![Reconciliation { missing_parents: count, ..of("parts") }];
    // Nobody's part, and a maker whom Ann has only renamed, with a part of the base: nothing is missing.
    shop.write("insert into parts values (10, null, ''); update makers set name = 'mine' where id = 5");
    assert_eq!(shop.owner("insert into parts values (51, 'five', '')").reconciled, []);
    // The base has a maker of that code, but Ann's own copy of it has another.
    shop.write("update makers set name = 'mine' where id = 1; insert into parts values (11, 'two', '')");
    let report = shop.owner("update makers set code = 'second' where id = 2; update makers set code = 'two' where id = 1");
    assert_eq!(report.reconciled, missing(1));
    shop.write("delete from parts where id = 11");
    // What she has deleted is no parent, though its copy still has the code.
    shop.write("delete from makers where id = 3");
    assert_eq!(shop.owner("update makers set code = 'third' where id = 3; update makers set code = 'three' where id = 4").reconciled, []);
    shop.write("insert into parts values (12, 'three', '')");
    assert_eq!(shop.owner("update makers set code = 'four' where id = 4").reconciled, missing(1));
    shop.write("delete from parts where id = 12");
    // Nor is a maker of Ben's.
    shop.write("insert into parts values (13, 'four', '')");
    shop.write_as("ben", "update makers set code = 'bens' where id = 4; insert into makers values (9, 'four', '')");
    assert_eq!(shop.owner("update makers set code = 'fourth' where id = 4").reconciled, missing(1));
}}
