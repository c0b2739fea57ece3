//! All rows of one case: its reports, people, messages, investigations, notes and audit trail, in one story.

use chrono::{Duration, NaiveDateTime};
use demo_reset_persistence::types::{DbJson, DbTime, DbUuid};
use serde_json::json;

use super::calendar::{self, add_office_minutes, office_minutes};
use super::generate::{Actor, Numbered, World};
use super::people::Person;
use super::plan::{CasePlan, Channel, Edge, Special};
use super::rng::Rng;
use super::rows::{
    AssociationRow, AuditRow, Batch, CaseRow, InvestigationRow, MessageRow, NoteRow, RiuRow, SubjectRow,
};
use super::seed::{
    Bank, DepartmentKind, EndPhrases, Exchange, Flagship, Naming, NoteKind, Outcome, Person as Grammar,
    Section, Severity, Voice, VoiceChannel,
};
use super::story::{Story, Writer};
use super::template::{Slot, Template};

/// Children of one case have ordinals of their own in this range.
const CHILDREN: u64 = 64;

struct CaseWriter<'a, 'b> {
    world: &'b World<'a>,
    plan: &'b CasePlan,
    numbered: &'b Numbered,
    story: Story<'a>,
    rng: Rng,
    id: DbUuid,
    investigator: &'b Actor,
    reporter: Option<Person>,
    flagship: Option<&'a Flagship>,
    earlier: &'b [String],
    /// Closed before the date of the dataset.
    closed: Option<NaiveDateTime>,
    /// The last planned moment that anything can happen to this case.
    end: NaiveDateTime,
    /// The last planned moment before the date of the dataset.
    now: NaiveDateTime,
    /// Nothing but intake has happened.
    untouched: bool,
    last: NaiveDateTime,
    /// What the reporter was asked last.
    asked: Option<&'a Exchange>,
    children: [u64; 6],
}

/// Adds the rows of a case to `batch`. `earlier` names the cases that this one continues.
pub(crate) fn write(world: &World<'_>, numbered: &Numbered, earlier: &[String], batch: &mut Batch) {
    let plan = &numbered.plan;
    let mut rng = Rng::new(world.master_seed, "story", plan.ordinal);
    let seed = world.seed;
    let category = &seed.categories[plan.category];
    let flagship =
        if let Special::Flagship(index) = plan.special { Some(&seed.flagships[index]) } else { None };
    let accused = world.directory.person(plan.accused);
    let (witness, victim, mut reporter) = colleagues(world, plan, &mut rng);
    // Who speaks of retaliation is who reported the first matter, where that is known.
    if let Special::FollowUp(first) = &plan.special
        && !first.anonymous
    {
        reporter = colleagues(world, first, &mut Rng::new(world.master_seed, "story", first.ordinal)).2;
    }
    let manager = accused.manager.map(|index| world.directory.person(index).full()).unwrap_or_default();
    let days_before = rng.between(1, 16);
    let minute = rng.between(7 * 60, 19 * 60);
    let mut when = calendar::at((plan.reported - Duration::days(days_before)).date(), minute, 0);
    if calendar::is_weekend(when.date()) && !rng.percent(25) {
        when -= Duration::days(2);
    }
    let mut story = Story::new(
        seed,
        &seed.incidents[plan.category][plan.incident],
        &category.name,
        &seed.locations[plan.place],
        [accused, witness, victim],
        manager,
        [world.calendar.shifted(when), world.calendar.shifted(plan.reported)],
        &mut rng,
    );
    let investigator =
        &world.investigators[(plan.ordinal % world.investigators.len().max(1) as u64) as usize];
    story.case = numbered.case.clone();
    story.investigator = investigator.name.clone();
    story.first_case = earlier.last().cloned().unwrap_or_else(|| numbered.case.clone());

    let cutoff = world.calendar.cutoff();
    let closed = plan.closed.filter(|&time| world.utc(plan, time) < cutoff);
    let age = cutoff - world.utc(plan, plan.created);
    let untouched = closed.is_none() && age <= Duration::days(7) && plan.waits;
    // An hour before the cutoff, wherever in the day that falls.
    let now =
        world.calendar.planned(cutoff.with_timezone(&world.zone(plan)).naive_local()) - Duration::hours(1);
    let end = closed.unwrap_or(now).max(plan.created);
    let reporter = (!plan.anonymous).then_some(reporter);
    let mut writer = CaseWriter {
        world,
        plan,
        numbered,
        story,
        rng,
        id: world.ids.id("cases", plan.ordinal),
        investigator,
        reporter,
        flagship,
        earlier,
        closed,
        end,
        now: now.max(end),
        untouched,
        last: plan.created,
        asked: None,
        children: [0; 6],
    };
    writer.write(batch);
}

/// Two colleagues of the accused and a reporter, all different.
fn colleagues(world: &World<'_>, plan: &CasePlan, rng: &mut Rng) -> (Person, Person, Person) {
    let directory = world.directory;
    let lead = if plan.accused < directory.staff_from {
        plan.accused
    } else {
        directory.manager_of(plan.accused).unwrap_or(0)
    };
    let team: Vec<u32> = if directory.managers().contains(&lead) {
        directory.team(lead).filter(|&one| one != plan.accused && !directory.is_new(one)).collect()
    } else {
        Vec::new()
    };
    let mut taken = Vec::new();
    let mut next = || {
        let free: Vec<u32> = team.iter().copied().filter(|one| !taken.contains(one)).collect();
        let one = if free.is_empty() {
            // Not enough colleagues who have been there long enough: anyone else will do.
            loop {
                let one =
                    directory.staff_from + rng.below(u64::from(directory.len - directory.staff_from)) as u32;
                if one != plan.accused && !taken.contains(&one) && !directory.is_new(one) {
                    break one;
                }
            }
        } else {
            *rng.pick(&free)
        };
        taken.push(one);
        directory.person(one)
    };
    (next(), next(), next())
}

/// Nobody says twice in one report how long it lasted, how often it happened or what time it was.
const SAID_ONCE: [Slot; 5] = [Slot::Weeks, Slot::Count, Slot::Time, Slot::Since, Slot::Weekday];

/// One of the bank's texts, as far as possible one that repeats nothing of what was said.
fn unsaid<'t>(rng: &mut Rng, bank: &'t Bank, said: &[Slot]) -> &'t Template {
    let from = rng.index(bank.len());
    let mut turn = bank[from..].iter().chain(&bank[..from]);
    turn.find(|template| !said.iter().any(|&slot| template.has(slot))).unwrap_or(&bank[from])
}

/// One thing that happens to a case.
#[derive(Clone, Copy)]
enum Step {
    Open,
    OpenSecond,
    /// Investigation (0 or 1), note (from 0), and what it is about.
    Note(usize, usize, NoteStep),
    /// Message (from 0), of how many.
    Message(usize, usize),
    Extend(NaiveDateTime),
    Close,
}

#[derive(Clone, Copy)]
enum NoteStep {
    Plan,
    Witness,
    Accused,
    Evidence,
    FollowUp,
    Finding,
    Recommendation,
    Request,
    Regulatory,
    Flagship,
}

struct Findings {
    summary: String,
    detail: String,
    cause: Option<String>,
    lessons: Option<String>,
}

#[derive(Clone, Copy)]
enum Child {
    Riu,
    Investigation,
    Subject,
    Message,
    Note,
    Audit,
}

impl CaseWriter<'_, '_> {
    fn child(&mut self, kind: Child) -> DbUuid {
        let (table, slot) = match kind {
            Child::Riu => ("rius", 0),
            Child::Investigation => ("investigations", 1),
            Child::Subject => ("subjects", 2),
            Child::Message => ("case_messages", 3),
            Child::Note => ("investigation_notes", 4),
            Child::Audit => ("audit_logs", 5),
        };
        let ordinal = self.plan.ordinal * CHILDREN + self.children[slot];
        self.children[slot] += 1;
        self.world.ids.id(table, ordinal)
    }

    fn time(&self, local: NaiveDateTime) -> DbTime {
        self.world.time(self.plan, local)
    }

    /// The moment at `percent` of the working time between creation and end.
    fn moment(&mut self, percent: i64) -> NaiveDateTime {
        let minutes = office_minutes(self.plan.created, self.end);
        let exact = add_office_minutes(self.plan.created, minutes * percent / 100);
        let time = (exact + Duration::seconds(self.rng.between(1, 59))).clamp(self.plan.created, self.end);
        let time = time.max(self.last);
        self.last = time;
        time
    }

    fn say(&mut self, bank: &Bank) -> String {
        let template = self.rng.pick(bank);
        Writer::team(&self.story).say(template).finish()
    }

    fn write(&mut self, batch: &mut Batch) {
        let place = &self.world.seed.locations[self.plan.place];
        let domain = &self.world.organization.domain;
        let contact = self.reporter.as_ref().map(|one| (one.full(), one.email(domain), one.phone(place)));
        let risk = self.risk_score();
        let summary = match self.flagship {
            Some(flagship) => format!("{}. {}", flagship.title, flagship.summary),
            None if self.plan.request => self.say(&self.world.seed.phrases.request.summary),
            None => self.say(&self.world.seed.phrases.intake.summary),
        };
        let narrative = self.narrative();
        let details = self.case_details(&narrative);
        let ai_summary = self.ai_summary();

        self.rius(batch, &narrative, &summary, contact.as_ref(), ai_summary.as_deref(), risk);
        let case_at = batch.cases.len();
        let plan = self.plan;
        let (_, _, source_channel) = plan.channel.names(plan.request);
        let status = match (self.closed, self.untouched) {
            (Some(_), _) => "CLOSED",
            (None, true) => "NEW",
            (None, false) => "OPEN",
        };
        let tags = self.tags();
        let created_at = self.time(plan.created);
        batch.cases.push(CaseRow {
            organization_id: self.world.organization_id,
            id: self.id,
            reference_number: self.numbered.case.clone(),
            details,
            summary: Some(summary),
            status,
            severity: plan.severity.name(),
            case_type: if plan.request { "RFI" } else { "REPORT" },
            source_channel,
            reporter_type: self.case_reporter_type(),
            reporter_name: contact.as_ref().map(|(name, _, _)| name.clone()),
            reporter_email: contact.as_ref().map(|(_, email, _)| email.clone()),
            reporter_phone: contact.as_ref().map(|(_, _, phone)| phone.clone()),
            category_id: Some(self.world.categories[plan.category]),
            location_id: Some(self.world.locations[plan.place]),
            outcome: self.closed.map(|_| plan.outcome.name()),
            outcome_notes: None,
            tags: DbJson(json!(tags)),
            ai_summary,
            risk_score: Some(risk),
            sla_due_at: Some(self.time(plan.due)),
            closed_at: self.closed.map(|time| self.time(time)),
            created_at,
            updated_at: created_at,
            created_by_id: self.world.triage.id,
            updated_by_id: self.world.triage.id,
        });
        let (id, triage) = (self.id, &self.world.triage);
        let opened = format!("Case {} opened from {}", self.numbered.case, self.numbered.rius[0].1);
        self.audit(batch, "case", id, "CREATED", opened, triage, None, plan.created);
        self.associations(batch);
        self.subjects(batch);
        let updated_by = self.handling(batch);
        if let Some(closed) = self.closed {
            let notes = match self.flagship {
                Some(flagship) => flagship.outcome_notes.clone(),
                None => Some(self.closing_note()),
            };
            batch.cases[case_at].outcome_notes = notes;
            self.last = self.last.max(closed);
        }
        batch.cases[case_at].updated_at = self.time(self.last);
        batch.cases[case_at].updated_by_id = updated_by;
    }

    fn closing_note(&mut self) -> String {
        let note = self.say_ending(|ending| &ending.case_note);
        if self.plan.outcome != Outcome::Substantiated {
            return note;
        }
        let group = self.world.seed.categories[self.plan.category].group_index;
        let action = self.say(&self.world.seed.phrases.groups[group].action);
        format!("{note} {action}")
    }

    fn case_reporter_type(&self) -> &'static str {
        match (self.plan.anonymous, self.plan.channel) {
            (true, _) => "ANONYMOUS",
            (false, Channel::Proxy) => "PROXY",
            (false, _) => "IDENTIFIED",
        }
    }

    fn risk_score(&mut self) -> i32 {
        if let Some(flagship) = self.flagship {
            return flagship.risk_score;
        }
        let base = match self.plan.severity {
            Severity::Critical => 78,
            Severity::High => 58,
            Severity::Medium => 34,
            Severity::Low => 10,
        };
        let usual = match self.world.seed.categories[self.plan.category].severity {
            Severity::Critical => 6,
            Severity::High => 4,
            _ => 0,
        };
        let pattern = match self.plan.special {
            Special::Repeat { nth } => 3 + 2 * nth.min(4) as i32,
            Special::FollowUp(_) => 8,
            _ => 0,
        };
        (base + usual + pattern + self.rng.between(0, 12) as i32).min(100)
    }

    fn tags(&self) -> Vec<String> {
        let mut tags: Vec<String> = Vec::new();
        let mut tag = |text: &str| tags.push(text.to_owned());
        match &self.plan.special {
            Special::Flagship(_) => tag("flagship"),
            Special::Edge(edge) => tag(edge.tag()),
            Special::Repeat { nth } if *nth > 0 => tag("repeat-subject"),
            Special::FollowUp(_) => tag("retaliation-follow-up"),
            _ => {}
        }
        if self.numbered.rius.len() > 1 {
            tag("multiple-reports");
        }
        if self.plan.second_investigation {
            tag("regulatory");
        }
        if let Some(flagship) = self.flagship {
            flagship.tags.iter().for_each(|text| tag(text));
        }
        tags
    }

    fn ai_summary(&mut self) -> Option<String> {
        if let Some(flagship) = self.flagship {
            let points: Vec<String> =
                flagship.talking_points.iter().map(|point| format!("- {point}")).collect();
            return Some(format!("{}\n\nTalking points:\n{}", flagship.ai_summary, points.join("\n")));
        }
        if self.plan.request || !matches!(self.plan.severity, Severity::Critical | Severity::High) {
            return None;
        }
        let intake = &self.world.seed.phrases.intake;
        let mut writer = Writer::team(&self.story);
        writer.say(self.rng.pick(&intake.ai_summary)).say(self.rng.pick(&intake.ai_next));
        Some(writer.finish())
    }

    fn narrative(&mut self) -> String {
        if let Some(flagship) = self.flagship {
            return flagship.narrative.clone();
        }
        match self.plan.special {
            Special::Edge(Edge::Long) => return self.long_narrative(),
            Special::Edge(Edge::Scripts) => {
                let own = self.told();
                return format!("{own}\n\n{}", self.world.seed.phrases.edge.scripts);
            }
            _ => {}
        }
        if self.plan.request {
            return self.question();
        }
        self.told()
    }

    fn told(&mut self) -> String {
        let channel = match self.plan.channel {
            Channel::Phone => VoiceChannel::Phone,
            Channel::Web | Channel::Campaign => VoiceChannel::Web,
            Channel::Chat => VoiceChannel::Chat,
            Channel::Email => VoiceChannel::Email,
            Channel::Proxy => VoiceChannel::Proxy,
            Channel::Form => VoiceChannel::Form,
        };
        let seed = self.world.seed;
        let voices: Vec<&Voice> =
            seed.phrases.voice.iter().filter(|voice| voice.channel.contains(&channel)).collect();
        let voice = *self.rng.pick(&voices);
        let follow_up = matches!(self.plan.special, Special::FollowUp(_));
        let report = &seed.phrases.report;
        let group = &seed.phrases.groups[seed.categories[self.plan.category].group_index];
        let rng = &mut self.rng;
        let incident = self.story.incident;
        let mut said: Vec<Slot> = Vec::new();
        let mut writer = Writer::new(&self.story, voice.person, voice.naming);
        for section in &voice.order {
            // Nobody tells everything: some leave out this, others that.
            let keep = match section {
                Section::Incident | Section::Opener => 100,
                Section::Setting | Section::Evidence | Section::Closer => 85,
                Section::Accused | Section::Consequence => 75,
                Section::Witness => 65,
                Section::Frequency | Section::Fear => 60,
                Section::History | Section::Wish => 50,
            };
            if !rng.percent(keep) {
                continue;
            }
            let bank: &Bank = match section {
                Section::Opener => &voice.opener,
                Section::Setting => &report.setting,
                Section::Incident => &incident.report,
                Section::Accused => &report.accused,
                Section::Frequency => &report.frequency,
                Section::Witness => &report.witness,
                Section::Evidence => &report.evidence,
                Section::Consequence => &group.consequence,
                Section::Fear if self.plan.anonymous => &report.fear_anonymous,
                Section::Fear => &report.fear_named,
                Section::History => &report.history,
                Section::Wish => &report.wish,
                Section::Closer => &voice.closer,
            };
            if *section == Section::Incident && follow_up {
                writer.say(rng.pick(&report.follow_up));
            }
            let template = unsaid(rng, bank, &said);
            said.extend(SAID_ONCE.iter().filter(|&&slot| template.has(slot)));
            writer.say(template);
            if voice.breaks.contains(section) {
                writer.paragraph();
            }
        }
        writer.finish()
    }

    fn question(&mut self) -> String {
        let request = &self.world.seed.phrases.request;
        let grammar = if self.plan.channel == Channel::Phone { Grammar::Caller } else { Grammar::First };
        let rng = &mut self.rng;
        let mut writer = Writer::new(&self.story, grammar, Naming::Full);
        writer.say(rng.pick(&request.opener));
        if rng.percent(80) {
            writer.say(rng.pick(&request.background));
        }
        writer.say(rng.pick(&self.story.incident.report));
        if rng.percent(75) {
            writer.say(rng.pick(&request.closer));
        }
        writer.finish()
    }

    /// A diary that fills the column to its last character.
    fn long_narrative(&mut self) -> String {
        let mut text = self.told();
        let report = &self.world.seed.phrases.report;
        let edge = &self.world.seed.phrases.edge;
        while text.chars().count() < super::LONGEST_TEXT {
            let rng = &mut self.rng;
            let mut writer = Writer::new(&self.story, Grammar::First, Naming::Last);
            writer
                .say(rng.pick(&edge.diary))
                .say(rng.pick(&report.setting))
                .say(rng.pick(&self.story.incident.report))
                .say(rng.pick(&report.frequency))
                .say(rng.pick(&report.evidence));
            text.push_str("\n\n");
            text.push_str(&writer.finish());
        }
        let cut: String = text.chars().take(super::LONGEST_TEXT - 1).collect();
        let cut = cut.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        let mut text = format!("{cut}.");
        let missing = super::LONGEST_TEXT - text.chars().count();
        text.extend(std::iter::repeat_n('!', missing));
        text
    }

    fn case_details(&mut self, narrative: &str) -> String {
        if self.flagship.is_some() || matches!(self.plan.special, Special::Edge(Edge::Long)) {
            return narrative.to_owned();
        }
        let phrases = &self.world.seed.phrases;
        let note = self.say(if self.plan.request { &phrases.request.note } else { &phrases.intake.note });
        format!("{narrative}\n\n{note}")
    }

    fn rius(
        &mut self,
        batch: &mut Batch,
        narrative: &str,
        summary: &str,
        contact: Option<&(String, String, String)>,
        ai_summary: Option<&str>,
        risk: i32,
    ) {
        let numbered = self.numbered;
        for (index, (time, number)) in numbered.rius.iter().enumerate() {
            let plan = self.plan;
            let id = self.child(Child::Riu);
            let status = if self.untouched { "RELEASED" } else { "LINKED" };
            let status = if self.closed.is_some() { "CLOSED" } else { status };
            let (riu_type, source_channel, _) = plan.channel.names(plan.request);
            let mut row = RiuRow {
                organization_id: self.world.organization_id,
                id,
                reference_number: number.clone(),
                riu_type,
                source_channel,
                details: narrative.to_owned(),
                summary: Some(summary.to_owned()),
                status,
                severity: plan.severity.name(),
                reporter_type: "ANONYMOUS",
                reporter_name: contact.map(|(name, _, _)| name.clone()),
                reporter_email: contact.map(|(_, email, _)| email.clone()),
                reporter_phone: contact.map(|(_, _, phone)| phone.clone()),
                category_id: Some(self.world.categories[plan.category]),
                location_id: Some(self.world.locations[plan.place]),
                ai_summary: ai_summary.map(str::to_owned),
                risk_score: Some(risk),
                created_at: self.time(*time),
                created_by_id: self.intake_user(),
            };
            if !plan.anonymous {
                row.reporter_type = if self.rng.percent(25) { "CONFIDENTIAL" } else { "IDENTIFIED" };
            }
            if index > 0 {
                self.further_report(&mut row);
            }
            let text = format!("Report {number} received ({})", spoken(row.source_channel));
            let actor = self.world.triage.clone();
            batch.rius.push(row);
            self.audit_of(batch, None, "riu", id, "CREATED", text, &actor, None, *time);
        }
    }

    fn intake_user(&self) -> DbUuid {
        match self.plan.channel {
            Channel::Proxy => self.world.manager.id,
            Channel::Form if !self.plan.anonymous => self.world.employee.id,
            _ => self.world.triage.id,
        }
    }

    /// Somebody else reports the same matter.
    fn further_report(&mut self, row: &mut RiuRow) {
        let related = &self.world.seed.phrases.related;
        let rng = &mut self.rng;
        let phone = rng.percent(60);
        let channel = if phone { Channel::Phone } else { Channel::Web };
        let anonymous = rng.percent(self.world.seed.categories[self.plan.category].anonymous.into());
        let grammar = if phone { Grammar::Caller } else { Grammar::First };
        let mut writer = Writer::new(&self.story, grammar, Naming::Last);
        writer.say(rng.pick(&related.opener)).say(rng.pick(&related.body));
        if rng.percent(70) {
            writer.say(rng.pick(&related.closer));
        }
        let told = writer.finish();
        // Asking the same question again needs no story.
        row.details = if self.plan.request { self.question() } else { told };
        (row.riu_type, row.source_channel, _) = channel.names(self.plan.request);
        row.ai_summary = None;
        row.created_by_id = self.world.triage.id;
        if anonymous {
            row.reporter_type = "ANONYMOUS";
            (row.reporter_name, row.reporter_email, row.reporter_phone) = (None, None, None);
        } else {
            let witness = &self.story.witness;
            let place = &self.world.seed.locations[self.plan.place];
            row.reporter_type = "IDENTIFIED";
            row.reporter_name = Some(witness.full());
            row.reporter_email = Some(witness.email(&self.world.organization.domain));
            row.reporter_phone = Some(witness.phone(place));
        }
    }

    fn associations(&mut self, batch: &mut Batch) {
        let numbered = self.numbered;
        for (index, (time, _)) in numbered.rius.iter().enumerate() {
            let ordinal = self.plan.ordinal * CHILDREN + index as u64;
            let notes = (index > 0).then(|| self.say(&self.world.seed.phrases.related.association));
            let time = (*time + Duration::minutes(7)).max(self.plan.created);
            batch.riu_case_associations.push(AssociationRow {
                organization_id: self.world.organization_id,
                id: self.world.ids.id("riu_case_associations", ordinal),
                riu_id: self.world.ids.id("rius", ordinal),
                case_id: self.id,
                association_type: if index == 0 { "PRIMARY" } else { "RELATED" },
                notes,
                created_at: self.time(time),
                created_by_id: self.world.triage.id,
            });
        }
        // A follow-up is filed with the case that it follows, too.
        if let Special::FollowUp(first) = &self.plan.special {
            let ordinal = self.plan.ordinal * CHILDREN;
            batch.riu_case_associations.push(AssociationRow {
                organization_id: self.world.organization_id,
                id: self.world.ids.id("riu_case_associations", ordinal + CHILDREN - 1),
                riu_id: self.world.ids.id("rius", ordinal),
                case_id: self.world.ids.id("cases", first.ordinal),
                association_type: "RELATED",
                notes: Some(format!("Alleged retaliation for this case, handled in {}", self.numbered.case)),
                created_at: self.time(self.plan.created + Duration::minutes(9)),
                created_by_id: self.world.triage.id,
            });
        }
    }

    fn subjects(&mut self, batch: &mut Batch) {
        let created = self.plan.created + Duration::minutes(self.rng.between(2, 14));
        if let Some(flagship) = self.flagship {
            for subject in &flagship.subject {
                let id = self.child(Child::Subject);
                let place = &self.world.seed.locations[self.plan.place];
                batch.subjects.push(SubjectRow {
                    organization_id: self.world.organization_id,
                    id,
                    case_id: self.id,
                    name: subject.name.clone(),
                    role: subject.role.name(),
                    employee_id: None,
                    relationship: subject.relationship.clone(),
                    department: Some(subject.department.clone()),
                    location: Some(place.name.clone()),
                    job_title: Some(subject.job_title.clone()),
                    manager_name: None,
                    notes: Some(subject.notes.clone()),
                    created_at: self.time(created),
                    updated_at: self.time(created),
                    created_by_id: self.world.triage.id,
                });
            }
            return;
        }
        let phrases = &self.world.seed.phrases.subjects;
        let mut people = Vec::new();
        if self.plan.request {
            // Nobody is accused of anything: the case is about whoever asks.
            let asks = self.reporter.clone();
            match asks {
                Some(reporter) => people.push((reporter, "REPORTER", &phrases.reporter)),
                None => people.push((self.story.witness.clone(), "OTHER", &phrases.witness)),
            }
        } else {
            let bank = match self.plan.special {
                Special::Repeat { nth } if nth > 0 => &phrases.repeat,
                Special::FollowUp(_) => &phrases.retaliation,
                _ => &phrases.accused,
            };
            people.push((self.story.accused.clone(), "ACCUSED", bank));
            let others = self.rng.weighted(&[12, 52, 36]);
            let mut more = vec![(self.story.victim.clone(), "VICTIM", &phrases.victim)];
            if let Some(reporter) = self.reporter.clone() {
                more.push((reporter, "REPORTER", &phrases.reporter));
            }
            let group = self.world.seed.categories[self.plan.category].group_index;
            // Harm to a person is what these two groups are about; elsewhere the company is harmed.
            if group > 0 && self.world.seed.groups[group].department != DepartmentKind::Safety {
                more.remove(0);
            }
            self.rng.shuffle(&mut more);
            // Whoever was there is heard in nearly every case, so they are rarely left out.
            let at = if self.rng.percent(85) { 0 } else { more.len() };
            more.insert(at, (self.story.witness.clone(), "WITNESS", &phrases.witness));
            people.extend(more.into_iter().take(others));
        }
        for (person, role, bank) in people {
            let id = self.child(Child::Subject);
            let mut notes = self.say(bank);
            let is_repeat = matches!(self.plan.special, Special::Repeat { .. });
            if role == "ACCUSED" && is_repeat && !self.earlier.is_empty() {
                notes = format!("{notes} Earlier: {}.", self.earlier.join(", "));
            }
            let manager = person.manager.map(|index| self.world.directory.person(index).full());
            let seed = self.world.seed;
            batch.subjects.push(SubjectRow {
                organization_id: self.world.organization_id,
                id,
                case_id: self.id,
                name: person.full(),
                role,
                employee_id: Some(self.world.ids.id("employees", u64::from(person.index))),
                relationship: Some(if role == "REPORTER" { "Reporter" } else { "Colleague" }.to_owned()),
                department: Some(seed.departments[person.department].name.clone()),
                location: Some(seed.locations[person.place].name.clone()),
                job_title: Some(person.job_title.clone()),
                manager_name: manager,
                notes: Some(notes),
                created_at: self.time(created),
                updated_at: self.time(created),
                created_by_id: self.world.triage.id,
            });
        }
    }

    fn ending(&self) -> &EndPhrases {
        let endings = &self.world.seed.phrases.outcome;
        match self.plan.outcome {
            Outcome::NoViolation if self.plan.request => &endings.answered,
            Outcome::Substantiated => &endings.substantiated,
            Outcome::Unsubstantiated | Outcome::NoViolation => &endings.unsubstantiated,
            Outcome::Inconclusive => &endings.inconclusive,
            Outcome::PolicyViolation => &endings.other,
        }
    }

    /// Everything between intake and closure, in the order in which it happens. Returns who touched the case last.
    fn handling(&mut self, batch: &mut Batch) -> DbUuid {
        let first = self.investigation(batch, 1);
        if self.untouched {
            return self.world.triage.id;
        }
        let mut steps = vec![(3, Step::Open)];
        let second = self.plan.second_investigation.then(|| self.investigation(batch, 2));
        for (nth, kind) in self.note_kinds(1).into_iter().enumerate() {
            steps.push((12 + 21 * nth as i64 + self.rng.between(0, 9), Step::Note(0, nth, kind)));
        }
        if second.is_some() {
            steps.push((38, Step::OpenSecond));
            for (nth, kind) in self.note_kinds(2).into_iter().enumerate() {
                steps.push((50 + 12 * nth as i64 + self.rng.between(0, 6), Step::Note(1, nth, kind)));
            }
        }
        let messages = self.message_count();
        for nth in 0..messages {
            let percent = match nth {
                0 => 6,
                _ if self.tells_result(nth, messages) || nth == 3 && messages == 4 => 101,
                _ => 10 + 80 * nth as i64 / messages as i64,
            };
            steps.push((percent, Step::Message(nth, messages)));
        }
        if let Some(extended) = self.plan.extended {
            let all = office_minutes(self.plan.created, self.end).max(1);
            let at = office_minutes(self.plan.created, extended) * 100 / all;
            steps.push((at.min(95), Step::Extend(extended)));
        }
        if self.closed.is_some() {
            steps.push((100, Step::Close));
        }
        // Stable: what is due at the same time stays in the order above.
        steps.sort_by_key(|(percent, _)| *percent);
        let mut by = self.world.triage.id;
        let investigations = [first, second.unwrap_or(first)];
        for (percent, step) in steps {
            by = self.step(batch, percent, step, investigations);
        }
        for index in investigations {
            let last = self.time(self.last);
            let row = &mut batch.investigations[index];
            row.updated_at = last;
            row.updated_by_id = self.investigator.id;
        }
        by
    }

    fn step(&mut self, batch: &mut Batch, percent: i64, step: Step, investigations: [usize; 2]) -> DbUuid {
        let (id, investigator) = (self.id, self.investigator);
        let (triage, officer) = (&self.world.triage, &self.world.officer);
        match step {
            Step::Open => {
                let time = self.moment(percent);
                let text = format!("Case assigned to {}", investigator.name);
                let changes = json!({"status": {"old": "NEW", "new": "OPEN"}});
                self.audit(batch, "case", id, "UPDATED", text, triage, Some(changes), time);
                batch.investigations[investigations[0]].created_at = self.time(time);
                triage.id
            }
            Step::OpenSecond => {
                let time = self.moment(percent);
                let text = "Second investigation opened to answer for regulatory duties".to_owned();
                let entity = batch.investigations[investigations[1]].id;
                self.audit(batch, "investigation", entity, "CREATED", text, officer, None, time);
                batch.investigations[investigations[1]].created_at = self.time(time);
                officer.id
            }
            Step::Note(which, nth, kind) => {
                let time = self.moment(percent);
                self.note(batch, batch_id(batch, investigations[which]), which, nth, kind, time);
                investigator.id
            }
            Step::Message(nth, of) => {
                let time = if percent <= 100 || self.closed.is_none() {
                    self.moment(percent.min(97))
                } else {
                    // The result is told once there is one; reporters answer when they next look.
                    let inbound = nth % 2 == 1;
                    let wait = self.rng.between(6, 40) * if inbound { 47 } else { 1 };
                    self.last = self.last.max((self.last + Duration::minutes(wait)).min(self.now));
                    self.last
                };
                self.message(batch, nth, of, time);
                investigator.id
            }
            Step::Extend(time) => {
                self.last = self.last.max(time).min(self.end.max(self.last));
                let time = self.last;
                let text = "Due date extended with the approval of the compliance officer".to_owned();
                let old = self.plan.created
                    + Duration::days(self.world.seed.categories[self.plan.category].sla_days.into());
                let changes = json!({"slaDueAt": {
                    "old": self.time(old).to_string(),
                    "new": self.time(self.plan.due).to_string(),
                }});
                self.audit(batch, "case", id, "UPDATED", text, officer, Some(changes), time);
                officer.id
            }
            Step::Close => {
                self.last = self.end;
                let time = self.end;
                let outcome = self.plan.outcome.name();
                let text = format!("Case closed as {}", outcome.to_lowercase().replace('_', " "));
                let changes = json!({
                    "status": {"old": "OPEN", "new": "CLOSED"},
                    "outcome": {"old": null, "new": outcome},
                });
                let severe = matches!(self.plan.severity, Severity::Critical | Severity::High);
                let actor = if severe { officer } else { investigator };
                self.audit(batch, "case", id, "UPDATED", text, actor, Some(changes), time);
                actor.id
            }
        }
    }

    /// Adds an investigation and returns its place in the batch.
    fn investigation(&mut self, batch: &mut Batch, number: i32) -> usize {
        let plan = self.plan;
        let world = self.world;
        let id = self.child(Child::Investigation);
        let group = &world.seed.groups[world.seed.categories[plan.category].group_index];
        let department = match (number, group.department, self.flagship) {
            (_, _, Some(flagship)) => flagship.investigation[number as usize - 1].department,
            (2, DepartmentKind::Legal, _) => DepartmentKind::Compliance,
            (2, _, _) => DepartmentKind::Legal,
            (_, department, _) => department,
        };
        let investigation_type = match (number, plan.severity, plan.request) {
            (_, _, true) => "INQUIRY",
            (2, _, _) | (_, Severity::Critical | Severity::High, _) => "FULL",
            (_, Severity::Medium, _) => "LIMITED",
            (_, Severity::Low, _) => "INQUIRY",
        };
        let cutoff = world.calendar.cutoff();
        let due = world.utc(plan, plan.due);
        let sla_status = match self.closed {
            Some(closed) if world.utc(plan, closed) > due => "OVERDUE",
            Some(_) => "ON_TRACK",
            None if due < cutoff => "OVERDUE",
            None if due < cutoff + Duration::days(7) => "WARNING",
            None => "ON_TRACK",
        };
        let status = if self.closed.is_some() {
            "CLOSED"
        } else if self.untouched {
            "NEW"
        } else {
            ["ASSIGNED", "INVESTIGATING", "PENDING_REVIEW", "ON_HOLD"][self.rng.weighted(&[16, 60, 15, 9])]
        };
        let findings = self.closed.map(|_| self.findings(number));
        let created = self.time(plan.created);
        let (summary, detail, cause, lessons) = match findings {
            Some(findings) => {
                (Some(findings.summary), Some(findings.detail), findings.cause, findings.lessons)
            }
            None => (None, None, None, None),
        };
        batch.investigations.push(InvestigationRow {
            organization_id: world.organization_id,
            id,
            case_id: self.id,
            investigation_number: number,
            investigation_type,
            department: Some(department.name()),
            status,
            sla_status,
            primary_investigator_id: (status != "NEW").then_some(self.investigator.id),
            due_date: Some(DbTime::new(due)),
            findings_summary: summary,
            findings_detail: detail,
            outcome: self.closed.map(|_| plan.outcome.name()),
            root_cause: cause,
            lessons_learned: lessons,
            closed_at: self.closed.map(|time| self.time(time)),
            created_at: created,
            updated_at: created,
            created_by_id: world.triage.id,
            updated_by_id: world.triage.id,
        });
        batch.investigations.len() - 1
    }

    fn findings(&mut self, number: i32) -> Findings {
        if let Some(flagship) = self.flagship {
            let one = &flagship.investigation[number as usize - 1];
            return Findings {
                summary: one.findings_summary.clone().unwrap_or_else(|| flagship.summary.clone()),
                detail: one.findings_detail.clone().unwrap_or_else(|| flagship.ai_summary.clone()),
                cause: one.root_cause.clone(),
                lessons: one.lessons_learned.clone(),
            };
        }
        let regulatory = &self.world.seed.phrases.regulatory;
        if number == 2 {
            return Findings {
                summary: self.say(&regulatory.summary),
                detail: self.say(&regulatory.detail),
                cause: None,
                lessons: None,
            };
        }
        let incident = self.story.incident;
        let summary = self.say_ending(|ending| &ending.summary);
        let method = self.say_ending(|ending| &ending.method);
        let conclusion = self.say_ending(|ending| &ending.conclusion);
        let middle = match self.plan.outcome {
            Outcome::NoViolation if self.plan.request => self.say(&incident.answer),
            Outcome::Substantiated | Outcome::PolicyViolation => self.say(&incident.found),
            Outcome::Unsubstantiated | Outcome::NoViolation => self.say(&incident.cleared),
            Outcome::Inconclusive => String::new(),
        };
        let mut detail = method;
        for part in [middle, conclusion] {
            if !part.is_empty() {
                detail.push(' ');
                detail.push_str(&part);
            }
        }
        let cause = if matches!(self.plan.outcome, Outcome::Substantiated | Outcome::PolicyViolation) {
            self.say(&incident.cause)
        } else {
            self.say_ending(|ending| &ending.cause)
        };
        let group = self.world.seed.categories[self.plan.category].group_index;
        let lessons = match self.ending().lesson.is_empty() {
            true => self.say(&self.world.seed.phrases.groups[group].lesson),
            false => self.say_ending(|ending| &ending.lesson),
        };
        Findings { summary, detail, cause: Some(cause), lessons: Some(lessons) }
    }

    fn say_ending(&mut self, bank: impl Fn(&EndPhrases) -> &Bank) -> String {
        let index = self.rng.next();
        let bank = bank(self.ending());
        let template = &bank[(index % bank.len() as u64) as usize];
        Writer::team(&self.story).say(template).finish()
    }

    fn note_kinds(&mut self, number: usize) -> Vec<NoteStep> {
        use NoteStep::{
            Accused, Evidence, Finding, FollowUp, Plan, Recommendation, Regulatory, Request, Witness,
        };
        if let Some(flagship) = self.flagship {
            return vec![NoteStep::Flagship; flagship.investigation[number - 1].note.len()];
        }
        if number == 2 {
            return vec![Regulatory; 1 + self.rng.index(2)];
        }
        if self.plan.request {
            return vec![Request];
        }
        let long = (self.end - self.plan.created).num_days() > 5;
        let count = self.rng.weighted(if long { &[5, 20, 40, 35] } else { &[26, 40, 24, 10] }) + 1;
        let orders: &[[NoteStep; 4]] = &[
            [Plan, Witness, Evidence, Accused],
            [Witness, Evidence, Accused, FollowUp],
            [Evidence, Witness, Accused, FollowUp],
            [Plan, Evidence, Accused, FollowUp],
        ];
        let order = *self.rng.pick(orders);
        let mut kinds = order[..count].to_vec();
        if self.closed.is_some() {
            // What is closed ends with a result.
            let substantiated = self.plan.outcome == Outcome::Substantiated;
            let last = if substantiated && self.rng.percent(40) { Recommendation } else { Finding };
            kinds[count - 1] = last;
        }
        kinds
    }

    fn note(
        &mut self,
        batch: &mut Batch,
        investigation: DbUuid,
        which: usize,
        nth: usize,
        step: NoteStep,
        time: NaiveDateTime,
    ) {
        let id = self.child(Child::Note);
        let (kind, content) = self.note_text(which, nth, step);
        let visibility = match self.rng.below(10) {
            0 => "PRIVATE",
            1 => "ALL",
            _ => "TEAM",
        };
        let created_at = self.time(time);
        batch.investigation_notes.push(NoteRow {
            organization_id: self.world.organization_id,
            id,
            investigation_id: investigation,
            content,
            note_type: kind.name(),
            visibility,
            author_id: self.investigator.id,
            author_name: self.investigator.name.clone(),
            created_at,
            updated_at: created_at,
        });
    }

    fn note_text(&mut self, which: usize, nth: usize, step: NoteStep) -> (NoteKind, String) {
        let seed = self.world.seed;
        let phrases = &seed.phrases.notes;
        let group = &seed.phrases.groups[seed.categories[self.plan.category].group_index];
        let closed = self.closed.is_some();
        let (true_, false_) = match self.plan.outcome {
            _ if !closed => (false, false),
            Outcome::Substantiated | Outcome::PolicyViolation => (true, false),
            Outcome::Unsubstantiated | Outcome::NoViolation => (false, true),
            Outcome::Inconclusive => (false, false),
        };
        match step {
            NoteStep::Flagship => {
                let note = self.flagship.map(|flagship| &flagship.investigation[which].note[nth]);
                note.map_or((NoteKind::General, String::new()), |note| (note.kind, note.content.clone()))
            }
            NoteStep::Plan => (NoteKind::General, self.say(&phrases.plan)),
            NoteStep::Witness => {
                // What witnesses say fits how the case ends.
                let bank = match self.rng.below(100) {
                    0..70 if true_ => &phrases.interview_witness_supports,
                    0..60 if false_ => &phrases.interview_witness_contradicts,
                    0..30 if !closed => &phrases.interview_witness_supports,
                    _ => &phrases.interview_witness,
                };
                (NoteKind::Interview, self.say(bank))
            }
            NoteStep::Accused if true_ && self.rng.percent(60) => {
                (NoteKind::Interview, self.say(&phrases.interview_accused_admits))
            }
            NoteStep::Accused => (NoteKind::Interview, self.say(&phrases.interview_accused_denies)),
            NoteStep::Evidence if true_ => (NoteKind::Evidence, self.say(&phrases.evidence_supports)),
            NoteStep::Evidence if false_ => (NoteKind::Evidence, self.say(&phrases.evidence_contradicts)),
            NoteStep::Evidence => (NoteKind::Evidence, self.say(&phrases.evidence_unclear)),
            NoteStep::FollowUp => (NoteKind::FollowUp, self.say(&phrases.follow_up)),
            NoteStep::Request => (NoteKind::General, self.say(&phrases.request)),
            NoteStep::Regulatory => (NoteKind::General, self.say(&seed.phrases.regulatory.note)),
            NoteStep::Recommendation => (NoteKind::Recommendation, self.say(&group.recommendation)),
            NoteStep::Finding => {
                let incident = self.story.incident;
                let conclusion = self.say_ending(|ending| &ending.conclusion);
                let first = if true_ {
                    self.say(&incident.found)
                } else if false_ && !self.plan.request {
                    self.say(&incident.cleared)
                } else {
                    return (NoteKind::Finding, conclusion);
                };
                (NoteKind::Finding, format!("{first} {conclusion}"))
            }
        }
    }

    fn message_count(&mut self) -> usize {
        if let Some(flagship) = self.flagship {
            return flagship.message.len();
        }
        // Dialogues are held with reporters who are known by a number only.
        if self.plan.anonymous && !self.plan.request && self.rng.percent(88) {
            3 + self.rng.index(3)
        } else {
            0
        }
    }

    fn message(&mut self, batch: &mut Batch, nth: usize, of: usize, time: NaiveDateTime) {
        let id = self.child(Child::Message);
        let (inbound, subject, content) = self.message_text(nth, of);
        let last = nth + 1 == of;
        let is_read = self.closed.is_some() && !last || self.rng.percent(if last { 45 } else { 95 });
        let read = time + Duration::minutes(self.rng.between(9, 200));
        let read = read.min(self.now.max(time));
        batch.case_messages.push(MessageRow {
            organization_id: self.world.organization_id,
            id,
            case_id: self.id,
            direction: if inbound { "INBOUND" } else { "OUTBOUND" },
            sender_type: if inbound { "REPORTER" } else { "INVESTIGATOR" },
            subject,
            content,
            is_read,
            read_at: is_read.then(|| self.time(read)),
            created_at: self.time(time),
            created_by_id: (!inbound).then_some(self.investigator.id),
        });
    }

    /// Whether the message `nth` of so many tells the reporter how the case has ended.
    fn tells_result(&self, nth: usize, of: usize) -> bool {
        self.flagship.is_none() && self.closed.is_some() && nth == if of == 5 { 4 } else { 2 }
    }

    fn message_text(&mut self, nth: usize, of: usize) -> (bool, Option<String>, String) {
        if let Some(flagship) = self.flagship {
            let message = &flagship.message[nth];
            return (message.inbound, message.subject.clone(), message.content.clone());
        }
        let seed = self.world.seed;
        let phrases = &seed.phrases.messages;
        let group = &seed.phrases.groups[seed.categories[self.plan.category].group_index];
        let last = nth + 1 == of;
        if nth % 2 == 1 {
            let bank = match self.asked.take() {
                Some(exchange) => &exchange.reply,
                None if self.closed.is_some() => &phrases.thanks_for_closing,
                None => &phrases.thanks_for_update,
            };
            let template = self.rng.pick(bank);
            let text = Writer::new(&self.story, Grammar::First, Naming::Courtesy).say(template).finish();
            return (true, None, text);
        }
        if self.tells_result(nth, of) {
            let subject = self.say(&phrases.closing_subject);
            let result = self.say_ending(|ending| &ending.message);
            let rest = self.say(&phrases.closing);
            return (false, Some(subject), format!("{result} {rest}"));
        }
        if nth == 0 {
            let exchange = self.rng.pick(&group.exchange);
            self.asked = Some(exchange);
            let subject = self.say(&phrases.acknowledge_subject);
            let hello = self.say(&phrases.acknowledge);
            let question = Writer::team(&self.story).say(&exchange.question).finish();
            return (false, Some(subject), format!("{hello} {question}"));
        }
        if last || of == 4 {
            return (false, None, self.say(&phrases.update));
        }
        let exchange = self.rng.pick(&phrases.exchange);
        self.asked = Some(exchange);
        let question = Writer::team(&self.story).say(&exchange.question).finish();
        (false, Some(self.say(&phrases.question_subject)), question)
    }

    #[allow(clippy::too_many_arguments)]
    fn audit(
        &mut self,
        batch: &mut Batch,
        entity_type: &'static str,
        entity_id: DbUuid,
        action: &'static str,
        text: String,
        actor: &Actor,
        changes: Option<serde_json::Value>,
        time: NaiveDateTime,
    ) {
        let case = self.id;
        self.audit_of(batch, Some(case), entity_type, entity_id, action, text, actor, changes, time);
    }

    #[allow(clippy::too_many_arguments)]
    fn audit_of(
        &mut self,
        batch: &mut Batch,
        case_id: Option<DbUuid>,
        entity_type: &'static str,
        entity_id: DbUuid,
        action: &'static str,
        text: String,
        actor: &Actor,
        changes: Option<serde_json::Value>,
        time: NaiveDateTime,
    ) {
        let id = self.child(Child::Audit);
        batch.audit_logs.push(AuditRow {
            organization_id: self.world.organization_id,
            id,
            entity_type,
            entity_id,
            case_id,
            action,
            action_description: text,
            actor_user_id: actor.id,
            actor_name: actor.name.clone(),
            changes: changes.map(DbJson),
            created_at: self.time(time),
        });
    }
}

fn batch_id(batch: &Batch, investigation: usize) -> DbUuid {
    batch.investigations[investigation].id
}

fn spoken(channel: &str) -> String {
    channel.to_lowercase().replace('_', " ")
}
