//! Samples, medians, ratios, and whether they meet their goals.

use std::fmt;
use std::time::{Duration, Instant};

/// Durations of one kind of work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The value below which `percent` of the samples lie.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * percent / 100).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }
}

/// `103 µs (98-140)`: the median with the 10th and 90th percentile.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, per_second) = match self.median().as_micros() {
            0..10_000 => ("µs", 1e6),
            10_000..10_000_000 => ("ms", 1e3),
            _ => ("s", 1.0),
        };
        let shown = |duration: Duration| format!("{:.0}", duration.as_secs_f64() * per_second);
        let [low, median, high] = [10, 50, 90].map(|percent| shown(self.percentile(percent)));
        write!(f, "{median} {unit} ({low}-{high}, n={})", self.0.len())
    }
}

/// How long `work` takes.
pub(crate) fn time<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

/// One of several kinds of work that are measured in turns.
pub(crate) type Work<'a> = &'a mut dyn FnMut() -> anyhow::Result<Duration>;

/// Measures all kinds of work in turns: `warm_up` rounds that do not count, then `rounds` that do. The first one changes
/// with every round and the direction with every second, so that none always follows the same other: what follows
/// unlike work finds the processor's caches cold.
pub(crate) fn in_turns<const N: usize>(
    warm_up: usize,
    rounds: usize,
    work: [Work<'_>; N],
) -> anyhow::Result<[Samples; N]> {
    let mut samples: [Samples; N] = std::array::from_fn(|_| Samples::default());
    for round in 0..warm_up + rounds {
        for turn in 0..N {
            let turn = if round % 2 == 0 { turn } else { N - 1 - turn };
            let index = (turn + round / 2) % N;
            let took = work[index]()?;
            if round >= warm_up {
                samples[index].push(took);
            }
        }
    }
    Ok(samples)
}

/// Writes figures as they come, and remembers which missed their goals.
#[derive(Debug, Default)]
pub(crate) struct Report {
    missed: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A line that is no figure.
    #[allow(clippy::print_stdout, reason = "a benchmark writes its figures to stdout")]
    pub(crate) fn say(&mut self, text: impl fmt::Display) {
        println!("{text}");
    }

    /// Compares two medians: `work` may take at most `goal` times as long as `reference`.
    pub(crate) fn ratio(&mut self, name: &str, goal: f64, work: &Samples, reference: (&str, &Samples)) {
        let (reference_name, reference) = reference;
        let ratio = work.median().as_secs_f64() / reference.median().as_secs_f64().max(f64::MIN_POSITIVE);
        self.say(format_args!("{name}: {work}; {reference_name}: {reference}"));
        self.judge(
            name,
            &format!("{ratio:.2}x {reference_name}"),
            &format!("at most {goal}x"),
            ratio <= goal,
        );
    }

    /// Says whether a goal is met.
    pub(crate) fn judge(&mut self, name: &str, found: &str, goal: &str, met: bool) {
        let verdict = if met { "met" } else { "MISSED" };
        self.say(format_args!("  {found}, goal {goal}: {verdict}"));
        if !met {
            self.missed.push(format!("{name}: {found}, goal {goal}"));
        }
    }

    /// A figure that could not be measured here counts as missed.
    pub(crate) fn not_measured(&mut self, name: &str, why: &str) {
        self.say(format_args!("{name}: not measured, {why}"));
        self.missed.push(format!("{name}: not measured, {why}"));
    }

    /// Names every missed goal.
    pub(crate) fn finish(mut self) {
        let missed = std::mem::take(&mut self.missed);
        if missed.is_empty() {
            self.say("\nall goals met");
        } else {
            self.say(format_args!("\nmissed:\n  {}", missed.join("\n  ")));
        }
    }
}
