//! The figures that the product promises, each with the ratio it stands for, all from one run.
//!
//! `cargo xtask bench` runs it and writes `docs/benchmarks.md`; `cargo xtask bench --quick` and the names of groups run a
//! part and write nothing. What is compared is measured in turns, so that a noisy machine is noisy for both; figures are
//! medians with the 10th and 90th percentile. Every missed goal is named at the end, and so is every figure that is
//! clearly worse than the committed one.

mod alternatives;
mod fixture;
mod http;
mod loading;
mod machine;
mod measure;
mod plot;
mod postgres;
mod reads;
mod report;
mod resets;
mod restores;
mod server;
mod writes;

use anyhow::Result;

use fixture::Fixtures;
use measure::Effort;
use report::Report;

/// One group of figures.
type Measure = fn(&Fixtures, &mut Report) -> Result<()>;

/// The groups on SQLite; `cargo xtask bench reads postgres-reads` measures some.
const GROUPS: [(&str, Measure); 7] = [
    ("reads", reads::measure),
    ("resets", resets::measure),
    ("alternatives", alternatives::measure),
    ("writes", writes::measure),
    ("loading", loading::measure),
    ("server", server::measure),
    ("http", http::measure),
];

/// The group that comes last: it takes the longest, and keeps every core busy.
const COMPILING: &str = "compiling";

/// What measures everything.
const COMMAND: &str = "cargo xtask bench";

fn main() -> Result<()> {
    // `cargo test --benches` runs this too: it is no test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    if http::serve_if_asked()? {
        return Ok(());
    }
    let (options, named): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let is_quick = options.iter().any(|option| option == "--quick");
    if let Some(unknown) = options.iter().find(|option| !["--bench", "--quick"].contains(&option.as_str())) {
        anyhow::bail!("there is no option {unknown}: expected --quick or names of groups");
    }
    let on_sqlite = GROUPS.map(|(group, _)| group);
    let known = [&on_sqlite[..], &postgres::GROUPS.map(|(group, _)| group), &[COMPILING]].concat();
    if let Some(unknown) = named.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("there are no figures named {unknown}: expected some of {}", known.join(", "));
    }
    let is_asked = |group: &str| named.is_empty() || named.iter().any(|name| name == group);
    let mut report = Report::new(if is_quick { Effort::Quick } else { Effort::Whole })?;
    let fixtures = Fixtures::default();
    let is_written = named.is_empty() && !is_quick;
    // Kept after each group: a run that is cut off says what it has measured.
    let mut left: Vec<&str> = known.into_iter().filter(|group| is_asked(group)).collect();
    let mut done = |group: &str, report: &Report| {
        left.retain(|left| *left != group);
        if is_written { report.write(COMMAND, &left) } else { Ok(()) }
    };
    report.measured_on(format!(
        "SQLite {}: journal_mode = wal, synchronous = normal (a commit is written, and not waited for on the disk)",
        fixture::sqlite_version()?
    ));
    for (group, measure) in GROUPS {
        if is_asked(group) {
            report.begin(group);
            measure(&fixtures, &mut report)?;
            done(group, &report)?;
        }
    }
    drop(fixtures);
    postgres::measure(is_asked, &mut report, &mut done)?;
    if is_asked(COMPILING) {
        report.begin(COMPILING);
        server::measure_compiling(&mut report)?;
        done(COMPILING, &report)?;
    }
    report.finish()
}
