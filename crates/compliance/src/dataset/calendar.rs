//! Times of the dataset.
//!
//! All times are planned in local time around one fixed Monday, the anchor. Another `as_of` moves them by whole
//! weeks, so that weekdays and office hours stay, and cuts what would lie after it.

use chrono::{
    DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc, Weekday,
};
use chrono_tz::Tz;

/// Office hours, in minutes of the day.
pub(crate) const OPENS: i64 = 8 * 60 + 30;
/// The end of office hours.
pub(crate) const CLOSES: i64 = 17 * 60 + 30;
const OFFICE_DAY: i64 = CLOSES - OPENS;

/// The Monday around which everything is planned.
pub(crate) fn anchor() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, 2).unwrap_or_default()
}

/// How planned times become real ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    shift: Duration,
    cutoff: DateTime<Utc>,
}

impl Calendar {
    pub(crate) fn new(as_of: NaiveDate) -> Self {
        let weeks = (as_of - anchor()).num_days().div_euclid(7);
        Self { shift: Duration::weeks(weeks), cutoff: as_of.and_time(NaiveTime::MIN).and_utc() }
    }

    /// The first moment that is not shown any more: midnight UTC at the start of the day `as_of`.
    pub(crate) fn cutoff(&self) -> DateTime<Utc> {
        self.cutoff
    }

    /// The real local time of a planned one.
    pub(crate) fn shifted(&self, planned: NaiveDateTime) -> NaiveDateTime {
        planned + self.shift
    }

    /// The planned time of a real local one.
    pub(crate) fn planned(&self, real: NaiveDateTime) -> NaiveDateTime {
        real - self.shift
    }

    /// The real moment of a planned local time.
    pub(crate) fn utc(&self, planned: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
        to_utc(self.shifted(planned), zone)
    }
}

/// The moment of a local time. Of an hour that a clock change repeats the first is meant; an hour that it leaves
/// out is read as the one after it.
pub(crate) fn to_utc(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    zone.from_local_datetime(&local)
        .earliest()
        .or_else(|| zone.from_local_datetime(&(local + Duration::hours(1))).earliest())
        .map_or_else(|| local.and_utc(), |time| time.with_timezone(&Utc))
}

/// A time of day on a date, from minutes; seconds are given by the caller so that times do not look rounded.
pub(crate) fn at(date: NaiveDate, minute: i64, second: i64) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN) + Duration::minutes(minute) + Duration::seconds(second)
}

pub(crate) fn minute_of_day(time: NaiveDateTime) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute())
}

pub(crate) fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// The time itself if it is in office hours, else the next opening.
pub(crate) fn next_office_time(time: NaiveDateTime) -> NaiveDateTime {
    let mut date = time.date();
    if !is_weekend(date) {
        let minute = minute_of_day(time);
        if minute < OPENS {
            return at(date, OPENS, i64::from(time.second()));
        }
        if minute < CLOSES {
            return time;
        }
    }
    loop {
        date += Duration::days(1);
        if !is_weekend(date) {
            return at(date, OPENS, i64::from(time.second()));
        }
    }
}

/// Office minutes between two times.
pub(crate) fn office_minutes(from: NaiveDateTime, to: NaiveDateTime) -> i64 {
    let from = next_office_time(from);
    if to <= from {
        return 0;
    }
    let mut minutes = 0;
    let mut date = from.date();
    while date <= to.date() {
        if !is_weekend(date) {
            let start = if date == from.date() { minute_of_day(from) } else { OPENS };
            let end = if date == to.date() { minute_of_day(to).clamp(OPENS, CLOSES) } else { CLOSES };
            minutes += (end - start).max(0);
        }
        date += Duration::days(1);
    }
    minutes
}

/// The time that is `minutes` of office hours later.
pub(crate) fn add_office_minutes(from: NaiveDateTime, minutes: i64) -> NaiveDateTime {
    let from = next_office_time(from);
    let into_day = minute_of_day(from) - OPENS + minutes;
    let days = into_day.div_euclid(OFFICE_DAY);
    // Whole weeks first, then the rest day by day.
    let mut date = from.date() + Duration::weeks(days / 5);
    for _ in 0..days % 5 {
        date += Duration::days(1);
        while is_weekend(date) {
            date += Duration::days(1);
        }
    }
    at(date, OPENS + into_day.rem_euclid(OFFICE_DAY), i64::from(from.second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    #[test]
    fn office_minutes_skip_nights_and_weekends() {
        let friday = time("2026-01-30 17:00");
        let monday = time("2026-02-02 09:00");
        assert_eq!(office_minutes(friday, monday), 60);
        assert_eq!(add_office_minutes(friday, 60), monday);
        assert_eq!(next_office_time(time("2026-01-31 03:00")), time("2026-02-02 08:30"));
        assert_eq!(add_office_minutes(monday, 5 * OFFICE_DAY), time("2026-02-09 09:00"));
    }

    #[test]
    fn another_date_shifts_by_whole_weeks() {
        let planned = time("2025-06-03 10:15");
        for days in -400..400 {
            let as_of = anchor() + Duration::days(days);
            let shifted = Calendar::new(as_of).shifted(planned);
            assert_eq!(shifted.weekday(), planned.weekday());
            assert_eq!(shifted.time(), planned.time());
        }
    }

    #[test]
    fn hours_that_a_clock_change_leaves_out_or_repeats_are_read_in_one_way() {
        let zone = chrono_tz::America::Chicago;
        assert_eq!(to_utc(time("2025-03-09 02:30"), zone).to_rfc3339(), "2025-03-09T08:30:00+00:00");
        assert_eq!(to_utc(time("2025-11-02 01:30"), zone).to_rfc3339(), "2025-11-02T06:30:00+00:00");
    }
}
