//! Commands about users' sessions, beside a server in which those users work.

use serde_json::Value;

use crate::harness::{Answer, Demo, on_each_database};

const TRIAGE: &str = "demo-triage@acme.example";

fn json(answer: Answer) -> Value {
    serde_json::from_str(&answer.succeeds()).expect("JSON")
}

on_each_database! { fn an_unknown_user_or_organization_is_refused(backend) {
    let demo = Demo::seeded_on(backend);
    let id = "00000000-0000-4000-8000-000000000000";
    for command in ["reset", "undo"] {
        demo.run(&[command, "nobody@acme.example"]).fails(4, &["nobody@acme.example", "`acme-corp`"]);
        demo.run(&[command, id]).fails(4, &[id]);
        demo.run(&[command, TRIAGE, "--org", "globex"]).fails(4, &[TRIAGE, "`globex`"]);
        demo.run(&[command, TRIAGE, "--org", "nobody"]).fails(4, &["organization `nobody`", "--org"]);
    }
    for command in ["stats", "sessions"] {
        demo.run(&[command, "--org", "nobody"]).fails(4, &["organization `nobody`", "--org"]);
    }
}}

on_each_database! { fn a_user_without_changes_has_nothing_to_reset_or_undo(backend) {
    let demo = Demo::seeded_on(backend);
    assert!(demo.run(&["reset", TRIAGE]).succeeds().contains("nothing to reset"));
    let reset = json(demo.run(&["reset", TRIAGE, "--json"]));
    assert_eq!((&reset["archiveId"], &reset["archived"]), (&Value::Null, &serde_json::json!({})));
    demo.run(&["undo", TRIAGE]).fails(5, &["there is no reset to undo"]);
    assert_eq!(json(demo.run(&["sessions", "--json"])), serde_json::json!([]));
}}

on_each_database! { fn a_user_is_reset_and_undone_beside_a_running_server(backend) {
    let demo = Demo::seeded_on(backend);
    let server = demo.serve();
    let triage = server.sign_in(TRIAGE);
    let other = server.sign_in("demo-cco@acme.example");
    let case = triage.newest_case();
    let path = format!("/cases/{case}");
    let before = triage.get(&path);
    triage.edit_case(&case, "Mine");
    other.edit_case(&case, "Another's");

    // Without a terminal to ask on, nothing happens unless --yes says so.
    demo.run(&["reset", TRIAGE]).fails(3, &[TRIAGE, "2 changes", "nothing was changed"]);
    assert_eq!(triage.get(&path)["summary"], "Mine");

    let sessions = json(demo.run(&["sessions", "--json"]));
    let listed: Vec<_> = sessions.as_array().expect("a list").iter().map(|one| &one["user"]).collect();
    assert!(listed.contains(&&Value::from(TRIAGE)), "{sessions}");
    let stats = json(demo.run(&["stats", "--json"]));
    assert_eq!(stats["sessions"]["total"], 2, "{stats}");
    assert_eq!(stats["changes"]["cases"], serde_json::json!({ "created": 0, "edited": 2, "deleted": 0 }));
    assert_eq!(json(demo.run(&["stats", "--json", "--org", "globex"]))["sessions"]["total"], 0);

    // The user's id does as well as the address.
    let id = triage.get("/auth/me")["id"].as_str().expect("an id").to_owned();
    let reset = json(demo.run(&["reset", &id, "--yes", "--json"]));
    assert_eq!(reset["user"], TRIAGE);
    assert_eq!(reset["archived"]["cases"]["edited"], 1, "{reset}");
    assert_eq!(triage.get(&path), before);
    assert_eq!(other.get(&path)["summary"], "Another's");

    // An administrator's reset is archived like any other: the user can undo it, or the administrator.
    let undone = json(demo.run(&["undo", TRIAGE, "--json"]));
    assert_eq!(undone["restored"], reset["archived"]);
    assert_eq!(triage.get(&path)["summary"], "Mine");
    demo.run(&["undo", TRIAGE]).fails(5, &["there is no reset to undo"]);
    let archive = reset["archiveId"].as_str().expect("an id");
    demo.run(&["undo", TRIAGE, "--archive", archive]).fails(6, &["already been undone"]);
    demo.run(&["undo", TRIAGE, "--archive", &id]).fails(5, &["there is no reset to undo"]);
}}

on_each_database! { fn an_undo_that_conflicts_is_refused_with_the_list_and_can_be_decided(backend) {
    let demo = Demo::seeded_on(backend);
    let server = demo.serve();
    let triage = server.sign_in(TRIAGE);
    let case = triage.newest_case();
    let path = format!("/cases/{case}");
    triage.edit_case(&case, "First");
    demo.run(&["reset", TRIAGE, "--yes"]).succeeds();
    triage.edit_case(&case, "Second");

    let refused = demo.run(&["undo", TRIAGE]);
    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(refused.stderr.contains("--on-conflict"), "{refused:?}");
    assert!(refused.stderr.contains("  cases ") && refused.stderr.contains("same_record"), "{refused:?}");
    let refused = demo.run(&["undo", TRIAGE, "--json"]);
    assert_eq!(refused.code, 7, "{refused:?}");
    let listed: Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!(listed["conflicts"][0]["table"], "cases", "{listed}");
    assert_eq!(triage.get(&path)["summary"], "Second");

    let kept = json(demo.run(&["undo", TRIAGE, "--on-conflict", "keep-current", "--json"]));
    assert_eq!(triage.get(&path)["summary"], "Second");
    let kept = kept["keptArchiveId"].as_str().expect("an archive").to_owned();
    let arguments = ["undo", TRIAGE, "--archive", &kept, "--on-conflict", "restore-archived", "--json"];
    let restored = json(demo.run(&arguments));
    assert!(restored["replacedArchiveId"].is_string(), "{restored}");
    assert_eq!(triage.get(&path)["summary"], "First");
}}

on_each_database! { fn a_new_base_keeps_what_users_have_made(backend) {
    let demo = Demo::seeded_on(backend);
    let server = demo.serve();
    let triage = server.sign_in(TRIAGE);
    // Archived: an edit, a subject under a base case, and their audit entries. Live: a record of the user's own with its entry, and a deletion.
    let newest = triage.newest_case();
    triage.edit_case(&newest, "Archived");
    let subject = r#"{"name":"Somebody","role":"WITNESS"}"#;
    let (status, made) = triage.request("POST", &format!("/cases/{newest}/subjects"), subject);
    assert_eq!(status, 201, "{made}");
    demo.run(&["reset", TRIAGE, "--yes"]).succeeds();
    let (status, made) = triage.request("POST", "/cases", r#"{"details":"Mine alone"}"#);
    assert_eq!(status, 201, "{made}");
    let path = format!("/cases/{}", made["id"].as_str().expect("an id"));
    let delete = "delete from investigation_notes where id = (select id from investigation_notes order by id limit 1)";
    demo.run(&["sql", delete, "--user", TRIAGE]).succeeds();
    let refused = demo.run(&["seed", "--replace", "--as-of", "2026-02-02"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    for told in [
        "1 session with 3 changes, and 1 archive that can be restored, stay",
        "live: 0 edits and 1 deletion of base records, 2 records of the users' own",
        "in the archives: 1 edit and 0 deletions of base records, 3 records of the users' own, 1 of them under a base record",
        "an undo merges its archive",
        "nothing was changed",
    ] {
        assert!(refused.stderr.contains(told), "{told}: {refused:?}");
    }
    demo.run(&["seed", "--replace", "--yes", "--as-of", "2026-02-02"]).succeeds();
    assert_eq!(triage.get(&path)["details"], "Mine alone");
    demo.run(&["verify"]).succeeds();
}}

on_each_database! { fn a_cleanup_removes_nothing_that_is_not_expired(backend) {
    let demo = Demo::seeded_on(backend);
    let server = demo.serve();
    let triage = server.sign_in(TRIAGE);
    triage.edit_case(&triage.newest_case(), "Mine");
    demo.run(&["reset", TRIAGE, "--yes"]).succeeds();
    let removed = json(demo.run(&["cleanup", "--json"]));
    assert!(removed.as_object().expect("counts").values().all(|count| count == 0), "{removed}");
    demo.run(&["undo", TRIAGE]).succeeds();
}}
