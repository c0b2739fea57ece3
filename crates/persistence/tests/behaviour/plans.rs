//! The views are only as good as the plans that the database makes through them: those do not vary with the
//! machine, so they are tested.

use std::sync::{Arc, Mutex};

use demo_reset_persistence::{AnyConnection, Error, update};
use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{Json, Nullable, Text};
use serde_json::Value;

use crate::fixture::{Backend, Fixture, now, on_each_database, options, options_with_tracking};

diesel::table! {
    books (isbn) {
        isbn -> Text,
        title -> Text,
        price -> Double,
    }
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The plan of a query as a session runs it.
fn plan(sql: &str) -> Vec<String> {
    let fixture = Fixture::library(Backend::Sqlite);
    fixture.session("ann").write("update books set price = 1 where isbn = '1'").unwrap();
    plan_on(&fixture, sql)
}

fn plan_on(fixture: &Fixture, sql: &str) -> Vec<String> {
    let session = fixture.session("ann");
    let explain = diesel::sql_query(format!("explain query plan {sql}"));
    let steps =
        fixture.database.read(session.id, |conn| explain.load::<Step>(conn).map_err(Error::from)).unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}

fn assert_uses_indexes_only(sql: &str) {
    let plan = plan(sql);
    for step in &plan {
        let is_one_row = step.contains("demo_binding") || step.contains("CONSTANT ROW");
        let whole_table = step.starts_with("SCAN") && !step.contains("INDEX") && !is_one_row;
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

/// What a key can be declared as, and what follows the columns of its table.
const KEYS: [(&str, &str); 10] = [
    ("integer", ""),
    ("text collate nocase", ""),
    ("text collate rtrim", "without rowid"),
    ("blob", ""),
    ("numeric", ""),
    ("real", ""),
    ("", ""),
    ("datetime", ""),
    ("any", "strict"),
    ("integer", "strict"),
];

/// It is asked for each row of the base that a query passes: where an index had to be made for it first, that would cost
/// more than the query.
#[test]
fn what_a_session_hides_is_looked_up_in_an_index_of_its_changes_whatever_the_key_is() {
    let made = KEYS.iter().enumerate().map(|(at, (declared, options))| {
        format!("create table keyed_{at} (k {declared} not null primary key, v integer) {options};\n")
    });
    let of_two = "create table keyed_pair (a text not null, b integer not null, primary key (a, b));";
    let schema = made.collect::<String>() + of_two;
    let of_host = Fixture::of_host(Backend::Sqlite, "keyed of a host", &schema, options());
    let loaded = Fixture::with_template(Backend::Sqlite, "keyed", &schema);
    let names = (0..KEYS.len()).map(|at| at.to_string()).chain(["pair".to_owned()]);
    for name in names {
        // Row ids of a host's base may change; a key that is the row id, or stands in its place, is as good.
        let has_row_id = !["0", "2", "9"].contains(&name.as_str());
        for (fixture, by_row_id) in [(&of_host, false), (&loaded, has_row_id)] {
            let plan = plan_on(fixture, &format!("select * from keyed_{name}"));
            let index = match by_row_id {
                true => format!("demo_changes_keyed_{name}_demo_base_row_id"),
                false => format!("sqlite_autoindex_demo_changes_keyed_{name}_1"),
            };
            assert!(plan.contains(&format!("USING INDEX {index} FOR IN-OPERATOR")), "{plan:#?}");
            assert!(!plan.iter().any(|step| step.contains("LIST SUBQUERY")), "{plan:#?}");
        }
    }
}

/// Most rows that a query looks at are not what it asks for.
#[test]
fn what_a_session_hides_is_asked_after_all_other_conditions() {
    let sql = "select isbn, price from books where price > 1 and title in (select value from json_each('[1,2]')) \
        order by price desc limit 50";
    let of_host =
        Fixture::of_host(Backend::Sqlite, "library of a host", Backend::Sqlite.library(), options());
    let loaded = Fixture::library(Backend::Sqlite);
    let asked_of =
        [(of_host, "demo_changes_books_1 FOR"), (loaded, "demo_changes_books_demo_base_row_id FOR")];
    for (fixture, hidden) in asked_of {
        let plan = plan_on(&fixture, sql);
        let asked = |what: &str| plan.iter().position(|step| step.contains(what)).unwrap();
        assert!(asked("LIST SUBQUERY") < asked(hidden), "{plan:#?}");
    }
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

#[derive(QueryableByName)]
struct Operation {
    #[diesel(sql_type = Nullable<Text>)]
    p4: Option<String>,
}

#[test]
fn an_index_of_what_a_session_sees_has_nothing_that_it_has_deleted() {
    let fixture = Fixture::library(Backend::Sqlite);
    let session = fixture.session("ann");
    let compared_with_deleted = |sql: &str| {
        let explain = diesel::sql_query(format!("explain {sql}"));
        let program =
            fixture.database.read(session.id, |conn| explain.load::<Operation>(conn).map_err(Error::from));
        program.unwrap().iter().any(|operation| operation.p4.as_deref() == Some("deleted"))
    };
    // By the key tombstones are found too, and told by their kind; an index needs to be asked for no kind.
    assert!(compared_with_deleted("select title from books where isbn = '1'"));
    assert!(!compared_with_deleted("select isbn, title, price from books order by price desc limit 50"));
    assert!(!compared_with_deleted("select count(*) from books where price < 3"));
}

#[test]
fn a_count_is_flattened() {
    let plan = plan("select count(*) from books where price < 3");
    assert!(!plan.iter().any(|step| step.contains("MATERIALIZE")), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("books_by_price (price<?)")), "{plan:#?}");
}

/// Enough rows that PostgreSQL's planner has something to lose.
const MANY: &str = "
create table pages (id integer primary key, at timestamptz not null, kind text not null, body text not null);
create table lines (id integer primary key, page integer not null references pages (id), body text not null);
insert into pages select n, '2026-01-01'::timestamptz + n * interval '1 minute', 'kind ' || n % 2, repeat('x', 200)
  from generate_series(1, 20000) n;
insert into lines select n, n % 20000 + 1, 'line' from generate_series(1, 40000) n;
create index pages_by_time on pages (at, id);
create index pages_by_kind on pages (kind, at, id);
create index lines_by_page on lines (page, id);
";

#[derive(QueryableByName)]
struct PostgresPlan {
    #[diesel(sql_type = Json, column_name = "QUERY PLAN")]
    plan: Value,
}

/// Sessions with few changes and with many: for either, the base is read in the order of its index.
const CHANGED: [usize; 2] = [50, 3000];

/// The pages and lines, under the sessions of [`CHANGED`] and 200 others with 50 changes of each table.
fn many() -> Option<Fixture> {
    many_in_views(false)
}

/// The same, in views with tracking columns or without.
fn many_in_views(tracking_columns: bool) -> Option<Fixture> {
    if !Backend::Postgres.is_there() {
        return None;
    }
    let options = options_with_tracking(tracking_columns);
    let fixture = Fixture::with_options(Backend::Postgres, "many", MANY, options);
    let mut owner = fixture.outsider();
    for (table, columns) in [("pages", "id, at, kind, body"), ("lines", "id, page, body")] {
        let edited = format!(
            "insert into demo_changes.{table} (demo_layer, demo_kind, demo_changed_at, {columns}) \
             select layer, 'edited', now(), {columns} from public.{table}, "
        );
        let others = "(select n * 16777216::bigint + 1 as layer from generate_series(1000, 1199) n) others \
            where id % 400 = 7";
        owner.batch_execute(&format!("{edited}{others}")).unwrap();
        for changed in CHANGED {
            let session = fixture.session(&format!("with {changed}")).id.0;
            let own = "(select live_layer as layer from demo.demo_user_sessions where id =";
            owner.batch_execute(&format!("{edited}{own} '{session}') own where id <= {changed}")).unwrap();
        }
    }
    // As autovacuum does sooner or later.
    owner.batch_execute("vacuum analyze demo_changes.pages, demo_changes.lines").unwrap();
    drop(owner);
    Some(fixture)
}

/// The plan of a query on PostgreSQL, as a session with so many changes runs it through a server's connection: a
/// prepared statement, planned once for whatever is bound. `bound` are its values in brackets.
fn postgres_plan(fixture: &Fixture, changed: usize, sql: &str, bound: &str) -> Value {
    let session = fixture.session(&format!("with {changed}"));
    let explain = format!("explain (verbose, costs off, format json) execute the_query{bound}");
    let run = |conn: &mut AnyConnection| -> Result<Value, Error> {
        let AnyConnection::Postgres(conn) = conn else { unreachable!() };
        conn.batch_execute(&format!("prepare the_query as {sql}"))?;
        let explained: PostgresPlan = diesel::sql_query(explain).get_result(conn)?;
        conn.batch_execute("deallocate the_query")?;
        Ok(explained.plan[0]["Plan"].clone())
    };
    fixture.database.read(session.id, run).unwrap()
}

/// A scan of a table, with what stands above it in the plan, outermost first.
struct Scan<'a> {
    node: &'a Value,
    above: Vec<&'a str>,
}

fn text<'a>(node: &'a Value, field: &str) -> &'a str {
    node[field].as_str().unwrap_or_default()
}

impl Scan<'_> {
    fn is_of_base(&self) -> bool {
        text(self.node, "Schema") == "public"
    }

    fn is_below(&self, kind: &str) -> bool {
        self.above.contains(&kind)
    }

    fn is_below_a_sort(&self) -> bool {
        self.is_below("Sort") || self.is_below("Incremental Sort")
    }
}

/// Every scan of a table in the plan.
fn scans<'a>(node: &'a Value, above: &[&'a str], found: &mut Vec<Scan<'a>>) {
    if node["Relation Name"].is_string() {
        found.push(Scan { node, above: above.to_vec() });
    }
    let above = [above, &[text(node, "Node Type")]].concat();
    for child in node["Plans"].as_array().into_iter().flatten() {
        scans(child, &above, found);
    }
}

/// Checks what holds for every plan: no table is scanned as a whole, neither a base table nor a change table, and no
/// row of the base is sorted.
#[track_caller]
fn assert_by_index(plan: &Value) {
    let mut found = Vec::new();
    scans(plan, &[], &mut found);
    assert!(found.iter().any(Scan::is_of_base), "{plan:#}");
    for scan in found {
        assert_ne!(text(scan.node, "Node Type"), "Seq Scan", "{plan:#}");
        assert!(!(scan.is_of_base() && scan.is_below_a_sort()), "the base is sorted: {plan:#}");
    }
}

/// The scan of a base table, which must be of this index.
#[track_caller]
fn base_scan<'a>(plan: &'a Value, table: &str, index: &str) -> Scan<'a> {
    let mut found = Vec::new();
    scans(plan, &[], &mut found);
    let scan = found.into_iter().find(|scan| scan.is_of_base() && text(scan.node, "Relation Name") == table);
    let scan = scan.unwrap_or_else(|| panic!("{table} is not read: {plan:#}"));
    assert_eq!(text(scan.node, "Index Name"), index, "{plan:#}");
    scan
}

/// Checks that the rows of `table` are read from `index` in its order and merged, as many as are asked for.
#[track_caller]
fn assert_base_in_order(plan: &Value, table: &str, index: &str) {
    let base = base_scan(plan, table, index);
    assert_eq!(text(base.node, "Scan Direction"), "Backward", "{plan:#}");
    assert!(base.is_below("Merge Append") && !base.is_below("Append"), "{plan:#}");
}

/// Checks that nothing is sorted, not even what the session has changed: the planner takes the sorting of that for one of
/// the changes of all sessions, and the more there are, the sooner it sorts the base instead.
#[track_caller]
fn assert_nothing_is_sorted(plan: &Value) {
    let mut found = Vec::new();
    scans(plan, &[], &mut found);
    assert!(!found.iter().any(Scan::is_below_a_sort), "{plan:#}");
}

#[test]
fn on_postgresql_a_list_and_a_keyset_page_merge_ordered_scans() {
    let Some(fixture) = many() else { return };
    let keyset = "at <= '2026-01-08' and (at < '2026-01-08' or id < 5)";
    let of_kind = "kind = 'kind 1'";
    for (condition, index) in
        [("true", "pages_by_time"), (keyset, "pages_by_time"), (of_kind, "pages_by_kind")]
    {
        for (limit, bound) in [("50", ""), ("$1", "(50)")] {
            for changed in CHANGED {
                let sql = format!(
                    "select id, at, body from pages where {condition} order by at desc, id desc limit {limit}"
                );
                let plan = postgres_plan(&fixture, changed, &sql, bound);
                assert_by_index(&plan);
                assert_base_in_order(&plan, "pages", index);
                assert_nothing_is_sorted(&plan);
            }
        }
    }
}

#[test]
fn on_postgresql_a_record_is_found_by_its_key() {
    let Some(fixture) = many() else { return };
    for changed in CHANGED {
        let plan = postgres_plan(&fixture, changed, "select id, body from pages where id = $1", "(77)");
        assert_by_index(&plan);
        let by_key = base_scan(&plan, "pages", "pages_pkey");
        // Planned once for all keys: planning takes several times as long as reading a record.
        assert_eq!(text(by_key.node, "Index Cond"), "(pages.id = $1)", "{plan:#}");
    }
}

#[test]
fn on_postgresql_a_join_of_two_views_uses_the_indexes_of_both() {
    let Some(fixture) = many() else { return };
    let of_one = "select p.at, l.body from pages p join lines l on l.page = p.id where p.id = $1";
    let page = "select p.at, p.id, l.body from pages p join lines l on l.page = p.id \
        order by p.at desc, p.id desc limit $1";
    for changed in CHANGED {
        let plan = postgres_plan(&fixture, changed, of_one, "(77)");
        assert_by_index(&plan);
        base_scan(&plan, "pages", "pages_pkey");
        base_scan(&plan, "lines", "lines_by_page");
        let plan = postgres_plan(&fixture, changed, page, "(50)");
        assert_by_index(&plan);
        assert_base_in_order(&plan, "pages", "pages_by_time");
        base_scan(&plan, "lines", "lines_by_page");
    }
}

#[test]
fn on_postgresql_a_count_reads_an_index_of_the_base_alone() {
    let Some(fixture) = many() else { return };
    for changed in CHANGED {
        let sql = "select count(*) from pages where at < $1";
        let plan = postgres_plan(&fixture, changed, sql, "('2026-01-01T01:00:00Z')");
        assert_by_index(&plan);
        base_scan(&plan, "pages", "pages_by_time");
    }
}

/// A change table that is read as a whole for each base row grows under the statement that fills it.
#[test]
fn on_postgresql_a_statement_that_changes_all_rows_reads_no_emptied_change_table_as_a_whole() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = Fixture::with_template(Backend::Postgres, "many", MANY);
    let AnyConnection::Postgres(mut owner) = fixture.outsider() else { unreachable!() };
    for used in ["false", "true"] {
        owner
            .batch_execute(&format!(
                "insert into demo_changes.pages select 1, 'edited', now(), p.* from public.pages p where {used};
                 delete from demo_changes.pages"
            ))
            .unwrap();
        owner.batch_execute("vacuum analyze demo_changes.pages").unwrap();
        for sql in
            ["update pages set body = body || '.'", "delete from pages where at > '2026-01-01T01:00:00Z'"]
        {
            let plan = postgres_plan(&fixture, 0, sql, "");
            let mut found = Vec::new();
            scans(&plan, &[], &mut found);
            let mut changes =
                found.iter().filter(|scan| text(scan.node, "Schema") == "demo_changes").peekable();
            assert!(changes.peek().is_some(), "{plan:#}");
            assert!(changes.all(|scan| text(scan.node, "Node Type") != "Seq Scan"), "{plan:#}");
        }
    }
}

/// What every queue of foreign keys does in the next test.
const TELL: &str = "do $$ declare queue regprocedure; begin
  for queue in select oid from pg_proc
    where pronamespace = 'demo_changes'::regnamespace and proname like 'demo_settle_%'
  loop
    execute format('create or replace function %s returns trigger language plpgsql as %L',
      queue, 'begin raise exception ''queued''; end');
  end loop;
end $$";

/// Naming queues, and a deferred trigger for each row, cost more than looking the parents up.
#[test]
fn on_postgresql_a_new_row_whose_parents_are_seen_is_not_queued() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = Fixture::library(Backend::Postgres);
    let AnyConnection::Postgres(mut owner) = fixture.outsider() else { unreachable!() };
    owner.batch_execute(TELL).unwrap();
    let session = fixture.session("ann");
    session.write("insert into books (isbn, title, author_id) values ('x', 'X', 1)").unwrap();
    let later = "insert into authors (id, name, mentor_id) values (20, 'Eve', 21), (21, 'Fay', 1)";
    let queued = session.write(later).unwrap_err();
    assert!(queued.to_string().contains("queued"), "{queued}");
}

/// A key whose columns another index holds too, in its order but for one between them.
const PREFIXED: &str = "
create table entries (shop integer, id integer, page integer not null, primary key (shop, id));
create index entries_by_page on entries (shop, page, id);
";

/// Of two indexes that look equally good, as these do before anything is analyzed, the planner takes the newer; the one
/// by page would be read over the whole layer.
#[test]
fn on_postgresql_a_change_is_found_by_its_key_even_where_another_index_holds_the_key_too() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let fixture = Fixture::with_template(Backend::Postgres, "prefixed", PREFIXED);
    let AnyConnection::Postgres(mut owner) = fixture.outsider() else { unreachable!() };
    let change = "insert into demo_changes.entries select 1, 'created', now(), 1, n, n from generate_series(1, 1000) n";
    owner.batch_execute(change).unwrap();
    let explain = "explain (format json) select demo_kind from demo_changes.entries \
        where demo_layer = 1 and shop = 1 and id = 77";
    let explained: PostgresPlan = diesel::sql_query(explain).get_result(&mut owner).unwrap();
    assert_eq!(text(&explained.plan[0]["Plan"], "Index Name"), "entries_pkey", "{:#}", explained.plan);
}

#[test]
fn on_postgresql_words_lead_to_the_rows_that_have_them() {
    let letters = "strpos(lower((coalesce(pages.body, '')) collate \"C\"), $2) > 0";
    let by_index = "demo.search_words(coalesce(pages.body, '')) @@ cast($1 as tsquery)";
    let by_reading = format!(
        "case when ({letters}) then case when lower((coalesce(pages.body, '')) collate \"C\") ~ $2 \
         then 1 else 0 end else 0 end = 1"
    );
    let by_arm = format!("case when pages.is_base_data then {by_index} else {by_reading} end");
    for (tracking_columns, words) in [(false, format!("({letters}) and {by_index}")), (true, by_arm)] {
        let Some(fixture) = many_in_views(tracking_columns) else { return };
        words_lead_to_rows(&fixture, &words, "");
        if tracking_columns {
            // The first key: half of all rows have it.
            let words = format!(
                "case when pages.is_base_data then {by_index} and (pages.kind = $3) is true \
                 else {by_reading} and pages.kind = $3 end"
            );
            words_lead_to_rows(&fixture, &words, ", 'kind 1'");
        }
        // To read half of all keys for another condition takes longer than to look at the few rows that have the words.
        let of_a_kind =
            format!("select id from public.pages where kind = $1 and {}", by_index.replace("$1", "$2"));
        let plan = postgres_plan(&fixture, CHANGED[0], &of_a_kind, "('kind 1', '''y'':*')");
        assert_eq!(text(&plan["Plans"][0], "Index Name"), "pages_by_words", "{plan:#}");
    }
}

fn words_lead_to_rows(fixture: &Fixture, words: &str, bound: &str) {
    let index = "create index if not exists pages_by_words on public.pages using gin (demo.search_words(coalesce(body, '')));";
    fixture.outsider().batch_execute(index).unwrap();
    for changed in CHANGED {
        for sql in [
            format!("select count(*) from pages where {words}"),
            format!("select id, at, body from pages where {words} order by at desc, id desc limit 50"),
        ] {
            let plan = postgres_plan(fixture, changed, &sql, &format!("('''y'':*', 'y'{bound})"));
            let mut found = Vec::new();
            scans(&plan, &[], &mut found);
            let base = found.iter().find(|scan| scan.is_of_base()).unwrap();
            assert_eq!(text(base.node, "Node Type"), "Bitmap Heap Scan", "{plan:#}");
            assert_eq!(text(&base.node["Plans"][0], "Index Name"), "pages_by_words", "{plan:#}");
            assert!(found.iter().all(|scan| text(scan.node, "Node Type") != "Seq Scan"), "{plan:#}");
        }
    }
}

on_each_database! {
    fn an_update_is_prepared_once_where_those_of_diesel_are_prepared_each_time(backend) {
        let fixture = Fixture::library(backend);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&kept);
        let changes = |round: u32| (books::title.eq(format!("round {round}")), books::price.eq(2.5));
        let edits = |conn: &mut AnyConnection| {
            conn.set_instrumentation(move |event: InstrumentationEvent<'_>| match event {
                InstrumentationEvent::CacheQuery { sql, .. } if sql.starts_with("UPDATE") => {
                    log.lock().unwrap().push(sql.to_owned());
                }
                _ => {}
            });
            for round in 0..3 {
                update(books::table, books::isbn.eq("1"), changes(round)).execute(conn)?;
            }
            diesel::update(books::table.find("2")).set(changes(3)).execute(conn)?;
            Ok::<_, Error>(())
        };
        let ann = fixture.session("ann");
        fixture.database.write(ann.id, now(), edits).unwrap();
        assert_eq!(kept.lock().unwrap().len(), 1, "{kept:?}");
        let titles = ann.query("select title as value from books where isbn in ('1', '2') order by isbn");
        assert_eq!(titles, ["round 2", "round 3"]);
    }
}
