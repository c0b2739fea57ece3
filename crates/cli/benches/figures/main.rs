//! The figures that the product promises, each with the ratio it stands for, all from one run.
//!
//! `cargo xtask bench` runs it. What is compared is measured in turns, so that a noisy machine is noisy for both;
//! figures are medians with the 10th and 90th percentile. Every missed goal is named at the end.

mod fixture;
mod loading;
mod measure;
mod reads;
mod resets;
mod server;

use anyhow::Result;

use fixture::Fixture;
use measure::Report;

/// One group of figures.
type Measure = fn(&Fixture, &mut Report) -> Result<()>;

/// All groups; `cargo xtask bench reads` measures some of them.
const GROUPS: [(&str, Measure); 4] = [
    ("reads", reads::measure),
    ("resets", resets::measure),
    ("loading", loading::measure),
    ("server", server::measure),
];

fn main() -> Result<()> {
    // `cargo test --benches` runs this too: it is no test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = named.iter().find(|name| !GROUPS.iter().any(|(group, _)| group == name)) {
        let known: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
        anyhow::bail!("there are no figures named {unknown}: expected some of {}", known.join(", "));
    }
    let mut report = Report::new();
    let fixture = Fixture::new(&mut report)?;
    for (group, measure) in GROUPS {
        if named.is_empty() || named.iter().any(|name| name == group) {
            measure(&fixture, &mut report)?;
        }
    }
    report.finish();
    Ok(())
}
