//! Charts of the dataset, drawn from its rows as SVG.
//!
//! Whole numbers only: the files are the same on every machine, so that a changed chart means changed data.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Utc};
use demo_reset_persistence::types::DbUuid;

use super::{Batch, DatasetError, DatasetOptions, SeedData, Sink, generate};

/// A drawing for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Its file, below `docs/charts/`.
    pub file: &'static str,
    /// The file's text.
    pub svg: String,
}

/// Draws all charts of the first organization's cases.
pub fn charts(options: &DatasetOptions) -> Result<Vec<Chart>, DatasetError> {
    let mut figures = Figures::default();
    generate(SeedData::embedded()?, options, &mut figures)?;
    Ok(vec![
        Chart { file: "cases-by-month.svg", svg: figures.cases_by_month() },
        Chart { file: "days-to-close.svg", svg: figures.days_to_close() },
        Chart { file: "groups.svg", svg: figures.groups() },
        Chart { file: "outcomes.svg", svg: figures.outcomes() },
        Chart { file: "hours.svg", svg: figures.hours() },
    ])
}

/// What the charts show, counted while the rows stream by.
#[derive(Default)]
struct Figures {
    organization: Option<DbUuid>,
    groups_by_category: BTreeMap<DbUuid, String>,
    zones: BTreeMap<DbUuid, chrono_tz::Tz>,
    months: BTreeMap<(i32, u32), i64>,
    /// Cases closed and hours until then, by quarter of creation.
    quarters: BTreeMap<(i32, u32), (i64, i64)>,
    groups: BTreeMap<String, (i64, i64)>,
    outcomes: BTreeMap<&'static str, i64>,
    hours: [i64; 24],
}

impl Sink for Figures {
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError> {
        let organization = *self.organization.get_or_insert_with(|| {
            batch.organizations.first().map_or(DbUuid(uuid::Uuid::nil()), |one| one.id)
        });
        for one in &batch.categories {
            self.groups_by_category.insert(one.id, one.category_group.clone());
        }
        for one in &batch.locations {
            self.zones.insert(one.id, one.time_zone.parse().unwrap_or_default());
        }
        for case in batch.cases.iter().filter(|case| case.organization_id == organization) {
            let created: DateTime<Utc> = case.created_at.get();
            *self.months.entry((created.year(), created.month())).or_default() += 1;
            if let Some(closed) = case.closed_at {
                let quarter = self.quarters.entry((created.year(), created.month0() / 3 + 1)).or_default();
                quarter.0 += 1;
                quarter.1 += (closed.get() - created).num_hours();
            }
            if let Some(group) = case.category_id.and_then(|id| self.groups_by_category.get(&id)) {
                let count = self.groups.entry(group.clone()).or_default();
                count.0 += 1;
                count.1 += i64::from(case.reporter_type == "ANONYMOUS");
            }
            *self.outcomes.entry(case.outcome.unwrap_or("open")).or_default() += 1;
            if let Some(zone) = case.location_id.and_then(|id| self.zones.get(&id)) {
                self.hours[chrono::Timelike::hour(&created.with_timezone(zone)) as usize] += 1;
            }
        }
        batch.clear();
        Ok(())
    }
}

const WIDTH: i64 = 820;
const HEIGHT: i64 = 300;
const LEFT: i64 = 50;
const BOTTOM: i64 = 40;
const TOP: i64 = 64;

/// One bar: its label (empty: none), its value, and how the value reads above it (empty: not at all).
struct Bar {
    label: String,
    value: i64,
    text: String,
}

impl Figures {
    fn cases_by_month(&self) -> String {
        let bars = self.months.iter().map(|(&(year, month), &count)| Bar {
            // One label per quarter is enough.
            label: if month % 3 == 1 { format!("{year}-{month:02}") } else { String::new() },
            value: count,
            text: String::new(),
        });
        columns(
            "Cases by month of creation",
            "reorganizations and the weeks after the holidays stand out",
            bars.collect(),
        )
    }

    fn days_to_close(&self) -> String {
        let bars = self.quarters.iter().map(|(&(year, quarter), &(cases, hours))| {
            let tenths = hours * 10 / 24 / cases.max(1);
            Bar {
                label: format!("{year} Q{quarter}"),
                value: tenths,
                text: format!("{}.{}", tenths / 10, tenths % 10),
            }
        });
        columns(
            "Mean days to close, by quarter of creation",
            "closed cases only: of the last quarter, those that could be closed so far",
            bars.collect(),
        )
    }

    fn hours(&self) -> String {
        let bars = self.hours.iter().enumerate().map(|(hour, &count)| Bar {
            label: format!("{hour}"),
            value: count,
            text: String::new(),
        });
        columns("Cases by hour of the day", "in the time zone of the place", bars.collect())
    }

    fn groups(&self) -> String {
        let mut rows: Vec<_> = self.groups.iter().collect();
        rows.sort_by_key(|(_, (count, _))| -count);
        let bars = rows.into_iter().map(|(group, &(count, anonymous))| Bar {
            label: group.clone(),
            value: count,
            text: format!("{count}, {} % anonymous", (anonymous * 100 + count / 2) / count.max(1)),
        });
        rows_chart("Cases by group of categories", bars.collect())
    }

    fn outcomes(&self) -> String {
        let total: i64 = self.outcomes.values().sum();
        let mut rows: Vec<_> = self.outcomes.iter().collect();
        rows.sort_by_key(|(_, count)| -**count);
        let bars = rows.into_iter().map(|(outcome, &count)| Bar {
            label: outcome.to_lowercase().replace('_', " "),
            value: count,
            text: format!("{count} ({} %)", (count * 100 + total / 2) / total.max(1)),
        });
        rows_chart("Cases by outcome", bars.collect())
    }
}

/// Colors for light pages and for dark ones, whichever the reader prefers.
const STYLE: &str = "\
<style>
.page { fill: #ffffff }
.title { fill: #1f2937 }
.note { fill: #6b7280 }
.label { fill: #374151 }
.bar { fill: #2563eb }
.line { stroke: #e5e7eb }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 }
.title { fill: #f0f6fc }
.note { fill: #9198a1 }
.label { fill: #d1d7e0 }
.bar { fill: #6ea8fe }
.line { stroke: #2f3742 }
}
</style>
";

fn frame(title: &str, height: i64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{title}</title>\n{STYLE}\
         <rect width=\"{WIDTH}\" height=\"{height}\" class=\"page\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"600\" class=\"title\">{title}</text>\n"
    )
}

/// Upright bars with a scale.
fn columns(title: &str, subtitle: &str, bars: Vec<Bar>) -> String {
    let mut svg = frame(title, HEIGHT);
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(1).max(1);
    let (width, height) = (WIDTH - LEFT - 20, HEIGHT - BOTTOM - TOP);
    let step = width / (bars.len().max(1) as i64);
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"40\" class=\"note\">{subtitle}</text>");
    // A scale, where the bars do not say their values themselves.
    let has_scale = bars.iter().all(|bar| bar.text.is_empty());
    for quarter in 0..=if has_scale { 4 } else { 0 } {
        let y = HEIGHT - BOTTOM - height * quarter / 4;
        let _ =
            writeln!(svg, "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" class=\"line\"/>", WIDTH - 20);
        if has_scale {
            let value = most * quarter / 4;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" class=\"note\">{value}</text>",
                LEFT - 6,
                y + 4
            );
        }
    }
    for (index, bar) in bars.iter().enumerate() {
        let x = LEFT + step * index as i64;
        let tall = height * bar.value / most;
        let y = HEIGHT - BOTTOM - tall;
        let middle = x + step / 2;
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{tall}\" class=\"bar\"/>",
            x + step / 8,
            (step - step / 4).max(1)
        );
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" class=\"label\">{}</text>",
            HEIGHT - BOTTOM + 16,
            bar.label
        );
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" class=\"label\">{}</text>",
            y - 4,
            bar.text
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Lying bars with their names before them.
fn rows_chart(title: &str, bars: Vec<Bar>) -> String {
    let height = 50 + 30 * bars.len() as i64;
    let mut svg = frame(title, height);
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(1).max(1);
    for (index, bar) in bars.iter().enumerate() {
        let y = 40 + 30 * index as i64;
        let long = 420 * bar.value / most;
        let _ = writeln!(
            svg,
            "<text x=\"200\" y=\"{}\" text-anchor=\"end\" class=\"label\">{}</text>",
            y + 15,
            bar.label
        );
        let _ = writeln!(svg, "<rect x=\"210\" y=\"{y}\" width=\"{long}\" height=\"20\" class=\"bar\"/>");
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{}\" class=\"label\">{}</text>", 216 + long, y + 15, bar.text);
    }
    svg.push_str("</svg>\n");
    svg
}
