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

fn main() -> Result<()> {
    // `cargo test --benches` runs this too: it is no test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut report = Report::new();
    let fixture = Fixture::new(&mut report)?;
    reads::measure(&fixture, &mut report)?;
    resets::measure(&fixture, &mut report)?;
    loading::measure(&fixture, &mut report)?;
    server::measure(&fixture, &mut report)?;
    report.finish();
    Ok(())
}
