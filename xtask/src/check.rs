//! What CI checks besides the tests.

use crate::run::{self, Failure};

/// Everything, even after a failure, so that one run names all that is wrong.
pub(crate) fn check() -> Result<(), Failure> {
    let mut commands = [
        run::cargo(["fmt", "--all", "--check"]),
        run::cargo(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]),
        // Without the bundled demo, as a host builds it.
        run::cargo([
            "clippy",
            "--package",
            "demo-reset-api",
            "--no-default-features",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
        run::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]),
        run::cargo(["test", "--quiet", "--package", "xtask"]),
    ];
    commands[3].env("RUSTDOCFLAGS", "-D warnings");
    let mut failed: Vec<String> =
        commands.iter_mut().filter_map(|command| run::run(command).err()).map(|e| e.to_string()).collect();
    failed.extend(dependencies().err().map(|e| e.to_string()));
    if failed.is_empty() { Ok(()) } else { Err(Failure::Other(format!("\n  {}", failed.join("\n  ")))) }
}

/// Licences, bans and sources by cargo-deny. The advisory database is on the network: `cargo deny check
/// advisories` is for a machine that has one.
fn dependencies() -> Result<(), Failure> {
    if run::installed("cargo", &["deny", "--version"]) {
        return run::run(&mut run::cargo(["deny", "--offline", "check", "bans", "licenses", "sources"]));
    }
    let how = "dependencies not checked: cargo-deny is not installed; get it with `cargo install --locked cargo-deny`";
    run::complain(how);
    if run::in_ci() { Err(Failure::Other(how.to_owned())) } else { Ok(()) }
}
