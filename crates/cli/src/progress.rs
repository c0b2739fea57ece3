//! How far a load is: a bar on a terminal, plain lines otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// A log file gets a line this often at most.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Rows loaded so far.
pub(crate) enum Progress {
    Bar(ProgressBar),
    Plain { started: Instant, said: Option<Instant> },
}

impl Progress {
    /// Starts to count.
    pub(crate) fn start() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Plain { started: Instant::now(), said: None };
        }
        let bar = ProgressBar::new(0);
        let template = "loading [{bar:30}] {human_pos}/{human_len} rows, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self::Bar(bar)
    }

    /// Records that `rows` of about `expected` are loaded.
    pub(crate) fn set(&mut self, rows: u64, expected: u64) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(expected);
                bar.set_position(rows);
            }
            Self::Plain { started, said } => {
                if said.is_some_and(|said| said.elapsed() < PLAIN_INTERVAL) {
                    return;
                }
                *said = Some(Instant::now());
                output::note(format_args!(
                    "loading: {} of {} rows, {} rows/s, {} s left",
                    output::grouped(rows),
                    output::grouped(expected),
                    output::grouped(rate(rows, started.elapsed())),
                    output::grouped(seconds_left(rows, expected, started.elapsed())),
                ));
            }
        }
    }

    /// Takes the bar away and says how long it took.
    pub(crate) fn finish(self, rows: u64) {
        let elapsed = match &self {
            Self::Bar(bar) => {
                bar.finish_and_clear();
                bar.elapsed()
            }
            Self::Plain { started, .. } => started.elapsed(),
        };
        output::note(format_args!(
            "loaded {} in {:.1} s ({} rows/s)",
            output::count(rows, "row"),
            elapsed.as_secs_f64(),
            output::grouped(rate(rows, elapsed)),
        ));
    }
}

/// Seconds until the rows that are missing are there, if it goes on as it has.
fn seconds_left(rows: u64, expected: u64, elapsed: Duration) -> u64 {
    expected.saturating_sub(rows) / rate(rows, elapsed).max(1)
}

/// Whole rows per second.
fn rate(rows: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    rows.saturating_mul(1000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_the_time_left_follow_from_the_rows_so_far() {
        let elapsed = Duration::from_secs(4);
        assert_eq!(rate(20_000, elapsed), 5000);
        assert_eq!(seconds_left(20_000, 80_000, elapsed), 12);
        assert_eq!(seconds_left(80_000, 80_000, elapsed), 0);
        // The estimate may be short, and the first rows may take no time at all.
        assert_eq!(seconds_left(81_000, 80_000, elapsed), 0);
        assert_eq!(seconds_left(0, 80_000, Duration::ZERO), 80_000);
    }
}
