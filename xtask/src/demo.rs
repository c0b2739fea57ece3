//! Runs the `demo-reset` binary on the demo database of this checkout.

use std::fs;

use crate::run::{self, Failure};

/// The server on `data/demo.db`.
pub(crate) fn serve(arguments: &[String]) -> Result<(), Failure> {
    let data = run::root().join("data");
    fs::create_dir_all(&data).map_err(|e| Failure::Other(format!("{}: {e}", data.display())))?;
    command("serve", arguments)
}

/// One command of the binary; its default database is `data/demo.db`, seen from the root of the workspace.
pub(crate) fn command(name: &str, arguments: &[String]) -> Result<(), Failure> {
    run::run(
        run::cargo(["run", "--quiet", "--release", "--package", "demo-reset-cli", "--", name])
            .args(arguments),
    )
}
