//! Several servers on one PostgreSQL: whatever one of them does, the others know.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Demo, Login, PASSWORD, Server};

const TRIAGE: &str = "demo-triage@acme.example";
const ADMIN: &str = "demo-admin@acme.example";

fn seeded() -> Option<Demo> {
    Backend::Postgres.is_there().then(|| Demo::seeded_on(Backend::Postgres))
}

#[test]
fn a_user_moves_between_two_servers_in_the_middle_of_a_demo() {
    let Some(demo) = seeded() else { return };
    // One is started by the owner, the other knows only the login of the application role.
    let a = demo.serve();
    let login = Login::new();
    let b = demo.serve_at(&demo.url_as(&login.name));
    let on_a = a.sign_in(TRIAGE);
    let on_b = b.with_token_of(&on_a);
    let signed_in_on_b = b.sign_in(TRIAGE);
    assert_eq!(a.with_token_of(&signed_in_on_b).get("/auth/me"), on_b.get("/auth/me"));
    let other = b.sign_in("demo-cco@acme.example");

    let case = on_a.newest_case();
    let path = format!("/cases/{case}");
    let before = on_a.get(&path);
    assert_eq!(on_b.get(&path), before);

    on_a.edit_case(&case, "Edited on A");
    assert_eq!(on_b.get(&path)["summary"], "Edited on A");
    assert_eq!(other.get(&path), before);
    let (status, made) = on_b.request("POST", "/cases", r#"{"details":"Made on B"}"#);
    assert_eq!(status, 201, "{made}");
    let made = format!("/cases/{}", made["id"].as_str().expect("an id"));
    assert_eq!(on_a.get(&made)["details"], "Made on B");
    let session = on_a.get("/demo/session");
    assert_eq!(on_b.get("/demo/session"), session);
    assert_eq!(session["changes"]["cases"], 2, "{session}");

    let cursor = on_a.get("/cases?limit=2")["nextCursor"].clone();
    let next = format!("/cases?limit=2&cursor={}", cursor.as_str().expect("a cursor"));
    assert_eq!(on_a.get(&next)["items"], on_b.get(&next)["items"]);

    let (status, reset) = on_b.request("POST", "/demo/reset", r#"{"confirmationToken":"CONFIRM_RESET"}"#);
    assert_eq!(status, 200, "{reset}");
    assert_eq!(on_a.get(&path), before);
    assert_eq!(on_a.request("GET", &made, "").0, 404);
    assert_eq!(on_a.get("/demo/archives")["items"][0]["archiveId"], reset["archiveId"]);

    let (status, undone) = on_a.request("POST", "/demo/undo", "");
    assert_eq!((status, &undone["restoredCounts"]), (200, &reset["deletedCounts"]), "{undone}");
    assert_eq!(on_b.get(&path)["summary"], "Edited on A");
    assert_eq!(on_b.get(&made)["details"], "Made on B");
    let (status, refused) = on_b.request("POST", "/demo/undo", "");
    assert_eq!((status, &refused["code"]), (400, &json!("nothing_to_undo")), "{refused}");
    assert_eq!(other.get("/demo/session")["totalChanges"], 0);

    // A new base that a command loads is the base of both, with what the user has made on top.
    let mut seed = demo.command(&["seed", "--replace", "--yes", "--as-of", "2026-02-02"]);
    Answer::of(&mut seed).succeeds();
    for user in [&on_a, &on_b] {
        assert_eq!(user.get(&made)["details"], "Made on B");
        assert_eq!(user.get("/demo/verify")["baseDataIntact"], true);
    }
}

#[test]
fn either_server_goes_on_when_the_other_is_killed() {
    let Some(demo) = seeded() else { return };
    let (a, b) = (demo.serve(), demo.serve());
    let on_a = a.sign_in(TRIAGE);
    let on_b = b.with_token_of(&on_a);
    let case = on_a.newest_case();
    on_a.edit_case(&case, "Before");
    a.kill();
    assert_eq!(on_b.get(&format!("/cases/{case}"))["summary"], "Before");
    on_b.edit_case(&case, "After");
    // The lock under which a cleanup runs dies with the server that held it.
    let admin = b.sign_in(ADMIN);
    let (status, removed) = admin.request("POST", "/demo/admin/cleanup", "");
    assert_eq!(status, 200, "{removed}");
    let again = demo.serve();
    assert_eq!(again.with_token_of(&on_b).get(&format!("/cases/{case}"))["summary"], "After");
}

#[test]
fn servers_that_start_together_on_an_empty_database_seed_it_once() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let demo = Demo::new_on(Backend::Postgres);
    let start = || -> Child {
        let mut command = demo.command(&["serve", "--bind", "127.0.0.1:0"]);
        let command =
            command.env("DEMO_USER_PASSWORD", PASSWORD).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("the binary runs")
    };
    let servers: Vec<Server> = [start(), start(), start()].map(Server::of).into_iter().collect();
    assert_eq!(demo.value("select epoch from demo.demo_base"), "1");
    let on_first = servers[0].sign_in(TRIAGE);
    let case = on_first.newest_case();
    on_first.edit_case(&case, "Mine");
    for server in &servers {
        assert_eq!(server.with_token_of(&on_first).get(&format!("/cases/{case}"))["summary"], "Mine");
    }
    demo.run(&["verify"]).succeeds();
}

#[test]
fn a_login_of_the_application_role_serves_and_never_migrates() {
    let Some(demo) = seeded() else { return };
    let login = Login::new();
    let url = demo.url_as(&login.name);
    let with = |arguments: &[&str]| Answer::of(demo.command(arguments).env("DATABASE_URL", &url));
    with(&["verify"]).succeeds();
    with(&["migrate"]).succeeds();
    let stats: Value = serde_json::from_str(&with(&["stats", "--json"]).succeeds()).expect("JSON");
    assert_eq!(stats["sessions"]["total"], 0, "{stats}");
    let replace = with(&["seed", "--replace", "--yes"]);
    assert_eq!(replace.code, 10, "{replace:?}");
    assert!(replace.stderr.contains("use the owner's login"), "{replace:?}");
    assert!(!replace.stderr.contains("secret"), "{replace:?}");

    let migrations = "demo.__diesel_schema_migrations";
    demo.execute_in_base(&format!("create table kept as table {migrations}; delete from {migrations}"));
    for arguments in [&["serve", "--bind", "127.0.0.1:0"][..], &["migrate"], &["stats"], &["verify"]] {
        with(arguments).fails(10, &["the database is behind", "`demo-reset migrate`", "as its owner"]);
    }
    assert_eq!(demo.value(&format!("select count(*) from {migrations}")), "0", "nothing was migrated");
    demo.execute_in_base(&format!("insert into {migrations} table kept; drop table kept"));
    with(&["verify"]).succeeds();
}

#[test]
fn a_login_that_nobody_let_in_is_told_so() {
    let Some(demo) = seeded() else { return };
    let login = Login::new();
    crate::harness::on_server(&format!("revoke demo_app from {}", login.name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-reset"));
    command.args(["stats", "--database-url", &demo.url_as(&login.name)]);
    Answer::of(&mut command).fails(10, &[&login.name, "may work as the role demo_app"]);
}
