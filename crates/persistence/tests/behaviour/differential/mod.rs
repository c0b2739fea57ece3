//! Random schemas and random statements, on a plain copy and through a session: what differs is a defect, or an
//! exception that `docs/embedding.md` lists and that is written into the plain side here.
//!
//! `DEMO_RESET_DIFFERENTIAL=17 cargo test -p demo-reset-persistence --test behaviour differential` replays the
//! seed 17 on both databases; `100..900` runs more of them.

mod run;
mod schema;
mod shrink;
mod statement;

use std::ops::Range;

use self::run::{Counts, Failure, Sides};
use self::schema::Schema;
use self::shrink::Case;
use self::statement::Script;
use crate::fixture::{Backend, on_each_database};
use crate::random::Random;

const VARIABLE: &str = "DEMO_RESET_DIFFERENTIAL";

/// How often each line of the coverage comes up at least: statements that succeed, and scripts that write a
/// table which has it.
const AT_LEAST: usize = 20;

/// Scripts per schema.
const SCRIPTS: usize = 25;

/// Schemas, each with its scripts: thousands of scripts on each database in CI, some hundreds everywhere else.
fn seeds() -> Range<u64> {
    if in_ci() { 0..60 } else { 0..16 }
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

fn asked_for() -> Option<Range<u64>> {
    let text = std::env::var(VARIABLE).ok()?;
    let number = |text: &str| text.parse::<u64>().expect("a seed, or a range of seeds such as 0..100");
    Some(match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    })
}

/// A schema with what several sessions do over it.
fn make(seed: u64, backend: Backend) -> (Schema, Vec<Script>) {
    let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9) ^ 0x5eed);
    let schema = Schema::random(&mut random, backend);
    let scripts = (0..SCRIPTS).map(|_| Script::random(&mut random, &schema)).collect();
    (schema, scripts)
}

fn run_case(schema: &Schema, scripts: &[Script]) -> Result<Counts, Failure> {
    let mut sides = Sides::new(schema)?;
    for (at, script) in scripts.iter().enumerate() {
        sides.run(script).map_err(Failure::of(Some(at)))?;
    }
    sides.finish().map_err(Failure::of(None))
}

fn describe(schema: &Schema, scripts: &[Script]) -> String {
    let mut text = String::new();
    let mut say = |line: &str| text.push_str(&format!("{line};\n"));
    for sql in schema.ddl(true) {
        say(&sql);
    }
    for statement in &schema.base {
        say(&statement.sql(schema, false));
    }
    for sql in schema.triggers(true) {
        say(&sql);
    }
    for script in scripts {
        for transaction in &script.transactions {
            say(&format!("begin -- guarded: {}, defers: {}", transaction.guarded, transaction.defers));
            for statement in &transaction.statements {
                say(&statement.sql(schema, true));
            }
            say(if transaction.commits { "commit" } else { "rollback" });
        }
    }
    text
}

on_each_database! { fn a_session_does_what_a_plain_copy_does(backend) {
    let asked = asked_for();
    let seeds = asked.clone().unwrap_or_else(seeds);
    eprintln!("seeds {seeds:?} on {backend:?}");
    let mut counts = Counts::new();
    let mut failed: Vec<u64> = Vec::new();
    for seed in seeds {
        let (schema, scripts) = make(seed, backend);
        match run_case(&schema, &scripts) {
            Ok(found) => found.into_iter().for_each(|(feature, count)| *counts.entry(feature).or_default() += count),
            Err(Failure { script, report, .. }) => {
                failed.push(seed);
                let scripts = script.map_or(Vec::new(), |at| vec![scripts[at].clone()]);
                // One failure in full is enough to begin with.
                if failed.len() > 1 || std::env::var_os("DEMO_RESET_DIFFERENTIAL_SHORT").is_some() {
                    eprintln!("seed {seed} fails, too: {report}");
                    continue;
                }
                let Case { schema, scripts, report, .. } = Case::new(schema, scripts, report).shrink();
                eprintln!("seed {seed} fails ({VARIABLE}={seed} replays it):\n{}{report}", describe(&schema, &scripts));
            }
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?}");
    let count_of = |feature: &str| counts.get(feature).copied().unwrap_or_default();
    let wanted = schema::wanted(backend);
    for (line, count) in wanted.iter().map(|feature| (feature, count_of(feature))).chain([(&"scripts", count_of("scripts"))]) {
        eprintln!("{count:6} {line}");
    }
    if asked.is_none() && in_ci() {
        let rare: Vec<_> = wanted.into_iter().filter(|feature| count_of(feature) < AT_LEAST).collect();
        assert!(rare.is_empty(), "came up less than {AT_LEAST} times: {rare:?}");
    }
}}
