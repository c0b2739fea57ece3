//! The machine that the figures are from.

use std::fs;
use std::process::Command;

/// What describes the machine, a line each. What cannot be read is left out.
pub(crate) fn description() -> Vec<String> {
    let mut lines = Vec::new();
    let cpu = field("/proc/cpuinfo", "model name");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    lines.push(format!(
        "processor: {}, {cores} cores",
        cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
    ));
    lines.extend(field("/proc/meminfo", "MemTotal").map(|memory| format!("memory: {memory}")));
    lines.extend(field("/proc/version", "").map(|version| {
        let version: Vec<&str> = version.split_whitespace().take(3).collect();
        format!("system: {}", version.join(" "))
    }));
    let disk = said_by("df", &["--output=fstype", &std::env::temp_dir().display().to_string()]);
    lines.extend(disk.and_then(|disk| Some(format!("file system: {}", disk.lines().last()?))));
    lines.extend(said_by("rustc", &["--version"]).map(|version| format!("compiler: {version}")));
    lines.extend(
        said_by("git", &["describe", "--always", "--dirty"]).map(|commit| format!("commit: {commit}")),
    );
    lines
}

/// How many programs the machine runs at this moment, as the system averages it over a minute.
pub(crate) fn load() -> Option<String> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    load.split_whitespace().next().map(str::to_owned)
}

/// What follows `name:` in a file of such lines; the whole first line without a name.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let value = if name.is_empty() { line } else { line.split_once(':')?.1 };
    Some(value.trim().to_owned())
}

/// What a program says, where it succeeds.
pub(crate) fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
