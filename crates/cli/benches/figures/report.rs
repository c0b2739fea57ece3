//! Figures as they come, whether they meet their goals, and the document that is made of them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::machine;
use crate::measure::{Effort, Samples};
use crate::plot::Plot;

/// A ratio this many times the committed one is told as a regression: less is noise on a machine with other work.
const REGRESSION: f64 = 1.3;

/// One line of a table.
#[derive(Debug)]
struct Figure {
    name: String,
    measured: String,
    compared_with: String,
    found: String,
    goal: String,
    /// Whether it meets its goal, where it has one.
    met: Option<bool>,
    /// What a later run is compared by.
    ratio: Option<f64>,
}

/// Figures that belong together.
#[derive(Debug)]
struct Section {
    title: String,
    about: String,
    /// The group whose name measures the section again.
    group: &'static str,
    figures: Vec<Figure>,
    plots: Vec<Plot>,
}

/// Writes figures as they come, and remembers them for the document.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) effort: Effort,
    /// The group that is measured.
    group: &'static str,
    /// What the figures were measured on, a line each; of before the run, which changes its own documents.
    machine: Vec<String>,
    sections: Vec<Section>,
    /// The ratios of the committed run, by the name of their figure.
    committed: BTreeMap<String, f64>,
}

impl Report {
    pub(crate) fn new(effort: Effort) -> Result<Self> {
        // A whole run writes over the file. Without git it is all there is.
        let committed = machine::said_by("git", &["show", "HEAD:docs/benchmarks/ratios.json"]);
        let committed = match committed.map_or_else(|| fs::read_to_string(ratios_file()), Ok) {
            Ok(text) => serde_json::from_str(&text).context("the committed ratios")?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { effort, group: "", machine: machine::description(), sections: Vec::new(), committed })
    }

    /// What is measured next belongs to this group.
    pub(crate) fn begin(&mut self, group: &'static str) {
        self.group = group;
    }

    /// One more line of what the figures are measured on.
    pub(crate) fn measured_on(&mut self, line: String) {
        self.say(format_args!("\non {line}"));
        self.machine.push(line);
    }

    /// Begins a section. `about` says what is compared and how.
    pub(crate) fn section(&mut self, title: &str, about: impl fmt::Display) {
        self.say(format_args!("\n{title}: {about}"));
        self.sections.push(Section {
            title: title.to_owned(),
            about: about.to_string(),
            group: self.group,
            figures: Vec::new(),
            plots: Vec::new(),
        });
    }

    /// A line for whoever watches.
    #[allow(clippy::print_stdout, reason = "a benchmark writes its figures to stdout")]
    pub(crate) fn say(&self, text: impl fmt::Display) {
        println!("{text}");
    }

    fn add(&mut self, figure: Figure) {
        let verdict = match figure.met {
            Some(true) => ": met",
            Some(false) => ": MISSED",
            None => "",
        };
        let goal = if figure.goal.is_empty() { String::new() } else { format!(", goal {}", figure.goal) };
        let reference = if figure.compared_with.is_empty() {
            String::new()
        } else {
            format!("; {}", figure.compared_with)
        };
        self.say(format_args!(
            "{}: {}{reference}: {}{goal}{verdict}",
            figure.name, figure.measured, figure.found
        ));
        if self.sections.is_empty() {
            self.section("Figures", "");
        }
        if let Some(section) = self.sections.last_mut() {
            section.figures.push(figure);
        }
    }

    /// Compares two kinds of work: `work` may take at most `goal` times as long as `reference`. Gives the ratio.
    pub(crate) fn ratio(
        &mut self,
        name: &str,
        goal: Option<f64>,
        work: &Samples,
        reference: (&str, &Samples),
    ) -> f64 {
        let (reference_name, reference) = reference;
        let ratio = work.ratio_to(reference);
        // Two digits that say something.
        let digits = if ratio < 0.1 { (1.0 - ratio.max(1e-9).log10().floor()) as usize } else { 2 };
        self.add(Figure {
            name: name.to_owned(),
            measured: work.to_string(),
            compared_with: format!("{reference_name}: {reference}"),
            found: format!("{ratio:.digits$}x"),
            goal: goal.map_or_else(String::new, |goal| format!("at most {goal}x")),
            met: goal.map(|goal| ratio <= goal),
            ratio: Some(ratio),
        });
        ratio
    }

    /// A figure that is no ratio of two medians: `value` is what a later run compares.
    pub(crate) fn judge(
        &mut self,
        name: &str,
        found: &str,
        goal: &str,
        met: Option<bool>,
        value: Option<f64>,
    ) {
        self.add(Figure {
            name: name.to_owned(),
            measured: found.to_owned(),
            compared_with: String::new(),
            found: found.to_owned(),
            goal: goal.to_owned(),
            met,
            ratio: value,
        });
    }

    /// A figure that could not be measured here counts as missed.
    pub(crate) fn not_measured(&mut self, name: &str, why: &str) {
        self.add(Figure {
            name: name.to_owned(),
            measured: format!("not measured, {why}"),
            compared_with: String::new(),
            found: String::new(),
            goal: String::new(),
            met: Some(false),
            ratio: None,
        });
    }

    /// Draws a plot into the running section.
    pub(crate) fn plot(&mut self, plot: Plot) {
        if let Some(section) = self.sections.last_mut() {
            section.plots.push(plot);
        }
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.figures)
    }

    fn missed(&self) -> Vec<String> {
        let missed = self.figures().filter(|figure| figure.met == Some(false));
        missed
            .map(|figure| {
                let goal =
                    if figure.goal.is_empty() { String::new() } else { format!(", goal {}", figure.goal) };
                let found = if figure.found.is_empty() { &figure.measured } else { &figure.found };
                format!("{}: {found}{goal}", figure.name)
            })
            .collect()
    }

    /// Names every missed goal and every figure that is worse than the committed one.
    pub(crate) fn finish(self) -> Result<()> {
        let missed = self.missed();
        if missed.is_empty() {
            self.say("\nall goals met");
        } else {
            self.say(format_args!("\nmissed:\n  {}", missed.join("\n  ")));
        }
        let regressions = self.regressions();
        if !regressions.is_empty() {
            self.say(format_args!("\nworse than the committed figures:\n  {}", regressions.join("\n  ")));
        }
        let ratios = || self.figures().filter(|figure| figure.ratio.is_some());
        let compared = ratios().filter(|figure| self.committed.contains_key(&figure.name)).count();
        self.say(format_args!(
            "\n{compared} of {} figures were compared with committed ones of the same name",
            ratios().count()
        ));
        Ok(())
    }

    /// Figures whose ratio is clearly worse than the committed one of the same name.
    fn regressions(&self) -> Vec<String> {
        let committed = &self.committed;
        let worse = |figure: &Figure| {
            let (now, before) = (figure.ratio?, *committed.get(&figure.name)?);
            (now > before * REGRESSION).then(|| format!("{}: {now:.2}, was {before:.2}", figure.name))
        };
        self.figures().filter_map(worse).collect()
    }

    /// Writes the document and the ratios of what was measured so far. `left` are the groups that were not.
    pub(crate) fn write(&self, command: &str, left: &[&str]) -> Result<()> {
        let missed = self.missed();
        let mut text = format!(
            "# Benchmarks\n\n<!-- Written by `{command}`: change the benchmark, not this file. -->\n\n\
             All figures are from one run of `{command}`. What is compared is measured in turns on the same data; times are \
             medians with the 10th and 90th percentile in brackets and the number of samples. Where both were measured as \
             often, a ratio is the median of those of each turn, so that a busy moment of the machine counts for neither; \
             elsewhere it is that of the medians. Only the ratios mean something on another machine. [performance.md](performance.md) says where the time goes.\n\n"
        );
        for line in &self.machine {
            let _ = writeln!(text, "- {line}");
        }
        text.extend(machine::load().map(|load| format!("- load when the run ended: {load}\n")));
        if !left.is_empty() {
            let _ = writeln!(text, "\nThe run was cut off before these groups: {}.", left.join(", "));
        }
        text.push_str("\n## Missed goals\n\n");
        if missed.is_empty() {
            text.push_str("None.\n");
        }
        for line in &missed {
            let _ = writeln!(text, "- {line}");
        }
        let folder = documents().join("benchmarks");
        fs::create_dir_all(&folder)?;
        for section in &self.sections {
            let _ = writeln!(
                text,
                "\n## {}\n\n{} `{command} {}` measures it again.\n",
                section.title, section.about, section.group
            );
            for plot in &section.plots {
                fs::write(folder.join(plot.file), plot.svg())?;
                let _ = writeln!(text, "![{}](benchmarks/{})\n", plot.title, plot.file);
            }
            text.push_str(
                "| figure | measured | compared with | found | goal | |\n|---|---|---|---|---|---|\n",
            );
            for figure in &section.figures {
                let verdict = match figure.met {
                    Some(true) => "met",
                    Some(false) => "**missed**",
                    None => "",
                };
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {verdict} |",
                    figure.name, figure.measured, figure.compared_with, figure.found, figure.goal
                );
            }
        }
        fs::write(documents().join("benchmarks.md"), text)?;
        let ratios: BTreeMap<&str, f64> =
            self.figures().filter_map(|figure| Some((figure.name.as_str(), figure.ratio?))).collect();
        fs::write(ratios_file(), serde_json::to_string_pretty(&ratios)? + "\n")?;
        Ok(())
    }
}

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The ratios of the committed run, by the name of their figure.
fn ratios_file() -> PathBuf {
    documents().join("benchmarks").join("ratios.json")
}
