//! Runs commands from the workspace's root, and says so.

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

/// Why a task did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The task was called wrongly.
    Usage(String),
    /// A command ran and did not succeed.
    Command { command: String, status: ExitStatus },
    /// A command could not be run, or something that the task needs is missing.
    Other(String),
}

impl Failure {
    /// A failed command's own exit code, so that `cargo xtask reset` answers scripts as `demo-reset reset` does.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Command { status, .. } => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                code.filter(|code| *code != 0).map_or(ExitCode::FAILURE, ExitCode::from)
            }
            Self::Other(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Other(message) => f.write_str(message),
            Self::Command { command, status } => write!(f, "`{command}` failed ({status})"),
        }
    }
}

/// The root of the workspace: this package's parent folder.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// `cargo`, the one that runs this task, from the root of the workspace.
pub(crate) fn cargo<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Prints the command, runs it, and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = display(command);
    complain(&format!("+ {shown}"));
    let status = command.status().map_err(|e| Failure::Other(format!("`{shown}` did not start: {e}")))?;
    if status.success() { Ok(()) } else { Err(Failure::Command { command: shown, status }) }
}

/// Whether `program` can be run at all.
pub(crate) fn installed(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether this runs in CI, where nothing may be skipped.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

#[allow(clippy::print_stdout, reason = "the one place that writes to stdout")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[allow(clippy::print_stderr, reason = "the one place that writes to stderr")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}

/// The command as one would type it in a shell.
fn display(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), quote(&value?.to_string_lossy())))
    });
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(|word| quote(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "it's here", ""]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(display(&command), r"RUSTDOCFLAGS='-D warnings' cargo test 'it'\''s here' ''");
    }
}
