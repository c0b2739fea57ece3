//! A database that demo-reset did not make: attached, used as any user, and left as it was.

use std::fs;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::harness::{Answer, Demo};

const SHOP: &str = "
    create table customers (id integer primary key, name text not null);
    create table orders (id integer primary key, customer_id integer references customers (id), total real);
    create table keyless (x integer);
    create view totals as select c.name, sum(o.total) as total from customers c join orders o on o.customer_id = c.id
        group by c.name;
    create trigger watch after insert on orders begin update customers set name = name; end;
    insert into customers values (1, 'Ann'), (2, 'Ben');
    insert into orders values (1, 1, 2.5), (2, 1, 4.0), (3, 2, 1.0);";

fn shop() -> Demo {
    let demo = Demo::new();
    demo.execute("demo.db", SHOP);
    demo
}

#[test]
fn any_user_works_resets_and_undoes_on_an_attached_database() {
    let demo = shop();
    let before = demo.files();
    demo.run(&["sql", "--user", "ann", "select 1"]).fails(10, &["not made by demo-reset"]);
    demo.run(&["attach", "--tables", "customers,orders"]).succeeds();
    let totals = ["sql", "--user", "ann", "--json", "select name, total from totals order by name"];
    demo.run(&["sql", "--user", "ann", "update orders set total = 100 where id = 3"]).succeeds();
    let rows: Value = serde_json::from_str(&demo.run(&totals).succeeds()).expect("JSON");
    assert_eq!(rows, serde_json::json!([{"name": "Ann", "total": 6.5}, {"name": "Ben", "total": 100.0}]));
    let table =
        demo.run(&["sql", "--user", "Ben Ö", "select name, total from totals order by name"]).succeeds();
    assert_eq!(table, "name  total\nAnn     6.5\nBen     1.0\n");
    demo.run(&["reset", "ann"]).fails(3, &["1 change"]);
    demo.run(&["reset", "ann", "--yes"]).succeeds();
    assert!(!demo.run(&totals).succeeds().contains("100"));
    demo.run(&["undo", "ann"]).succeeds();
    assert!(demo.run(&totals).succeeds().contains("100"));
    assert!(demo.run(&["sessions"]).succeeds().contains("Ben Ö"));
    assert!(demo.run(&["status"]).succeeds().contains("2 sessions, 1 change"));
    assert!(demo.run(&["verify"]).succeeds().lines().all(|line| line.ends_with("intact")));
    demo.run(&["seed", "--replace", "--yes"]).fails(10, &["not made by demo-reset"]);

    demo.run(&["detach"]).fails(3, &["1 change of 2 sessions", "nothing was changed"]);
    demo.run(&["detach", "--yes"]).succeeds();
    assert_eq!(demo.files(), before);
    demo.run(&["detach", "--yes"]).fails(10, &["is not attached"]);
}

#[test]
fn a_check_lists_what_is_covered_refused_and_not_run() {
    let demo = shop();
    let before = demo.files();
    let refused = demo.run(&["attach", "--check", "--all"]);
    assert_eq!(refused.code, 10, "{refused:?}");
    assert!(refused.stdout.contains("refused: table keyless: it has no primary key"), "{refused:?}");
    assert!(refused.stdout.contains("note: trigger watch on orders"), "{refused:?}");
    demo.run(&["attach"]).fails(10, &["table keyless: it has no primary key"]);
    assert_eq!(demo.files(), before);
    fs::write(demo.path("statements.sql"), "select * from orders; replace into orders values (1, 1, 1);")
        .expect("written");
    let file = demo.path("statements.sql").display().to_string();
    let checked = demo.run(&["attach", "--check", "--tables", "orders", "--statements", &file]);
    let said = checked.succeeds();
    assert!(said.contains("statement 2 means something else: OR REPLACE"), "{said}");
    assert!(!said.contains("statement 1"), "{said}");
    assert!(!demo.path("demo.sessions.db").exists());
}

#[test]
fn sessions_step_aside_for_a_migration() {
    let demo = shop();
    demo.run(&["suspend"]).fails(10, &["is not attached"]);
    demo.run(&["attach", "--tables", "customers,orders"]).succeeds();
    demo.run(&["sql", "--user", "ann", "update customers set name = 'A' where id = 1"]).succeeds();
    demo.run(&["suspend"]).succeeds();
    assert!(demo.run(&["status"]).succeeds().starts_with("suspended, "));
    demo.execute("demo.db", "alter table customers add column city text default 'Bonn'");
    let said = demo.run(&["attach"]).succeeds();
    assert!(said.contains("adapted customers (1 change kept): column city was added"), "{said}");
    let row = demo.run(&["sql", "--user", "ann", "select name, city from customers where id = 1"]).succeeds();
    assert_eq!(row, "name  city\nA     Bonn\n");
}

#[test]
fn a_refused_statement_is_told_and_changes_nothing() {
    let demo = shop();
    demo.run(&["attach", "--tables", "customers,orders"]).succeeds();
    let two = "update orders set total = 0; delete from customers where id = 1";
    demo.run(&["sql", "--user", "ann", two]).fails(1, &["FOREIGN KEY constraint failed"]);
    let total = demo.run(&["sql", "--user", "ann", "select sum(total) as total from orders"]).succeeds();
    assert_eq!(total, "total\n  7.5\n");
}

#[test]
fn two_databases_of_one_server_are_brought_up_for_the_first_time_at_once() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.execute("create role host login createrole");
    for name in ["one", "other"] {
        cluster.execute(&format!("create database {name} owner host"));
    }
    let url = |name: &str| cluster.url().replace("postgres@/postgres", &format!("host@/{name}"));
    let connect = |name: &str| PgConnection::establish(&url(name)).expect("connected");
    connect("one").batch_execute("create table items (id integer primary key)").expect("a table");
    // What brings up the other one has made the role that both need, and not committed.
    let mut other = connect("other");
    other.batch_execute("begin; create role demo_app nologin; grant demo_app to host").expect("a role");
    let demo = Demo::new();
    std::thread::scope(|scope| {
        let mut attach = demo.command(&["attach", "--all"]);
        attach.env("DATABASE_URL", url("one"));
        let attached = scope.spawn(move || Answer::of(&mut attach));
        let waits = "select from pg_stat_activity where datname = 'one' and wait_event_type = 'Lock'";
        let mut watcher = cluster.connect();
        while diesel::sql_query(waits).execute(&mut watcher).expect("looked up") == 0 {
            assert!(!attached.is_finished(), "it did not wait");
        }
        other.batch_execute("commit").expect("committed");
        attached.join().expect("no panic").succeeds();
    });
}
