//! The views are only as good as the plans that the database makes through them: those do not vary with the
//! machine, so they are tested.

use demo_reset_persistence::{AnyConnection, Error};
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::fixture::{Backend, Fixture};

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The plan of a query as a session runs it.
fn plan(sql: &str) -> Vec<String> {
    let fixture = Fixture::library(Backend::Sqlite);
    let session = fixture.session("ann");
    session.write("update books set price = 1 where isbn = '1'").unwrap();
    let explain = diesel::sql_query(format!("explain query plan {sql}"));
    let steps =
        fixture.database.read(session.id, |conn| explain.load::<Step>(conn).map_err(Error::from)).unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}

fn assert_uses_indexes_only(sql: &str) {
    let plan = plan(sql);
    for step in &plan {
        let whole_table =
            step.starts_with("SCAN") && !step.contains("INDEX") && !step.contains("demo_binding");
        assert!(!whole_table, "{sql}\n{plan:#?}");
        assert!(!step.contains("MATERIALIZE"), "{sql}\n{plan:#?}");
        assert!(!step.contains("TEMP B-TREE"), "{sql}\n{plan:#?}");
    }
}

#[test]
fn a_page_in_index_order_merges_two_ordered_scans() {
    let sql = "select isbn, title, price from books order by price desc, isbn desc limit 50";
    let plan = plan(sql);
    assert!(plan.iter().any(|step| step == "MERGE (UNION ALL)"), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("USING INDEX books_by_price")), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("demo_changes_books_books_by_price")), "{plan:#?}");
}

#[test]
fn a_keyset_page_starts_in_the_middle_of_the_index() {
    let sql = "select isbn, price from books where price <= 3 order by price desc limit 50";
    let plan = plan(sql);
    assert!(plan.iter().any(|step| step == "MERGE (UNION ALL)"), "{plan:#?}");
    assert!(
        plan.iter().any(|step| step.starts_with("SEARCH b USING COVERING INDEX books_by_price (price<?)")),
        "{plan:#?}"
    );
}

#[test]
fn a_record_by_key_is_found_by_key_in_both_arms() {
    assert_uses_indexes_only("select isbn, title, price from books where isbn = '1'");
    assert_uses_indexes_only("select id, name from authors where id = 1");
    assert_uses_indexes_only("select isbn, stars from reviews where isbn = '1' and reviewer = 'zoe'");
}

#[test]
fn an_inner_join_of_two_views_is_flattened() {
    let sql = "select b.title, r.stars from books b join reviews r on r.isbn = b.isbn where b.isbn = '1'";
    assert_uses_indexes_only(sql);
}

#[test]
fn children_by_a_list_of_parents_are_searched() {
    assert_uses_indexes_only("select isbn, reviewer from reviews where isbn in ('1', '2')");
}

#[test]
fn a_count_is_flattened() {
    let plan = plan("select count(*) from books where price < 3");
    assert!(!plan.iter().any(|step| step.contains("MATERIALIZE")), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("books_by_price (price<?)")), "{plan:#?}");
}

/// Enough rows that PostgreSQL's planner has something to lose.
const MANY: &str = "
create table pages (id integer primary key, at timestamptz not null, body text not null);
create table lines (id integer primary key, page integer not null references pages (id), body text not null);
insert into pages select n, '2026-01-01'::timestamptz + n * interval '1 minute', repeat('x', 200)
  from generate_series(1, 20000) n;
insert into lines select n, n % 20000 + 1, 'line' from generate_series(1, 40000) n;
create index pages_by_time on pages (at, id);
create index lines_by_page on lines (page, id);
";

#[derive(QueryableByName)]
struct PostgresStep {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// The plan of a query on PostgreSQL, as a session with changes runs it.
fn postgres_plan(sql: &str) -> Option<Vec<String>> {
    if !Backend::Postgres.is_there() {
        return None;
    }
    let fixture = Fixture::with_template(Backend::Postgres, "many", MANY);
    let session = fixture.session("ann");
    session.write("update pages set body = 'mine' where id <= 50").unwrap();
    let explain = diesel::sql_query(format!("explain (costs off) {sql}"));
    let run = |conn: &mut AnyConnection| explain.load::<PostgresStep>(conn).map_err(Error::from);
    let steps = fixture.database.read(session.id, run).unwrap();
    Some(steps.into_iter().map(|step| step.line).collect())
}

/// The base is neither scanned as a whole nor sorted. (What the session has changed itself may be.)
fn assert_base_by_index(plan: &[String]) {
    assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{plan:#?}");
    assert!(!plan.iter().any(|line| line.contains("->  Append")), "an unordered append: {plan:#?}");
}

#[test]
fn on_postgresql_a_page_merges_ordered_scans() {
    for condition in ["true", "(at, id) < ('2026-01-08', 5)"] {
        let sql =
            format!("select id, at, body from pages where {condition} order by at desc, id desc limit 50");
        let Some(plan) = postgres_plan(&sql) else { return };
        assert!(plan.iter().any(|line| line.contains("Merge Append")), "{plan:#?}");
        let base = "Index Scan Backward using pages_by_time on pages";
        assert!(plan.iter().any(|line| line.trim_end().ends_with(base)), "{plan:#?}");
        assert_base_by_index(&plan);
    }
}

#[test]
fn on_postgresql_records_joins_and_counts_use_indexes() {
    for sql in [
        "select id, body from pages where id = 77",
        "select p.at, l.body from pages p join lines l on l.page = p.id where p.id = 77",
        "select count(*) from pages where at < '2026-01-01T01:00:00Z'",
    ] {
        let Some(plan) = postgres_plan(sql) else { return };
        assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{sql}: {plan:#?}");
    }
}
