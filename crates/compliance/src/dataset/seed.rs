//! The authored inputs: the files under `seed-data/`, embedded in the binary, checked before anything is made of
//! them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;
use std::{fmt, io};

use chrono_tz::Tz;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::template::{Slot, Template};

/// A mistake in a file of the seed data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeedMistake {
    /// The folder that the file was read from; `seed-data` for a built-in one.
    pub folder: String,
    /// The file, below that folder.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SeedMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, file, line, message } = self;
        let path = Path::new(folder).join(file);
        write!(f, "{}:{line}: {message}", path.display())
    }
}

/// Everything that is wrong with the seed data, by file and line: at least one mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the seed data has {} mistake{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
pub struct SeedError(pub Vec<SeedMistake>);

macro_rules! files {
    ($($name:literal,)*) => {
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../../seed-data/", $name))),)*];
    };
}

files! {
    "organizations.toml",
    "departments.toml",
    "locations.toml",
    "categories.toml",
    "names.toml",
    "weights.toml",
    "phrases.toml",
    "flagships.toml",
    "names-to-avoid.txt",
    "narratives/harassment.toml",
    "narratives/fraud.toml",
    "narratives/conflict-of-interest.toml",
    "narratives/safety.toml",
    "narratives/data-protection.toml",
    "narratives/policy.toml",
    "narratives/requests.toml",
}

/// Where the built-in files come from.
const BUILT_IN: &str = "seed-data";

/// The texts of the seed files.
#[derive(Debug, Clone)]
pub struct Sources {
    folder: String,
    files: BTreeMap<String, String>,
    /// The files that were read from the folder.
    read: BTreeSet<String>,
}

impl Sources {
    /// The files as they were when the program was built.
    pub fn embedded() -> Self {
        Self {
            folder: BUILT_IN.to_owned(),
            files: FILES.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect(),
            read: BTreeSet::new(),
        }
    }

    /// The files of a folder, for authors who keep their own: those that it lacks are the built-in ones.
    ///
    /// # Errors
    /// Every file that cannot be read, and every TOML file that is none of the seed data: it would have no effect.
    pub fn from_folder(folder: &Path) -> Result<Self, SeedError> {
        let mut sources = Self { folder: folder.display().to_string(), ..Self::embedded() };
        let mut mistakes = Vec::new();
        let mut wrong = |file: &str, message: String| {
            let folder = folder.display().to_string();
            mistakes.push(SeedMistake { folder, file: file.to_owned(), line: 1, message });
        };
        for &(name, _) in FILES {
            match std::fs::read_to_string(folder.join(name)) {
                Ok(text) => {
                    sources.files.insert(name.to_owned(), text);
                    sources.read.insert(name.to_owned());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => wrong(name, format!("cannot be read: {error}")),
            }
        }
        for below in ["", "narratives"] {
            for entry in std::fs::read_dir(folder.join(below)).into_iter().flatten().flatten() {
                let name = Path::new(below).join(entry.file_name()).display().to_string();
                if name.ends_with(".toml") && !sources.files.contains_key(&name) {
                    wrong(&name, "is none of the files of the seed data, so nothing reads it".to_owned());
                }
            }
        }
        if sources.read.is_empty() {
            wrong("", "holds none of the files of the seed data".to_owned());
        }
        mistakes.sort();
        if mistakes.is_empty() { Ok(sources) } else { Err(SeedError(mistakes)) }
    }

    /// How many of the files were read from the folder.
    pub fn files_read(&self) -> usize {
        self.read.len()
    }

    /// The same with one file replaced.
    pub fn with(mut self, file: &str, text: String) -> Self {
        self.files.insert(file.to_owned(), text);
        self
    }

    /// The text of a file.
    pub fn text(&self, file: &str) -> &str {
        self.files.get(file).map_or("", String::as_str)
    }

    fn mistake(&self, file: &str, at: usize, message: impl Into<String>) -> SeedMistake {
        let text = self.text(file);
        let line = text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1;
        let folder = if self.read.contains(file) { &self.folder } else { BUILT_IN };
        SeedMistake { folder: folder.to_owned(), file: file.to_owned(), line, message: message.into() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Gender {
    F,
    M,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Organization {
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) employees: u32,
    pub(crate) cases: u32,
    pub(crate) rius: u32,
    pub(crate) showcase: bool,
    locations: Vec<Spanned<String>>,
    pub(crate) divisions: Vec<Division>,
    pub(crate) users: Vec<User>,
    pub(crate) executives: Vec<Executive>,
    /// Indexes into [`SeedData::locations`].
    #[serde(skip)]
    pub(crate) places: Vec<usize>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Division {
    pub(crate) name: String,
    pub(crate) share: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) account: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Role {
    SystemAdmin,
    ComplianceOfficer,
    TriageLead,
    Investigator,
    PolicyAuthor,
    PolicyReviewer,
    Manager,
    Employee,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SystemAdmin => "SYSTEM_ADMIN",
            Self::ComplianceOfficer => "COMPLIANCE_OFFICER",
            Self::TriageLead => "TRIAGE_LEAD",
            Self::Investigator => "INVESTIGATOR",
            Self::PolicyAuthor => "POLICY_AUTHOR",
            Self::PolicyReviewer => "POLICY_REVIEWER",
            Self::Manager => "MANAGER",
            Self::Employee => "EMPLOYEE",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Executive {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) gender: Gender,
    pub(crate) job_title: String,
    pub(crate) division: String,
    pub(crate) department: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Department {
    pub(crate) name: String,
    pub(crate) kind: Work,
    divisions: Vec<Spanned<String>>,
    pub(crate) weight: u32,
    pub(crate) staff: Vec<String>,
    pub(crate) manager: String,
    pub(crate) director: String,
}

/// Kinds of work, which see different incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Work {
    Clinical,
    Store,
    Plant,
    Office,
}

impl Department {
    pub(crate) fn is_in(&self, division: &str) -> bool {
        self.divisions.is_empty() || self.divisions.iter().any(|name| name.get_ref() == division)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(clippy::upper_case_acronyms)]
pub(crate) enum Region {
    US,
    EMEA,
    APAC,
}

impl Region {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::US => "US",
            Self::EMEA => "EMEA",
            Self::APAC => "APAC",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Location {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) city: String,
    pub(crate) country: String,
    pub(crate) region: Region,
    time_zone: Spanned<String>,
    names: Spanned<String>,
    pub(crate) weight: u32,
    #[serde(default)]
    divisions: Vec<Spanned<String>>,
    /// The kinds of work that departments of a division do here; none named: all.
    #[serde(default)]
    work: Vec<Work>,
    #[serde(default = "dollar")]
    pub(crate) currency: String,
    #[serde(default = "one")]
    pub(crate) rate: u64,
    #[serde(default)]
    pub(crate) phone: Option<String>,
    #[serde(skip)]
    pub(crate) zone: Tz,
    /// Index into [`SeedData::names`].
    #[serde(skip)]
    pub(crate) pool: usize,
}

fn dollar() -> String {
    "$".to_owned()
}

fn one() -> u64 {
    1
}

impl Location {
    pub(crate) fn zone_name(&self) -> &str {
        self.time_zone.get_ref()
    }

    pub(crate) fn houses(&self, division: &str) -> bool {
        self.divisions.is_empty() || self.divisions.iter().any(|name| name.get_ref() == division)
    }

    /// Whether a department has rooms here. Those that every division has are everywhere.
    pub(crate) fn suits(&self, department: &Department) -> bool {
        department.divisions.is_empty() || self.work.is_empty() || self.work.contains(&department.kind)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Severity {
    Critical,
    High,
    Medium,
    Low,
}

impl Severity {
    pub(crate) const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Category {
    pub(crate) group: Spanned<String>,
    pub(crate) code: Spanned<String>,
    pub(crate) name: String,
    pub(crate) severity: Severity,
    pub(crate) sla_days: u32,
    pub(crate) weight: u32,
    /// Index into [`SeedData::groups`].
    #[serde(skip)]
    pub(crate) group_index: usize,
    #[serde(skip)]
    pub(crate) anonymous: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamePool {
    pub(crate) female: Vec<String>,
    pub(crate) male: Vec<String>,
    pub(crate) last: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: Spanned<String>,
    pub(crate) anonymous: u32,
    pub(crate) channel: [u32; 3],
    pub(crate) duration: [u32; 3],
    pub(crate) outcome: [u32; 4],
    pub(crate) second_investigation: u32,
    pub(crate) department: DepartmentKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum DepartmentKind {
    Hr,
    Legal,
    Safety,
    Compliance,
    Other,
}

impl DepartmentKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hr => "HR",
            Self::Legal => "LEGAL",
            Self::Safety => "SAFETY",
            Self::Compliance => "COMPLIANCE",
            Self::Other => "OTHER",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weights {
    target: Spanned<Target>,
    pub(crate) severity: BTreeMap<String, [u32; 4]>,
    group: Vec<Group>,
    category: Vec<CategoryOverride>,
    pub(crate) season: Season,
    pub(crate) rhythm: Rhythm,
    pub(crate) improvement: Improvement,
    pub(crate) open: Vec<OpenShare>,
    pub(crate) patterns: Patterns,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    channel: [u32; 3],
    severity: [u32; 4],
    anonymous: u32,
    duration: [u32; 3],
    outcome: [u32; 4],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryOverride {
    code: Spanned<String>,
    anonymous: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Season {
    pub(crate) month: [u32; 12],
    pub(crate) holidays: u32,
    pub(crate) after_holidays: u32,
    pub(crate) reorganizations: Vec<i64>,
    pub(crate) after_reorganization: [u32; 3],
    pub(crate) year: [u32; 3],
    pub(crate) campaign: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rhythm {
    pub(crate) weekday: [u32; 7],
    pub(crate) office_hours: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Improvement {
    pub(crate) longer_cases: [u32; 3],
    pub(crate) late: [u32; 3],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenShare {
    pub(crate) weeks: i64,
    pub(crate) percent: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patterns {
    pub(crate) repeat_subjects: [u32; 4],
    pub(crate) hotspot_managers: u32,
    pub(crate) hotspot_cases: [u32; 2],
    pub(crate) follow_ups: u32,
    pub(crate) follow_up_days: [u32; 2],
    pub(crate) two_reports: u32,
    pub(crate) three_reports: u32,
}

impl Patterns {
    /// How many cases the patterns need, at scale 1.
    fn cases(&self) -> u32 {
        let repeats =
            self.repeat_subjects.iter().zip(2..).map(|(people, times)| people.saturating_mul(times));
        let reports = [self.two_reports, self.three_reports, self.follow_ups, self.follow_ups];
        repeats.chain(reports).fold(0, u32::saturating_add)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct IncidentFile {
    incident: Vec<Incident>,
}

/// Something that happened, in the words of the different people who speak of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Incident {
    category: Spanned<String>,
    /// The kinds of work in which it can happen; none named: all.
    #[serde(default)]
    at: Vec<Work>,
    /// A noun phrase, in lower case.
    pub(crate) gist: Template,
    /// What the reporter tells, in different words.
    pub(crate) report: Vec<Template>,
    #[serde(default)]
    pub(crate) a: Vec<Template>,
    #[serde(default)]
    pub(crate) b: Vec<Template>,
    /// Noun phrases with their article.
    pub(crate) evidence: Vec<Template>,
    /// What was found if it is true.
    #[serde(default)]
    pub(crate) found: Vec<Template>,
    /// What was found if it is not.
    #[serde(default)]
    pub(crate) cleared: Vec<Template>,
    /// Why it could happen.
    #[serde(default)]
    pub(crate) cause: Vec<Template>,
    /// The answer to a question, for requests for information.
    #[serde(default)]
    pub(crate) answer: Vec<Template>,
    /// The usual amount of money in it, in US dollars: lowest and highest.
    #[serde(default)]
    pub(crate) amount: Option<[u64; 2]>,
}

impl Incident {
    pub(crate) fn happens_in(&self, work: Work) -> bool {
        self.at.is_empty() || self.at.contains(&work)
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.gist)
            .chain(&self.report)
            .chain(&self.evidence)
            .chain(&self.found)
            .chain(&self.cleared)
            .chain(&self.cause)
            .chain(&self.answer)
            .chain(&self.a)
            .chain(&self.b)
    }
}

/// A list of texts, one of which is taken.
pub(crate) type Bank = Vec<Template>;

/// Texts that fit any incident of a group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupPhrases {
    name: Spanned<String>,
    pub(crate) consequence: Bank,
    pub(crate) exchange: Vec<Exchange>,
    pub(crate) action: Bank,
    pub(crate) lesson: Bank,
    pub(crate) recommendation: Bank,
}

/// A question of the investigator, and what reporters answer to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) question: Template,
    pub(crate) reply: Bank,
}

/// How one kind of person writes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Voice {
    #[allow(dead_code, reason = "read by authors and by error messages")]
    pub(crate) name: Spanned<String>,
    pub(crate) channel: Vec<VoiceChannel>,
    pub(crate) person: Person,
    pub(crate) naming: Naming,
    pub(crate) order: Vec<Section>,
    /// Paragraph breaks after these sections.
    #[serde(default)]
    pub(crate) breaks: Vec<Section>,
    #[serde(default)]
    pub(crate) opener: Bank,
    #[serde(default)]
    pub(crate) closer: Bank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VoiceChannel {
    Phone,
    Web,
    Chat,
    Email,
    Proxy,
    Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Person {
    First,
    Caller,
    Reporter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Naming {
    Full,
    First,
    Last,
    Courtesy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Section {
    Opener,
    Setting,
    Incident,
    Accused,
    Frequency,
    Witness,
    Evidence,
    Consequence,
    Fear,
    History,
    Wish,
    Closer,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phrases {
    pub(crate) voice: Vec<Voice>,
    group: Vec<GroupPhrases>,
    pub(crate) report: ReportPhrases,
    pub(crate) request: RequestPhrases,
    pub(crate) related: RelatedPhrases,
    pub(crate) intake: IntakePhrases,
    pub(crate) messages: MessagePhrases,
    pub(crate) notes: NotePhrases,
    pub(crate) outcome: OutcomePhrases,
    pub(crate) subjects: SubjectPhrases,
    pub(crate) regulatory: RegulatoryPhrases,
    pub(crate) edge: EdgePhrases,
    /// By index of [`SeedData::groups`].
    #[serde(skip)]
    pub(crate) groups: Vec<GroupPhrases>,
}

/// Sections of a report that fit any incident.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportPhrases {
    pub(crate) setting: Bank,
    pub(crate) accused: Bank,
    pub(crate) frequency: Bank,
    pub(crate) witness: Bank,
    pub(crate) evidence: Bank,
    pub(crate) fear_anonymous: Bank,
    pub(crate) fear_named: Bank,
    pub(crate) history: Bank,
    pub(crate) wish: Bank,
    pub(crate) follow_up: Bank,
}

/// Requests for information.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestPhrases {
    pub(crate) summary: Bank,
    pub(crate) note: Bank,
    pub(crate) opener: Bank,
    pub(crate) background: Bank,
    pub(crate) closer: Bank,
}

/// Further reports of the same matter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelatedPhrases {
    pub(crate) opener: Bank,
    pub(crate) body: Bank,
    pub(crate) closer: Bank,
    pub(crate) association: Bank,
}

/// What triage writes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntakePhrases {
    pub(crate) summary: Bank,
    pub(crate) note: Bank,
    pub(crate) ai_summary: Bank,
    pub(crate) ai_next: Bank,
}

/// The dialogue between reporter and investigator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagePhrases {
    pub(crate) acknowledge_subject: Bank,
    pub(crate) acknowledge: Bank,
    pub(crate) question_subject: Bank,
    pub(crate) exchange: Vec<Exchange>,
    pub(crate) update: Bank,
    pub(crate) thanks_for_update: Bank,
    pub(crate) closing_subject: Bank,
    pub(crate) closing: Bank,
    pub(crate) thanks_for_closing: Bank,
}

/// Notes of investigators.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotePhrases {
    pub(crate) plan: Bank,
    pub(crate) interview_witness: Bank,
    pub(crate) interview_witness_supports: Bank,
    pub(crate) interview_witness_contradicts: Bank,
    pub(crate) interview_accused_denies: Bank,
    pub(crate) interview_accused_admits: Bank,
    pub(crate) evidence_supports: Bank,
    pub(crate) evidence_contradicts: Bank,
    pub(crate) evidence_unclear: Bank,
    pub(crate) follow_up: Bank,
    pub(crate) request: Bank,
}

/// How an investigation ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomePhrases {
    pub(crate) substantiated: EndPhrases,
    pub(crate) unsubstantiated: EndPhrases,
    pub(crate) inconclusive: EndPhrases,
    pub(crate) other: EndPhrases,
    pub(crate) answered: EndPhrases,
}

/// The texts of one ending.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndPhrases {
    pub(crate) summary: Bank,
    pub(crate) method: Bank,
    pub(crate) conclusion: Bank,
    pub(crate) cause: Bank,
    pub(crate) case_note: Bank,
    /// What the reporter is told.
    pub(crate) message: Bank,
    /// What is learned where nothing was found; those of the group otherwise.
    #[serde(default)]
    pub(crate) lesson: Bank,
}

/// What is noted about people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubjectPhrases {
    pub(crate) accused: Bank,
    pub(crate) witness: Bank,
    pub(crate) victim: Bank,
    pub(crate) reporter: Bank,
    pub(crate) repeat: Bank,
    pub(crate) retaliation: Bank,
}

/// The second investigation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegulatoryPhrases {
    pub(crate) note: Bank,
    pub(crate) summary: Bank,
    pub(crate) detail: Bank,
}

/// Texts of the edge cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgePhrases {
    pub(crate) diary: Bank,
    pub(crate) scripts: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FlagshipFile {
    flagship: Vec<Flagship>,
}

/// A case that is told in full.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flagship {
    pub(crate) title: String,
    category: Spanned<String>,
    location: Spanned<String>,
    pub(crate) severity: Severity,
    pub(crate) channel: FlagshipChannel,
    pub(crate) anonymous: bool,
    pub(crate) weeks_ago: i64,
    /// Days from creation to closure; none while it is open.
    #[serde(default)]
    pub(crate) days: Option<i64>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) tags: Vec<String>,
    pub(crate) risk_score: i32,
    pub(crate) summary: String,
    pub(crate) narrative: String,
    pub(crate) ai_summary: String,
    pub(crate) talking_points: Vec<String>,
    pub(crate) subject: Vec<FlagshipSubject>,
    pub(crate) message: Vec<FlagshipMessage>,
    pub(crate) investigation: Vec<FlagshipInvestigation>,
    #[serde(default)]
    pub(crate) outcome_notes: Option<String>,
    /// Index into [`SeedData::categories`].
    #[serde(skip)]
    pub(crate) category_index: usize,
    /// Index into [`SeedData::locations`].
    #[serde(skip)]
    pub(crate) place: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlagshipChannel {
    Phone,
    Web,
    Chat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Outcome {
    Substantiated,
    Unsubstantiated,
    Inconclusive,
    PolicyViolation,
    NoViolation,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Substantiated => "SUBSTANTIATED",
            Self::Unsubstantiated => "UNSUBSTANTIATED",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::PolicyViolation => "POLICY_VIOLATION",
            Self::NoViolation => "NO_VIOLATION",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlagshipSubject {
    pub(crate) name: String,
    pub(crate) role: FlagshipRole,
    pub(crate) job_title: String,
    pub(crate) department: String,
    #[serde(default)]
    pub(crate) relationship: Option<String>,
    pub(crate) notes: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum FlagshipRole {
    Reporter,
    Accused,
    Witness,
    Victim,
    Other,
}

impl FlagshipRole {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reporter => "REPORTER",
            Self::Accused => "ACCUSED",
            Self::Witness => "WITNESS",
            Self::Victim => "VICTIM",
            Self::Other => "OTHER",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlagshipMessage {
    pub(crate) inbound: bool,
    #[serde(default)]
    pub(crate) subject: Option<String>,
    pub(crate) content: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlagshipInvestigation {
    pub(crate) department: DepartmentKind,
    #[serde(default)]
    pub(crate) findings_summary: Option<String>,
    #[serde(default)]
    pub(crate) findings_detail: Option<String>,
    #[serde(default)]
    pub(crate) root_cause: Option<String>,
    #[serde(default)]
    pub(crate) lessons_learned: Option<String>,
    pub(crate) note: Vec<FlagshipNote>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlagshipNote {
    pub(crate) kind: NoteKind,
    pub(crate) content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum NoteKind {
    General,
    Interview,
    Evidence,
    Finding,
    Recommendation,
    FollowUp,
}

impl NoteKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::General => "GENERAL",
            Self::Interview => "INTERVIEW",
            Self::Evidence => "EVIDENCE",
            Self::Finding => "FINDING",
            Self::Recommendation => "RECOMMENDATION",
            Self::FollowUp => "FOLLOW_UP",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationFile {
    organization: Vec<Organization>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DepartmentFile {
    department: Vec<Department>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocationFile {
    location: Vec<Location>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryFile {
    category: Vec<Category>,
}

/// The parsed and checked seed data.
#[derive(Debug, Clone)]
pub struct SeedData {
    pub(crate) organizations: Vec<Organization>,
    pub(crate) departments: Vec<Department>,
    pub(crate) locations: Vec<Location>,
    pub(crate) categories: Vec<Category>,
    pub(crate) names: Vec<NamePool>,
    pub(crate) groups: Vec<Group>,
    pub(crate) weights: Weights,
    /// By index of `categories`.
    pub(crate) incidents: Vec<Vec<Incident>>,
    pub(crate) phrases: Phrases,
    pub(crate) flagships: Vec<Flagship>,
}

impl SeedData {
    /// The seed data embedded in the program, parsed once.
    pub fn embedded() -> Result<&'static Self, SeedError> {
        static PARSED: OnceLock<Result<SeedData, SeedError>> = OnceLock::new();
        PARSED.get_or_init(|| Self::parse(&Sources::embedded())).as_ref().map_err(Clone::clone)
    }

    /// Parses and checks the files.
    ///
    /// # Errors
    /// Every mistake with its file and line. What depends on a file that cannot be parsed is checked once it can.
    pub fn parse(sources: &Sources) -> Result<Self, SeedError> {
        let checker = Checker { sources, mistakes: RefCell::default() };
        let data = checker.seed_data();
        let mut mistakes = checker.mistakes.into_inner();
        mistakes.sort();
        mistakes.dedup();
        match data {
            Some(data) if mistakes.is_empty() => Ok(data),
            _ => Err(SeedError(mistakes)),
        }
    }

    /// One line per kind of content, for the report of a check.
    pub fn summary(&self) -> Vec<(&'static str, usize)> {
        let incidents: usize = self.incidents.iter().map(Vec::len).sum();
        vec![
            ("organizations", self.organizations.len()),
            ("departments", self.departments.len()),
            ("locations", self.locations.len()),
            ("categories", self.categories.len()),
            ("name pools", self.names.len()),
            ("incidents", incidents),
            ("voices", self.phrases.voice.len()),
            ("flagship cases", self.flagships.len()),
        ]
    }
}

const NARRATIVES: [&str; 7] = [
    "narratives/harassment.toml",
    "narratives/fraud.toml",
    "narratives/conflict-of-interest.toml",
    "narratives/safety.toml",
    "narratives/data-protection.toml",
    "narratives/policy.toml",
    "narratives/requests.toml",
];

/// The code of the category that follows cases of others.
pub(crate) const RETALIATION: &str = "HAR-RET";

/// The code prefix of the categories that are questions, not allegations.
pub(crate) const REQUEST: &str = "RFI-";

/// Finds all mistakes at once, so that an author need not run the check once for each.
struct Checker<'a> {
    sources: &'a Sources,
    mistakes: RefCell<Vec<SeedMistake>>,
}

/// More mistakes of one file are not worth reading.
const MOST_MISTAKES: usize = 50;

impl Checker<'_> {
    fn wrong_at(&self, file: &str, at: usize, message: impl Into<String>) {
        self.mistakes.borrow_mut().push(self.sources.mistake(file, at, message));
    }

    fn wrong<T>(&self, file: &str, value: &Spanned<T>, message: impl Into<String>) {
        self.wrong_at(file, value.span().start, message);
    }

    /// A mistake that belongs to a place in the file that contains `near`.
    fn wrong_near(&self, file: &str, near: &str, message: impl Into<String>) {
        let at = self.sources.text(file).find(near).unwrap_or(0);
        self.wrong_at(file, at, message);
    }

    /// A file as TOML; nothing if it is none. Each text that is no template is reported, and blanked out to get to
    /// the next one; whether there was none is told, too.
    fn read<T: DeserializeOwned>(&self, file: &str) -> Option<(T, bool)> {
        let mut text = self.sources.text(file).to_owned();
        let mut is_clean = true;
        for _ in 0..MOST_MISTAKES {
            let error = match toml::from_str(&text) {
                Ok(value) => return Some((value, is_clean)),
                Err(error) => error,
            };
            is_clean = false;
            let span = error.span().unwrap_or(0..0);
            self.wrong_at(file, span.start, error.message());
            let blanked = text.get(span.clone()).and_then(blanked)?;
            if text.get(span.clone()) == Some(&blanked) {
                return None;
            }
            text.replace_range(span, &blanked);
        }
        self.wrong_at(file, text.len(), "more mistakes of this file are left out");
        None
    }

    fn seed_data(&self) -> Option<SeedData> {
        // All files are read before any is missed.
        let organizations = self.read::<OrganizationFile>("organizations.toml");
        let departments = self.read::<DepartmentFile>("departments.toml");
        let locations = self.read::<LocationFile>("locations.toml");
        let categories = self.read::<CategoryFile>("categories.toml");
        let names = self.read::<BTreeMap<String, NamePool>>("names.toml");
        let weights = self.read::<Weights>("weights.toml");
        let phrases = self.read::<Phrases>("phrases.toml");
        let flagships = self.read::<FlagshipFile>("flagships.toml");
        let incidents = NARRATIVES.map(|file| (file, self.read::<IncidentFile>(file)));

        let (mut organizations, departments) = (organizations?.0.organization, departments?.0.department);
        let (mut locations, mut categories) = (locations?.0.location, categories?.0.category);
        let (names, weights) = (names?.0, weights?.0);
        self.locations(&mut locations, &names);
        self.names(&names);
        self.organizations(&mut organizations, &locations, &departments, &weights);
        self.categories(&mut categories, &weights);
        self.weights(&weights);
        self.targets(&categories, &weights);
        let incidents = self.incidents(&categories, incidents);
        let phrases = phrases.map(|(phrases, _)| self.phrases(phrases, &weights.group));
        let flagships = flagships.map(|(file, _)| self.flagships(file.flagship, &categories, &locations));
        Some(SeedData {
            organizations,
            departments,
            locations,
            categories,
            names: names.into_values().collect(),
            groups: weights.group.clone(),
            weights,
            incidents,
            phrases: phrases?,
            flagships: flagships?,
        })
    }

    fn locations(&self, locations: &mut [Location], names: &BTreeMap<String, NamePool>) {
        let file = "locations.toml";
        let mut codes = BTreeSet::new();
        for location in locations {
            match location.time_zone.get_ref().parse() {
                Ok(zone) => location.zone = zone,
                Err(_) => {
                    let message = format!("there is no time zone `{}`", location.time_zone.get_ref());
                    self.wrong(file, &location.time_zone, message);
                }
            }
            match names.keys().position(|name| name == location.names.get_ref()) {
                Some(pool) => location.pool = pool,
                None => {
                    let message = format!("names.toml has no pool `{}`", location.names.get_ref());
                    self.wrong(file, &location.names, message);
                }
            }
            if !codes.insert(location.code.clone()) {
                let message = format!("the code `{}` is used twice", location.code);
                self.wrong(file, &location.time_zone, message);
            }
            if location.weight == 0 || location.rate == 0 {
                self.wrong(file, &location.time_zone, "`weight` and `rate` must be more than 0");
            }
        }
    }

    fn names(&self, pools: &BTreeMap<String, NamePool>) {
        let avoid: BTreeSet<&str> = self.sources.text("names-to-avoid.txt").lines().collect();
        let mut seen = BTreeSet::new();
        for (name, pool) in pools {
            for last in &pool.last {
                for first in pool.female.iter().chain(&pool.male) {
                    let full = format!("{first} {}", last.get_ref());
                    if avoid.contains(full.as_str()) {
                        let message = format!("the pool can make {full}, the name of a person of note");
                        self.wrong("names.toml", last, message);
                    }
                }
                if !seen.insert(super::people::address(last.get_ref())) {
                    let message = format!("the family name `{}` is in two pools", last.get_ref());
                    self.wrong("names.toml", last, message);
                }
            }
            if pool.female.is_empty() || pool.male.is_empty() || pool.last.is_empty() {
                self.wrong_near("names.toml", &format!("[{name}]"), "a list of names is empty");
            }
        }
    }

    fn organizations(
        &self,
        organizations: &mut [Organization],
        locations: &[Location],
        departments: &[Department],
        weights: &Weights,
    ) {
        let file = "organizations.toml";
        if organizations.is_empty() {
            self.wrong_at(file, 0, "there is no organization");
        }
        for organization in organizations.iter_mut() {
            let near = format!("slug = \"{}\"", organization.slug);
            let wrong = |message: String| self.wrong_near(file, &near, message);
            organization.places = (0..locations.len()).collect();
            if !organization.locations.is_empty() {
                organization.places.clear();
                for code in &organization.locations {
                    match locations.iter().position(|location| location.code == *code.get_ref()) {
                        Some(place) => organization.places.push(place),
                        None => {
                            self.wrong(file, code, format!("there is no location `{}`", code.get_ref()));
                        }
                    }
                }
            }
            let shares: u32 = organization.divisions.iter().map(|division| division.share).sum();
            if shares != 100 {
                wrong(format!("the shares of the divisions add up to {shares}, not to 100"));
            }
            for division in &organization.divisions {
                if !organization.places.iter().any(|&place| locations[place].houses(&division.name)) {
                    wrong(format!("the division {} has no location", division.name));
                }
                if !departments.iter().any(|one| one.is_in(&division.name) && one.weight > 0) {
                    wrong(format!("the division {} has no department", division.name));
                }
            }
            for executive in &organization.executives {
                if !organization.divisions.iter().any(|division| division.name == executive.division)
                    || !departments.iter().any(|department| department.name == executive.department)
                {
                    wrong(format!(
                        "{} {} works in a division or department that does not exist",
                        executive.first_name, executive.last_name
                    ));
                }
            }
            if organization.executives.is_empty() || organization.users.is_empty() {
                wrong("an organization needs executives and users".to_owned());
            }
            if !organization.users.iter().any(|user| user.role == Role::Investigator) {
                wrong("an organization needs an investigator".to_owned());
            }
            // Patterns are spread over the cases, with room between them.
            let patterns = weights.patterns.cases();
            let least = if organization.showcase { patterns.saturating_mul(3).max(200) } else { 10 };
            if organization.cases < least || organization.rius < organization.cases {
                wrong(format!("{least} cases are the least, and a report per case"));
            }
            if organization.employees < 40 || organization.employees < organization.cases {
                wrong("40 employees are the least, and one per case".to_owned());
            }
        }
        let known: BTreeSet<&str> = organizations
            .iter()
            .flat_map(|organization| &organization.divisions)
            .map(|division| division.name.as_str())
            .collect();
        let divisions = departments
            .iter()
            .flat_map(|one| one.divisions.iter().map(|division| ("departments.toml", division)))
            .chain(
                locations
                    .iter()
                    .flat_map(|one| one.divisions.iter().map(|division| ("locations.toml", division))),
            );
        for (file, division) in divisions {
            if !known.contains(division.get_ref().as_str()) {
                self.wrong(file, division, format!("there is no division `{}`", division.get_ref()));
            }
        }
        for department in departments {
            if department.staff.is_empty() {
                let near = format!("name = \"{}\"", department.name);
                self.wrong_near("departments.toml", &near, "a department needs job titles");
            }
        }
    }

    fn categories(&self, categories: &mut [Category], weights: &Weights) {
        let file = "categories.toml";
        let mut codes = BTreeSet::new();
        for category in categories.iter_mut() {
            if !codes.insert(category.code.get_ref().clone()) {
                let message = format!("the code `{}` is used twice", category.code.get_ref());
                self.wrong(file, &category.code, message);
            }
            let group = category.group.get_ref();
            match weights.group.iter().position(|known| known.name.get_ref() == group) {
                Some(index) => {
                    category.group_index = index;
                    category.anonymous = weights.group[index].anonymous;
                }
                None => self.wrong(file, &category.group, format!("weights.toml has no group `{group}`")),
            }
            if category.sla_days == 0 || category.sla_days > 365 {
                self.wrong(file, &category.code, "`sla_days` is between 1 and 365");
            }
            if !weights.severity.contains_key(category.severity.name()) {
                let message = format!("[severity] has no {}", category.severity.name());
                self.wrong_near("weights.toml", "[severity]", message);
            }
        }
        for special in &weights.category {
            let code = special.code.get_ref();
            match categories.iter_mut().find(|category| category.code.get_ref() == code) {
                Some(category) => category.anonymous = special.anonymous,
                None => {
                    self.wrong("weights.toml", &special.code, format!("there is no category `{code}`"));
                }
            }
        }
        for code in [RETALIATION, REQUEST] {
            if !categories.iter().any(|category| category.code.get_ref().starts_with(code)) {
                self.wrong_near(file, "category", format!("there must be a category `{code}`"));
            }
        }
        let total: u32 = categories.iter().map(|category| category.weight).sum();
        if total != 1000 {
            self.wrong_near(file, "category", format!("the weights add up to {total}, not 1000"));
        }
    }

    /// Numbers that would make no sense, or no dataset.
    fn weights(&self, weights: &Weights) {
        let file = "weights.toml";
        for group in &weights.group {
            let lists = [
                ("channel", group.channel.iter().sum::<u32>()),
                ("duration", group.duration.iter().sum()),
                ("outcome", group.outcome.iter().sum()),
            ];
            for (name, sum) in lists {
                if sum != 100 {
                    self.wrong(file, &group.name, format!("`{name}` adds up to {sum}, not to 100"));
                }
            }
            if group.anonymous > 100 || group.second_investigation > 100 {
                self.wrong(file, &group.name, "a share is more than 100");
            }
        }
        for special in &weights.category {
            if special.anonymous > 100 {
                self.wrong(file, &special.code, "a share is more than 100");
            }
        }
        for (name, shares) in &weights.severity {
            if shares.iter().sum::<u32>() != 100 {
                self.wrong_near(file, "[severity]", format!("`{name}` does not add up to 100"));
            }
        }
        let Weights { season, rhythm, improvement, open, patterns, .. } = weights;
        let weeks = season.month.iter().chain(&season.year).chain([
            &season.holidays,
            &season.after_holidays,
            &season.campaign,
        ]);
        let weeks = weeks.chain(&season.after_reorganization);
        if weeks.clone().any(|&percent| !(1..=1000).contains(&percent)) {
            self.wrong_near(file, "[season]", "a season is between 1 and 1000 percent");
        }
        if rhythm.weekday.iter().sum::<u32>() != 100 || rhythm.office_hours > 100 {
            self.wrong_near(
                file,
                "[rhythm]",
                "`weekday` does not add up to 100, or a share is more than that",
            );
        }
        if improvement.late.iter().any(|&late| late > 100)
            || improvement.longer_cases.iter().any(|&longer| !(1..=300).contains(&longer))
        {
            self.wrong_near(file, "[improvement]", "`late` is at most 100, `longer_cases` between 1 and 300");
        }
        if open.iter().any(|one| one.percent > 100) || !open.is_sorted_by_key(|one| one.weeks) {
            self.wrong_near(file, "[[open]]", "`percent` is at most 100, and `weeks` grow");
        }
        let [low, high] = patterns.follow_up_days;
        if low + 14 > high {
            self.wrong_near(file, "[patterns]", "`follow_up_days` span two weeks at least");
        }
        let [low, high] = patterns.hotspot_cases;
        if low == 0 || low > high {
            self.wrong_near(file, "[patterns]", "`hotspot_cases` is the lowest, 1 or more, and the highest");
        }
    }

    /// The shares of the whole dataset follow from those of its parts.
    fn targets(&self, categories: &[Category], weights: &Weights) {
        let target = weights.target.get_ref();
        let share = |of: &dyn Fn(&Category) -> u32| -> u32 {
            categories.iter().map(|category| category.weight.saturating_mul(of(category))).sum()
        };
        let group = |category: &Category| &weights.group[category.group_index];
        if weights.group.is_empty() {
            return self.wrong("weights.toml", &weights.target, "there is no group");
        }
        let mut checks = vec![("anonymous", 0, target.anonymous, share(&|c| c.anonymous))];
        for index in 0..3 {
            checks.push(("channel", index, target.channel[index], share(&|c| group(c).channel[index])));
            checks.push(("duration", index, target.duration[index], share(&|c| group(c).duration[index])));
        }
        for index in 0..4 {
            checks.push(("outcome", index, target.outcome[index], share(&|c| group(c).outcome[index])));
            let severity =
                |c: &Category| weights.severity.get(c.severity.name()).map_or(0, |shares| shares[index]);
            checks.push(("severity", index, target.severity[index], share(&severity)));
        }
        for (name, index, wanted, is) in checks {
            // Thousandths of a percent, since the weights of the categories are tenths of a percent.
            if is.abs_diff(wanted.saturating_mul(1000)) > 1000 {
                let percent = format!("{}.{}", is / 1000, is / 100 % 10);
                let message =
                    format!("`{name}` number {} comes to {percent} % instead of {wanted} %", index + 1);
                self.wrong("weights.toml", &weights.target, message);
            }
        }
    }

    fn incidents(
        &self,
        categories: &[Category],
        files: [(&str, Option<(IncidentFile, bool)>); NARRATIVES.len()],
    ) -> Vec<Vec<Incident>> {
        let mut by_category = vec![Vec::new(); categories.len()];
        let all_read = files.iter().all(|(_, read)| read.is_some());
        for (file, read) in files {
            let Some((incidents, is_clean)) = read else { continue };
            for incident in incidents.incident {
                let code = incident.category.get_ref();
                let Some(index) = categories.iter().position(|known| known.code.get_ref() == code) else {
                    self.wrong(file, &incident.category, format!("there is no category `{code}`"));
                    continue;
                };
                self.incident(file, &incident, is_clean);
                by_category[index].push(incident);
            }
        }
        for (category, incidents) in categories.iter().zip(&by_category) {
            if incidents.is_empty() && all_read {
                let message = format!("narratives/ has no incident for `{}`", category.code.get_ref());
                self.wrong("categories.toml", &category.code, message);
            }
        }
        by_category
    }

    fn incident(&self, file: &str, incident: &Incident, is_clean: bool) {
        let wrong = |message: &str| self.wrong(file, &incident.category, message);
        if incident.report.is_empty() || incident.evidence.len() < 2 {
            wrong("an incident needs a report and two pieces of evidence");
        }
        let request = incident.category.get_ref().starts_with(REQUEST);
        if request && incident.answer.is_empty() {
            wrong("a request needs an answer");
        }
        if !request && (incident.found.is_empty() || incident.cleared.is_empty() || incident.cause.is_empty())
        {
            wrong("an incident needs `found`, `cleared` and `cause`");
        }
        for (slot, list, name) in [(Slot::A, &incident.a, "a"), (Slot::B, &incident.b, "b")] {
            if list.iter().any(|word| word.has(Slot::A) || word.has(Slot::B)) {
                wrong(&format!("a word of the list `{name}` refers to a list"));
            }
            // A text that was blanked out may have been the one that uses it.
            let used = incident.templates().any(|template| template.has(slot));
            if used == list.is_empty() && is_clean {
                wrong(&format!("the list `{name}` is empty but used, or filled but not used"));
            }
        }
        let money = [Slot::Amount, Slot::AmountSmall];
        let used = incident.templates().any(|t| money.iter().any(|&slot| t.has(slot)));
        if used != incident.amount.is_some() && is_clean {
            wrong("`amount` is missing but used, or given but not used");
        }
        if incident.amount.is_some_and(|[low, high]| low < 10 || low > high || high > 1_000_000_000) {
            wrong("`amount` is the lowest (10 or more) and the highest");
        }
    }

    fn phrases(&self, mut phrases: Phrases, groups: &[Group]) -> Phrases {
        let file = "phrases.toml";
        for group in groups {
            match phrases.group.iter().find(|known| known.name.get_ref() == group.name.get_ref()) {
                Some(found) => phrases.groups.push(found.clone()),
                None => {
                    let message = format!("there is no group `{}`", group.name.get_ref());
                    self.wrong_near(file, "[[group]]", message);
                }
            }
        }
        let channels = [
            VoiceChannel::Phone,
            VoiceChannel::Web,
            VoiceChannel::Chat,
            VoiceChannel::Email,
            VoiceChannel::Proxy,
            VoiceChannel::Form,
        ];
        for channel in channels {
            if !phrases.voice.iter().any(|voice| voice.channel.contains(&channel)) {
                let message = format!("there is no voice for the channel {channel:?}");
                self.wrong_near(file, "[[voice]]", message);
            }
        }
        for voice in &phrases.voice {
            for (section, bank) in [(Section::Opener, &voice.opener), (Section::Closer, &voice.closer)] {
                if voice.order.contains(&section) && bank.is_empty() {
                    let message = format!("the order of the voice has {section:?} but it has none");
                    self.wrong(file, &voice.name, message);
                }
            }
            if !voice.order.contains(&Section::Incident) {
                self.wrong(file, &voice.name, "the order of the voice lacks the incident");
            }
        }
        // Banks that are drawn from must hold something. TOML has lost their place by now, so look for the list.
        for (at, _) in self.sources.text(file).match_indices("= []") {
            self.wrong_at(file, at, "a list of texts is empty");
        }
        phrases
    }

    fn flagships(
        &self,
        mut flagships: Vec<Flagship>,
        categories: &[Category],
        locations: &[Location],
    ) -> Vec<Flagship> {
        let file = "flagships.toml";
        for flagship in &mut flagships {
            let code = flagship.category.get_ref();
            match categories.iter().position(|known| known.code.get_ref() == code) {
                Some(index) => flagship.category_index = index,
                None => self.wrong(file, &flagship.category, format!("there is no category `{code}`")),
            }
            let code = flagship.location.get_ref();
            match locations.iter().position(|known| known.code == *code) {
                Some(index) => flagship.place = index,
                None => self.wrong(file, &flagship.location, format!("there is no location `{code}`")),
            }
            let wrong = |message: &str| self.wrong(file, &flagship.category, message);
            if flagship.days.is_some() != flagship.outcome.is_some() {
                wrong("`days` and `outcome` belong together");
            }
            if !(4..=150).contains(&flagship.weeks_ago)
                || flagship.days.is_some_and(|days| days < 2 || days >= flagship.weeks_ago * 7)
            {
                wrong("`weeks_ago` is between 4 and 150, and the case must be closed by now");
            }
            if !(0..=100).contains(&flagship.risk_score) {
                wrong("`risk_score` is between 0 and 100");
            }
            if !(1..=3).contains(&flagship.subject.len()) || flagship.investigation.is_empty() {
                wrong("a flagship case has one to three subjects and an investigation");
            }
            if flagship.investigation.iter().any(|one| !(1..=4).contains(&one.note.len())) {
                wrong("an investigation has one to four notes");
            }
            let texts = [&flagship.title, &flagship.summary, &flagship.narrative, &flagship.ai_summary];
            if texts.iter().any(|text| text.is_empty() || text.chars().count() > super::LONGEST_TEXT) {
                wrong("a text is empty, or longer than the database takes");
            }
        }
        flagships
    }
}

/// A string of TOML, quotes included, with nothing in it that could be wrong. Its length and lines stay.
fn blanked(string: &str) -> Option<String> {
    if !string.starts_with(['"', '\'']) {
        return None;
    }
    let mut is_escaped = false;
    let blank = |byte: u8| match byte {
        _ if is_escaped => {
            is_escaped = false;
            'x'
        }
        b'\\' => {
            is_escaped = true;
            'x'
        }
        b'"' | b'\'' | b'\n' | b'\r' => char::from(byte),
        _ => 'x',
    };
    Some(string.bytes().map(blank).collect())
}
