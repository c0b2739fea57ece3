//! How long things are kept.

use chrono::{DateTime, Duration, Utc};

/// How long a reset can be undone.
pub const DEFAULT_UNDO_WINDOW: Duration = Duration::hours(24);

/// A session without activity for so long has its live layer archived by cleanup.
pub const IDLE_AFTER: Duration = Duration::days(30);

/// A session with activity within so long is at work now.
pub const AT_WORK_WITHIN: Duration = Duration::minutes(15);

/// Activity is recorded at most this often, so that reading does not become writing.
pub const TOUCH_INTERVAL: Duration = Duration::minutes(1);

/// For so long a repeated request with the same idempotency key gets the answer of the first one.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::hours(24);

/// The retention rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long a reset can be undone.
    pub undo_window: Duration,
    /// When a session counts as idle.
    pub idle_after: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { undo_window: DEFAULT_UNDO_WINDOW, idle_after: IDLE_AFTER }
    }
}

impl Retention {
    /// Until when a reset at `reset_at` can be undone (exclusive).
    pub fn expires_at(&self, reset_at: DateTime<Utc>) -> DateTime<Utc> {
        reset_at + self.undo_window
    }

    /// A session whose last activity is at or before this time is idle.
    pub fn idle_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.idle_after
    }
}

/// A session whose last activity is after this time is at work at `now`.
pub fn at_work_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - AT_WORK_WITHIN
}

/// Whether activity at `now` is worth recording when the last record is of `last_activity_at`.
pub fn touch_is_due(last_activity_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    last_activity_at <= touch_is_due_since(now)
}

/// Activity at `now` is worth recording when the last record is of this time or before.
pub fn touch_is_due_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TOUCH_INTERVAL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_default()
    }

    #[test]
    fn a_reset_expires_one_undo_window_later() {
        let reset_at = at("2026-02-02T09:00:00.000001Z");
        assert_eq!(Retention::default().expires_at(reset_at), at("2026-02-03T09:00:00.000001Z"));
    }

    #[test]
    fn a_session_is_idle_after_30_days() {
        assert_eq!(Retention::default().idle_since(at("2026-03-31T00:00:00Z")), at("2026-03-01T00:00:00Z"));
    }

    #[test]
    fn a_session_is_at_work_for_15_minutes() {
        assert_eq!(at_work_since(at("2026-02-02T09:15:00Z")), at("2026-02-02T09:00:00Z"));
    }

    #[test]
    fn activity_is_recorded_once_a_minute() {
        let last = at("2026-02-02T09:00:00Z");
        assert!(!touch_is_due(last, last));
        assert!(!touch_is_due(last, at("2026-02-02T09:00:59.999999Z")));
        assert!(touch_is_due(last, at("2026-02-02T09:01:00Z")));
    }

    #[test]
    fn a_clock_that_runs_back_records_nothing() {
        assert!(!touch_is_due(at("2026-02-02T09:00:00Z"), at("2026-02-02T08:00:00Z")));
    }
}
