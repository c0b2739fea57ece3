//! The server process: starting, stopping, and the README's walkthrough.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Demo, PASSWORD, on_each_database};

#[test]
fn a_port_that_is_taken_is_refused_before_anything_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let demo = Demo::new();
    demo.run(&["serve", "--bind", &address]).fails(11, &[&address, "--bind"]);
    assert!(demo.files().is_empty());
}

#[test]
fn an_address_that_is_none_is_refused() {
    Demo::new().run(&["serve", "--bind", "nowhere"]).fails(11, &["nowhere", "--bind"]);
}

on_each_database! { fn a_server_that_is_told_to_stop_ends_well(backend) {
    for signal in ["TERM", "INT"] {
        let demo = Demo::seeded_on(backend);
        let server = demo.serve();
        // Who has been answered knows that the server runs.
        server.sign_in("demo-triage@acme.example");
        assert_eq!(server.stop(signal), Some(0), "{signal}");
    }
}}

/// The shell block that the README marks as its walkthrough.
fn walkthrough() -> &'static str {
    let readme = include_str!("../../../../README.md");
    let block = readme.split("<!-- walkthrough").nth(1).and_then(|rest| rest.split("```sh\n").nth(1));
    block.and_then(|rest| rest.split("```").next()).expect("the README has a walkthrough")
}

on_each_database! { fn the_walkthrough_of_the_readme_works_as_it_stands(backend) {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "in CI curl must be installed");
        return;
    }
    // From nothing: the server migrates and seeds.
    let demo = Demo::new_on(backend);
    let server = demo.serve();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", walkthrough()])
        .env("DEMO_USER_PASSWORD", PASSWORD)
        .env("API", format!("http://{}/api/v1", server.address))
        .output()
        .expect("bash runs");
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<Value> = stdout
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}")))
        .collect();
    let mut answers = answers.iter();
    let mut next = |what: &str| answers.next().unwrap_or_else(|| panic!("no answer for {what}: {stdout}"));

    let edited = next("the edit");
    assert_eq!(
        (&edited["severity"], &edited["changeKind"]),
        (&"CRITICAL".into(), &"edited".into()),
        "{edited}"
    );
    assert_eq!(edited["isBaseData"], false);
    assert_eq!(next("the subject")["name"], "Robin Vale");
    assert_eq!(next("the message")["direction"], "OUTBOUND");
    assert_eq!(next("the note")["content"], "Asked for the stock list.");
    assert_eq!(next("the link")["associationType"], "RELATED");

    let seen_by_the_second = next("the edited case");
    assert_ne!(seen_by_the_second["summary"], "Seen by triage");
    assert_eq!(seen_by_the_second["isBaseData"], true, "{seen_by_the_second}");
    assert_eq!(next("the new case")["code"], "not_found");
    assert_eq!(next("the deleted case")["isBaseData"], true);
    assert_eq!(next("the second's session")["totalChanges"], 0);

    let preview = next("the preview");
    assert!(preview["totalItems"].as_u64() >= Some(7), "{preview}");
    assert_eq!(next("the reset without token")["code"], "confirmation_required");
    let reset = next("the reset");
    assert_eq!(reset["success"], true, "{reset}");
    assert_eq!(reset["verification"]["baseDataIntact"], true, "{reset}");
    let verified = next("the verification");
    assert_eq!((&verified["baseDataIntact"], &verified["userChangesCleared"]), (&true.into(), &true.into()));
    let undone = next("the undo");
    assert_eq!(undone["success"], true, "{undone}");
    assert_eq!(undone["restoredCounts"], reset["deletedCounts"]);
    assert_eq!(next("the new case, back")["details"], "A caller reports missing stock.");
    assert_eq!(next("the second undo")["code"], "nothing_to_undo");
    assert_eq!(answers.next(), None);

    demo.run(&["verify"]).succeeds();
}}
