//! The figures that the product promises, each with the ratio it stands for, all from one run.
//!
//! `cargo xtask bench` runs it. What is compared is measured in turns, so that a noisy machine is noisy for both;
//! figures are medians with the 10th and 90th percentile. Every missed goal is named at the end.

mod fixture;
mod loading;
mod measure;
mod postgres;
mod reads;
mod resets;
mod server;

use anyhow::Result;

use fixture::Fixture;
use measure::Report;

/// One group of figures.
type Measure = fn(&Fixture, &mut Report) -> Result<()>;

/// The groups on SQLite; `cargo xtask bench reads postgres-reads` measures some.
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
    let on_sqlite = GROUPS.map(|(group, _)| group);
    let known = [&on_sqlite[..], &postgres::GROUPS.map(|(group, _)| group)].concat();
    if let Some(unknown) = named.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("there are no figures named {unknown}: expected some of {}", known.join(", "));
    }
    let is_asked = |group: &str| named.is_empty() || named.iter().any(|name| name == group);
    let mut report = Report::new();
    if on_sqlite.into_iter().any(is_asked) {
        let fixture = Fixture::new(&mut report)?;
        for (group, measure) in GROUPS {
            if is_asked(group) {
                measure(&fixture, &mut report)?;
            }
        }
    }
    postgres::measure(is_asked, &mut report)?;
    report.finish();
    Ok(())
}
