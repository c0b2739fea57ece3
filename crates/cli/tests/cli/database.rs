//! Databases that are missing, broken, somebody else's, or of another version: a clear message, a code, and
//! nothing lost.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Answer, Backend, Demo, on_each_database};

/// Every command that needs base data.
const NEED_BASE: &[&[&str]] = &[
    &["verify"],
    &["stats"],
    &["sessions"],
    &["cleanup"],
    &["reset", "ann@acme.example", "--yes"],
    &["undo", "ann@acme.example"],
];

on_each_database! { fn commands_say_that_there_is_no_base_data_yet(backend) {
    let demo = Demo::new_on(backend);
    for arguments in NEED_BASE {
        demo.run(arguments).fails(10, &["holds no base data yet", "demo-reset seed"]);
    }
    assert!(demo.files().is_empty(), "a mistyped path makes no file");
}}

on_each_database! { fn migrate_makes_an_empty_database_that_is_not_yet_seeded(backend) {
    let demo = Demo::new_on(backend);
    demo.run(&["migrate"]).succeeds();
    demo.run(&["migrate"]).succeeds();
    if backend == Backend::Sqlite {
        assert!(demo.base().exists() && demo.path("demo.sessions.db").exists());
    }
    for arguments in NEED_BASE {
        demo.run(arguments).fails(10, &["holds no base data yet"]);
    }
}}

#[test]
fn a_folder_that_does_not_exist_is_not_made() {
    let demo = Demo::new();
    let url = format!("sqlite://{}", demo.path("missing/demo.db").display());
    for arguments in [&["migrate"][..], &["seed"], &["serve", "--bind", "127.0.0.1:0"]] {
        let arguments = [arguments, &["--database-url", &url]].concat();
        demo.run(&arguments).fails(9, &["missing", "the folder does not exist: create it first"]);
    }
    assert!(demo.files().is_empty());
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let demo = Demo::new();
    fs::write(demo.path("file"), "text").expect("written");
    let url = format!("sqlite://{}", demo.path("file/demo.db").display());
    for arguments in [&["migrate"][..], &["seed"], &["serve", "--bind", "127.0.0.1:0"]] {
        demo.run(&[arguments, &["--database-url", &url]].concat()).fails(9, &["file"]);
    }
    assert_eq!(fs::read_to_string(demo.path("file")).expect("read"), "text");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let demo = Demo::new();
    fs::write(demo.base(), "Dear diary, today I learned about files.\n".repeat(100)).expect("written");
    let before = demo.files();
    let more: &[&[&str]] =
        &[&["migrate"], &["seed"], &["seed", "--replace", "--yes"], &["serve", "--bind", "127.0.0.1:0"]];
    for arguments in NEED_BASE.iter().chain(more) {
        demo.run(arguments).fails(9, &["demo.db", "not a database"]);
    }
    assert_eq!(demo.files(), before);
}

on_each_database! { fn a_database_without_a_seal_is_refused_and_left_alone(backend) {
    let demo = Demo::new_on(backend);
    demo.execute_in_base("create table cases (id text primary key); insert into cases values ('mine')");
    let before = demo.files();
    let more: &[&[&str]] =
        &[&["migrate"], &["seed"], &["seed", "--replace", "--yes"], &["serve", "--bind", "127.0.0.1:0"]];
    for arguments in NEED_BASE.iter().chain(more) {
        let said = ["not made by demo-reset, or was not completely loaded", "--database-url"];
        demo.run(arguments).fails(10, &said);
    }
    assert_eq!(demo.files(), before);
    demo.execute_in_base("update cases set id = 'still mine'");
}}

on_each_database! { fn a_database_of_a_newer_version_is_refused(backend) {
    let demo = Demo::new_on(backend);
    demo.run(&["migrate"]).succeeds();
    let newer = "insert into __diesel_schema_migrations (version) values ('20991231000000')";
    match backend {
        Backend::Sqlite => demo.execute("demo.sessions.db", newer),
        Backend::Postgres => demo.execute_in_base(&format!("set search_path = demo; {newer}")),
    }
    demo.run(&["migrate"]).fails(10, &["20991231000000", "use a newer version"]);
}}

on_each_database! { fn base_data_of_a_newer_version_is_refused(backend) {
    let demo = Demo::new_on(backend);
    demo.run(&["migrate"]).succeeds();
    let newer = "insert into __diesel_schema_migrations (version) values ('20991231000001')";
    match backend {
        Backend::Sqlite => demo.execute("demo.db", newer),
        Backend::Postgres => demo.execute_in_base(&format!("set search_path = public; {newer}")),
    }
    demo.run(&["migrate"]).fails(10, &["20991231000001", "use a newer version"]);
}}

#[test]
fn an_empty_file_is_taken_for_a_missing_database() {
    let demo = Demo::new();
    fs::write(demo.base(), "").expect("written");
    demo.run(&["stats"]).fails(10, &["holds no base data yet"]);
    demo.run(&["migrate"]).succeeds();
    demo.run(&["stats"]).fails(10, &["holds no base data yet"]);
}

on_each_database! { fn a_seed_that_is_killed_leaves_nothing_and_the_next_one_works(backend) {
    let demo = Demo::new_on(backend);
    let mut seed = demo.command(&["seed"]).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut said = String::new();
    BufReader::new(seed.stderr.take().expect("stderr")).read_line(&mut said).expect("a line");
    assert!(said.starts_with("loading: "), "{said}");
    seed.kill().expect("killed");
    seed.wait().expect("ended");
    if backend == Backend::Sqlite {
        assert!(!demo.base().exists(), "no half of a base");
    }
    demo.run(&["stats"]).fails(10, &["holds no base data yet"]);
    demo.run(&["seed"]).succeeds();
    demo.run(&["verify"]).succeeds();
    assert!(!demo.path("demo.db.loading").exists());
}}

on_each_database! { fn seeding_twice_needs_replace_and_yes(backend) {
    let demo = Demo::seeded_on(backend);
    let base = || match backend {
        Backend::Sqlite => fs::read(demo.base()).expect("read"),
        Backend::Postgres => demo.value("select base_id || epoch from demo.demo_base").into_bytes(),
    };
    let before = base();
    demo.run(&["seed"]).fails(10, &["already holds base data", "--replace"]);
    let refused = demo.run(&["seed", "--replace"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("0 sessions with 0 changes"), "{refused:?}");
    assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
    assert!(base() == before);
    demo.run(&["seed", "--replace", "--yes"]).succeeds();
    demo.run(&["verify"]).succeeds();
}}

#[test]
fn on_postgresql_search_indexes_are_there_after_a_load_and_made_again_where_one_is_missing() {
    if !Backend::Postgres.is_there() {
        return;
    }
    let demo = Demo::seeded_on(Backend::Postgres);
    let count = || {
        let indexes = "select count(*) from pg_indexes where schemaname = 'public' and starts_with(indexname, 'demo_search_')";
        demo.value(indexes)
    };
    assert_eq!(count(), "4");
    demo.run(&["seed", "--replace", "--yes"]).succeeds();
    assert_eq!(count(), "4");
    // As after a load that was interrupted when the base was in place.
    let lose_one = || demo.execute_in_base("drop index public.demo_search_cases");
    lose_one();
    demo.run(&["migrate"]).succeeds();
    assert_eq!(count(), "4");
    lose_one();
    drop(demo.serve());
    assert_eq!(count(), "4");
}

#[test]
fn the_seed_data_can_be_checked_without_a_database() {
    let demo = Demo::new();
    let said = demo.run(&["seed", "--check"]).succeeds();
    assert!(said.starts_with("the seed data is in order\n"), "{said}");
    assert!(said.contains("    32 categories\n"), "{said}");
    assert!(demo.files().is_empty());
}

#[test]
fn a_teams_own_seed_data_is_checked_and_every_mistake_is_told_with_its_line() {
    let demo = Demo::new();
    let folder = demo.path("own");
    fs::create_dir(&folder).expect("a folder");
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../seed-data");
    let locations = fs::read_to_string(built_in.join("locations.toml")).expect("read");
    let weights = fs::read_to_string(built_in.join("weights.toml")).expect("read");
    let write = |file: &str, text: String| fs::write(folder.join(file), text).expect("written");
    let check = ["seed", "--check", "--files", folder.to_str().expect("a path")];

    write("locations.toml", locations.replace("Austin Headquarters", "Austin Tower"));
    let said = demo.run(&check).succeeds();
    assert!(said.starts_with("the seed data is in order, with 1 file of "), "{said}");

    write("locations.toml", locations.replace("America/Phoenix", "America/Fenix"));
    write("weights.toml", weights.replace("office_hours = 88", "office_hours = 188"));
    let line = |text: &str, of: &str| text.lines().position(|line| line.contains(of)).expect("a line") + 1;
    let refused = demo.run(&check);
    let wanted = [
        "the seed data has 2 mistakes".to_owned(),
        format!(
            "locations.toml:{}: there is no time zone `America/Fenix`",
            line(&locations, "America/Phoenix")
        ),
        format!("weights.toml:{}: ", line(&weights, "[rhythm]")),
    ];
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(wanted.iter().all(|part| refused.stderr.contains(part)), "{refused:?}");
    // Loading refuses the same, and leaves nothing.
    let refused = demo.run(&["seed", "--files", folder.to_str().expect("a path")]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.starts_with("demo-reset: the seed data has 2 mistakes\n"), "{refused:?}");
    assert!(!demo.base().exists());
}

on_each_database! { fn a_teams_own_seed_data_is_loaded(backend) {
    let demo = Demo::new_on(backend);
    let folder = demo.path("own");
    fs::create_dir(&folder).expect("a folder");
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../seed-data/organizations.toml");
    let all = fs::read_to_string(built_in).expect("read");
    // The small organization alone, under another name.
    let start = all.rfind("[[organization]]").expect("two organizations");
    let own = all[start..].replace("Globex International", "Initech").replace(r#"slug = "globex""#, r#"slug = "own""#);
    // Retail and healthcare are nobody's then, so their departments and places go with them.
    fs::write(folder.join("organizations.toml"), own).expect("written");
    let files = folder.to_str().expect("a path");
    let refused = demo.run(&["seed", "--files", files]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("there is no division `Retail`"), "{refused:?}");
    fs::write(folder.join("organizations.toml"), all.replace("Globex International", "Initech")).expect("written");
    demo.run(&["seed", "--files", files]).succeeds();
    let named = demo.run(&["sql", "select name from organizations order by name", "--org", "globex", "--user", "globex-admin@globex.example"]);
    assert!(named.succeeds().contains("Initech"), "the folder's name");
}}

on_each_database! { fn a_made_up_password_is_said_once(backend) {
    let demo = Demo::new_on(backend);
    let first = demo.run(&["seed"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.stderr.contains("the demo users' password is "), "{first:?}");
    let again = demo.run(&["seed", "--replace", "--yes"]);
    assert!(!again.stderr.contains("password"), "{again:?}");
}}

on_each_database! { fn an_empty_password_is_refused(backend) {
    let demo = Demo::seeded_on(backend);
    let mut serve = demo.command(&["serve", "--bind", "127.0.0.1:0"]);
    Answer::of(serve.env("DEMO_USER_PASSWORD", "")).fails(1, &["DEMO_USER_PASSWORD is empty"]);
}}

on_each_database! { fn a_changed_value_in_the_base_is_noticed(backend) {
    let demo = Demo::seeded_on(backend);
    if backend == Backend::Sqlite {
        // A file of its own: the seeded one is shared with other tests.
        fs::copy(demo.base(), demo.path("copy")).expect("copied");
        fs::rename(demo.path("copy"), demo.base()).expect("replaced");
    }
    assert!(demo.run(&["verify"]).succeeds().lines().all(|line| line.ends_with("intact")));
    let past_the_guard = match backend {
        Backend::Sqlite => "drop trigger demo_guard_update_cases;",
        Backend::Postgres => "alter table cases disable trigger user;",
    };
    demo.execute_in_base(&format!(
        "{past_the_guard} update cases set severity = case severity when 'LOW' then 'HIGH' else 'LOW' end \
         where id = (select id from cases order by id limit 1)"
    ));
    let answer = demo.run(&["verify"]);
    assert_eq!(answer.code, 8, "{answer:?}");
    assert!(answer.stderr.contains("not as it was sealed: cases;"), "{answer:?}");
    assert!(answer.stdout.contains("CHANGED: values differ"), "{answer:?}");
    let json = demo.run(&["verify", "--json"]);
    assert!(json.stdout.contains("\"baseDataIntact\": false"), "{json:?}");
    assert!(!json.stdout.contains("differingRows"), "{json:?}");
    let rows = demo.run(&["verify", "--rows"]);
    assert_eq!(rows.code, 8, "{rows:?}");
    let named: Vec<&str> = rows.stdout.lines().skip_while(|line| !line.starts_with("Rows that are not")).collect();
    assert_eq!(named.len(), 2, "{rows:?}");
    let json = demo.run(&["verify", "--rows", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let tables = json["tables"].as_array().expect("tables");
    let cases = &tables.iter().find(|table| table["table"] == "cases").expect("cases")["differingRows"];
    assert_eq!((&cases["count"], &cases["gone"]), (&1.into(), &1.into()), "{cases}");
    let key = cases["keys"][0].as_array().expect("a key");
    let id = key.last().and_then(|id| id.as_str()).expect("an id");
    assert!(named[1].starts_with("cases") && named[1].ends_with(id), "{rows:?}");
}}

on_each_database! { fn another_program_cannot_write_the_base(backend) {
    let demo = Demo::seeded_on(backend);
    let write = "update cases set severity = 'LOW'";
    let shell = match backend {
        Backend::Sqlite => Command::new("sqlite3").arg(demo.base()).arg(write).output(),
        Backend::Postgres => Command::new("psql").args(["-v", "ON_ERROR_STOP=1", "-c", write]).arg(demo.url()).output(),
    };
    let Ok(output) = shell else {
        assert!(std::env::var_os("CI").is_none(), "in CI sqlite3 and psql must be installed");
        return;
    };
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("base data is sealed"), "{output:?}");
    demo.run(&["verify"]).succeeds();
}}
