//! Fuzzing with cargo-fuzz. What runs with every change is the test of `testing/fuzz-targets`.

use crate::run::{self, Failure};

/// How long, unless said otherwise.
const SECONDS: &str = "60";

/// `cargo xtask fuzz <target> [seconds]`. Finds go to `fuzz/artifacts`, new inputs to `fuzz/corpus`.
pub(crate) fn fuzz(arguments: &[String]) -> Result<(), Failure> {
    let (target, seconds) = match arguments {
        [target] => (target.as_str(), SECONDS),
        [target, seconds] if seconds.parse::<u32>().is_ok() => (target.as_str(), seconds.as_str()),
        _ => {
            let usage =
                "Usage: cargo xtask fuzz <target> [seconds]; the targets are the folders of fuzz/corpus";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    if !run::root().join("fuzz/corpus").join(target).is_dir() {
        return Err(Failure::Usage(format!("there is no folder fuzz/corpus/{target}")));
    }
    if !run::installed("cargo-fuzz", &["--version"]) {
        return Err(Failure::Other("cargo-fuzz is missing: `cargo install cargo-fuzz`".to_owned()));
    }
    // The targets are safe Rust, so no sanitizer is needed.
    let limit = format!("-max_total_time={seconds}");
    let mut command = run::cargo(["fuzz", "run", "--sanitizer", "none", target, "--", &limit]);
    run::run(command.env("RUSTC_BOOTSTRAP", "1"))
}
