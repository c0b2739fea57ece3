//! What happens when and to whom: the skeleton of every case, before a word of it is written.
//!
//! Cases are planned week by week in order of time. A plan depends on the master seed and on the cases before it,
//! never on the date the dataset is made for, so that the same cases come out whatever that date is.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, Timelike};

use super::calendar::{self, Calendar, add_office_minutes, at, is_weekend, minute_of_day, office_minutes};
use super::people::Directory;
use super::rng::{Even, Rng, hash};
use super::seed::{FlagshipChannel, Organization, Outcome, REQUEST, RETALIATION, Region, SeedData, Severity};

/// Weeks before the anchor; one more follows it, for dates that are no Mondays.
pub(crate) const WEEKS: i64 = 156;

/// How far ahead the ticket of somebody fitting is looked for.
const TICKETS_AHEAD: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Phone,
    Web,
    Chat,
    Email,
    Proxy,
    Form,
    Campaign,
}

impl Channel {
    /// `riu_type` and `source_channel` of the report, `source_channel` of the case.
    pub(crate) fn names(self, request: bool) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Phone => ("HOTLINE_REPORT", "PHONE", "HOTLINE"),
            Self::Web => ("WEB_FORM_SUBMISSION", "WEB_FORM", "WEB_FORM"),
            Self::Chat => ("CHATBOT_TRANSCRIPT", "CHATBOT", "CHATBOT"),
            Self::Email => ("INCIDENT_FORM", "EMAIL", "DIRECT_ENTRY"),
            Self::Proxy => ("PROXY_REPORT", "PROXY", "PROXY"),
            Self::Form => ("INCIDENT_FORM", "DIRECT_ENTRY", "DIRECT_ENTRY"),
            Self::Campaign if request => ("DISCLOSURE_RESPONSE", "CAMPAIGN", "DIRECT_ENTRY"),
            Self::Campaign => ("SURVEY_RESPONSE", "CAMPAIGN", "DIRECT_ENTRY"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// A narrative as long as the column allows.
    Long,
    /// Several scripts and emoji.
    Scripts,
    /// Reported on 29 February.
    LeapDay,
    /// Reported minutes before the year ended.
    YearEnd,
    /// Reported in the hour that a clock change repeats, or in a place where it is already tomorrow.
    TimeZone,
}

impl Edge {
    const ALL: [Self; 5] = [Self::Long, Self::Scripts, Self::LeapDay, Self::YearEnd, Self::TimeZone];

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Long => "edge-long-narrative",
            Self::Scripts => "edge-scripts",
            Self::LeapDay => "edge-leap-day",
            Self::YearEnd => "edge-year-end",
            Self::TimeZone => "edge-time-zone",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    /// The case number `nth` (from 0) of somebody who is accused again and again.
    Repeat {
        nth: u32,
    },
    /// After this one is closed, its reporter will suffer for it.
    First,
    /// What the reporter of that case suffered.
    FollowUp(Box<CasePlan>),
    Flagship(usize),
    Edge(Edge),
}

/// The skeleton of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CasePlan {
    pub(crate) ordinal: u64,
    pub(crate) special: Special,
    pub(crate) category: usize,
    pub(crate) severity: Severity,
    pub(crate) anonymous: bool,
    pub(crate) channel: Channel,
    pub(crate) accused: u32,
    pub(crate) place: usize,
    /// All times are planned local times of the place.
    pub(crate) reported: NaiveDateTime,
    pub(crate) created: NaiveDateTime,
    pub(crate) more_reports: Vec<NaiveDateTime>,
    pub(crate) closed: Option<NaiveDateTime>,
    pub(crate) outcome: Outcome,
    pub(crate) due: NaiveDateTime,
    /// The due date was moved, and when.
    pub(crate) extended: Option<NaiveDateTime>,
    pub(crate) second_investigation: bool,
    /// Whether the case would still be untouched in its first week.
    pub(crate) waits: bool,
    /// Index into the incidents of the category.
    pub(crate) incident: usize,
    pub(crate) request: bool,
}

/// Plans the cases of one organization.
pub(crate) struct Planner<'a> {
    seed: &'a SeedData,
    organization: &'a Organization,
    directory: &'a Directory<'a>,
    calendar: Calendar,
    master_seed: u64,
    week: i64,
    next_ordinal: u64,
    per_week: Vec<u64>,
    tickets: Vec<u32>,
    next_ticket: usize,
    specials: BTreeMap<u64, (Special, u32)>,
    more_reports: BTreeMap<u64, u32>,
    follow_ups: BTreeMap<i64, Vec<CasePlan>>,
    retaliators: BTreeSet<u32>,
    even: Evens,
}

/// The draws that must come out even, each for itself.
struct Evens {
    category: Even,
    by_category: Vec<CategoryEvens>,
    duration: Vec<Even>,
    outcome: Vec<Even>,
    second: Vec<Even>,
    open: Vec<Even>,
    late: [Even; 3],
    overdue: Even,
    weekday: Even,
    office: Even,
    waits: Even,
    incident: Vec<u64>,
}

struct CategoryEvens {
    severity: Even,
    anonymous: Even,
    channel: Even,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        seed: &'a SeedData,
        organization: &'a Organization,
        directory: &'a Directory<'a>,
        calendar: Calendar,
        master_seed: u64,
        scale: u32,
    ) -> Self {
        let master_seed = hash(master_seed, &organization.slug, 1);
        let even = |name: &str, index: usize| Even::new(master_seed, name, index as u64);
        let groups = seed.groups.len();
        let evens = Evens {
            category: even("category", 0),
            by_category: (0..seed.categories.len())
                .map(|index| CategoryEvens {
                    severity: even("severity", index),
                    anonymous: even("anonymous", index),
                    channel: even("channel", index),
                })
                .collect(),
            duration: (0..groups * 3).map(|index| even("duration", index)).collect(),
            outcome: (0..groups).map(|index| even("outcome", index)).collect(),
            second: (0..groups).map(|index| even("second", index)).collect(),
            open: (0..seed.weights.open.len()).map(|index| even("open", index)).collect(),
            late: [even("late", 0), even("late", 1), even("late", 2)],
            overdue: even("overdue", 0),
            weekday: even("weekday", 0),
            office: even("office", 0),
            waits: even("waits", 0),
            incident: (0..seed.categories.len())
                .map(|index| hash(master_seed, "incident", index as u64))
                .collect(),
        };
        let mut planner = Self {
            seed,
            organization,
            directory,
            calendar,
            master_seed,
            week: -WEEKS,
            next_ordinal: 0,
            per_week: Vec::new(),
            tickets: Vec::new(),
            next_ticket: 0,
            specials: BTreeMap::new(),
            more_reports: BTreeMap::new(),
            follow_ups: BTreeMap::new(),
            retaliators: BTreeSet::new(),
            even: evens,
        };
        planner.per_week =
            planner.cases_per_week(u64::from(organization.cases) * u64::from(scale) * 101 / 100 + 1);
        planner.plan_specials(scale);
        planner
    }

    fn cases_per_week(&self, cases: u64) -> Vec<u64> {
        let season = &self.seed.weights.season;
        let weight = |week: i64| -> u64 {
            let monday = calendar::anchor() + Duration::weeks(week);
            let thursday = monday + Duration::days(3);
            let ago = |date: NaiveDate| (thursday - date).num_days();
            let turn = NaiveDate::from_ymd_opt(thursday.year(), 1, 1).unwrap_or(thursday);
            let mut weight = u64::from(season.month[thursday.month0() as usize]) * 100;
            let christmas = NaiveDate::from_ymd_opt(thursday.year(), 12, 22).unwrap_or(thursday);
            if ago(christmas) >= 0 || (0..4).contains(&ago(turn)) {
                weight = u64::from(season.holidays) * 100;
            } else if (4..18).contains(&ago(turn)) {
                weight = u64::from(season.after_holidays) * 100;
            }
            for &reorganization in &season.reorganizations {
                if let Some(&percent) = usize::try_from(week + reorganization)
                    .ok()
                    .and_then(|n| season.after_reorganization.get(n))
                {
                    weight = weight * u64::from(percent) / 100;
                }
            }
            if week >= -1 {
                return 100 * u64::from(season.campaign) * u64::from(season.year[2]);
            }
            weight * u64::from(season.year[((week + WEEKS) / 52).clamp(0, 2) as usize])
        };
        let weights: Vec<u64> = (-WEEKS..0).map(weight).collect();
        let total: u64 = weights.iter().sum();
        let (mut sum, mut given) = (0, 0);
        let mut counts: Vec<u64> = weights
            .iter()
            .map(|weight| {
                sum += weight;
                let up_to = cases * sum / total;
                let count = up_to - given;
                given = up_to;
                count
            })
            .collect();
        // The week of the date itself, cut somewhere by it, goes on like the one before.
        counts.push(counts.last().copied().unwrap_or(0));
        counts
    }

    fn planned_cases(&self) -> u64 {
        self.per_week.iter().sum()
    }

    fn week_start(&self, week: i64) -> NaiveDate {
        calendar::anchor() + Duration::weeks(week)
    }

    fn first_ordinal(&self, week: i64) -> u64 {
        self.per_week[..(week + WEEKS).clamp(0, WEEKS + 1) as usize].iter().sum()
    }

    fn plan_specials(&mut self, scale: u32) {
        let mut rng = Rng::new(self.master_seed, "specials", 0);
        let patterns = &self.seed.weights.patterns;
        let cases = self.planned_cases();
        let mut repeaters: Vec<(u32, u32)> = Vec::new();
        let mut managers: Vec<u32> = self.directory.managers().collect();
        rng.shuffle(&mut managers);
        let mut managers = managers.into_iter();
        let mut hotspots = BTreeMap::new();
        if self.organization.showcase {
            for (index, flagship) in self.seed.flagships.iter().enumerate() {
                let ordinal = self.first_ordinal(-flagship.weeks_ago);
                let free = (ordinal..).find(|ordinal| !self.specials.contains_key(ordinal));
                self.specials.insert(free.unwrap_or(ordinal), (Special::Flagship(index), 0));
            }
            for edge in Edge::ALL {
                let ordinal = self.edge_ordinal(edge, &mut rng);
                self.specials.insert(ordinal, (Special::Edge(edge), 0));
            }
            let [low, high] = patterns.hotspot_cases;
            for _ in 0..patterns.hotspot_managers * scale {
                let Some(manager) = managers.find(|&one| self.old_hands(one).len() >= high as usize) else {
                    break;
                };
                hotspots.insert(manager, rng.between(low.into(), high.into()) as usize);
            }

            for (index, &people) in patterns.repeat_subjects.iter().enumerate() {
                for _ in 0..people * scale {
                    let Some(manager) = managers.next() else { break };
                    let Some(&member) = self.old_hands(manager).first() else { continue };
                    repeaters.push((member, index as u32 + 2));
                    hotspots.insert(manager, 0);
                }
            }
            for (person, times) in &repeaters {
                let ordinals: BTreeSet<u64> = (0..*times)
                    .map(|_| self.free_ordinal(&mut rng, cases * 4 / 100, cases * 90 / 100))
                    .collect();
                for (nth, ordinal) in ordinals.into_iter().enumerate() {
                    self.specials.insert(ordinal, (Special::Repeat { nth: nth as u32 }, *person));
                }
            }
            for _ in 0..patterns.follow_ups * scale {
                let ordinal = self.free_ordinal(&mut rng, cases * 4 / 100, cases * 75 / 100);
                self.specials.insert(ordinal, (Special::First, 0));
            }
        }
        let extra = u64::from(self.organization.rius - self.organization.cases) * u64::from(scale);
        let (two, three) = if self.organization.showcase {
            (u64::from(patterns.two_reports * scale), u64::from(patterns.three_reports * scale))
        } else {
            (extra, 0)
        };
        for (count, more) in [(two, 1), (three, 2)] {
            for _ in 0..count {
                let ordinal = loop {
                    let ordinal = rng.between((cases * 4 / 100) as i64, (cases * 90 / 100) as i64) as u64;
                    let is_free = match self.specials.get(&ordinal) {
                        Some((Special::Flagship(_) | Special::First, _)) => false,
                        _ => !self.more_reports.contains_key(&ordinal),
                    };
                    if is_free {
                        break ordinal;
                    }
                };
                self.more_reports.insert(ordinal, more);
            }
        }
        self.tickets = self.draw_tickets(&mut rng, &hotspots, cases);
    }

    fn free_ordinal(&self, rng: &mut Rng, from: u64, to: u64) -> u64 {
        loop {
            let ordinal = from + rng.below(to - from);
            if !self.specials.contains_key(&ordinal) {
                return ordinal;
            }
        }
    }

    /// Edges that belong to a day of the real calendar are planned among the first cases and wait for their day, so
    /// that everybody else's plan is the same whatever the date is.
    fn edge_ordinal(&self, edge: Edge, rng: &mut Rng) -> u64 {
        let cases = self.planned_cases();
        match edge {
            Edge::LeapDay | Edge::YearEnd => self.free_ordinal(rng, cases * 4 / 100, cases * 5 / 100),
            _ => self.free_ordinal(rng, cases / 10, cases * 8 / 10),
        }
    }

    /// The planned date of an edge that belongs to a day of the real calendar. Such a day does not move by whole
    /// weeks: its planned date depends on the shift.
    fn edge_date(&self, edge: Edge) -> Option<NaiveDate> {
        let end = self.calendar.cutoff().date_naive();
        let real = match edge {
            Edge::LeapDay => (0..4).find_map(|years| {
                NaiveDate::from_ymd_opt(end.year() - years, 2, 29)
                    .filter(|date| *date < end - Duration::days(90))
            }),
            Edge::YearEnd => (1..3).find_map(|years| {
                NaiveDate::from_ymd_opt(end.year() - years, 12, 31)
                    .filter(|date| *date < end - Duration::days(90))
            }),
            _ => None,
        };
        let planned = real.map(|date| self.calendar.planned(date.and_time(chrono::NaiveTime::MIN)).date())?;
        // Not before the case is planned.
        let week = (planned - calendar::anchor()).num_days().div_euclid(7);
        (week > -WEEKS + 12).then_some(planned)
    }

    /// The members of a team who were there before the three years began.
    fn old_hands(&self, manager: u32) -> Vec<u32> {
        self.directory.team(manager).filter(|&member| !self.directory.is_new(member)).collect()
    }

    /// Who is accused in the ordinary cases: nobody twice, and few or none on each team, but for the hotspots.
    fn draw_tickets(&self, rng: &mut Rng, hotspots: &BTreeMap<u32, usize>, cases: u64) -> Vec<u32> {
        let managers: Vec<u32> = self.directory.managers().collect();
        let others = managers.len().saturating_sub(hotspots.len()).max(1);
        let mut hot = Vec::new();
        for (&manager, &count) in hotspots {
            let mut team = self.old_hands(manager);
            rng.shuffle(&mut team);
            hot.extend(team.into_iter().take(count));
        }
        let wanted = (cases as usize).saturating_sub(hot.len());
        let each = wanted / others;
        let mut counts = vec![each; others];
        for count in counts.iter_mut().take(wanted % others) {
            *count += 1;
        }
        rng.shuffle(&mut counts);
        // Teams differ: some have one case less, others one more.
        for pair in (0..counts.len() / 3 * 2).step_by(2) {
            if counts[pair] > 0 && counts[pair + 1] <= each + 1 {
                counts[pair] -= 1;
                counts[pair + 1] += 1;
            }
        }
        let mut counts = counts.into_iter();
        let mut tickets = Vec::with_capacity(cases as usize);
        let mut left_over = Vec::new();
        for manager in managers.into_iter().filter(|manager| !hotspots.contains_key(manager)) {
            let mut team = self.old_hands(manager);
            rng.shuffle(&mut team);
            left_over.extend(team.drain(counts.next().unwrap_or(0).min(team.len())..));
            tickets.append(&mut team);
        }
        // Small teams cannot fill their share.
        rng.shuffle(&mut left_over);
        left_over.truncate(wanted.saturating_sub(tickets.len()));
        tickets.append(&mut left_over);
        rng.shuffle(&mut tickets);
        // Neither the first nor the last tickets need be drawn: those of the hotspots lie between.
        let (from, to) = (tickets.len() * 4 / 100, tickets.len() * 90 / 100);
        let mut taken = BTreeSet::new();
        for ticket in hot {
            let at = from + rng.index(to - from);
            if taken.insert(at) {
                let moved = std::mem::replace(&mut tickets[at], ticket);
                tickets.push(moved);
            } else {
                tickets.insert(at, ticket);
            }
        }
        tickets
    }

    /// Somebody who has a place, for cases in which nobody is accused or who is accused is written down.
    fn bystander(&self, rng: &mut Rng) -> u32 {
        let staff = u64::from(self.directory.len - self.directory.staff_from);
        loop {
            let one = self.directory.staff_from + rng.below(staff) as u32;
            if !self.directory.is_new(one) {
                return one;
            }
        }
    }

    /// The manager of somebody, or whoever is next above, so that nobody retaliates twice.
    fn retaliator(&mut self, of: u32) -> u32 {
        let mut one = of;
        while let Some(above) = self.directory.manager_of(one) {
            one = above;
            if self.retaliators.insert(one) {
                break;
            }
        }
        one
    }

    /// The incidents of a category take turns.
    fn next_incident(&mut self, category: usize) -> usize {
        let turn = &mut self.even.incident[category];
        *turn = turn.wrapping_add(1);
        (*turn % self.seed.incidents[category].len() as u64) as usize
    }

    /// The next incident that can happen where somebody works.
    fn incident(&mut self, category: usize, accused: u32) -> usize {
        let work = self.directory.work(accused);
        for _ in 0..self.seed.incidents[category].len() {
            let incident = self.next_incident(category);
            if self.seed.incidents[category][incident].happens_in(work) {
                return incident;
            }
        }
        self.next_incident(category)
    }

    /// The next ticket, or the next one soon after it of somebody to whom the coming incident can happen,
    /// in the wanted part of the world if one is named.
    fn ticket(&mut self, category: usize, region: Option<Region>) -> u32 {
        let len = self.tickets.len();
        let next = self.next_ticket;
        self.next_ticket += 1;
        if len == 0 {
            return self.directory.staff_from;
        }
        let incidents = &self.seed.incidents[category];
        let coming =
            &incidents[(self.even.incident[category].wrapping_add(1) % incidents.len() as u64) as usize];
        let fits = |&at: &usize| {
            let one = self.tickets[at];
            let place = &self.seed.locations[self.directory.place(one)];
            coming.happens_in(self.directory.work(one)) && region.is_none_or(|region| place.region == region)
        };
        if let Some(at) = (next..(next + TICKETS_AHEAD).min(len)).find(fits) {
            self.tickets.swap(next, at);
        }
        self.tickets[next % len]
    }

    /// The cases of the next week, in no order; none after the last week.
    pub(crate) fn next_week(&mut self) -> Option<(i64, Vec<CasePlan>)> {
        let week = self.week;
        let count = *self.per_week.get((week + WEEKS) as usize)?;
        self.week += 1;
        let mut firsts = self.follow_ups.remove(&week).unwrap_or_default();
        let mut plans = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let ordinal = self.next_ordinal;
            self.next_ordinal += 1;
            let (special, person) = self.specials.remove(&ordinal).unwrap_or((Special::None, 0));
            let special = match special {
                Special::None => match firsts.pop() {
                    Some(first) => Special::FollowUp(Box::new(first)),
                    None => Special::None,
                },
                special => special,
            };
            let plan = self.case(ordinal, week, special, person);
            if let (Special::First, Some(closed)) = (&plan.special, plan.closed) {
                self.schedule(&plan, closed);
            }
            plans.push(plan);
        }
        // A small week may have no room for them.
        if !firsts.is_empty() {
            self.follow_ups.entry(week + 1).or_default().append(&mut firsts);
        }
        Some((week, plans))
    }

    fn schedule(&mut self, first: &CasePlan, closed: NaiveDateTime) {
        let mut rng = Rng::new(self.master_seed, "follow-up", first.ordinal);
        let [low, high] = self.seed.weights.patterns.follow_up_days;
        // Somewhere in a week all of whose days are within the bounds.
        let date = closed.date() + Duration::days(rng.between(i64::from(low) + 7, i64::from(high) - 7));
        let week = (date - calendar::anchor()).num_days().div_euclid(7);
        self.follow_ups.entry(week).or_default().push(first.clone());
    }

    fn case(&mut self, ordinal: u64, week: i64, special: Special, person: u32) -> CasePlan {
        let mut rng = Rng::new(self.master_seed, "case", ordinal);
        let seed = self.seed;
        let year = ((week + WEEKS) / 52).clamp(0, 2) as usize;
        let flagship =
            if let Special::Flagship(index) = special { Some(&seed.flagships[index]) } else { None };

        let category = match &special {
            Special::Flagship(index) => seed.flagships[*index].category_index,
            Special::FollowUp(_) => self.category_by_code(RETALIATION),
            // The same kind of matter again.
            Special::Repeat { .. } => {
                let mut own = Rng::new(self.master_seed, "repeats", u64::from(person));
                let work = self.directory.work(person);
                let is_habit = |&category: &usize| {
                    !self.is_request(category)
                        && seed.incidents[category].iter().any(|incident| incident.happens_in(work))
                };
                let habits: Vec<usize> = (0..seed.categories.len()).filter(is_habit).collect();
                let habit = *own.pick(&habits);
                let group = seed.categories[habit].group_index;
                let of_group: Vec<usize> =
                    habits.into_iter().filter(|&c| seed.categories[c].group_index == group).collect();
                if rng.percent(70) { habit } else { *rng.pick(&of_group) }
            }
            _ => {
                let weights: Vec<u32> = seed.categories.iter().map(|category| category.weight).collect();
                let mut category = self.even.category.weighted(&weights);
                while !matches!(special, Special::None) && self.is_request(category) {
                    category = self.even.category.weighted(&weights);
                }
                category
            }
        };
        let request = self.is_request(category);
        let group_index = seed.categories[category].group_index;
        let group = &seed.groups[group_index];
        let evens = &mut self.even.by_category[category];
        let severity =
            evens.severity.weighted(&seed.weights.severity[seed.categories[category].severity.name()]);
        let severity = flagship.map_or(Severity::ALL[severity], |one| one.severity);
        let anonymous = evens.anonymous.percent(seed.categories[category].anonymous);
        let anonymous = flagship.map_or(anonymous, |one| one.anonymous);
        let channel = match evens.channel.weighted(&group.channel) {
            0 => Channel::Phone,
            1 => Channel::Web,
            _ if anonymous => *rng.pick(&[Channel::Chat, Channel::Chat, Channel::Form, Channel::Campaign]),
            _ => {
                *rng.pick(&[Channel::Proxy, Channel::Proxy, Channel::Email, Channel::Chat, Channel::Campaign])
            }
        };
        let channel = flagship.map_or(channel, |one| match one.channel {
            FlagshipChannel::Phone => Channel::Phone,
            FlagshipChannel::Web => Channel::Web,
            FlagshipChannel::Chat => Channel::Chat,
        });

        let accused = match &special {
            Special::Repeat { .. } => person,
            // Whom the first case accused, or rather their manager, makes the reporter suffer.
            Special::FollowUp(first) => self.retaliator(first.accused),
            Special::Flagship(_) => self.bystander(&mut rng),
            _ if request => self.bystander(&mut rng),
            // Just after midnight it is still the day before in UTC, in one of these places.
            Special::Edge(Edge::TimeZone) => self.ticket(category, Some(Region::APAC)),
            _ => self.ticket(category, None),
        };
        let incident = self.incident(category, accused);
        let place = flagship.map_or_else(|| self.directory.place(accused), |one| one.place);

        let reported = self.report_time(&mut rng, week, &special);
        let created = self.creation_time(&mut rng, reported, channel, severity);
        let closed = self.closing_time(&mut rng, week, year, group_index, &special, created);
        let (closed, due, extended) =
            self.due_date(&mut rng, year, category, flagship.is_some(), created, closed);
        let outcome = match self.even.outcome[group_index].weighted(&group.outcome) {
            0 => Outcome::Substantiated,
            1 => Outcome::Unsubstantiated,
            2 => Outcome::Inconclusive,
            _ if request => Outcome::NoViolation,
            _ => *rng.pick(&[Outcome::PolicyViolation, Outcome::PolicyViolation, Outcome::NoViolation]),
        };
        let outcome = flagship.and_then(|one| one.outcome).unwrap_or(outcome);
        let second_investigation = match flagship {
            Some(one) => one.investigation.len() > 1,
            None => self.even.second[group_index].percent(group.second_investigation),
        };
        let waits = self.even.waits.percent(92);
        let more = self.more_reports.get(&ordinal).copied().unwrap_or(0);
        let more_reports = more_report_times(&mut rng, more, created, closed);
        CasePlan {
            ordinal,
            special,
            category,
            severity,
            anonymous,
            channel,
            accused,
            place,
            reported,
            created,
            more_reports,
            closed,
            outcome,
            due,
            extended,
            second_investigation,
            waits,
            incident,
            request,
        }
    }

    fn is_request(&self, category: usize) -> bool {
        self.seed.categories[category].code.get_ref().starts_with(REQUEST)
    }

    fn category_by_code(&self, code: &str) -> usize {
        self.seed.categories.iter().position(|category| category.code.get_ref() == code).unwrap_or(0)
    }

    fn report_time(&mut self, rng: &mut Rng, week: i64, special: &Special) -> NaiveDateTime {
        let second = rng.between(0, 59);
        if let Special::Edge(edge) = special {
            if let Some(date) = self.edge_date(*edge) {
                let minute = if *edge == Edge::YearEnd { 23 * 60 + 57 } else { 14 * 60 + 29 };
                return at(date, minute, second);
            }
            if *edge == Edge::TimeZone {
                // Just after midnight: the day before in most of the world.
                return at(self.week_start(week) + Duration::days(2), 4, second);
            }
        }
        let weekday = self.even.weekday.weighted(&self.seed.weights.rhythm.weekday) as i64;
        let date = self.week_start(week) + Duration::days(weekday);
        let minute = if weekday > 4 {
            rng.between(8 * 60, 21 * 60)
        } else if self.even.office.percent(self.seed.weights.rhythm.office_hours) {
            // More in the middle of the morning and of the afternoon than at either end.
            let (from, span) = if rng.percent(52) { (calendar::OPENS, 115) } else { (12 * 60 + 45, 140) };
            from + rng.between(0, span) + rng.between(0, span)
        } else if rng.percent(35) {
            rng.between(5 * 60, calendar::OPENS - 1)
        } else {
            rng.between(calendar::CLOSES + 1, 23 * 60 + 50)
        };
        at(date, minute, second)
    }

    fn creation_time(
        &self,
        rng: &mut Rng,
        reported: NaiveDateTime,
        channel: Channel,
        severity: Severity,
    ) -> NaiveDateTime {
        let opened = calendar::next_office_time(reported);
        if channel == Channel::Phone || severity == Severity::Critical || opened == reported {
            reported + Duration::seconds(rng.between(4 * 60, 38 * 60))
        } else {
            opened + Duration::seconds(rng.between(3 * 60, 55 * 60))
        }
    }

    fn closing_time(
        &mut self,
        rng: &mut Rng,
        week: i64,
        year: usize,
        group: usize,
        special: &Special,
        created: NaiveDateTime,
    ) -> Option<NaiveDateTime> {
        if let Special::Flagship(index) = special {
            return self.seed.flagships[*index].days.map(|days| close_within(rng, created, days, days + 2));
        }
        let age = -week;
        let bucket = self.seed.weights.open.iter().position(|bucket| age <= bucket.weeks);
        let is_first = *special == Special::First;
        if let Some(bucket) = bucket {
            let percent = self.seed.weights.open[bucket].percent;
            if self.even.open[bucket].percent(percent) && !is_first {
                return None;
            }
        }
        let [_, medium, complex] = self.seed.groups[group].duration;
        let factor = self.seed.weights.improvement.longer_cases[year];
        // In thousandths, so that a factor does not round away.
        let (medium, complex) = (medium * factor / 10, complex * factor / 10);
        let band = self.even.duration[group * 3 + year].weighted(&[
            1000_u32.saturating_sub(medium + complex),
            medium,
            complex,
        ]);
        // What was reported lately and is closed cannot have taken long.
        let days = (calendar::anchor().and_time(chrono::NaiveTime::MIN) - created).num_days();
        let band = if is_first { band.min(1) } else { band };
        Some(match band {
            2 if days > 92 => {
                let usual = rng.between(31, 62);
                close_within(rng, created, usual, 89)
            }
            1 | 2 if days > 22 => {
                let usual = rng.between(8, 19);
                close_within(rng, created, usual, 20)
            }
            _ => close_simple(rng, created),
        })
    }

    /// When the case is due, and whether that date was moved. A late case may be closed later than drawn.
    fn due_date(
        &mut self,
        rng: &mut Rng,
        year: usize,
        category: usize,
        flagship: bool,
        created: NaiveDateTime,
        closed: Option<NaiveDateTime>,
    ) -> (Option<NaiveDateTime>, NaiveDateTime, Option<NaiveDateTime>) {
        let sla = i64::from(self.seed.categories[category].sla_days);
        let due = created + Duration::days(sla);
        if flagship {
            return (closed, due, None);
        }
        let extend = |end: NaiveDateTime, rng: &mut Rng| {
            let to = due.max(end) + Duration::days(rng.between(2, 20));
            (to, Some(calendar::next_office_time(due - Duration::days(rng.between(3, 6)))))
        };
        let Some(end) = closed else {
            let now = calendar::anchor().and_time(chrono::NaiveTime::MIN);
            if due < now && !self.even.overdue.percent(16) {
                let (due, extended) = extend(now + Duration::days(7), rng);
                return (None, due, extended);
            }
            return (None, due, None);
        };
        if (end - created).num_days() < 29 {
            return (closed, due, None);
        }
        if self.even.late[year].percent(self.seed.weights.improvement.late[year]) {
            let days = (end - created).num_days().max(sla + 1).min(88);
            return (Some(close_within(rng, created, days, 89)), due, None);
        }
        if end < due {
            return (closed, due, None);
        }
        let (due, extended) = extend(end, rng);
        (closed, due, extended)
    }
}

/// A working day and office time, `days` after `from` or as soon after that as can be; not after `last` days.
fn close_within(rng: &mut Rng, from: NaiveDateTime, days: i64, last: i64) -> NaiveDateTime {
    let mut date = from.date() + Duration::days(days);
    while is_weekend(date) {
        date += Duration::days(1);
    }
    if (date - from.date()).num_days() > last {
        while is_weekend(date) || (date - from.date()).num_days() > last {
            date -= Duration::days(1);
        }
    }
    at(date, rng.between(calendar::OPENS + 20, calendar::CLOSES - 1), rng.between(0, 59))
}

/// A closing time two to four full days after `from`, on a working day.
fn close_simple(rng: &mut Rng, from: NaiveDateTime) -> NaiveDateTime {
    let minute = minute_of_day(from);
    let mut windows = Vec::new();
    for days in 2..=4 {
        let date = from.date() + Duration::days(days);
        let opens = if days == 2 { calendar::OPENS.max(minute + 1) } else { calendar::OPENS };
        let closes = if days == 4 { calendar::CLOSES.min(minute - 1) } else { calendar::CLOSES };
        if !is_weekend(date) && opens < closes {
            windows.push((date, opens, closes));
        }
    }
    match windows.len() {
        // Opened before office hours on a Thursday: first thing on Monday. After office hours on a Wednesday: late on
        // Friday.
        0 => {
            let monday = from + Duration::days(4) - Duration::minutes(rng.between(5, 25));
            let friday = from + Duration::days(2) + Duration::minutes(rng.between(5, 25));
            match (is_weekend(monday.date()), is_weekend(friday.date())) {
                (false, _) => monday,
                (true, false) => friday,
                // Opened in the first minutes of a Thursday.
                (true, true) => at(from.date() + Duration::days(4), minute / 2, 0),
            }
        }
        _ => {
            let &(date, opens, closes) = rng.pick(&windows);
            at(date, rng.between(opens, closes - 1), i64::from(from.second()))
        }
    }
}

fn more_report_times(
    rng: &mut Rng,
    count: u32,
    created: NaiveDateTime,
    closed: Option<NaiveDateTime>,
) -> Vec<NaiveDateTime> {
    let until = closed.unwrap_or(created + Duration::days(12)).min(created + Duration::days(12));
    let minutes = office_minutes(created, until).max(60);
    let mut times: Vec<NaiveDateTime> = (0..count)
        .map(|_| {
            add_office_minutes(created, rng.between(minutes / 8, minutes * 6 / 10))
                + Duration::seconds(rng.between(0, 50))
        })
        .collect();
    times.sort();
    times
}
