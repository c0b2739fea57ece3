//! What commands write: data to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use demo_reset_domain::ChangeCounts;
use serde_json::{Map, Value, json};

/// Stdout could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to stdout: {0}")]
pub(crate) struct OutputError(#[from] pub(crate) io::Error);

/// Writes one line of data.
pub(crate) fn line(text: impl Display) -> Result<(), OutputError> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Writes a document.
pub(crate) fn json(value: &Value) -> Result<(), OutputError> {
    line(format_args!("{value:#}"))
}

/// Writes rows in columns as wide as their widest cell; cells that are numbers stand to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> Result<(), OutputError> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| {
            let is_number = cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(['-', ':']);
            if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Says something beside the data. A stderr that nobody reads is no reason to stop.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks on the terminal. `None` where there is none to ask on.
pub(crate) fn ask(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
}

/// A time for people.
pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time for programs, as the HTTP API writes it.
pub(crate) fn json_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 change`, `5 changes`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// The changes of each table, for people: one row per table.
pub(crate) fn change_rows(counts: &ChangeCounts) -> Vec<Vec<String>> {
    let row = |(table, kinds): (&str, demo_reset_domain::KindCounts)| {
        let parts = [(kinds.created, "created"), (kinds.edited, "edited"), (kinds.deleted, "deleted")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, kind)| format!("{} {kind}", grouped(*number)))
            .collect();
        vec![format!("  {table}"), grouped(kinds.total()), format!("({})", parts.join(", "))]
    };
    counts.iter().map(row).collect()
}

/// The changes of each table, for programs.
pub(crate) fn change_json(counts: &ChangeCounts) -> Value {
    let entry = |(table, kinds): (&str, demo_reset_domain::KindCounts)| {
        let kinds = json!({
            "created": kinds.created,
            "edited": kinds.edited,
            "deleted": kinds.deleted,
        });
        (table.to_owned(), kinds)
    };
    Value::Object(counts.iter().map(entry).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown: Vec<String> = [0, 999, 1000, 123_456, 1_234_567].map(grouped).into();
        assert_eq!(shown, ["0", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!([count(1, "change"), count(2000, "change")], ["1 change", "2,000 changes"]);
    }
}
