//! The command line itself.

use crate::harness::{Answer, Demo};

const COMMANDS: &[&str] = &[
    "serve", "migrate", "seed", "reset", "undo", "verify", "cleanup", "stats", "sessions", "sql", "attach",
    "detach", "suspend", "status",
];

#[test]
fn help_lists_every_command_and_the_exit_codes() {
    let help = Demo::new().run(&["--help"]).succeeds();
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
    assert!(help.contains("Exit codes:\n   0  done"), "{help}");
    assert!(help.contains("\n  11  "), "{help}");
}

#[test]
fn every_command_takes_its_options_after_its_name() {
    for command in COMMANDS {
        let help = Demo::new().run(&[command, "--help"]).succeeds();
        assert!(help.contains("--database-url"), "{command}: {help}");
        assert!(!help.contains("sqlite:///"), "the environment's URL is not shown: {help}");
    }
}

#[test]
fn a_wrong_command_line_is_refused_with_code_2() {
    let wrong: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["unknown"], "unrecognized subcommand"),
        (&["reset"], "<USER>"),
        (&["reset", ""], "a value is required"),
        (&["undo", "ann@acme.example", "--archive", "7"], "--archive"),
        (&["undo", "ann@acme.example", "--on-conflict", "guess"], "keep-current"),
        (&["seed", "--scale", "0"], "--scale"),
        (&["seed", "--as-of", "2026-02-30"], "--as-of"),
        (&["seed", "--check", "--replace"], "--check"),
        (&["stats", "--database-url", "mysql://host/name"], "expected sqlite://PATH"),
        (&["stats", "--database-url", "sqlite://"], "the path of a file"),
    ];
    let demo = Demo::new();
    for (arguments, said) in wrong {
        let answer = demo.run(arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert_eq!(answer.stdout, "", "{arguments:?}");
        assert!(answer.stderr.contains(said), "{arguments:?}: {answer:?}");
    }
    assert!(demo.files().is_empty());
}

#[test]
fn a_server_that_cannot_be_reached_is_told_without_the_password() {
    let demo = Demo::new();
    let answer = demo.run(&["stats", "--database-url", "postgres://ann:secret@127.0.0.1:1/name"]);
    answer.fails(9, &["not available"]);
    assert!(!answer.stderr.contains("secret"));
}

#[test]
fn a_url_that_is_not_understood_is_refused_without_repeating_it() {
    let demo = Demo::new();
    for url in ["mysql://ann:secret@host/name", "postgres:ann:secret@host/name", "secret"] {
        let given = demo.run(&["stats", "--database-url", url]);
        let from_environment = Answer::of(demo.command(&["stats"]).env("DATABASE_URL", url));
        for answer in [given, from_environment] {
            assert_eq!(answer.code, 2, "{answer:?}");
            assert!(answer.stderr.contains("--database-url <URL>"), "{answer:?}");
            assert!(answer.stderr.contains("expected sqlite://PATH"), "{answer:?}");
            assert!(!answer.stderr.contains("secret"), "{answer:?}");
        }
    }
}
