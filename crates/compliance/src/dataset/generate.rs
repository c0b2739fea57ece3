//! Streams the rows of the dataset, organization by organization and case by case.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use chrono::{DateTime, Datelike, Duration, NaiveDateTime, Utc};
use chrono_tz::Tz;
use demo_reset_persistence::types::{DbTime, DbUuid};

use super::calendar::{self, Calendar};
use super::people::Directory;
use super::plan::{CasePlan, Planner, Special};
use super::rng::{hash, mix};
use super::rows::{Batch, CategoryRow, EmployeeRow, LocationRow, OrganizationRow, UserRow};
use super::seed::{Organization, Role, SeedData};
use super::{DatasetError, DatasetOptions, Sink};

/// Rows are handed on when this many have come together.
const BATCH: usize = 2000;

/// The ids of one organization: made from the seed, an ordinal and nothing else, so that they are the same whatever
/// date the dataset is made for. Ids of one table grow with their ordinal, which keeps their index compact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    seed: u64,
}

impl Ids {
    /// The id number `ordinal` of a table: a UUID of version 8, "custom": the ordinal, then bits from the seed.
    pub(crate) fn id(self, table: &str, ordinal: u64) -> DbUuid {
        let random = hash(self.seed, table, ordinal);
        let bits = (u128::from(ordinal & 0xFFFF_FFFF_FFFF) << 80)
            | (u128::from(random >> 48) << 64)
            | u128::from(mix(random));
        DbUuid(uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid())
    }

    /// The id of the organization itself.
    pub(crate) fn organization(self) -> DbUuid {
        let random = hash(self.seed, "organizations", 0);
        let bits = (u128::from(random) << 64) | u128::from(mix(random));
        DbUuid(uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid())
    }
}

/// A user who acts in the dataset.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) id: DbUuid,
    pub(crate) name: String,
}

/// Everything the cases of an organization have in common.
pub(crate) struct World<'a> {
    pub(crate) seed: &'a SeedData,
    pub(crate) organization: &'a Organization,
    pub(crate) directory: &'a Directory<'a>,
    pub(crate) calendar: Calendar,
    pub(crate) master_seed: u64,
    pub(crate) ids: Ids,
    pub(crate) organization_id: DbUuid,
    pub(crate) categories: Vec<DbUuid>,
    pub(crate) locations: Vec<DbUuid>,
    pub(crate) triage: Actor,
    pub(crate) officer: Actor,
    pub(crate) investigators: Vec<Actor>,
    pub(crate) manager: Actor,
    pub(crate) employee: Actor,
}

impl World<'_> {
    pub(crate) fn zone(&self, plan: &CasePlan) -> Tz {
        self.seed.locations[plan.place].zone
    }

    pub(crate) fn utc(&self, plan: &CasePlan, local: NaiveDateTime) -> DateTime<Utc> {
        self.calendar.utc(local, self.zone(plan))
    }

    pub(crate) fn time(&self, plan: &CasePlan, local: NaiveDateTime) -> DbTime {
        DbTime::new(self.utc(plan, local))
    }
}

/// A case with the numbers that it and its reports were given.
pub(crate) struct Numbered {
    pub(crate) plan: CasePlan,
    pub(crate) case: String,
    pub(crate) rius: Vec<(NaiveDateTime, String)>,
}

/// Writes the whole dataset to `sink`.
pub fn generate(seed: &SeedData, options: &DatasetOptions, sink: &mut dyn Sink) -> Result<(), DatasetError> {
    options.check()?;
    let calendar = Calendar::new(options.as_of);
    for organization in &seed.organizations {
        let directory = Directory::new(seed, organization, options.master_seed, options.scale);
        let mut batch = Batch::default();
        let world = organization_rows(seed, organization, &directory, calendar, options, &mut batch);
        employee_rows(&world, &mut batch, sink)?;
        case_rows(&world, options.scale, &mut batch, sink)?;
        sink.write(&mut batch)?;
    }
    Ok(())
}

fn organization_rows<'a>(
    seed: &'a SeedData,
    organization: &'a Organization,
    directory: &'a Directory<'a>,
    calendar: Calendar,
    options: &DatasetOptions,
    batch: &mut Batch,
) -> World<'a> {
    let ids = Ids { seed: hash(options.master_seed, &organization.slug, 2) };
    let organization_id = ids.organization();
    // Set up a year before the first case.
    let set_up = calendar::at(calendar::anchor() - Duration::weeks(208), 9 * 60, 0);
    let created_at = DbTime::new(calendar.shifted(set_up).and_utc());
    batch.organizations.push(OrganizationRow {
        id: organization_id,
        slug: organization.slug.clone(),
        name: organization.name.clone(),
        created_at,
    });
    let mut actors = Vec::new();
    for (index, user) in organization.users.iter().enumerate() {
        let id = ids.id("users", index as u64);
        actors.push((user.role, Actor { id, name: format!("{} {}", user.first_name, user.last_name) }));
        batch.users.push(UserRow {
            organization_id,
            id,
            email: format!("{}@{}", user.account, organization.domain),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            role: user.role.name().to_owned(),
            created_at,
        });
    }
    let categories: Vec<DbUuid> =
        (0..seed.categories.len()).map(|index| ids.id("categories", index as u64)).collect();
    for (category, &id) in seed.categories.iter().zip(&categories) {
        batch.categories.push(CategoryRow {
            organization_id,
            id,
            code: category.code.get_ref().clone(),
            name: category.name.clone(),
            category_group: category.group.get_ref().clone(),
            severity: category.severity.name().to_owned(),
            sla_days: category.sla_days as i32,
            created_at,
        });
    }
    let locations: Vec<DbUuid> =
        (0..seed.locations.len()).map(|index| ids.id("locations", index as u64)).collect();
    for &place in &organization.places {
        let location = &seed.locations[place];
        batch.locations.push(LocationRow {
            organization_id,
            id: locations[place],
            code: location.code.clone(),
            name: location.name.clone(),
            city: location.city.clone(),
            country: location.country.clone(),
            region: location.region.name().to_owned(),
            time_zone: location.zone_name().to_owned(),
            created_at,
        });
    }
    // A small organization has few roles: who has none of the wanted ones is stood in for by its first user.
    let with_role = |role: Role| {
        let found = actors.iter().find(|(of, _)| *of == role).or_else(|| actors.first());
        found.map_or_else(|| Actor { id: organization_id, name: String::new() }, |(_, actor)| actor.clone())
    };
    let investigators = actors
        .iter()
        .filter(|(role, _)| *role == Role::Investigator)
        .map(|(_, actor)| actor.clone())
        .collect();
    World {
        seed,
        organization,
        directory,
        calendar,
        master_seed: hash(options.master_seed, &organization.slug, 3),
        ids,
        organization_id,
        categories,
        locations,
        triage: with_role(Role::TriageLead),
        officer: with_role(Role::ComplianceOfficer),
        investigators,
        manager: with_role(Role::Manager),
        employee: with_role(Role::Employee),
    }
}

fn employee_rows(world: &World<'_>, batch: &mut Batch, sink: &mut dyn Sink) -> Result<(), DatasetError> {
    let seed = world.seed;
    for index in 0..world.directory.len {
        let person = world.directory.person(index);
        let hired = calendar::anchor() - Duration::days(world.directory.days_employed(index));
        let zone = seed.locations[person.place].zone;
        let hired_at = DbTime::new(world.calendar.utc(calendar::at(hired, 9 * 60, 0), zone));
        batch.employees.push(EmployeeRow {
            organization_id: world.organization_id,
            id: world.ids.id("employees", u64::from(index)),
            employee_number: format!("E{:06}", 100_000 + u64::from(index)),
            email: person.email(&world.organization.domain),
            job_title: person.job_title,
            division: world.organization.divisions[person.division].name.clone(),
            department: seed.departments[person.department].name.clone(),
            location_id: world.locations[person.place],
            manager_id: person.manager.map(|manager| world.ids.id("employees", u64::from(manager))),
            hired_at,
            created_at: hired_at,
            first_name: person.first,
            last_name: person.last,
        });
        if batch.len() >= BATCH {
            sink.write(batch)?;
        }
    }
    Ok(())
}

/// What is numbered in the order in which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Report(usize),
    Case,
}

struct Waiting {
    numbered: Numbered,
    left: usize,
}

fn case_rows(
    world: &World<'_>,
    scale: u32,
    batch: &mut Batch,
    sink: &mut dyn Sink,
) -> Result<(), DatasetError> {
    let planner = || {
        Planner::new(
            world.seed,
            world.organization,
            world.directory,
            world.calendar,
            world.master_seed,
            scale,
        )
    };
    let cutoff = world.calendar.cutoff();
    let happened = |plan: &CasePlan| world.utc(plan, plan.created) < cutoff;

    // The plan covers whole weeks; of what happened before the date, the last so many cases are wanted.
    let wanted = u64::from(world.organization.cases) * u64::from(scale);
    let mut planned = planner();
    let mut total = 0;
    while let Some((_, plans)) = planned.next_week() {
        total += plans.iter().filter(|plan| happened(plan)).count() as u64;
    }
    let mut to_skip = total.saturating_sub(wanted);

    let mut planned = planner();
    let mut events = BinaryHeap::new();
    let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
    let mut case_numbers: BTreeMap<i32, u64> = BTreeMap::new();
    let mut riu_numbers: BTreeMap<i32, u64> = BTreeMap::new();
    // The numbers of the cases that later ones refer to.
    let mut firsts: BTreeMap<u64, String> = BTreeMap::new();
    let mut accused_before: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut last_week = false;
    while !last_week {
        let until = match planned.next_week() {
            Some((week, plans)) => {
                for plan in plans {
                    if !happened(&plan) {
                        continue;
                    }
                    if to_skip > 0 {
                        to_skip -= 1;
                        continue;
                    }
                    let mut times = vec![plan.reported];
                    times.extend(
                        plan.more_reports.iter().copied().filter(|&time| world.utc(&plan, time) < cutoff),
                    );
                    for (index, &time) in times.iter().enumerate() {
                        events.push(Reverse((world.utc(&plan, time), plan.ordinal, Event::Report(index))));
                    }
                    events.push(Reverse((world.utc(&plan, plan.created), plan.ordinal, Event::Case)));
                    let left = times.len() + 1;
                    let rius = times.into_iter().map(|time| (time, String::new())).collect();
                    let numbered = Numbered { plan, case: String::new(), rius };
                    waiting.insert(numbered.plan.ordinal, Waiting { numbered, left });
                }
                // The next week begins on Monday, in some places 14 hours before it does in UTC; a report at the
                // turn of the year may be up to a day away from its place.
                let monday = calendar::anchor() + Duration::weeks(week + 1);
                world.calendar.shifted(calendar::at(monday, 0, 0)).and_utc() - Duration::days(2)
            }
            None => {
                last_week = true;
                DateTime::<Utc>::MAX_UTC
            }
        };
        while events.peek().is_some_and(|Reverse((time, _, _))| *time < until) {
            let Some(Reverse((time, ordinal, event))) = events.pop() else { break };
            let Some(one) = waiting.get_mut(&ordinal) else { continue };
            let numbers = if event == Event::Case { &mut case_numbers } else { &mut riu_numbers };
            let number = numbers.entry(time.year()).or_insert(0);
            *number += 1;
            match event {
                Event::Case => one.numbered.case = format!("CASE-{}-{number:05}", time.year()),
                Event::Report(index) => {
                    one.numbered.rius[index].1 = format!("RIU-{}-{number:05}", time.year());
                }
            }
            one.left -= 1;
            if one.left > 0 {
                continue;
            }
            let Some(Waiting { numbered, .. }) = waiting.remove(&ordinal) else { continue };
            let mut earlier = Vec::new();
            match &numbered.plan.special {
                Special::First => {
                    firsts.insert(ordinal, numbered.case.clone());
                }
                Special::FollowUp(first) => earlier.extend(firsts.get(&first.ordinal).cloned()),
                Special::Repeat { .. } => {
                    let before = accused_before.entry(numbered.plan.accused).or_default();
                    earlier.clone_from(before);
                    before.push(numbered.case.clone());
                }
                _ => {}
            }
            super::case::write(world, &numbered, &earlier, batch);
            if batch.len() >= BATCH {
                sink.write(batch)?;
            }
        }
    }
    Ok(())
}
