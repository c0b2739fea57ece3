//! The server process: starting, stopping, and the README's walkthrough.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Demo, PASSWORD, Server, on_each_database};

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

on_each_database! { fn a_request_in_flight_is_answered_before_the_server_ends(backend) {
    let demo = Demo::seeded_on(backend);
    let server = demo.serve();
    let ann = server.sign_in("demo-triage@acme.example");
    let body = r#"{"details":"sent while the server was told to stop"}"#;
    let mut stream = TcpStream::connect(&server.address).expect("connected");
    write!(
        stream,
        "POST /api/v1/cases HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        ann.token,
        body.len()
    )
    .expect("sent");
    // The server asks for the body: it is at work on the request.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).expect("an interim answer");
    assert_eq!(asked.as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal("TERM");
    // Stopping has begun when nobody is let in any more.
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(body.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(server.wait(), Some(0));
}}

/// What tokens are signed with.
const KEY: &str = "the key of this test, which is long enough";

#[test]
fn nothing_secret_is_logged_and_every_line_of_a_request_has_its_id() {
    let demo = Demo::seeded();
    let log = demo.path("server.log");
    let mut command = demo.command(&["serve", "--bind", "127.0.0.1:0"]);
    command
        .env("RUST_LOG", "debug")
        .env("LOG_FORMAT", "json")
        .env("JWT_SECRET", KEY)
        .env("DEMO_USER_PASSWORD", PASSWORD)
        .stdout(Stdio::piped())
        .stderr(File::create(&log).expect("a log"));
    let server = Server::of(command.spawn().expect("the binary runs"));
    let ann = server.sign_in("demo-triage@acme.example");
    ann.edit_case(&ann.newest_case(), "nobody else's business");
    for (token, id) in [(ann.token.as_str(), "good-1"), ("a.b.c", "bad-1")] {
        let mut stream = TcpStream::connect(&server.address).expect("connected");
        write!(
            stream,
            "GET /api/v1/cases?q=whom HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: {id}\r\n\
             authorization: Bearer {token}\r\n\r\n"
        )
        .expect("sent");
        stream.read_to_string(&mut String::new()).expect("an answer");
    }
    let token = ann.token.clone();
    assert_eq!(server.stop("TERM"), Some(0));
    let text = std::fs::read_to_string(&log).expect("a log");
    let signature = token.rsplit('.').next().expect("a signature");
    for secret in [PASSWORD, KEY, signature, "a.b.c", "nobody else's business"] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}")))
        .collect();
    let status = |id: &str| {
        let line = lines.iter().find(|line| line["request"] == id && line["message"] == "answered");
        line.unwrap_or_else(|| panic!("{id} is not in the log:\n{text}"))["status"].clone()
    };
    assert_eq!((status("good-1"), status("bad-1")), (200.into(), 401.into()));
}

/// The shell block that the README marks as its walkthrough.
fn walkthrough() -> &'static str {
    let readme = include_str!("../../../../README.md");
    let block = readme.split("<!-- walkthrough").nth(1).and_then(|rest| rest.split("```bash\n").nth(1));
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
