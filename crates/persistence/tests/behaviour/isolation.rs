//! I1 and I2: a session sees base + its own layer, and never writes the base.

use crate::fixture::{Fixture, on_each_database};

on_each_database! { fn a_session_sees_the_base_and_its_own_changes_only(backend) {
    let fixture = Fixture::library(backend);
    let base = fixture.base_dump();
    let (ann, ben) = (fixture.session("ann"), fixture.session("ben"));
    assert_eq!(ann.world(), base);
    ann.write(
        "insert into books (isbn, title, author_id) values ('9', 'Nine', 3);
         update books set title = 'Uno' where isbn = '1';
         delete from books where isbn = '2';",
    )
    .unwrap();
    assert_eq!(
        ann.value("select group_concat(title, ' ') from (select title from books order by isbn) b"),
        "Uno Three Nine"
    );
    assert_eq!(ann.value("select price from books where isbn = '9'"), "9.5");
    assert_eq!(ann.value("select title_length from books where isbn = '1'"), "3");
    assert_eq!(ben.world(), base);
    assert_eq!(fixture.base_dump(), base);
}}
