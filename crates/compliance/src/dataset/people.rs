//! The employees of an organization, each worked out from its number alone.
//!
//! Twenty thousand employees need no memory this way, nor do two million: only the leaders are kept, and a member
//! of staff follows from its leader.

use super::rng::{Rng, hash, weighted};
use super::seed::{Gender, Location, Organization, SeedData, Work};

/// A name in ASCII, lower case, as in an e-mail address.
pub(crate) fn address(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' => out.push(letter),
            'à'..='å' | 'ą' | 'ā' => out.push('a'),
            'ç' | 'ć' | 'č' => out.push('c'),
            'è'..='ë' | 'ę' => out.push('e'),
            'ì'..='ï' => out.push('i'),
            'ł' => out.push('l'),
            'ñ' | 'ń' => out.push('n'),
            'ò'..='ö' | 'ø' => out.push('o'),
            'ś' | 'š' => out.push('s'),
            'ù'..='ü' => out.push('u'),
            'ź' | 'ż' | 'ž' => out.push('z'),
            'ß' => out.push_str("ss"),
            // Spaces, hyphens and apostrophes.
            _ => {}
        }
    }
    out
}

/// One employee.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) index: u32,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) gender: Gender,
    pub(crate) job_title: String,
    /// Index into the divisions of the organization.
    pub(crate) division: usize,
    /// Index into [`SeedData::departments`].
    pub(crate) department: usize,
    /// Index into [`SeedData::locations`].
    pub(crate) place: usize,
    pub(crate) manager: Option<u32>,
    /// How often the name occurred before.
    namesake: u32,
}

impl Person {
    pub(crate) fn full(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    pub(crate) fn email(&self, domain: &str) -> String {
        let number = if self.namesake == 0 { String::new() } else { (self.namesake + 1).to_string() };
        format!("{}.{}{number}@{domain}", address(&self.first), address(&self.last))
    }

    /// A phone number of a kind that is never given out, or an internal extension.
    pub(crate) fn phone(&self, place: &Location) -> String {
        match &place.phone {
            Some(area) => format!("+1 {area}-555-{:04}", 100 + self.index % 100),
            None => format!("Ext. {:05}", 10_000 + self.index % 90_000),
        }
    }
}

/// What is kept of a leader.
#[derive(Debug, Clone, Copy)]
struct Leader {
    division: u8,
    department: u8,
    place: u8,
    /// How many leaders before it have names of the same pool.
    name_rank: u32,
    /// For managers of staff: how many of them before it have names of the same pool.
    manager_rank: u32,
}

/// The employees of one organization.
///
/// Numbers run from the top: executives, then vice presidents, directors, managers, and staff, so that everybody's
/// manager comes before them.
pub(crate) struct Directory<'a> {
    seed: &'a SeedData,
    organization: &'a Organization,
    master_seed: u64,
    pub(crate) len: u32,
    executives: u32,
    directors_from: u32,
    managers_from: u32,
    pub(crate) staff_from: u32,
    leaders: Vec<Leader>,
    /// Leaders, and managers of staff, by pool of names.
    leaders_in_pool: Vec<u32>,
    managers_in_pool: Vec<u32>,
}

impl<'a> Directory<'a> {
    pub(crate) fn new(
        seed: &'a SeedData,
        organization: &'a Organization,
        master_seed: u64,
        scale: u32,
    ) -> Self {
        let len = organization.employees * scale;
        let executives = organization.executives.len() as u32;
        let vice_presidents = (len / 330).max(2);
        let directors = (len / 83).max(2);
        let managers = (len / 12).max(4);
        let directors_from = executives + vice_presidents;
        let managers_from = directors_from + directors;
        let mut directory = Self {
            seed,
            organization,
            master_seed: hash(master_seed, &organization.slug, 0),
            len,
            executives,
            directors_from,
            managers_from,
            staff_from: managers_from + managers,
            leaders: Vec::new(),
            leaders_in_pool: vec![0; seed.names.len()],
            managers_in_pool: vec![0; seed.names.len()],
        };
        for index in 0..directory.staff_from {
            let leader = directory.leader(index);
            directory.leaders.push(leader);
        }
        directory
    }

    pub(crate) fn managers(&self) -> std::ops::Range<u32> {
        self.managers_from..self.staff_from
    }

    /// The members of a manager's team.
    pub(crate) fn team(&self, manager: u32) -> impl Iterator<Item = u32> + use<> {
        let managers = self.staff_from - self.managers_from;
        (self.staff_from + (manager - self.managers_from)..self.len).step_by(managers as usize)
    }

    pub(crate) fn manager_of(&self, index: u32) -> Option<u32> {
        if index == 0 {
            None
        } else if index < self.executives {
            Some(0)
        } else if index < self.directors_from {
            // Vice presidents report to the president of their division, or else to the top.
            let division = &self.organization.divisions[usize::from(self.leaders_division(index))].name;
            let president = self.organization.executives.iter().rposition(|one| one.division == *division);
            Some(president.unwrap_or(0) as u32)
        } else if index < self.managers_from {
            Some(self.executives + (index - self.directors_from) % (self.directors_from - self.executives))
        } else if index < self.staff_from {
            let directors = self.managers_from - self.directors_from;
            Some(self.directors_from + (index - self.managers_from) % directors)
        } else {
            let managers = self.staff_from - self.managers_from;
            Some(self.managers_from + (index - self.staff_from) % managers)
        }
    }

    /// Divisions are dealt out in turn among the vice presidents and inherited downwards, so that their shares hold.
    fn leaders_division(&self, vice_president: u32) -> u8 {
        let number = u64::from(vice_president - self.executives);
        let of = u64::from(self.directors_from - self.executives);
        let shares: Vec<u32> = self.organization.divisions.iter().map(|division| division.share).collect();
        // The middle of the vice president's part of the whole.
        let fraction = (u128::from(number * 2 + 1) << 63) / u128::from(of);
        weighted(fraction as u64, &shares) as u8
    }

    fn leader(&mut self, index: u32) -> Leader {
        let mut rng = Rng::new(self.master_seed, "leader", u64::from(index));
        let (division, department) = if index < self.executives {
            let executive = &self.organization.executives[index as usize];
            let division = self.organization.divisions.iter().position(|one| one.name == executive.division);
            let department = self.seed.departments.iter().position(|one| one.name == executive.department);
            (division.unwrap_or(0) as u8, department.unwrap_or(0) as u8)
        } else {
            let division = if index < self.directors_from {
                self.leaders_division(index)
            } else {
                // The manager comes before, so it is known already.
                self.manager_of(index).map_or(0, |manager| self.leaders[manager as usize].division)
            };
            let name = &self.organization.divisions[usize::from(division)].name;
            let department = if index >= self.managers_from && !index.is_multiple_of(5) {
                self.manager_of(index).map_or(0, |manager| self.leaders[manager as usize].department)
            } else {
                let weights: Vec<u32> = self
                    .seed
                    .departments
                    .iter()
                    .map(|department| if department.is_in(name) { department.weight } else { 0 })
                    .collect();
                rng.weighted(&weights) as u8
            };
            (division, department)
        };
        let place = if index < self.executives {
            // Executives sit at the first place.
            self.organization.places[0]
        } else {
            let name = &self.organization.divisions[usize::from(division)].name;
            let department = &self.seed.departments[usize::from(department)];
            let weights = |suits: &dyn Fn(&Location) -> bool| -> Vec<u32> {
                let locations = self.organization.places.iter().map(|&place| &self.seed.locations[place]);
                let weight = |one: &Location| if one.houses(name) && suits(one) { one.weight } else { 0 };
                locations.map(weight).collect()
            };
            let mut suitable = weights(&|location| location.suits(department));
            // A small organization has no plant: its technicians share the offices.
            if suitable.iter().sum::<u32>() == 0 {
                suitable = weights(&|_| true);
            }
            self.organization.places[rng.weighted(&suitable)]
        };
        let pool = self.seed.locations[place].pool;
        let name_rank = self.leaders_in_pool[pool];
        self.leaders_in_pool[pool] += 1;
        let manager_rank = self.managers_in_pool[pool];
        if index >= self.managers_from {
            self.managers_in_pool[pool] += 1;
        }
        Leader { division, department, place: place as u8, name_rank, manager_rank }
    }

    /// Where somebody works, without working out the rest.
    pub(crate) fn place(&self, index: u32) -> usize {
        let leader = if index < self.staff_from { index } else { self.manager_of(index).unwrap_or(0) };
        usize::from(self.leaders[leader as usize].place)
    }

    /// What kind of work somebody does.
    pub(crate) fn work(&self, index: u32) -> Work {
        let leader = if index < self.staff_from { index } else { self.manager_of(index).unwrap_or(0) };
        self.seed.departments[usize::from(self.leaders[leader as usize].department)].kind
    }

    /// Whether somebody was hired within the three years.
    pub(crate) fn is_new(&self, index: u32) -> bool {
        index >= self.staff_from && hash(self.master_seed, "new", u64::from(index)).is_multiple_of(5)
    }

    /// Days from being hired to the anchor.
    pub(crate) fn days_employed(&self, index: u32) -> i64 {
        let mut rng = Rng::new(self.master_seed, "hired", u64::from(index));
        if self.is_new(index) { rng.between(20, 1090) } else { rng.between(1120, 7200) }
    }

    pub(crate) fn person(&self, index: u32) -> Person {
        let manager = self.manager_of(index);
        let leader_index = if index < self.staff_from { index } else { manager.unwrap_or(0) };
        let leader = self.leaders[leader_index as usize];
        let place = usize::from(leader.place);
        let (division, department) = (usize::from(leader.division), usize::from(leader.department));
        let titles = &self.seed.departments[department];
        if index < self.executives {
            let executive = &self.organization.executives[index as usize];
            return Person {
                index,
                first: executive.first_name.clone(),
                last: executive.last_name.clone(),
                gender: executive.gender,
                job_title: executive.job_title.clone(),
                division,
                department,
                place,
                manager,
                namesake: 0,
            };
        }
        let job_title = if index < self.directors_from {
            format!("Vice President, {}", titles.name)
        } else if index < self.managers_from {
            titles.director.clone()
        } else if index < self.staff_from {
            titles.manager.clone()
        } else {
            let mut rng = Rng::new(self.master_seed, "title", u64::from(index));
            rng.pick(&titles.staff).clone()
        };
        let pool_index = self.seed.locations[place].pool;
        let rank = if index < self.staff_from {
            leader.name_rank
        } else {
            let managers = self.staff_from - self.managers_from;
            let round = (index - self.staff_from) / managers;
            self.leaders_in_pool[pool_index] + leader.manager_rank + round * self.managers_in_pool[pool_index]
        };
        let pool = &self.seed.names[pool_index];
        let firsts = (pool.female.len() + pool.male.len()) as u64;
        let names = firsts * pool.last.len() as u64;
        // Multiplying by a number without a common factor visits every pair of names once before any comes again.
        let mut step = 7919 % names;
        while common_factor(step, names) {
            step += 1;
        }
        let start = hash(self.master_seed, "names", pool_index as u64) % names;
        let pair = (u64::from(rank) % names * step + start) % names;
        let (first, last) = ((pair % firsts) as usize, (pair / firsts) as usize);
        let (gender, first) = if first < pool.female.len() {
            (Gender::F, &pool.female[first])
        } else {
            (Gender::M, &pool.male[first - pool.female.len()])
        };
        Person {
            index,
            first: first.clone(),
            last: pool.last[last].get_ref().clone(),
            gender,
            job_title,
            division,
            department,
            place,
            manager,
            namesake: (u64::from(rank) / names) as u32,
        }
    }
}

fn common_factor(a: u64, b: u64) -> bool {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a != 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain() {
        assert_eq!(address("Łukasz"), "lukasz");
        assert_eq!(address("D'Alessio"), "dalessio");
        assert_eq!(address("van der Linde"), "vanderlinde");
        assert_eq!(address("Sjöholm"), "sjoholm");
    }
}
