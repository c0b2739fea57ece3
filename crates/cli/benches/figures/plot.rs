//! Plots with two logarithmic axes, as SVG that reads on light and on dark pages.

use std::fmt::Write as _;

use crate::measure::Samples;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 220.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Told apart in either light, and by those who see fewer colours.
const COLOURS: [&str; 9] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a", "#332288", "#999933"];

/// One line of a plot: milliseconds over something that is counted.
#[derive(Debug)]
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Milliseconds over something that is counted.
#[derive(Debug)]
pub(crate) struct Plot {
    /// Its file, below `docs/benchmarks/`.
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    /// What is counted.
    pub(crate) counted: &'static str,
    lines: Vec<Line>,
}

impl Plot {
    pub(crate) fn new(file: &'static str, title: &'static str, counted: &'static str) -> Self {
        Self { file, title, counted, lines: Vec::new() }
    }

    /// Adds a point to the line of this name.
    pub(crate) fn point(&mut self, line: &str, count: usize, samples: &Samples) {
        if samples.len() == 0 {
            return;
        }
        let point = (count as f64, samples.median().as_secs_f64() * 1e3);
        match self.lines.iter_mut().find(|known| known.name == line) {
            Some(known) => {
                known.points.push(point);
                known.points.sort_by(|one, other| one.0.total_cmp(&other.0));
            }
            None => self.lines.push(Line { name: line.to_owned(), points: vec![point] }),
        }
    }

    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (x_low, x_high) = decades(points().map(|point| point.0));
        let (y_low, y_high) = decades(points().map(|point| point.1));
        let x = |value: f64| LEFT + (value.log10() - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| {
            HEIGHT - BOTTOM - (value.log10() - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<title>{}</title>\n\
             <style>text {{ font: 13px system-ui, sans-serif; fill: #222; }} .title {{ font-weight: 600; font-size: 15px; }} \
             .grid {{ stroke: #8884; }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd; }} }}</style>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"22\">{}</text>\n",
            self.title, self.title
        );
        for decade in x_low as i32..=x_high as i32 {
            let at = x(10_f64.powi(decade));
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 18.0,
                power(decade)
            );
        }
        for decade in y_low as i32..=y_high as i32 {
            let at = y(10_f64.powi(decade));
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                duration(decade)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
            HEIGHT - 10.0,
            self.counted
        );
        for (number, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let path: Vec<String> =
                line.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            for point in &line.points {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>",
                    x(point.0),
                    y(point.1)
                );
            }
            let legend = TOP + 8.0 + 20.0 * number as f64;
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT + 16.0,
                legend - 4.0,
                WIDTH - RIGHT + 26.0,
                legend,
                line.name
            );
        }
        svg + "</svg>\n"
    }
}

/// The powers of ten around these values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), v| (low.min(v), high.max(v)));
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    (low, if high > low { high } else { low + 1.0 })
}

/// A power of ten as people write it.
fn power(decade: i32) -> String {
    match decade {
        -9..0 => format!("{:.*}", decade.unsigned_abs() as usize, 10_f64.powi(decade)),
        0..3 => format!("{}", 10_i64.pow(decade.unsigned_abs())),
        3..6 => format!("{},000", 10_i64.pow(decade.unsigned_abs() - 3)),
        _ => format!("10^{decade}"),
    }
}

/// A power of ten of milliseconds as people write it.
fn duration(decade: i32) -> String {
    if decade < 3 { format!("{} ms", power(decade)) } else { format!("{} s", power(decade - 3)) }
}
