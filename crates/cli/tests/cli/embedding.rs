//! What `docs/embedding.md` tells to do, done as it stands.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Backend, Demo, on_each_database};

const DOCUMENT: &str = include_str!("../../../../docs/embedding.md");

const SHOP: &str = "
    create table artist (artist_id integer primary key, name text not null);
    create table album (album_id integer primary key, title text not null, artist_id integer references artist (artist_id));
    insert into artist values (1, 'AC/DC'), (2, 'Accept');
    insert into album values (1, 'Let There Be Rock', 1);";

/// The block that is marked with this name.
fn block(name: &str) -> &'static str {
    let marked = DOCUMENT.split("<!-- walkthrough ").find(|part| part.starts_with(name));
    let fenced = marked.and_then(|part| part.split_once("\n```")).and_then(|(_, rest)| rest.split_once('\n'));
    fenced.and_then(|(_, rest)| rest.split_once("\n```")).expect("a block of that name").0
}

/// Runs a program over the database, with `demo-reset` on its path; what it wrote.
#[track_caller]
fn run(demo: &Demo, program: &str, arguments: &[&str]) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_demo-reset")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(demo.path("."))
        .env("PATH", format!("{}:{path}", binary.display()))
        .env("DATABASE_URL", demo.url())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[track_caller]
fn shell(demo: &Demo, name: &str) -> String {
    run(demo, "bash", &["-euo", "pipefail", "-c", block(name)])
}

fn shop(backend: Backend) -> Demo {
    let demo = Demo::new_on(backend);
    demo.execute_in_base(SHOP);
    demo
}

on_each_database! { fn the_walkthrough_of_embedding_works_as_it_stands(backend) {
    let demo = shop(backend);
    fs::write(demo.path("queries.sql"), "select name from artist; truncate artist").expect("written");
    let said = shell(&demo, "check");
    assert!(said.contains("artist") && said.contains("statement 2"), "{said}");
    let said = shell(&demo, "attach");
    assert!(said.contains(r#""name":"Mine""#) || said.contains(r#""name": "Mine""#), "{said}");
    assert!(said.contains("1 session, 1 change"), "{said}");
    shell(&demo, "change");
    let name = ["sql", "--user", "ann", "select name from artist where artist_id = 1"];
    assert_eq!(demo.run(&name).succeeds(), "name\nMine\n");
    shell(&demo, "detach");
    demo.run(&name).fails(10, &["not made by demo-reset"]);
}}

/// What the two blocks for other programs have in common: they edit an artist as Ann of an organization.
fn edits_as_ann(edit: impl FnOnce(&Demo)) {
    let demo = shop(Backend::Postgres);
    demo.run(&["attach", "--all"]).succeeds();
    edit(&demo);
    let seen = |user: &str| {
        let query = "select name from artist where artist_id = 1";
        demo.run(&["sql", "--org", "my organization", "--user", user, query]).succeeds()
    };
    assert_eq!((seen("ann"), seen("ben")), ("name\nMine\n".to_owned(), "name\nAC/DC\n".to_owned()));
    assert_eq!(demo.value("select name from public.artist where artist_id = 1"), "AC/DC");
}

#[test]
fn psql_works_in_a_session_as_the_document_says() {
    if !Backend::Postgres.is_there() {
        return;
    }
    edits_as_ann(|demo| {
        fs::write(demo.path("block.sql"), block("psql")).expect("written");
        run(demo, "bash", &["-c", r#"psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f block.sql"#]);
    });
}

/// A Python with the driver that the document uses: Debian's sees Debian's packages, another one may not.
fn python() -> Option<&'static str> {
    let has_driver = |python: &&str| {
        let mut import = Command::new(python);
        import
            .args(["-c", "import psycopg"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has_driver)
}

#[test]
fn a_python_script_works_in_a_session_as_the_document_says() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let Some(python) = python() else {
        let how =
            "Python has no psycopg: apt-get install python3-psycopg (Debian), pip install 'psycopg[binary]'";
        assert!(std::env::var_os("CI").is_none(), "in CI no test may be skipped: {how}");
        eprintln!("skipped: {how}");
        return;
    };
    edits_as_ann(|demo| {
        fs::write(demo.path("block.py"), block("python")).expect("written");
        run(demo, python, &["block.py"]);
    });
}
