//! Which lines of the domain and of the engine their own tests reach.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{self, Failure};
use crate::suite::{self, Server};

/// The crates that are measured, and the share of lines, in percent, under which the task fails.
const FLOORS: &[(&str, f64)] = &[("crates/domain", 97.0), ("crates/persistence", 92.0)];

/// Where the counts go, beside the builds.
const FOLDER: &str = "target/coverage";

/// Set for the compilers that cargo starts: this program is then called with the compiler's own arguments.
const WRAPPER: &str = "DEMO_RESET_INSTRUMENTS";

/// Whether this program was started by cargo in the place of the compiler.
pub(crate) fn is_compiler() -> bool {
    std::env::var_os(WRAPPER).is_some()
}

/// Calls the compiler that cargo meant, and lets it count which lines are reached. Cargo does so for the crates
/// of this workspace only, so everything else is taken as it was built for the tests.
pub(crate) fn compile() -> Result<(), Failure> {
    let mut words = std::env::args_os().skip(1);
    let Some(compiler) = words.next() else {
        return Err(Failure::Usage(format!("{WRAPPER} is set, but no compiler is given")));
    };
    let mut command = Command::new(&compiler);
    let status = command.args(words).args(["-C", "instrument-coverage"]).status();
    let shown = compiler.to_string_lossy().into_owned();
    let status = status.map_err(|e| Failure::Other(format!("`{shown}` did not start: {e}")))?;
    if status.success() { Ok(()) } else { Err(Failure::Command { command: shown, status }) }
}

/// `cargo xtask coverage`: runs the tests of the measured crates at their everyday sizes, on both databases, and
/// fails if they reach too few lines.
pub(crate) fn coverage() -> Result<(), Failure> {
    let Some(tools) = Tools::find()? else {
        return skipped(&format!(
            "LLVM's programs for this compiler are not installed; {}",
            Tools::install()?
        ));
    };
    let server = Server::find(suite::FOR_TESTS)?;
    if server.is_none() {
        return skipped(&format!(
            "PostgreSQL's server is not installed; get it: {}",
            suite::POSTGRES_INSTALL
        ));
    }
    let folder = run::root().join(FOLDER);
    let failed = |e: std::io::Error| Failure::Other(format!("{}: {e}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    // Built first: what is measured must be what runs.
    let executables = executables(&folder)?;
    let mut command = tests(&folder, &[])?;
    Server::tell(server.as_ref(), &mut command);
    // In CI some tests do more rounds, which reach no line that the others do not.
    run::run(command.env_remove("CI"))?;
    report(&tools.lines(&folder, &executables)?)
}

/// Measures nothing, and says why. In CI it must be measured.
fn skipped(why: &str) -> Result<(), Failure> {
    if run::in_ci() {
        return Err(Failure::Other(format!("not measured: {why}")));
    }
    run::complain(&format!("skipped, since {why}"));
    Ok(())
}

/// The tests, built so that they count.
fn tests(folder: &Path, arguments: &[&str]) -> Result<Command, Failure> {
    let this = std::env::current_exe().map_err(|e| Failure::Other(format!("where this program is: {e}")))?;
    let mut command = run::cargo(["test", "--lib", "--tests"]);
    for (package, _) in FLOORS {
        let name = package.replace("crates/", "demo-reset-");
        command.args(["--package", &name]);
    }
    command.args(arguments);
    command.env("RUSTC_WORKSPACE_WRAPPER", this).env(WRAPPER, "1");
    command.env("LLVM_PROFILE_FILE", folder.join("%p-%m.profraw"));
    Ok(command)
}

/// The programs that the tests are in.
fn executables(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut build = tests(folder, &["--no-run", "--message-format=json-render-diagnostics"])?;
    // What the compiler says goes to the person; where the programs are, comes here.
    let output = captured(build.stderr(Stdio::inherit()))?;
    let found = output.lines().filter_map(|line| {
        let (_, rest) = line.split_once(r#""executable":""#)?;
        Some(PathBuf::from(rest.split_once('"')?.0))
    });
    Ok(found.collect())
}

/// The two programs that read the counts. They must be of the compiler's own version of LLVM.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    /// The toolchain's own, or those of an installed LLVM of the same version.
    fn find() -> Result<Option<Self>, Failure> {
        let root =
            captured(Command::new("rustc").args(["--print", "target-libdir"]).current_dir(run::root()))?;
        let own = Path::new(root.trim()).parent().map(|folder| folder.join("bin"));
        let version = llvm_version()?;
        let candidates = [
            own.as_ref().map(|folder| (folder.join("llvm-profdata"), folder.join("llvm-cov"))),
            Some((format!("llvm-profdata-{version}").into(), format!("llvm-cov-{version}").into())),
        ];
        let there = |(profdata, cov): &(PathBuf, PathBuf)| {
            let version = |program: &Path| run::installed(&program.to_string_lossy(), &["--version"]);
            version(profdata) && version(cov)
        };
        let found = candidates.into_iter().flatten().find(there);
        Ok(found.map(|(profdata, cov)| Self { profdata, cov }))
    }

    fn install() -> Result<String, Failure> {
        let version = llvm_version()?;
        Ok(format!("get them: `rustup component add llvm-tools`, or apt-get install llvm-{version} (Debian)"))
    }

    /// How often each line was reached, by file.
    fn lines(&self, folder: &Path, executables: &[PathBuf]) -> Result<Lines, Failure> {
        let merged = folder.join("merged.profdata");
        let mut merge = Command::new(&self.profdata);
        merge.args(["merge", "--sparse", "--output"]).arg(&merged).arg(folder).current_dir(run::root());
        run::run(&mut merge)?;
        let mut export = Command::new(&self.cov);
        export.args(["export", "--format=lcov", "--instr-profile"]).arg(&merged).current_dir(run::root());
        export.args(executables.iter().flat_map(|program| [OsString::from("--object"), program.into()]));
        export.arg("--sources").args(FLOORS.iter().map(|(package, _)| run::root().join(package).join("src")));
        let traces = captured(&mut export)?;
        let place = folder.join("lcov.info");
        fs::write(&place, &traces).map_err(|e| Failure::Other(format!("{}: {e}", place.display())))?;
        Ok(parse(&traces))
    }
}

/// The version of LLVM that the compiler carries: its first number.
fn llvm_version() -> Result<String, Failure> {
    let output = captured(Command::new("rustc").arg("-vV").current_dir(run::root()))?;
    let version = output.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let number = version.and_then(|version| version.split('.').next()).map(str::to_owned);
    number.ok_or_else(|| Failure::Other("`rustc -vV` does not tell its version of LLVM".to_owned()))
}

/// How often each line of a file was reached.
type Lines = BTreeMap<String, BTreeMap<usize, u64>>;

/// Reads what `llvm-cov export --format=lcov` writes.
fn parse(traces: &str) -> Lines {
    let mut lines = Lines::new();
    let mut file = String::new();
    for record in traces.lines() {
        if let Some(name) = record.strip_prefix("SF:") {
            name.clone_into(&mut file);
        } else if let Some((line, count)) = record.strip_prefix("DA:").and_then(|data| data.split_once(','))
            && let (Ok(line), Ok(count)) = (line.parse::<usize>(), count.parse::<u64>())
        {
            *lines.entry(file.clone()).or_default().entry(line).or_default() += count;
        }
    }
    lines
}

/// Says what was reached in each file and crate, and fails where it is too little.
fn report(lines: &Lines) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for (package, floor) in FLOORS {
        let sources = run::root().join(package).join("src");
        let (mut all, mut reached) = (0_usize, 0_usize);
        for (file, counts) in lines.iter().filter(|(file, _)| Path::new(file).starts_with(&sources)) {
            let text = fs::read_to_string(file).map_err(|e| Failure::Other(format!("{file}: {e}")))?;
            let end = end_of_product(&text);
            let counts: Vec<u64> = counts.range(..end).map(|(_, count)| *count).collect();
            let hit = counts.iter().filter(|count| **count > 0).count();
            all += counts.len();
            reached += hit;
            let name = Path::new(file).strip_prefix(run::root()).unwrap_or(Path::new(file));
            run::say(&format!(
                "{:>6.1} % of {:>5} lines  {}",
                percent(hit, counts.len()),
                counts.len(),
                name.display()
            ));
        }
        let share = percent(reached, all);
        run::say(&format!("{share:>6.1} % of {all:>5} lines  {package} (at least {floor} %)"));
        // A crate without lines was not measured.
        if all == 0 || share < *floor {
            failures.push(format!(
                "{package}: {share:.1} % of the lines are reached, at least {floor} % should be"
            ));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Other(failures.join("; "))) }
}

/// The first line of a file that is no longer the product: its tests stand at its end.
fn end_of_product(text: &str) -> usize {
    let tests = text.lines().position(|line| line == "#[cfg(test)]");
    tests.map_or(usize::MAX, |line| line + 1)
}

/// A share in percent; of nothing it is everything.
#[allow(clippy::cast_precision_loss, reason = "no crate has 2^52 lines")]
fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// What the command writes.
fn captured(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| Failure::Other(format!("`{name}` did not start: {e}")))?;
    if !output.status.success() {
        run::complain(&String::from_utf8_lossy(&output.stderr));
        return Err(Failure::Command { command: name, status: output.status });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_several_programs_reach_is_one_line() {
        let lines = parse("SF:a.rs\nDA:1,0\nDA:2,3\nend_of_record\nSF:b.rs\nDA:1,1\nSF:a.rs\nDA:1,2\n");
        assert_eq!(lines["a.rs"], BTreeMap::from([(1, 2), (2, 3)]));
        assert_eq!(lines["b.rs"], BTreeMap::from([(1, 1)]));
    }

    #[test]
    fn a_files_tests_do_not_count() {
        assert_eq!(end_of_product("fn a() {}\n\n#[cfg(test)]\nmod tests {}\n"), 3);
        assert_eq!(end_of_product("fn a() {}\n"), usize::MAX);
    }

    #[test]
    fn a_crate_of_which_too_little_is_reached_fails() {
        assert!(report(&Lines::new()).is_err());
    }
}
