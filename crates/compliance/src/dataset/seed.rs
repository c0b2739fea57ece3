//! The authored inputs: the files under `seed-data/`, embedded in the binary, checked before anything is made of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use chrono_tz::Tz;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::template::{Slot, Template};

/// A mistake in a file of the seed data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed-data/{file}:{line}: {message}")]
pub struct SeedError {
    /// The file, below `seed-data/`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

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

/// The texts of the seed files.
#[derive(Debug, Clone)]
pub struct Sources {
    files: BTreeMap<String, String>,
}

impl Sources {
    /// The files as they were when the program was built.
    pub fn embedded() -> Self {
        Self { files: FILES.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect() }
    }

    /// The files of a folder, for authors who want to check an edit without building.
    pub fn from_folder(folder: &Path) -> Result<Self, SeedError> {
        let mut files = BTreeMap::new();
        for &(name, _) in FILES {
            let text = std::fs::read_to_string(folder.join(name)).map_err(|error| SeedError {
                file: name.to_owned(),
                line: 1,
                message: format!("cannot be read: {error}"),
            })?;
            files.insert(name.to_owned(), text);
        }
        Ok(Self { files })
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

    fn error(&self, file: &str, at: usize, message: impl Into<String>) -> SeedError {
        let text = self.text(file);
        let line = text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1;
        SeedError { file: file.to_owned(), line, message: message.into() }
    }

    fn parse<T: DeserializeOwned>(&self, file: &str) -> Result<T, SeedError> {
        toml::from_str(self.text(file))
            .map_err(|error| self.error(file, error.span().map_or(0, |span| span.start), error.message()))
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
    pub(crate) question: Bank,
    pub(crate) reply: Bank,
    pub(crate) action: Bank,
    pub(crate) lesson: Bank,
    pub(crate) recommendation: Bank,
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
    pub(crate) question: Bank,
    pub(crate) reply: Bank,
    pub(crate) update: Bank,
    pub(crate) thanks: Bank,
    pub(crate) closing_subject: Bank,
    pub(crate) closing: Bank,
}

/// Notes of investigators.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotePhrases {
    pub(crate) plan: Bank,
    pub(crate) interview_witness: Bank,
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

    /// Parses and checks the files: the first mistake is reported with its file and line.
    pub fn parse(sources: &Sources) -> Result<Self, SeedError> {
        Checker { sources }.seed_data()
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

/// The code prefix of the categories that are questions, not allegations.
pub(crate) const REQUEST: &str = "RFI-";

struct Checker<'a> {
    sources: &'a Sources,
}

impl Checker<'_> {
    fn wrong<T>(&self, file: &str, value: &Spanned<T>, message: impl Into<String>) -> SeedError {
        self.sources.error(file, value.span().start, message)
    }

    /// A mistake that belongs to a place in the file that contains `near`.
    fn wrong_near(&self, file: &str, near: &str, message: impl Into<String>) -> SeedError {
        let at = self.sources.text(file).find(near).unwrap_or(0);
        self.sources.error(file, at, message)
    }

    fn seed_data(&self) -> Result<SeedData, SeedError> {
        let mut organizations: Vec<Organization> =
            self.sources.parse::<OrganizationFile>("organizations.toml")?.organization;
        let departments = self.sources.parse::<DepartmentFile>("departments.toml")?.department;
        let mut locations = self.sources.parse::<LocationFile>("locations.toml")?.location;
        let mut categories = self.sources.parse::<CategoryFile>("categories.toml")?.category;
        let names: BTreeMap<String, NamePool> = self.sources.parse("names.toml")?;
        let weights: Weights = self.sources.parse("weights.toml")?;
        let phrases: Phrases = self.sources.parse("phrases.toml")?;
        let flagships = self.sources.parse::<FlagshipFile>("flagships.toml")?.flagship;

        self.locations(&mut locations, &names)?;
        self.names(&names)?;
        self.organizations(&mut organizations, &locations, &departments)?;
        self.categories(&mut categories, &weights)?;
        self.targets(&categories, &weights)?;
        let incidents = self.incidents(&categories)?;
        let phrases = self.phrases(phrases, &weights.group)?;
        let flagships = self.flagships(flagships, &categories, &locations)?;
        Ok(SeedData {
            organizations,
            departments,
            locations,
            categories,
            names: names.into_values().collect(),
            groups: weights.group.clone(),
            weights,
            incidents,
            phrases,
            flagships,
        })
    }

    fn locations(
        &self,
        locations: &mut [Location],
        names: &BTreeMap<String, NamePool>,
    ) -> Result<(), SeedError> {
        let file = "locations.toml";
        let mut codes = BTreeSet::new();
        for location in locations {
            location.zone = location.time_zone.get_ref().parse().map_err(|_| {
                let message = format!("there is no time zone `{}`", location.time_zone.get_ref());
                self.wrong(file, &location.time_zone, message)
            })?;
            location.pool =
                names.keys().position(|name| name == location.names.get_ref()).ok_or_else(|| {
                    let message = format!("names.toml has no pool `{}`", location.names.get_ref());
                    self.wrong(file, &location.names, message)
                })?;
            if !codes.insert(location.code.clone()) {
                return Err(self.wrong(
                    file,
                    &location.time_zone,
                    format!("the code `{}` is used twice", location.code),
                ));
            }
        }
        Ok(())
    }

    fn names(&self, pools: &BTreeMap<String, NamePool>) -> Result<(), SeedError> {
        let avoid: BTreeSet<&str> = self.sources.text("names-to-avoid.txt").lines().collect();
        let mut seen = BTreeSet::new();
        for (name, pool) in pools {
            for last in &pool.last {
                for first in pool.female.iter().chain(&pool.male) {
                    let full = format!("{first} {}", last.get_ref());
                    if avoid.contains(full.as_str()) {
                        let message = format!("the pool can make {full}, the name of a person of note");
                        return Err(self.wrong("names.toml", last, message));
                    }
                }
            }
            if pool.female.is_empty() || pool.male.is_empty() || pool.last.is_empty() {
                return Err(self.wrong_near("names.toml", &format!("[{name}]"), "a list of names is empty"));
            }
            for last in &pool.last {
                if !seen.insert(super::people::address(last.get_ref())) {
                    let message = format!("the family name `{}` is in two pools", last.get_ref());
                    return Err(self.wrong("names.toml", last, message));
                }
            }
        }
        Ok(())
    }

    fn organizations(
        &self,
        organizations: &mut [Organization],
        locations: &[Location],
        departments: &[Department],
    ) -> Result<(), SeedError> {
        let file = "organizations.toml";
        for organization in organizations.iter_mut() {
            let near = format!("slug = \"{}\"", organization.slug);
            let wrong = |message: String| Err(self.wrong_near(file, &near, message));
            organization.places = (0..locations.len()).collect();
            if !organization.locations.is_empty() {
                organization.places.clear();
                for code in &organization.locations {
                    let place = locations.iter().position(|location| location.code == *code.get_ref());
                    organization.places.push(place.ok_or_else(|| {
                        self.wrong(file, code, format!("there is no location `{}`", code.get_ref()))
                    })?);
                }
            }
            let shares: u32 = organization.divisions.iter().map(|division| division.share).sum();
            if shares != 100 {
                return wrong(format!("the shares of the divisions add up to {shares}, not to 100"));
            }
            for division in &organization.divisions {
                if !organization.places.iter().any(|&place| locations[place].houses(&division.name)) {
                    return wrong(format!("the division {} has no location", division.name));
                }
                if !departments.iter().any(|department| department.is_in(&division.name)) {
                    return wrong(format!("the division {} has no department", division.name));
                }
            }
            for executive in &organization.executives {
                if !organization.divisions.iter().any(|division| division.name == executive.division)
                    || !departments.iter().any(|department| department.name == executive.department)
                {
                    return wrong(format!(
                        "{} {} works in a division or department that does not exist",
                        executive.first_name, executive.last_name
                    ));
                }
            }
            if organization.executives.is_empty() || organization.users.is_empty() {
                return wrong("an organization needs executives and users".to_owned());
            }
            if !organization.users.iter().any(|user| user.role == Role::Investigator) {
                return wrong("an organization needs an investigator".to_owned());
            }
            if organization.employees < 40
                || organization.cases < 10
                || organization.rius < organization.cases
            {
                return wrong("40 employees and 10 cases are the least, and a report per case".to_owned());
            }
        }
        let known: BTreeSet<&str> = organizations
            .iter()
            .flat_map(|organization| &organization.divisions)
            .map(|division| division.name.as_str())
            .collect();
        for department in departments {
            for division in &department.divisions {
                if !known.contains(division.get_ref().as_str()) {
                    let message = format!("there is no division `{}`", division.get_ref());
                    return Err(self.wrong("departments.toml", division, message));
                }
            }
            if department.staff.is_empty() {
                let near = format!("name = \"{}\"", department.name);
                return Err(self.wrong_near("departments.toml", &near, "a department needs job titles"));
            }
        }
        for location in locations {
            for division in &location.divisions {
                if !known.contains(division.get_ref().as_str()) {
                    let message = format!("there is no division `{}`", division.get_ref());
                    return Err(self.wrong("locations.toml", division, message));
                }
            }
        }
        Ok(())
    }

    fn categories(&self, categories: &mut [Category], weights: &Weights) -> Result<(), SeedError> {
        let file = "categories.toml";
        let mut codes = BTreeSet::new();
        for category in categories.iter_mut() {
            if !codes.insert(category.code.get_ref().clone()) {
                let message = format!("the code `{}` is used twice", category.code.get_ref());
                return Err(self.wrong(file, &category.code, message));
            }
            let group = category.group.get_ref();
            category.group_index =
                weights.group.iter().position(|known| known.name.get_ref() == group).ok_or_else(|| {
                    self.wrong(file, &category.group, format!("weights.toml has no group `{group}`"))
                })?;
            category.anonymous = weights.group[category.group_index].anonymous;
            if category.sla_days == 0 {
                return Err(self.wrong(file, &category.code, "sla_days must be more than 0"));
            }
            if !weights.severity.contains_key(category.severity.name()) {
                let message = format!("[severity] has no {}", category.severity.name());
                return Err(self.wrong_near("weights.toml", "[severity]", message));
            }
        }
        for special in &weights.category {
            let category = categories
                .iter_mut()
                .find(|category| category.code.get_ref() == special.code.get_ref())
                .ok_or_else(|| {
                    let message = format!("there is no category `{}`", special.code.get_ref());
                    self.wrong("weights.toml", &special.code, message)
                })?;
            category.anonymous = special.anonymous;
        }
        let total: u32 = categories.iter().map(|category| category.weight).sum();
        if total != 1000 {
            return Err(self.wrong_near(
                file,
                "category",
                format!("the weights add up to {total}, not 1000"),
            ));
        }
        for group in &weights.group {
            let lists = [
                ("channel", group.channel.iter().sum::<u32>()),
                ("duration", group.duration.iter().sum()),
                ("outcome", group.outcome.iter().sum()),
            ];
            for (name, sum) in lists {
                if sum != 100 {
                    let message = format!("`{name}` adds up to {sum}, not to 100");
                    return Err(self.wrong("weights.toml", &group.name, message));
                }
            }
        }
        for (name, shares) in &weights.severity {
            if shares.iter().sum::<u32>() != 100 {
                let message = format!("`{name}` does not add up to 100");
                return Err(self.wrong_near("weights.toml", "[severity]", message));
            }
        }
        Ok(())
    }

    /// The shares of the whole dataset follow from those of its parts.
    fn targets(&self, categories: &[Category], weights: &Weights) -> Result<(), SeedError> {
        let target = weights.target.get_ref();
        let share = |of: &dyn Fn(&Category) -> u32| -> u32 {
            categories.iter().map(|category| category.weight * of(category)).sum()
        };
        let group = |category: &Category| &weights.group[category.group_index];
        let mut checks = vec![("anonymous", 0, target.anonymous, share(&|c| c.anonymous))];
        for index in 0..3 {
            checks.push(("channel", index, target.channel[index], share(&|c| group(c).channel[index])));
            checks.push(("duration", index, target.duration[index], share(&|c| group(c).duration[index])));
        }
        for index in 0..4 {
            checks.push(("outcome", index, target.outcome[index], share(&|c| group(c).outcome[index])));
            let severity = |c: &Category| weights.severity[c.severity.name()][index];
            checks.push(("severity", index, target.severity[index], share(&severity)));
        }
        for (name, index, wanted, is) in checks {
            // Thousandths of a percent, since the weights of the categories are tenths of a percent.
            if is.abs_diff(wanted * 1000) > 1000 {
                let percent = format!("{}.{}", is / 1000, is / 100 % 10);
                let message =
                    format!("`{name}` number {} comes to {percent} % instead of {wanted} %", index + 1);
                return Err(self.wrong("weights.toml", &weights.target, message));
            }
        }
        Ok(())
    }

    fn incidents(&self, categories: &[Category]) -> Result<Vec<Vec<Incident>>, SeedError> {
        let mut by_category = vec![Vec::new(); categories.len()];
        for file in NARRATIVES {
            for incident in self.sources.parse::<IncidentFile>(file)?.incident {
                let code = incident.category.get_ref();
                let index =
                    categories.iter().position(|known| known.code.get_ref() == code).ok_or_else(|| {
                        self.wrong(file, &incident.category, format!("there is no category `{code}`"))
                    })?;
                let wrong = |message: &str| Err(self.wrong(file, &incident.category, message));
                if incident.report.is_empty() || incident.evidence.len() < 2 {
                    return wrong("an incident needs a report and two pieces of evidence");
                }
                let request = code.starts_with(REQUEST);
                if request && incident.answer.is_empty() {
                    return wrong("a request needs an answer");
                }
                if !request
                    && (incident.found.is_empty() || incident.cleared.is_empty() || incident.cause.is_empty())
                {
                    return wrong("an incident needs `found`, `cleared` and `cause`");
                }
                for (slot, list, name) in [(Slot::A, &incident.a, "a"), (Slot::B, &incident.b, "b")] {
                    if list.iter().any(|word| word.has(Slot::A) || word.has(Slot::B)) {
                        return wrong(&format!("a word of the list `{name}` refers to a list"));
                    }
                    let used = incident.templates().any(|template| template.has(slot));
                    if used == list.is_empty() {
                        return wrong(&format!(
                            "the list `{name}` is empty but used, or filled but not used"
                        ));
                    }
                }
                let money = [Slot::Amount, Slot::AmountSmall];
                let used = incident.templates().any(|t| money.iter().any(|&slot| t.has(slot)));
                if used != incident.amount.is_some() {
                    return wrong("`amount` is missing but used, or given but not used");
                }
                if incident.amount.is_some_and(|[low, high]| low < 10 || low > high) {
                    return wrong("`amount` is the lowest (10 or more) and the highest");
                }
                by_category[index].push(incident);
            }
        }
        for (category, incidents) in categories.iter().zip(&by_category) {
            if incidents.is_empty() {
                return Err(self.wrong(
                    "categories.toml",
                    &category.code,
                    format!("narratives/ has no incident for `{}`", category.code.get_ref()),
                ));
            }
        }
        Ok(by_category)
    }

    fn phrases(&self, mut phrases: Phrases, groups: &[Group]) -> Result<Phrases, SeedError> {
        let file = "phrases.toml";
        for group in groups {
            let found = phrases.group.iter().find(|known| known.name.get_ref() == group.name.get_ref());
            let found = found.ok_or_else(|| {
                self.wrong_near(file, "[[group]]", format!("there is no group `{}`", group.name.get_ref()))
            })?;
            phrases.groups.push(found.clone());
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
                return Err(self.wrong_near(file, "[[voice]]", message));
            }
        }
        for voice in &phrases.voice {
            for (section, bank) in [(Section::Opener, &voice.opener), (Section::Closer, &voice.closer)] {
                if voice.order.contains(&section) && bank.is_empty() {
                    let message = format!("the order of the voice has {section:?} but it has none");
                    return Err(self.wrong(file, &voice.name, message));
                }
            }
            if !voice.order.contains(&Section::Incident) {
                return Err(self.wrong(file, &voice.name, "the order of the voice lacks the incident"));
            }
        }
        // Banks that are drawn from must hold something. TOML has lost their place by now, so look for the list.
        if let Some(at) = self.sources.text(file).find("= []") {
            return Err(self.sources.error(file, at, "a list of texts is empty"));
        }
        Ok(phrases)
    }

    fn flagships(
        &self,
        mut flagships: Vec<Flagship>,
        categories: &[Category],
        locations: &[Location],
    ) -> Result<Vec<Flagship>, SeedError> {
        let file = "flagships.toml";
        for flagship in &mut flagships {
            let code = flagship.category.get_ref();
            flagship.category_index =
                categories.iter().position(|known| known.code.get_ref() == code).ok_or_else(|| {
                    self.wrong(file, &flagship.category, format!("there is no category `{code}`"))
                })?;
            let code = flagship.location.get_ref();
            flagship.place = locations.iter().position(|known| known.code == *code).ok_or_else(|| {
                self.wrong(file, &flagship.location, format!("there is no location `{code}`"))
            })?;
            let wrong = |message: &str| Err(self.wrong(file, &flagship.category, message));
            if flagship.days.is_some() != flagship.outcome.is_some() {
                return wrong("`days` and `outcome` belong together");
            }
            if !(4..=150).contains(&flagship.weeks_ago)
                || flagship.days.is_some_and(|days| days < 2 || days >= flagship.weeks_ago * 7)
            {
                return wrong("`weeks_ago` is between 4 and 150, and the case must be closed by now");
            }
            if !(0..=100).contains(&flagship.risk_score) {
                return wrong("`risk_score` is between 0 and 100");
            }
            if !(1..=3).contains(&flagship.subject.len()) || flagship.investigation.is_empty() {
                return wrong("a flagship case has one to three subjects and an investigation");
            }
            if flagship.investigation.iter().any(|one| !(1..=4).contains(&one.note.len())) {
                return wrong("an investigation has one to four notes");
            }
        }
        Ok(flagships)
    }
}
