//! Every property of the bundled dataset, checked on the generated rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use demo_reset_compliance::dataset::rows::{CaseRow, CategoryRow, EmployeeRow, LocationRow, SubjectRow};
use demo_reset_compliance::dataset::{
    Batch, DatasetError, DatasetOptions, LONGEST_TEXT, LoadSummary, Progress, SeedData, SeedError,
    SeedMistake, Sink, Sources, charts, generate, lint, load, migrate,
};
use demo_reset_persistence::AnyConnection;
use demo_reset_persistence::types::DbUuid;
use diesel::prelude::*;

fn as_of() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, 2).unwrap()
}

fn made(options: &DatasetOptions) -> Batch {
    let mut all = Batch::default();
    generate(SeedData::embedded().unwrap(), options, &mut all).unwrap();
    all
}

/// The whole dataset, both organizations.
fn dataset() -> &'static Batch {
    static DATASET: OnceLock<Batch> = OnceLock::new();
    DATASET.get_or_init(|| made(&DatasetOptions::new(as_of())))
}

/// The showcase organization alone, with lookups.
struct Acme {
    id: DbUuid,
    cases: Vec<&'static CaseRow>,
    categories: BTreeMap<DbUuid, &'static CategoryRow>,
    locations: BTreeMap<DbUuid, &'static LocationRow>,
    employees: BTreeMap<DbUuid, &'static EmployeeRow>,
    accused: Vec<&'static SubjectRow>,
}

fn acme() -> &'static Acme {
    static ACME: OnceLock<Acme> = OnceLock::new();
    ACME.get_or_init(|| {
        let all = dataset();
        let id = all.organizations.iter().find(|one| one.slug == "acme-corp").unwrap().id;
        let subjects = all.subjects.iter().filter(|one| one.organization_id == id && one.role == "ACCUSED");
        Acme {
            id,
            cases: all.cases.iter().filter(|one| one.organization_id == id).collect(),
            categories: by_id(&all.categories, |one| (one.organization_id == id).then_some(one.id)),
            locations: by_id(&all.locations, |one| (one.organization_id == id).then_some(one.id)),
            employees: by_id(&all.employees, |one| (one.organization_id == id).then_some(one.id)),
            accused: subjects.collect(),
        }
    })
}

fn by_id<T>(rows: &'static [T], id: impl Fn(&T) -> Option<DbUuid>) -> BTreeMap<DbUuid, &'static T> {
    rows.iter().filter_map(|row| id(row).map(|id| (id, row))).collect()
}

impl Acme {
    fn category(&self, case: &CaseRow) -> &'static CategoryRow {
        self.categories[&case.category_id.unwrap()]
    }

    fn zone(&self, location: Option<DbUuid>) -> Tz {
        self.locations[&location.unwrap()].time_zone.parse().unwrap()
    }

    fn local(&self, case: &CaseRow) -> NaiveDateTime {
        case.created_at.get().with_timezone(&self.zone(case.location_id)).naive_local()
    }

    fn with_tag(&self, tag: &str) -> Vec<&'static CaseRow> {
        let has = |case: &&&CaseRow| case.tags.0.as_array().unwrap().iter().any(|one| one == tag);
        self.cases.iter().filter(has).copied().collect()
    }
}

fn cutoff() -> DateTime<Utc> {
    as_of().and_hms_opt(0, 0, 0).unwrap().and_utc()
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole as f64
}

#[track_caller]
fn within(what: &str, is: f64, wanted: f64, points: f64) {
    assert!((is - wanted).abs() <= points, "{what}: {is:.1} instead of {wanted} ± {points}");
}

/// The share of the cases for which `is` holds, in percent.
fn share(cases: &[&CaseRow], is: impl Fn(&CaseRow) -> bool) -> f64 {
    percent(cases.iter().filter(|case| is(case)).count(), cases.len())
}

fn count<T>(rows: &[T], organization: impl Fn(&T) -> DbUuid) -> usize {
    rows.iter().filter(|row| organization(row) == acme().id).count()
}

#[test]
fn volumes() {
    let all = dataset();
    assert_eq!(all.organizations.len(), 2);
    assert_eq!(count(&all.categories, |one| one.organization_id), 32);
    assert_eq!(count(&all.locations, |one| one.organization_id), 52);
    assert_eq!(count(&all.employees, |one| one.organization_id), 20_000);
    assert_eq!(count(&all.users, |one| one.organization_id), 9);
    assert_eq!(count(&all.rius, |one| one.organization_id), 5000);
    assert_eq!(acme().cases.len(), 4500);
    let investigations = count(&all.investigations, |one| one.organization_id);
    assert!((4850..=5150).contains(&investigations), "{investigations}");
    let audit = count(&all.audit_logs, |one| one.organization_id) as f64 / 4500.0;
    within("audit entries per case", audit, 4.0, 0.5);
    let groups: BTreeSet<_> = all.categories.iter().map(|one| &one.category_group).collect();
    assert_eq!(groups.len(), 7);
    for (region, places) in [("US", 25), ("EMEA", 15), ("APAC", 12)] {
        assert_eq!(acme().locations.values().filter(|one| one.region == region).count(), places);
    }
    let other = all.cases.len() - 4500;
    assert!((20..=100).contains(&other));
    assert_eq!(all.users.len() - 9, 2);
}

#[test]
fn users() {
    let users: Vec<_> =
        dataset().users.iter().map(|user| (user.email.as_str(), user.role.as_str())).collect();
    for wanted in [
        ("demo-admin@acme.example", "SYSTEM_ADMIN"),
        ("demo-cco@acme.example", "COMPLIANCE_OFFICER"),
        ("demo-triage@acme.example", "TRIAGE_LEAD"),
        ("demo-investigator@acme.example", "INVESTIGATOR"),
        ("demo-investigator2@acme.example", "INVESTIGATOR"),
        ("demo-policy@acme.example", "POLICY_AUTHOR"),
        ("demo-reviewer@acme.example", "POLICY_REVIEWER"),
        ("demo-manager@acme.example", "MANAGER"),
        ("demo-employee@acme.example", "EMPLOYEE"),
        ("globex-admin@globex.example", "SYSTEM_ADMIN"),
        ("globex-investigator@globex.example", "INVESTIGATOR"),
    ] {
        assert!(users.contains(&wanted), "{wanted:?}");
    }
}

#[test]
fn employees_have_managers_up_to_the_executives() {
    let acme = acme();
    for (division, wanted) in [("Healthcare", 50.0), ("Technology", 20.0), ("Retail", 20.0), ("Energy", 10.0)]
    {
        let members = acme.employees.values().filter(|one| one.division == division).count();
        within(division, percent(members, acme.employees.len()), wanted, 2.0);
    }
    let mut top = 0;
    for employee in acme.employees.values() {
        let (mut one, mut steps) = (*employee, 0);
        while let Some(manager) = one.manager_id {
            one = acme.employees[&manager];
            steps += 1;
            assert!(steps < 8, "{}", employee.employee_number);
        }
        assert_eq!(one.job_title, "Chief Executive Officer");
        top += usize::from(steps == 0);
    }
    assert_eq!(top, 1);
    for (first, last, title) in [
        ("Rosalind", "Thackerby", "Chief Executive Officer"),
        ("Miriam", "Castellane", "Chief Compliance Officer"),
        ("Anselm", "Kirkendall", "General Counsel"),
    ] {
        let named = |one: &&&EmployeeRow| one.first_name == first && one.last_name == last;
        assert_eq!(acme.employees.values().find(named).unwrap().job_title, title);
    }
    let emails: BTreeSet<_> = acme.employees.values().map(|one| &one.email).collect();
    assert_eq!(emails.len(), acme.employees.len());
    for email in emails {
        let (name, domain) = email.split_once('@').unwrap();
        assert_eq!(domain, "acme.example");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.'));
    }
}

#[test]
fn channels_and_reporters() {
    let acme = acme();
    within("hotline", share(&acme.cases, |case| case.source_channel == "HOTLINE"), 60.0, 2.0);
    within("web", share(&acme.cases, |case| case.source_channel == "WEB_FORM"), 30.0, 2.0);
    let rius: Vec<_> = dataset().rius.iter().filter(|one| one.organization_id == acme.id).collect();
    let other = |case: &CaseRow| !["HOTLINE", "WEB_FORM"].contains(&case.source_channel);
    within("other channels", share(&acme.cases, other), 10.0, 2.0);
    let riu_share =
        |channel: &str| percent(rius.iter().filter(|one| one.source_channel == channel).count(), rius.len());
    within("reports by phone", riu_share("PHONE"), 60.0, 2.0);
    within("reports by web form", riu_share("WEB_FORM"), 30.0, 2.0);
    let anonymous = percent(rius.iter().filter(|one| one.reporter_type == "ANONYMOUS").count(), rius.len());
    within("anonymous reports", anonymous, 40.0, 2.0);

    let is_anonymous = |case: &CaseRow| case.reporter_type == "ANONYMOUS";
    within("anonymous", share(&acme.cases, is_anonymous), 40.0, 2.0);
    let of = |is: &dyn Fn(&CategoryRow) -> bool| -> Vec<&CaseRow> {
        acme.cases.iter().filter(|case| is(acme.category(case))).copied().collect()
    };
    within("harassment", share(&of(&|one| one.category_group == "Harassment"), is_anonymous), 70.0, 2.0);
    within("retaliation", share(&of(&|one| one.code == "HAR-RET"), is_anonymous), 80.0, 2.0);
    within("policy", share(&of(&|one| one.category_group == "Policy"), is_anonymous), 25.0, 2.0);
    for case in &acme.cases {
        assert_eq!(is_anonymous(case), case.reporter_name.is_none() && case.reporter_email.is_none());
    }
}

#[test]
fn severities_and_statuses() {
    let acme = acme();
    for (severity, wanted) in [("CRITICAL", 5.0), ("HIGH", 15.0), ("MEDIUM", 35.0), ("LOW", 45.0)] {
        within(severity, share(&acme.cases, |case| case.severity == severity), wanted, 2.0);
    }
    within("closed", share(&acme.cases, |case| case.status == "CLOSED"), 90.0, 2.0);
    for case in &acme.cases {
        assert_eq!(case.status == "CLOSED", case.closed_at.is_some());
        assert_eq!(case.outcome.is_some(), case.closed_at.is_some());
    }
    let new: Vec<_> = acme.cases.iter().filter(|case| case.status == "NEW").collect();
    assert!((44..=56).contains(&new.len()), "{}", new.len());
    assert!(new.iter().all(|case| case.created_at.get() >= cutoff() - Duration::days(7)));
}

fn days_to_close(case: &CaseRow) -> Option<f64> {
    let closed = case.closed_at?.get();
    Some((closed - case.created_at.get()).num_minutes() as f64 / 1440.0)
}

#[test]
fn times_to_close_and_due_dates() {
    let acme = acme();
    let days: Vec<f64> = acme.cases.iter().filter_map(|case| days_to_close(case)).collect();
    let between = |low: f64, high: f64| {
        percent(days.iter().filter(|&&days| days >= low && days <= high).count(), days.len())
    };
    // An hour's leeway at either end for changes of the clock.
    within("simple", between(1.95, 4.05), 60.0, 2.0);
    within("medium", between(6.95, 21.05), 30.0, 2.0);
    within("complex", between(28.0, 92.0), 10.0, 2.0);
    let mean = days.iter().sum::<f64>() / days.len() as f64;
    assert!((8.0..=22.0).contains(&mean), "{mean}");

    for case in &acme.cases {
        let Some(closed) = case.closed_at else { continue };
        let local = closed.get().with_timezone(&acme.zone(case.location_id));
        assert!(!matches!(local.weekday(), Weekday::Sat | Weekday::Sun), "{}", case.reference_number);
    }
    let breached = share(&acme.cases, |case| {
        case.closed_at.map_or(cutoff(), |time| time.get()) > case.sla_due_at.unwrap().get()
    });
    assert!((5.0..=10.0).contains(&breached), "{breached}");
    let overdue = dataset().investigations.iter().filter(|one| one.investigation_number == 1);
    let overdue = overdue.filter(|one| one.organization_id == acme.id && one.sla_status == "OVERDUE").count();
    within("overdue investigations", percent(overdue, 4500), breached, 0.5);
}

/// What a case is about decides how it goes.
#[test]
fn severity_duration_and_deadline_depend_on_the_category() {
    let acme = acme();
    let of = |is: &dyn Fn(&CategoryRow) -> bool| -> Vec<&CaseRow> {
        acme.cases.iter().filter(|case| is(acme.category(case))).copied().collect()
    };
    let severe = |cases: &[&CaseRow]| share(cases, |case| ["CRITICAL", "HIGH"].contains(&case.severity));
    let [critical, high, medium, low] = ["CRITICAL", "HIGH", "MEDIUM", "LOW"]
        .map(|severity| severe(&of(&|category| category.severity == severity)));
    assert!(critical > high && high > medium && medium > low, "{critical} {high} {medium} {low}");
    let mean = |cases: &[&CaseRow]| {
        let days: Vec<f64> = cases.iter().filter_map(|case| days_to_close(case)).collect();
        days.iter().sum::<f64>() / days.len() as f64
    };
    let questions = mean(&of(&|category| category.code.starts_with("RFI-")));
    let frauds = mean(&of(&|category| category.category_group == "Fraud"));
    assert!(questions * 2.0 < frauds, "{questions} {frauds}");
    // Due as many days after as the category says, or later where it was moved: that is in the audit trail.
    let moved: BTreeSet<_> = dataset()
        .audit_logs
        .iter()
        .filter(|one| one.action_description.starts_with("Due date extended"))
        .filter_map(|one| one.case_id)
        .collect();
    for case in &acme.cases {
        let days = case.sla_due_at.unwrap().get() - case.created_at.get();
        let of_category = Duration::days(acme.category(case).sla_days.into());
        // An hour for changes of the clock.
        let is_usual = (days - of_category).abs() <= Duration::hours(1);
        assert!(is_usual || days > of_category && moved.contains(&case.id), "{}", case.reference_number);
    }
}

/// Questions have answers, results are told when there is one, and nobody is told it before.
#[test]
fn dialogues_follow_the_case() {
    let all = dataset();
    let cases: BTreeMap<_, _> = acme().cases.iter().map(|case| (case.id, *case)).collect();
    let mut dialogues: BTreeMap<DbUuid, Vec<_>> = BTreeMap::new();
    for message in all.case_messages.iter().filter(|one| cases.contains_key(&one.case_id)) {
        dialogues.entry(message.case_id).or_default().push(message);
    }
    let mut told = 0;
    for (id, messages) in &mut dialogues {
        let case = cases[id];
        messages.sort_by_key(|message| message.created_at);
        if case.tags.0.to_string().contains("flagship") {
            continue;
        }
        for (nth, message) in messages.iter().enumerate() {
            assert_eq!(message.direction, ["OUTBOUND", "INBOUND"][nth % 2], "{}", case.reference_number);
            let subject = message.subject.as_deref().unwrap_or_default();
            if subject.contains("Result of")
                || subject.contains("Closing your")
                || subject.contains("been closed")
            {
                assert!(case.closed_at.is_some_and(|closed| message.created_at >= closed));
                told += 1;
            }
        }
        let asked = messages[0].content.ends_with('?') || messages[0].content.contains("? ");
        assert!(asked, "{}", messages[0].content);
    }
    let closed = dialogues.keys().filter(|id| cases[*id].closed_at.is_some()).count();
    within("closed dialogues that end with the result", percent(told, closed), 99.0, 1.5);
}

#[test]
fn outcomes() {
    let acme = acme();
    let all: Vec<_> = dataset()
        .investigations
        .iter()
        .filter(|one| one.organization_id == acme.id)
        .filter_map(|one| one.outcome)
        .collect();
    let of = |wanted: &[&str]| percent(all.iter().filter(|one| wanted.contains(one)).count(), all.len());
    within("substantiated", of(&["SUBSTANTIATED"]), 60.0, 2.0);
    within("unsubstantiated", of(&["UNSUBSTANTIATED"]), 25.0, 2.0);
    within("inconclusive", of(&["INCONCLUSIVE"]), 10.0, 2.0);
    within("other", of(&["POLICY_VIOLATION", "NO_VIOLATION", "INSUFFICIENT_EVIDENCE"]), 5.0, 2.0);
    let second = dataset().investigations.iter().filter(|one| one.organization_id == acme.id);
    let second = second.filter(|one| one.investigation_number == 2).count();
    within("second investigations", percent(second, 4500), 10.0, 2.0);
}

#[test]
fn several_reports_of_one_case() {
    let acme = acme();
    let mut reports: BTreeMap<DbUuid, (usize, usize)> = BTreeMap::new();
    for one in dataset().riu_case_associations.iter().filter(|one| one.organization_id == acme.id) {
        let entry = reports.entry(one.case_id).or_default();
        match one.association_type {
            "PRIMARY" => entry.0 += 1,
            _ => entry.1 += 1,
        }
    }
    assert_eq!(reports.len(), 4500);
    assert!(reports.values().all(|(primary, _)| *primary == 1));
    let several = reports.values().filter(|(_, related)| *related > 0).count();
    within("several reports", percent(several, 4500), 10.0, 2.0);
}

#[test]
fn people_and_texts_per_case() {
    let acme = acme();
    let all = dataset();
    let tally = |cases: &mut dyn Iterator<Item = DbUuid>| {
        let mut counts: BTreeMap<DbUuid, usize> = BTreeMap::new();
        cases.for_each(|case| *counts.entry(case).or_default() += 1);
        counts
    };
    let subjects = tally(&mut all.subjects.iter().map(|one| one.case_id));
    assert!(all.cases.iter().all(|case| (1..=3).contains(&subjects[&case.id])));
    let messages = tally(&mut all.case_messages.iter().map(|one| one.case_id));
    for case in &acme.cases {
        match messages.get(&case.id) {
            Some(count) => {
                // The latest of an open case may lie after the date.
                assert!(*count <= 5 && (*count >= 3 || case.status != "CLOSED"), "{count}");
                assert_eq!(case.reporter_type, "ANONYMOUS");
            }
            None => {
                assert!(case.reporter_type != "ANONYMOUS" || case.status == "NEW" || messages.len() > 1000)
            }
        }
    }
    let notes = tally(&mut all.investigation_notes.iter().map(|one| one.investigation_id));
    for investigation in all.investigations.iter().filter(|one| one.status != "NEW") {
        let count = notes.get(&investigation.id).copied().unwrap_or(0);
        assert!((1..=4).contains(&count), "{count}");
    }
}

#[test]
fn office_hours_of_the_place() {
    let acme = acme();
    let edges = |case: &&&CaseRow| !case.tags.0.to_string().contains("edge-");
    let cases: Vec<_> = acme.cases.iter().filter(edges).copied().collect();
    let office = share(&cases, |case| (8..19).contains(&acme.local(case).hour()));
    assert!(office > 85.0, "{office}");
    let weekend = share(&cases, |case| matches!(acme.local(case).weekday(), Weekday::Sat | Weekday::Sun));
    assert!((2.0..=12.0).contains(&weekend), "{weekend}");
}

/// Cases by the week they were created in, counted back from the end.
fn by_week() -> BTreeMap<i64, usize> {
    let mut weeks = BTreeMap::new();
    for case in &acme().cases {
        *weeks.entry((cutoff() - case.created_at.get()).num_days() / 7).or_default() += 1;
    }
    weeks
}

#[test]
fn seasons_and_reorganizations() {
    let weeks = by_week();
    let mean = 4500.0 / 156.0;
    let around = |from: i64, to: i64| {
        (from..to).map(|week| weeks.get(&week).copied().unwrap_or(0) as f64).sum::<f64>() / (to - from) as f64
    };
    for reorganization in [121, 72, 23] {
        let after = around(reorganization - 3, reorganization);
        assert!(after > mean * 1.15, "{reorganization}: {after}");
    }
    // The weeks of the end-of-year holidays are quiet, the two after them are not.
    for christmas in ["2023-12-22", "2024-12-22", "2025-12-22"] {
        let date: NaiveDate = christmas.parse().unwrap();
        let in_days = |from: i64, to: i64| {
            let day = |case: &CaseRow| (acme().local(case).date() - date).num_days();
            acme().cases.iter().filter(|case| (from..to).contains(&day(case))).count() as f64
                / (to - from) as f64
                * 7.0
        };
        assert!(in_days(1, 12) < mean * 0.75, "{christmas}: {}", in_days(1, 12));
        assert!(in_days(16, 28) > mean * 1.1, "{christmas}: {}", in_days(16, 28));
    }
}

#[test]
fn every_year_is_better_than_the_one_before() {
    let acme = acme();
    let year = |case: &CaseRow| ((cutoff() - case.created_at.get()).num_days() / 364).min(2);
    let figures: Vec<(f64, f64)> = [2, 1, 0]
        .into_iter()
        .map(|ago| {
            let cases: Vec<_> = acme.cases.iter().filter(|case| year(case) == ago).copied().collect();
            let days: Vec<f64> = cases.iter().filter_map(|case| days_to_close(case)).collect();
            let late =
                share(&cases, |case| case.closed_at.is_some_and(|time| time > case.sla_due_at.unwrap()));
            (days.iter().sum::<f64>() / days.len() as f64, late)
        })
        .collect();
    assert!(figures.windows(2).all(|pair| pair[1].0 < pair[0].0 && pair[1].1 < pair[0].1), "{figures:?}");
}

#[test]
fn repeat_subjects() {
    let mut cases: BTreeMap<DbUuid, BTreeSet<DbUuid>> = BTreeMap::new();
    for subject in &acme().accused {
        if let Some(employee) = subject.employee_id {
            cases.entry(employee).or_default().insert(subject.case_id);
        }
    }
    let repeated: Vec<_> = cases.values().map(BTreeSet::len).filter(|&count| count > 1).collect();
    for subject in &acme().accused {
        let notes = subject.notes.as_deref().unwrap();
        let is_first = notes.contains("No earlier cases") || notes.contains("No notes in the personnel file");
        assert!(!is_first || !notes.contains("CASE-"), "{notes}");
    }
    assert_eq!(repeated.len(), 50);
    assert!(repeated.iter().all(|count| (2..=5).contains(count)));
}

#[test]
fn hotspot_managers() {
    let acme = acme();
    let mut cases: BTreeMap<DbUuid, BTreeSet<DbUuid>> = BTreeMap::new();
    for subject in &acme.accused {
        let Some(employee) = subject.employee_id else { continue };
        let Some(manager) = acme.employees[&employee].manager_id else { continue };
        cases.entry(manager).or_default().insert(subject.case_id);
    }
    let mut counts: Vec<_> = cases.values().map(BTreeSet::len).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let (hotspots, peers) = counts.split_at(15);
    assert!(hotspots[14] > peers[0], "{:?}", &counts[..20]);
    let mean = peers.iter().sum::<usize>() as f64 / peers.len() as f64;
    for &hotspot in hotspots {
        let ratio = hotspot as f64 / mean;
        assert!((2.0..=3.0).contains(&ratio), "{ratio}");
    }
}

#[test]
fn retaliation_follow_ups() {
    let acme = acme();
    let cases: BTreeMap<DbUuid, &CaseRow> = acme.cases.iter().map(|case| (case.id, *case)).collect();
    let all = dataset();
    let mut found = 0;
    for follow_up in acme.with_tag("retaliation-follow-up") {
        assert_eq!(acme.category(follow_up).code, "HAR-RET");
        let own = |one: &&demo_reset_compliance::dataset::rows::AssociationRow| {
            one.case_id == follow_up.id && one.association_type == "PRIMARY"
        };
        let report = all.riu_case_associations.iter().find(own).unwrap().riu_id;
        let first = all
            .riu_case_associations
            .iter()
            .find(|one| one.riu_id == report && one.case_id != follow_up.id)
            .map(|one| cases[&one.case_id])
            .expect("linked to its first case");
        let days = (follow_up.created_at.get() - first.closed_at.unwrap().get()).num_days();
        assert!((30..=90).contains(&days), "{days}");
        assert!(follow_up.details.contains(&first.reference_number));
        found += 1;
    }
    assert_eq!(found, 50);
}

#[test]
fn flagship_cases() {
    let acme = acme();
    let flagships = acme.with_tag("flagship");
    assert_eq!(flagships.len(), 10);
    let groups: BTreeSet<_> = flagships.iter().map(|case| &acme.category(case).category_group).collect();
    assert!(groups.len() >= 6, "{groups:?}");
    for case in flagships {
        let summary = case.ai_summary.as_deref().unwrap();
        assert!(summary.contains("Talking points:\n- "));
        assert!(case.risk_score.is_some());
        assert!(case.details.chars().count() > 900, "{}", case.reference_number);
    }
}

#[test]
fn edges_on_purpose() {
    let acme = acme();
    let only = |tag: &str| {
        let cases = acme.with_tag(tag);
        assert_eq!(cases.len(), 1, "{tag}");
        cases[0]
    };
    let reported = |case: &CaseRow| {
        let riu = dataset().riu_case_associations.iter().find(|one| one.case_id == case.id).unwrap().riu_id;
        let riu = dataset().rius.iter().find(|one| one.id == riu).unwrap();
        (riu, riu.created_at.get().with_timezone(&acme.zone(riu.location_id)).naive_local())
    };
    assert_eq!(only("edge-long-narrative").details.chars().count(), LONGEST_TEXT);
    let scripts = &only("edge-scripts").details;
    for letter in ['ñ', 'М', 'λ', '何', '敢', '이', 'ह', 'ع', 'כ', 'พ', '🤐'] {
        assert!(scripts.contains(letter), "{letter}");
    }
    let (_, leap) = reported(only("edge-leap-day"));
    assert_eq!((leap.month(), leap.day()), (2, 29));
    let (riu, year_end) = reported(only("edge-year-end"));
    assert_eq!((year_end.month(), year_end.day(), year_end.hour()), (12, 31, 23));
    assert!(acme.local(only("edge-year-end")) > year_end);
    assert!(riu.reference_number.starts_with("RIU-"));
    let (riu, zone) = reported(only("edge-time-zone"));
    assert_ne!(zone.date(), riu.created_at.get().date_naive());
}

#[test]
fn reference_numbers_follow_time() {
    let all = dataset();
    for organization in &all.organizations {
        let cases = all.cases.iter().filter(|one| one.organization_id == organization.id);
        let rius = all.rius.iter().filter(|one| one.organization_id == organization.id);
        let numbers = [
            cases.map(|one| (one.created_at.get(), one.reference_number.clone())).collect::<Vec<_>>(),
            rius.map(|one| (one.created_at.get(), one.reference_number.clone())).collect(),
        ];
        for (mut numbers, kind) in numbers.into_iter().zip(["CASE", "RIU"]) {
            numbers.sort();
            let mut last = BTreeMap::new();
            for (time, number) in numbers {
                let next = last.entry(time.year()).or_insert(0);
                *next += 1;
                assert_eq!(number, format!("{kind}-{}-{next:05}", time.year()));
            }
        }
    }
}

#[test]
fn everything_happens_in_order() {
    let all = dataset();
    let cases: BTreeMap<_, _> = all.cases.iter().map(|case| (case.id, case)).collect();
    let investigations: BTreeMap<_, _> = all.investigations.iter().map(|one| (one.id, one)).collect();
    let rius: BTreeMap<_, _> = all.rius.iter().map(|one| (one.id, one)).collect();
    for one in all.riu_case_associations.iter().filter(|one| one.association_type == "PRIMARY") {
        assert!(rius[&one.riu_id].created_at <= cases[&one.case_id].created_at);
    }
    for case in &all.cases {
        assert!(case.created_at <= case.updated_at && case.updated_at.get() < cutoff());
        assert!(case.closed_at.is_none_or(|closed| closed > case.created_at && closed <= case.updated_at));
    }
    let during = |what: &str, case: &CaseRow, time: demo_reset_persistence::types::DbTime| {
        assert!(time >= case.created_at, "{what} before {}", case.reference_number);
        assert!(time <= case.updated_at, "{what} after {}", case.reference_number);
    };
    for one in &all.investigations {
        during("investigation", cases[&one.case_id], one.created_at);
    }
    for one in &all.case_messages {
        during("message", cases[&one.case_id], one.created_at);
        assert!(one.read_at.is_none_or(|read| read >= one.created_at && read.get() < cutoff()));
    }
    for one in &all.investigation_notes {
        let investigation = investigations[&one.investigation_id];
        assert!(one.created_at >= investigation.created_at);
        during("note", cases[&investigation.case_id], one.created_at);
    }
    for one in &all.audit_logs {
        if let Some(case) = one.case_id {
            during("audit entry", cases[&case], one.created_at);
        }
    }
    for subject in &all.subjects {
        assert!(subject.created_at >= cases[&subject.case_id].created_at);
    }
    for subject in &acme().accused {
        if let Some(employee) = subject.employee_id {
            let hired = acme().employees[&employee].hired_at;
            assert!(hired < cases[&subject.case_id].created_at, "{}", subject.name);
        }
    }
}

/// The first dialogue, note and finding of a case name the same people as its report.
#[test]
fn one_story_per_case() {
    let all = dataset();
    let names: BTreeMap<_, _> =
        all.subjects.iter().filter(|one| one.role == "ACCUSED").map(|one| (one.case_id, &one.name)).collect();
    let cases: BTreeMap<_, _> = all.cases.iter().map(|case| (case.id, case)).collect();
    // The people of a case, by their full names.
    let mut people: BTreeMap<DbUuid, BTreeSet<&str>> = BTreeMap::new();
    for one in &all.subjects {
        let names = people.entry(one.case_id).or_default();
        names.insert(&one.name);
        names.extend(one.manager_name.as_deref());
    }
    let everybody: BTreeSet<String> =
        all.employees.iter().map(|one| format!("{} {}", one.first_name, one.last_name)).collect();
    let (mut told, mut strangers, mut named) = (0, 0, 0);
    for investigation in &all.investigations {
        let Some(name) = names.get(&investigation.case_id) else { continue };
        let Some(text) = investigation.findings_detail.as_deref() else { continue };
        told += usize::from(text.contains(name.as_str()));
        let case = cases[&investigation.case_id];
        for pair in text.split(' ').collect::<Vec<_>>().windows(2) {
            let full = pair.join(" ");
            let full = full.trim_end_matches([',', '.', ';', ':']);
            if everybody.contains(full) {
                named += 1;
                // Named as a witness or colleague in the report, if not among the people of the case.
                let known = people[&case.id].contains(full) || case.details.contains(full);
                strangers += usize::from(!known);
            }
        }
    }
    assert!(told > 1000, "{told}");
    // Few are heard of in the findings alone.
    assert!(named > 1000 && percent(strangers, named) < 10.0, "{strangers} of {named}");
}

/// All texts of the dataset, with where they stand.
fn texts() -> Vec<(&'static str, &'static str)> {
    let all = dataset();
    let mut texts = Vec::new();
    let mut add =
        |place: &'static str, text: Option<&'static str>| texts.extend(text.map(|text| (place, text)));
    for one in &all.rius {
        add("riu details", Some(&one.details));
        add("riu summary", one.summary.as_deref());
        add("riu ai", one.ai_summary.as_deref());
    }
    for one in &all.cases {
        add("case details", Some(&one.details));
        add("case summary", one.summary.as_deref());
        add("outcome notes", one.outcome_notes.as_deref());
        add("case ai", one.ai_summary.as_deref());
    }
    for one in &all.investigations {
        add("findings", one.findings_summary.as_deref());
        add("findings detail", one.findings_detail.as_deref());
        add("cause", one.root_cause.as_deref());
        add("lessons", one.lessons_learned.as_deref());
    }
    for one in &all.subjects {
        add("subject", one.notes.as_deref());
    }
    for one in &all.case_messages {
        add("message", Some(&one.content));
        add("message subject", one.subject.as_deref());
    }
    for one in &all.investigation_notes {
        add("note", Some(&one.content));
    }
    for one in &all.riu_case_associations {
        add("association", one.notes.as_deref());
    }
    for one in &all.audit_logs {
        add("audit", Some(&one.action_description));
    }
    texts
}

#[test]
fn texts_are_in_order() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (place, text) in texts() {
        if !seen.insert(text) {
            continue;
        }
        for problem in lint::lint(text) {
            wrong.push(format!("{place}: {problem}"));
        }
    }
    assert!(wrong.is_empty(), "{} problems\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
}

/// Words of a narrative without names, places, dates and numbers.
fn bare(text: &str, names: &BTreeSet<String>) -> String {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty() && !word.chars().any(|letter| letter.is_numeric()))
        .filter(|word| !names.contains(*word))
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

#[test]
fn narratives_stay_distinct_without_names_places_and_dates() {
    let all = dataset();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut add = |text: &str| {
        names.extend(text.split(|letter: char| !letter.is_alphanumeric()).map(str::to_owned));
    };
    for one in &all.employees {
        add(&one.first_name);
        add(&one.last_name);
        add(&one.department);
    }
    for one in &all.locations {
        add(&one.name);
        add(&one.city);
        add(&one.country);
    }
    for day in 0..365 {
        let date = as_of() + Duration::days(day);
        add(&date.format("%A %B").to_string());
    }
    // Departments and places are made of common words, too.
    for word in ["and", "Care", "Office", "Center", "Store", "Operations"] {
        names.remove(word);
    }
    let rius: Vec<_> = all.rius.iter().filter(|one| one.organization_id == acme().id).collect();
    // Nobody's sentence is everybody's: sentences come from banks, but none is in more than a fortieth of the reports.
    let mut sentences: BTreeMap<&str, usize> = BTreeMap::new();
    for riu in &rius {
        let of_one: BTreeSet<&str> =
            riu.details.split_inclusive(['.', '?', '!', '\n']).map(str::trim).collect();
        for sentence in of_one.into_iter().filter(|one| one.split(' ').count() > 2) {
            *sentences.entry(sentence).or_default() += 1;
        }
    }
    let (sentence, times) = sentences.iter().max_by_key(|(_, times)| **times).unwrap();
    assert!(percent(*times, rius.len()) < 2.5, "{times} times: {sentence}");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for riu in &rius {
        *seen.entry(bare(&riu.details, &names)).or_default() += 1;
    }
    let distinct = percent(seen.len(), rius.len());
    assert!(distinct >= 95.0, "{distinct}");
    // No long stretch of text belongs to everyone either: the most common first sentence is rare.
    let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
    for text in seen.keys() {
        *starts.entry(text.get(..60).unwrap_or(text)).or_default() += 1;
    }
    let most = starts.values().max().unwrap();
    assert!(percent(*most, rius.len()) < 5.0, "{most}");
}

#[test]
fn no_name_of_a_person_of_note() {
    let sources = Sources::embedded();
    let avoid: BTreeSet<&str> = sources.text("names-to-avoid.txt").lines().collect();
    assert!(avoid.len() > 100);
    let all = dataset();
    for one in &all.employees {
        let name = format!("{} {}", one.first_name, one.last_name);
        assert!(!avoid.contains(name.as_str()), "{name}");
    }
    // Also in what was written by hand.
    for (place, text) in texts() {
        let words: Vec<&str> =
            text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'').collect();
        for pair in words.windows(2) {
            assert!(!avoid.contains(pair.join(" ").as_str()), "{place}: {pair:?}");
        }
    }
    for name in all
        .subjects
        .iter()
        .map(|one| one.name.clone())
        .chain(all.users.iter().map(|one| format!("{} {}", one.first_name, one.last_name)))
    {
        assert!(!avoid.contains(name.as_str()), "{name}");
    }
}

#[test]
fn ids_are_unique_and_well_formed() {
    let all = dataset();
    let mut seen = BTreeSet::new();
    let ids = all
        .cases
        .iter()
        .map(|one| one.id)
        .chain(all.rius.iter().map(|one| one.id))
        .chain(all.investigations.iter().map(|one| one.id))
        .chain(all.subjects.iter().map(|one| one.id))
        .chain(all.case_messages.iter().map(|one| one.id))
        .chain(all.investigation_notes.iter().map(|one| one.id))
        .chain(all.riu_case_associations.iter().map(|one| one.id))
        .chain(all.audit_logs.iter().map(|one| one.id))
        .chain(all.employees.iter().map(|one| one.id));
    for id in ids {
        assert!(seen.insert(id), "{id}");
        assert_eq!(id.0.get_version_num(), 8);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
    }
}

#[test]
fn the_same_options_give_the_same_rows() {
    assert_eq!(*dataset(), made(&DatasetOptions::new(as_of())));
    let mut start = Start::default();
    let other = DatasetOptions { master_seed: 1, ..DatasetOptions::new(as_of()) };
    assert!(generate(SeedData::embedded().unwrap(), &other, &mut start).is_err());
    assert_ne!(dataset().employees[500], start.0.employees[500]);
    assert_ne!(dataset().cases[0], start.0.cases[0]);
}

/// A fingerprint of all rows as they are bound: a change in it means that everybody's dataset changes.
#[test]
fn the_rows_are_those_of_every_machine() {
    // FNV-1a over the text of the rows.
    let text = format!("{:?}", dataset());
    let hash = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    assert_eq!(
        format!("{hash:016x}"),
        FINGERPRINT,
        "the dataset changed: if that is meant, update the figure"
    );
}

const FINGERPRINT: &str = "47c89613a7e72f13";

#[test]
fn another_date_shifts_by_whole_weeks() {
    let later = made(&DatasetOptions::new(as_of() + Duration::days(7 * 33)));
    let here: BTreeMap<_, _> = dataset().cases.iter().map(|case| (case.id, case)).collect();
    let zones: BTreeMap<_, _> = dataset().locations.iter().map(|one| (one.id, &one.time_zone)).collect();
    let local = |case: &CaseRow| {
        let zone: Tz = zones[&case.location_id.unwrap()].parse().unwrap();
        case.created_at.get().with_timezone(&zone).naive_local()
    };
    let months: BTreeSet<String> = (1..=12)
        .map(|month| NaiveDate::from_ymd_opt(2026, month, 1).unwrap().format("%B").to_string())
        .collect();
    let mut same = 0;
    for case in &later.cases {
        let tags = case.tags.0.to_string();
        let Some(before) = here.get(&case.id) else { continue };
        if tags.contains("edge-") || before.tags.0.to_string().contains("edge-") {
            continue;
        }
        let moved = local(case) - local(before);
        // An hour that a clock change leaves out is read as the next one.
        if moved.num_minutes() % (7 * 1440) == 0 {
            assert_eq!(moved.num_days(), 7 * 33);
            same += 1;
        }
        let plan = |case: &CaseRow| {
            (case.severity, case.case_type, case.source_channel, case.reporter_name.clone(), case.category_id)
        };
        assert_eq!(plan(case), plan(before));
        // The same words but for dates and numbers.
        assert_eq!(bare(&case.details, &months), bare(&before.details, &months));
        if let (Some(closed), Some(closed_before)) = (case.closed_at, before.closed_at) {
            let days = (closed.get() - closed_before.get()).num_minutes() as f64 / 1440.0;
            within("days between the closing times", days, 231.0, 0.05);
            assert_eq!(case.outcome, before.outcome);
        }
    }
    assert!(same > 4480, "{same}");
}

#[test]
fn every_weekday_sees_a_full_last_week() {
    let leap_day = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let last_day = NaiveDate::from_ymd_opt(2031, 12, 31).unwrap();
    for date in [as_of() + Duration::days(3), as_of() + Duration::days(6), leap_day, last_day] {
        let all = made(&DatasetOptions::new(date));
        let end = date.and_hms_opt(0, 0, 0).unwrap().and_utc();
        let id = all.organizations[0].id;
        let cases: Vec<_> = all.cases.iter().filter(|case| case.organization_id == id).collect();
        assert_eq!(cases.len(), 4500);
        assert_eq!(all.rius.iter().filter(|one| one.organization_id == id).count(), 5000);
        let new = cases.iter().filter(|case| case.status == "NEW").count();
        assert!((40..=60).contains(&new), "{date}: {new}");
        assert!(cases.iter().all(|case| case.updated_at.get() < end));
    }
}

/// Takes rows until there is a case, then has had enough.
#[derive(Default)]
struct Start(Batch);

impl Sink for Start {
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError> {
        self.0.append(batch);
        if self.0.cases.is_empty() { Ok(()) } else { Err(DatasetError::Options("enough")) }
    }
}

#[derive(Default)]
struct Counting {
    rows: u64,
    largest: usize,
    cases: usize,
    follow_ups: usize,
    accused: BTreeMap<DbUuid, usize>,
    emails: BTreeSet<String>,
}

impl Sink for Counting {
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError> {
        self.rows += batch.len() as u64;
        self.largest = self.largest.max(batch.len());
        self.cases += batch.cases.len();
        let is_follow_up = |case: &&CaseRow| case.tags.0.to_string().contains("retaliation-follow-up");
        self.follow_ups += batch.cases.iter().filter(is_follow_up).count();
        for subject in batch.subjects.iter().filter(|one| one.role == "ACCUSED") {
            if let Some(employee) = subject.employee_id {
                *self.accused.entry(employee).or_default() += 1;
            }
        }
        self.emails.extend(batch.employees.drain(..).map(|one| one.email));
        batch.clear();
        Ok(())
    }
}

#[test]
fn volumes_and_patterns_grow_tenfold_and_rows_stream() {
    let mut counting = Counting::default();
    let options = DatasetOptions { scale: 10, ..DatasetOptions::new(as_of()) };
    generate(SeedData::embedded().unwrap(), &options, &mut counting).unwrap();
    assert_eq!(counting.cases, 10 * dataset().cases.len());
    let ratio = counting.rows as f64 / dataset().len() as f64;
    within("rows at ten times the scale", ratio, 10.0, 0.2);
    // However many rows there are, no more than this many are in memory at a time.
    assert!(counting.largest < 2200, "{}", counting.largest);
    let times = counting.accused.values().filter(|&&cases| cases > 1);
    assert_eq!(times.count(), 500, "repeat subjects");
    assert_eq!(counting.follow_ups, 500);
    assert_eq!(counting.emails.len() as u64, 10 * 20_000 + 10 * 60);
}

fn load_bundled(
    conn: &mut AnyConnection,
    progress: &mut dyn FnMut(Progress),
) -> Result<LoadSummary, DatasetError> {
    load(conn, SeedData::embedded()?, DatasetOptions::new(as_of()), progress)
}

#[test]
fn loads_into_sqlite() {
    let url = std::env::var("DATASET_TEST_DB").unwrap_or_else(|_| ":memory:".to_owned());
    let mut conn = AnyConnection::Sqlite(SqliteConnection::establish(&url).unwrap());
    migrate(&mut conn).unwrap();
    let mut reports: Vec<Progress> = Vec::new();
    let start = std::time::Instant::now();
    let summary = conn
        .transaction::<_, DatasetError, _>(|conn| load_bundled(conn, &mut |progress| reports.push(progress)))
        .unwrap();
    println!("{} rows in {:?}", summary.rows(), start.elapsed());
    let counts: BTreeMap<_, _> = Batch::TABLES.iter().copied().zip(dataset().counts()).collect();
    for (table, rows) in &summary.tables {
        assert_eq!(counts[table] as u64, *rows, "{table}");
    }
    assert!(reports.windows(2).all(|pair| pair[0].rows <= pair[1].rows));
    let last = reports.last().unwrap();
    assert_eq!((last.rows, last.expected), (summary.rows(), summary.rows()));
    within("first estimate of the rows", reports[0].expected as f64 / last.rows as f64, 1.0, 0.03);

    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let mut counted = |query: &str| diesel::sql_query(query).get_result::<Count>(&mut conn).unwrap().count;
    assert_eq!(counted("select count(*) as count from pragma_foreign_key_check"), 0);
    assert_eq!(counted("select count(*) as count from sqlite_schema where name = 'cases_by_status'"), 1);

    // Every query of the documentation has an answer.
    let questions = include_str!("../../../docs/dataset.md");
    let queries: Vec<_> =
        questions.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(queries.len(), 10);
    let rows: Vec<i64> = queries
        .iter()
        .map(|query| {
            counted(&format!("select count(*) as count from ({})", query.trim().trim_end_matches(';')))
        })
        .collect();
    assert!(rows.iter().all(|&rows| rows > 2), "{rows:?}");
    // Repeat subjects, hotspots, follow-ups, flagship cases.
    assert_eq!([rows[2], rows[3], rows[4], rows[9]], [50, 15, 50, 10]);
    let mut all_of = |question: usize, condition: &str| {
        let query = queries[question - 1].trim().trim_end_matches(';');
        counted(&format!("select count(*) as count from ({query}) where not coalesce({condition}, false)"))
            == 0
    };
    assert!(all_of(3, "cases between 2 and 5"));
    assert!(all_of(4, "cases between 6 and 7"));
    assert!(all_of(5, "days_after between 30 and 90"));
    assert!(all_of(7, "percent between 0 and 40"));
    assert!(all_of(9, "reports between 2 and 4"));
    let query = |question: usize| queries[question - 1].trim().trim_end_matches(';');
    // What the page says the queries show.
    let two_of_three = "sum(percent_anonymous) > 0 and sum(case when source_channel = 'PHONE' then reports end)                         between 0.58 * sum(reports) and 0.62 * sum(reports)";
    assert_eq!(counted(&format!("select {two_of_three} as count from ({})", query(1))), 1);
    // Every year is faster than the one before, where a year has enough cases.
    let slower = format!(
        "select count(*) as count from (select mean_days, lag(mean_days) over (order by year) as before, closed          from ({})) where mean_days >= before and closed > 500",
        query(2)
    );
    assert_eq!(counted(&slower), 0);
    let new = format!("select count(*) as count from ({})", query(8));
    within("untouched cases", counted(&new) as f64, 50.0, 6.0);
    let overdue =
        format!("select cast(1000.0 * sum(overdue) / sum(cases) as integer) as count from ({})", query(7));
    assert!((50..=100).contains(&counted(&overdue)));
    let months = format!(
        "select sum(month in ('2023-10', '2024-09', '2025-08', '2024-01', '2025-01')) as count from          (select month from ({}) order by cases desc limit 9)",
        query(6)
    );
    assert!(counted(&months) >= 4, "the months after reorganizations and holidays are among the busiest");

    let again = load_bundled(&mut conn, &mut |_| {});
    assert!(matches!(again, Err(DatasetError::NotEmpty(_))));
}

/// All rows of a table as text that is the same for both databases, with what is JSON apart.
fn rows_as_text(conn: &mut AnyConnection, table: &str) -> Vec<(String, Vec<serde_json::Value>)> {
    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
        #[diesel(sql_type = diesel::sql_types::Text)]
        kind: String,
    }
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        plain: String,
        #[diesel(sql_type = diesel::sql_types::Text)]
        json: String,
    }
    // The order of the columns is that of PostgreSQL's catalog or SQLite's, so they are sorted by name.
    let columns = match conn {
        AnyConnection::Sqlite(_) => {
            format!("select name, '' as kind from pragma_table_info('{table}') order by name")
        }
        AnyConnection::Postgres(_) => format!(
            "select column_name::text as name, data_type::text as kind from information_schema.columns \
             where table_name = '{table}' and table_schema = 'public' order by column_name collate \"C\""
        ),
    };
    let columns: Vec<Column> = diesel::sql_query(columns).load(conn).unwrap();
    assert!(columns.len() > 3, "{table}");
    let (json, plain): (Vec<_>, Vec<_>) =
        columns.into_iter().partition(|column| ["tags", "changes"].contains(&column.name.as_str()));
    let text = |column: &Column| match column.kind.as_str() {
        "timestamp with time zone" => {
            format!("to_char({} at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')", column.name)
        }
        "boolean" => format!("({}::int)::text", column.name),
        _ => format!("cast({} as text)", column.name),
    };
    let all = |columns: &[Column], text: &dyn Fn(&Column) -> String| {
        let columns = columns.iter().map(|column| format!("coalesce({}, 'NULL')", text(column)));
        columns.chain(["''".to_owned()]).collect::<Vec<_>>().join(" || '\u{1f}' || ")
    };
    let query = format!("select {} as plain, {} as json from {table}", all(&plain, &text), all(&json, &text));
    let rows: Vec<Row> = diesel::sql_query(query).load(conn).unwrap();
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let json = row.json.split('\u{1f}').filter(|text| !text.is_empty() && *text != "NULL");
            (row.plain, json.map(|text| serde_json::from_str(text).unwrap()).collect())
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

/// A PostgreSQL database that is dropped at the end; none where there is no server.
struct PostgresDatabase {
    server: String,
    name: String,
}

impl PostgresDatabase {
    fn new() -> Option<Self> {
        const VARIABLE: &str = "DEMO_RESET_TEST_POSTGRES";
        let Ok(server) = std::env::var(VARIABLE) else {
            assert!(std::env::var_os("CI").is_none(), "{VARIABLE} is not set: `cargo xtask test` sets it");
            println!("skipped on PostgreSQL: {VARIABLE} is not set; run `cargo xtask test`");
            return None;
        };
        let database = Self { server, name: format!("dataset{}", std::process::id()) };
        database.on_server(&format!("create database {}", database.name));
        Some(database)
    }

    fn on_server(&self, statement: &str) {
        let mut conn = PgConnection::establish(&self.server).unwrap();
        diesel::sql_query(statement).execute(&mut conn).unwrap();
    }

    fn connect(&self) -> AnyConnection {
        let (server, query) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = server.rsplit_once('/').unwrap();
        let url = format!("{host}/{}?{query}", self.name);
        AnyConnection::Postgres(PgConnection::establish(&url).unwrap())
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        self.on_server(&format!("drop database if exists {} with (force)", self.name));
    }
}

#[test]
fn both_databases_hold_the_same_bytes() {
    let Some(postgres) = PostgresDatabase::new() else { return };
    let mut conns =
        [AnyConnection::Sqlite(SqliteConnection::establish(":memory:").unwrap()), postgres.connect()];
    for conn in &mut conns {
        migrate(conn).unwrap();
        conn.transaction(|conn| load_bundled(conn, &mut |_| {})).unwrap();
    }
    let [sqlite, postgres] = &mut conns;
    for (table, count) in Batch::TABLES.iter().zip(dataset().counts()) {
        let rows = rows_as_text(sqlite, table);
        assert_eq!(rows.len(), count, "{table}");
        let others = rows_as_text(postgres, table);
        assert_eq!(others.len(), count, "{table}");
        for (row, other) in rows.iter().zip(&others) {
            assert_eq!(row, other, "{table}");
        }
    }
}

#[test]
fn a_mistake_in_a_file_is_reported_with_its_line() {
    let mistake = |file: &str, from: &str, to: &str| {
        let sources = Sources::embedded();
        let text = sources.text(file).replacen(from, to, 1);
        assert_ne!(text, sources.text(file), "{from}");
        let SeedError(mut mistakes) = SeedData::parse(&sources.with(file, text)).unwrap_err();
        // A share that is wrong shows in its own list and in what the lists come to.
        let first = mistakes.remove(0);
        assert_eq!(first.file, file, "{first}");
        (first.line, first.message)
    };
    let line_of = |file: &str, text: &str| {
        let sources = Sources::embedded();
        let at = sources.text(file).find(text).unwrap();
        sources.text(file)[..at].lines().count().max(1)
    };
    let (line, message) = mistake("locations.toml", "America/Phoenix", "America/Fenix");
    assert_eq!(
        (line, message.as_str()),
        (line_of("locations.toml", "America/Phoenix"), "there is no time zone `America/Fenix`")
    );
    let (line, message) = mistake("narratives/fraud.toml", "{accused} claims", "{acused} claims");
    assert!(message.contains("{acused}"), "{message}");
    assert_eq!(line, line_of("narratives/fraud.toml", "{accused} claims"));
    let (_, message) = mistake("weights.toml", "channel = [66, 26, 8]", "channel = [66, 26, 9]");
    assert!(message.contains("101"), "{message}");
    let (_, message) = mistake("weights.toml", "channel = [66, 26, 8]", "channel = [26, 66, 8]");
    assert!(message.contains("instead of 60 %"), "{message}");
    let (_, message) = mistake("categories.toml", "weight = 34 }", "weight = 35 }");
    assert!(message.contains("1001"), "{message}");
    let (_, message) = mistake("narratives/policy.toml", "POL-ATT", "POL-XXX");
    assert!(message.contains("POL-XXX"), "{message}");
    let (line, _) = mistake("names.toml", "[uk]", "[uk");
    assert!(line > 1);
    let (_, message) = mistake("phrases.toml", "I never thought", "I  never thought");
    assert!(message.contains("`  `"), "{message}");
    for (file, from, to, part) in [
        ("organizations.toml", "cases = 4500", "cases = 1500", "are the least"),
        ("organizations.toml", "share = 50", "share = 49", "add up to 99"),
        ("organizations.toml", "US-DEN", "US-XXX", "no location `US-XXX`"),
        ("departments.toml", "\"Energy\"", "\"Energie\"", "no division `Energie`"),
        ("locations.toml", "weight = 9", "weight = 0", "more than 0"),
        ("categories.toml", "sla_days = ", "sla_days = 9", "`sla_days`"),
        ("weights.toml", "holidays = 55", "holidays = 0", "1 and 1000"),
        ("weights.toml", "weekday = [21", "weekday = [22", "add up to 100"),
        ("weights.toml", "follow_up_days = [31", "follow_up_days = [88", "two weeks"),
        ("weights.toml", "hotspot_cases = [6", "hotspot_cases = [8", "hotspot_cases"),
        ("weights.toml", "weeks = 2\n", "weeks = 200\n", "`weeks` grow"),
        ("weights.toml", "late = [80", "late = [180", "`late`"),
        ("flagships.toml", "weeks_ago = ", "weeks_ago = 9", "weeks_ago"),
        ("narratives/requests.toml", "answer = [", "answers = [", "answers"),
    ] {
        let (_, message) = mistake(file, from, to);
        assert!(message.contains(part), "{file}: {message}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let sources = Sources::embedded();
    let wrong = |sources: Sources, file: &str, from: &str, to: &str| {
        let text = sources.text(file).replace(from, to);
        assert_ne!(text, sources.text(file), "{from}");
        sources.with(file, text)
    };
    let sources = wrong(sources, "locations.toml", "Asia/Dubai", "Asia/Dubay");
    let sources = wrong(sources, "locations.toml", "Asia/Tokyo", "Asia/Tokio");
    let sources = wrong(sources, "phrases.toml", "I never thought I", "{J} never thought I");
    let sources = wrong(sources, "phrases.toml", "Enough is enough.", "Enough is  enough.");
    let sources = wrong(sources, "narratives/policy.toml", "{count}", "{cuont}");
    let sources = wrong(sources, "weights.toml", "office_hours = 88", "office_hours = 188");
    let SeedError(mistakes) = SeedData::parse(&sources).unwrap_err();
    let line = |file: &str, text: &str| {
        let before = sources.text(file).find(text).unwrap();
        sources.text(file)[..before].matches('\n').count() + 1
    };
    for (file, text, message) in [
        ("locations.toml", "Asia/Dubay", "Asia/Dubay"),
        ("locations.toml", "Asia/Tokio", "Asia/Tokio"),
        ("phrases.toml", "{J} never", "{J}"),
        ("phrases.toml", "Enough is  enough.", "`  `"),
        ("weights.toml", "[rhythm]", "more than that"),
    ] {
        let line = line(file, text);
        let found =
            |one: &&SeedMistake| one.file == file && one.line == line && one.message.contains(message);
        assert_eq!(mistakes.iter().filter(found).count(), 1, "{file}:{line} {message}: {mistakes:#?}");
    }
    // Every text with that slot, and nothing that follows from it.
    let misspelled: Vec<_> = mistakes.iter().filter(|one| one.file == "narratives/policy.toml").collect();
    let lines = sources.text("narratives/policy.toml").lines();
    let wanted = lines.enumerate().filter(|(_, line)| line.contains("{cuont}")).map(|(at, _)| at + 1);
    let is: BTreeSet<usize> = misspelled.iter().map(|one| one.line).collect();
    assert_eq!(is, wanted.take(is.len()).collect());
    assert!(misspelled.len() > 3 && misspelled.iter().all(|one| one.message.contains("{cuont}")));
    assert_eq!(mistakes.len(), misspelled.len() + 5, "{mistakes:#?}");
    assert!(mistakes.is_sorted());
}

#[test]
fn a_folder_holds_the_files_that_differ_from_the_built_in_ones() {
    let folder = std::env::temp_dir().join(format!("demo-reset-seed-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("narratives")).unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    let mistakes = |folder: &std::path::Path| -> Vec<String> {
        let found = Sources::from_folder(folder).and_then(|sources| SeedData::parse(&sources).map(|_| ()));
        found
            .err()
            .map_or(Vec::new(), |SeedError(mistakes)| mistakes.iter().map(ToString::to_string).collect())
    };
    let at = |file: &str| folder.join(file).display().to_string();
    assert_eq!(mistakes(&folder).len(), 1, "an empty folder is a mistake");
    assert_eq!(mistakes(&folder.join("missing")).len(), 1);

    let weights = Sources::embedded().text("weights.toml").to_owned();
    write("weights.toml", &weights.replace("hotspot_managers = 15", "hotspot_managers = 14"));
    assert_eq!(mistakes(&folder), Vec::<String>::new());
    assert_eq!(Sources::from_folder(&folder).unwrap().files_read(), 1);
    write("weights.toml", &weights.replace("office_hours = 88", "office_hours = 188"));
    write("narratives/thefts.toml", "");
    let found = mistakes(&folder);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!("{}:1: ", at("narratives/thefts.toml"))), "{found:?}");
    std::fs::remove_file(folder.join("narratives/thefts.toml")).unwrap();
    let found = mistakes(&folder);
    assert!(found[0].starts_with(&format!("{}:", at("weights.toml"))), "{found:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Edits at random leave no seed data that is taken and then cannot be made into a dataset.
#[test]
fn what_the_check_lets_pass_can_be_generated() {
    let rounds = std::env::var("DATASET_EDITS").map_or(5, |rounds| rounds.parse().unwrap());
    // The small organization alone: the edits are of what all have in common.
    let sources = Sources::embedded();
    let small = sources.text("organizations.toml").replace("cases = 4500", "cases = 2000");
    let small = small.replace("rius = 5000", "rius = 2400").replace("employees = 20000", "employees = 3000");
    let sources = sources.with("organizations.toml", small);
    let files =
        ["organizations.toml", "weights.toml", "categories.toml", "locations.toml", "departments.toml"];
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut taken = 0;
    for _ in 0..rounds {
        let file = files[next(files.len())];
        let text = sources.text(file);
        let digits: Vec<usize> =
            text.match_indices(|letter: char| letter.is_ascii_digit()).map(|(at, _)| at).collect();
        let at = digits[next(digits.len())];
        let new = ["0", "1", "3", "9", "77"][next(5)];
        let edited = format!("{}{new}{}", &text[..at], &text[at + 1..]);
        if let Ok(seed) = SeedData::parse(&sources.clone().with(file, edited)) {
            let mut counting = Counting::default();
            generate(&seed, &DatasetOptions::new(as_of()), &mut counting).unwrap();
            taken += 1;
        }
    }
    assert!(taken > 0, "no edit was taken in {rounds} rounds");
}

fn charts_folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/charts")
}

#[test]
fn the_charts_of_the_documentation_are_those_of_the_data() {
    let drawn = charts::charts(&DatasetOptions::new(as_of())).unwrap();
    let page = include_str!("../../../docs/dataset.md");
    assert_eq!(drawn.len(), 5);
    for chart in &drawn {
        let there = std::fs::read_to_string(charts_folder().join(chart.file)).unwrap_or_default();
        assert!(there == chart.svg, "{} is out of date: run `cargo xtask charts`", chart.file);
        assert!(page.contains(&format!("](charts/{})", chart.file)), "{}", chart.file);
    }
    let files = std::fs::read_dir(charts_folder()).unwrap();
    let names: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, drawn.iter().map(|chart| chart.file.to_owned()).collect());
}

/// Colors are given once for light and once for dark pages, and nowhere else.
#[test]
fn charts_can_be_read_on_light_and_dark_pages() {
    for chart in charts::charts(&DatasetOptions::new(as_of())).unwrap() {
        let (style, drawing) = chart.svg.split_once("</style>").unwrap();
        let (light, dark) = style.split_once("prefers-color-scheme: dark").unwrap();
        assert!(!drawing.contains('#') && !drawing.contains("fill="), "{}", chart.file);
        let colors = |style: &str| -> BTreeMap<String, [f64; 3]> {
            let rules = style.split('.').skip(1).filter_map(|rule| rule.split_once(" { "));
            let channel = |hex: &str| f64::from(u8::from_str_radix(hex, 16).unwrap()) / 255.0;
            rules
                .map(|(class, rest)| {
                    let hex = rest.split_once('#').unwrap().1;
                    (class.to_owned(), [0, 2, 4].map(|at| channel(&hex[at..at + 2])))
                })
                .collect()
        };
        // The contrast of the accessibility guidelines: 4.5 for text, 3 for what is drawn.
        let luminance = |color: &[f64; 3]| {
            let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
            0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2])
        };
        for page in [light, dark] {
            let colors = colors(page);
            for (class, least) in [("title", 4.5), ("note", 4.5), ("label", 4.5), ("bar", 3.0)] {
                let (a, b) = (luminance(&colors[class]), luminance(&colors["page"]));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= least, "{}: {class} {contrast:.1}", chart.file);
            }
        }
    }
}

/// `cargo xtask charts` runs this.
#[test]
#[ignore = "writes into the checkout"]
fn draw_the_charts() {
    std::fs::create_dir_all(charts_folder()).unwrap();
    for chart in charts::charts(&DatasetOptions::new(as_of())).unwrap() {
        std::fs::write(charts_folder().join(chart.file), &chart.svg).unwrap();
    }
}

/// For load tests: `DATASET_SCALE=100 cargo test --release … -- --ignored --nocapture` says how long it takes and how
/// much memory it needs.
#[test]
#[ignore = "takes minutes"]
fn loads_many_times_the_volume_with_bounded_memory() {
    let scale = std::env::var("DATASET_SCALE").map_or(10, |scale| scale.parse().unwrap());
    let url = std::env::var("DATASET_TEST_DB").unwrap_or_else(|_| ":memory:".to_owned());
    let options = DatasetOptions { scale, ..DatasetOptions::new(as_of()) };
    let memory = |what: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        println!(
            "{what}: {}",
            status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("memory unknown")
        );
    };
    let start = std::time::Instant::now();
    let mut counting = Counting::default();
    generate(SeedData::embedded().unwrap(), &options, &mut counting).unwrap();
    memory(&format!("{} rows generated in {:?}", counting.rows, start.elapsed()));
    let mut conn = AnyConnection::Sqlite(SqliteConnection::establish(&url).unwrap());
    migrate(&mut conn).unwrap();
    let start = std::time::Instant::now();
    let summary = conn.transaction(|conn| load(conn, SeedData::embedded()?, options, &mut |_| {})).unwrap();
    memory(&format!("{} rows loaded in {:?}", summary.rows(), start.elapsed()));
    assert_eq!(summary.rows(), counting.rows);
}
