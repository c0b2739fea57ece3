//! Every property of the bundled dataset, checked on the generated rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use demo_reset_compliance::dataset::rows::{CaseRow, CategoryRow, EmployeeRow, LocationRow, SubjectRow};
use demo_reset_compliance::dataset::{
    Batch, DatasetError, DatasetOptions, LONGEST_TEXT, Progress, SeedData, Sink, Sources, charts, generate,
    lint, load, migrate,
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

    let breached = share(&acme.cases, |case| {
        case.closed_at.map_or(cutoff(), |time| time.get()) > case.sla_due_at.unwrap().get()
    });
    assert!((5.0..=10.0).contains(&breached), "{breached}");
    let overdue = dataset().investigations.iter().filter(|one| one.investigation_number == 1);
    let overdue = overdue.filter(|one| one.organization_id == acme.id && one.sla_status == "OVERDUE").count();
    within("overdue investigations", percent(overdue, 4500), breached, 0.5);
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
    let mut told = 0;
    for investigation in &all.investigations {
        let Some(name) = names.get(&investigation.case_id) else { continue };
        let case = all.cases.iter().find(|case| case.id == investigation.case_id);
        let _ = case;
        if investigation.findings_detail.as_deref().is_some_and(|text| text.contains(name.as_str())) {
            told += 1;
        }
    }
    assert!(told > 1000, "{told}");
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

const FINGERPRINT: &str = "c9ec510db7d0499c";

#[test]
fn another_date_shifts_by_whole_weeks() {
    let later = made(&DatasetOptions::new(as_of() + Duration::days(7 * 33)));
    let here: BTreeMap<_, _> = dataset().cases.iter().map(|case| (case.id, case)).collect();
    let zones: BTreeMap<_, _> = dataset().locations.iter().map(|one| (one.id, &one.time_zone)).collect();
    let local = |case: &CaseRow| {
        let zone: Tz = zones[&case.location_id.unwrap()].parse().unwrap();
        case.created_at.get().with_timezone(&zone).naive_local()
    };
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
        assert_eq!(case.details.len(), case.details.len());
    }
    assert!(same > 4480, "{same}");
}

#[test]
fn every_weekday_sees_a_full_last_week() {
    for days in [3, 6] {
        let date = as_of() + Duration::days(days);
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
}

impl Sink for Counting {
    fn write(&mut self, batch: &mut Batch) -> Result<(), DatasetError> {
        self.rows += batch.len() as u64;
        self.largest = self.largest.max(batch.len());
        self.cases += batch.cases.len();
        batch.clear();
        Ok(())
    }
}

#[test]
fn volumes_grow_with_the_scale_and_rows_stream() {
    let mut counting = Counting::default();
    let options = DatasetOptions { scale: 2, ..DatasetOptions::new(as_of()) };
    generate(SeedData::embedded().unwrap(), &options, &mut counting).unwrap();
    assert_eq!(counting.cases, 2 * dataset().cases.len());
    let ratio = counting.rows as f64 / dataset().len() as f64;
    within("rows at twice the scale", ratio, 2.0, 0.05);
    assert!(counting.largest < 2200, "{}", counting.largest);
}

#[test]
fn loads_into_sqlite() {
    let url = std::env::var("DATASET_TEST_DB").unwrap_or_else(|_| ":memory:".to_owned());
    let mut conn = AnyConnection::Sqlite(SqliteConnection::establish(&url).unwrap());
    migrate(&mut conn).unwrap();
    let mut reports: Vec<Progress> = Vec::new();
    let start = std::time::Instant::now();
    let summary = conn
        .transaction::<_, DatasetError, _>(|conn| {
            load(conn, DatasetOptions::new(as_of()), &mut |progress| reports.push(progress))
        })
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

    let again = load(&mut conn, DatasetOptions::new(as_of()), &mut |_| {});
    assert!(matches!(again, Err(DatasetError::NotEmpty(_))));
}

#[test]
fn a_mistake_in_a_file_is_reported_with_its_line() {
    let mistake = |file: &str, from: &str, to: &str| {
        let sources = Sources::embedded();
        let text = sources.text(file).replacen(from, to, 1);
        assert_ne!(text, sources.text(file), "{from}");
        let error = SeedData::parse(&sources.with(file, text)).unwrap_err();
        assert_eq!(error.file, file, "{error}");
        (error.line, error.message.clone())
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
}

/// The charts of the documentation. `DATASET_CHARTS=write` draws them anew.
#[test]
fn charts_show_the_data() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/charts");
    let drawn = charts::charts(&DatasetOptions::new(as_of())).unwrap();
    assert_eq!(drawn.len(), 5);
    for chart in drawn {
        let file = folder.join(chart.file);
        if std::env::var("DATASET_CHARTS").is_ok_and(|value| value == "write") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &chart.svg).unwrap();
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(there == chart.svg, "{} is out of date: draw the charts anew", file.display());
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
    let summary = conn.transaction(|conn| load(conn, options, &mut |_| {})).unwrap();
    memory(&format!("{} rows loaded in {:?}", summary.rows(), start.elapsed()));
    assert_eq!(summary.rows(), counting.rows);
}
