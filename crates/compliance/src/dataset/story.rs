//! Puts words to a case: one story, told by the people who have a part in it.

use chrono::{Datelike, Duration, Months, NaiveDateTime, Timelike};

use super::people::Person;
use super::rng::Rng;
use super::seed::{Gender, Incident, Location, Naming, Person as Grammar, SeedData};
use super::template::{Part, Slot, Template};

/// What all texts of a case agree on.
pub(crate) struct Story<'a> {
    pub(crate) seed: &'a SeedData,
    pub(crate) incident: &'a Incident,
    pub(crate) place: &'a Location,
    pub(crate) accused: Person,
    pub(crate) witness: Person,
    pub(crate) victim: Person,
    pub(crate) manager: String,
    pub(crate) category: &'a str,
    pub(crate) case: String,
    pub(crate) investigator: String,
    pub(crate) first_case: String,
    /// The local time of the incident, and of its report.
    pub(crate) when: NaiveDateTime,
    pub(crate) reported: NaiveDateTime,
    words: [usize; 2],
    evidence: [usize; 2],
    plural_evidence: bool,
    count: usize,
    number: i64,
    weeks: usize,
    amount: u64,
}

const COUNTS: [&str; 5] = ["two", "three", "four", "five", "six"];

/// How long it has been going on, in words and in days.
const WEEKS: [(&str, i64); 8] = [
    ("two weeks", 14),
    ("three weeks", 21),
    ("a month", 30),
    ("six weeks", 42),
    ("two months", 61),
    ("three months", 91),
    ("half a year", 182),
    ("five weeks", 35),
];

impl<'a> Story<'a> {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        seed: &'a SeedData,
        incident: &'a Incident,
        category: &'a str,
        place: &'a Location,
        people: [Person; 3],
        manager: String,
        [when, reported]: [NaiveDateTime; 2],
        rng: &mut Rng,
    ) -> Self {
        let [accused, witness, victim] = people;
        let words = [rng.index(incident.a.len().max(1)), rng.index(incident.b.len().max(1))];
        let first = rng.index(incident.evidence.len());
        let second = (first + 1 + rng.index(incident.evidence.len() - 1)) % incident.evidence.len();
        let amount = incident.amount.map_or(0, |[low, high]| {
            // Small amounts are more common than large ones.
            let span = high - low + 1;
            low + rng.below(span).min(rng.below(span))
        });
        Self {
            seed,
            incident,
            place,
            accused,
            witness,
            victim,
            manager,
            category,
            case: String::new(),
            investigator: String::new(),
            first_case: String::new(),
            when,
            reported,
            words,
            evidence: [first, second],
            plural_evidence: incident.evidence[first].is_plural(),
            count: rng.index(COUNTS.len()),
            number: rng.between(11, 48),
            weeks: rng.index(WEEKS.len()),
            amount,
        }
    }
}

/// Writes one text of a story.
pub(crate) struct Writer<'a, 'b> {
    story: &'b Story<'a>,
    grammar: Grammar,
    naming: Naming,
    /// Whether the accused has been named in this text.
    introduced: bool,
    /// Whether `a(n)` waits for the word after it.
    article: bool,
    out: String,
}

impl<'a, 'b> Writer<'a, 'b> {
    pub(crate) fn new(story: &'b Story<'a>, grammar: Grammar, naming: Naming) -> Self {
        Self { story, grammar, naming, introduced: false, article: false, out: String::new() }
    }

    /// A text of the compliance team about the story.
    pub(crate) fn team(story: &'b Story<'a>) -> Self {
        Self::new(story, Grammar::Reporter, Naming::Courtesy)
    }

    /// Adds a sentence or more, after a space.
    pub(crate) fn say(&mut self, template: &Template) -> &mut Self {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push(' ');
        }
        self.write(template);
        self
    }

    /// Ends the paragraph.
    pub(crate) fn paragraph(&mut self) -> &mut Self {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push_str("\n\n");
        }
        self
    }

    /// The text, every sentence with its capital.
    pub(crate) fn finish(&mut self) -> String {
        let mut out = std::mem::take(&mut self.out);
        let end = out.trim_end().len();
        out.truncate(end);
        capitalized(&out)
    }

    fn write(&mut self, template: &Template) {
        for part in &template.parts {
            match part {
                Part::Text(text) => self.push(text),
                Part::Article => self.article = true,
                Part::Slot(slot) => self.slot(*slot),
            }
        }
    }

    fn push(&mut self, text: &str) {
        if self.article {
            let word = text.trim_start();
            if word.is_empty() {
                return;
            }
            self.out.push_str(if sounds_like_vowel(word) { "an " } else { "a " });
            self.out.push_str(word);
            self.article = false;
        } else {
            self.out.push_str(text);
        }
    }

    fn slot(&mut self, slot: Slot) {
        let story = self.story;
        let first_person = self.grammar == Grammar::First;
        let either = |first: &'static str, third: &'static str| if first_person { first } else { third };
        match slot {
            Slot::Accused => {
                let name = self.accused_name();
                self.push(&name);
            }
            Slot::AccusedFull => {
                self.introduced = true;
                self.push(&story.accused.full());
            }
            Slot::AccusedTitle => self.push(&lower_title(&story.accused.job_title)),
            Slot::He => self.push(pronoun(&story.accused, "she", "he")),
            Slot::Him => self.push(pronoun(&story.accused, "her", "him")),
            Slot::His => self.push(pronoun(&story.accused, "her", "his")),
            Slot::Dept => self.push(&story.seed.departments[story.accused.department].name),
            Slot::Manager => self.push(&story.manager),
            Slot::Witness => self.push(&story.witness.full()),
            Slot::WitnessFirst => self.push(&story.witness.first),
            Slot::Victim => self.push(&story.victim.full()),
            Slot::VictimFirst => self.push(&story.victim.first),
            Slot::I => self.push(match self.grammar {
                Grammar::First => "I",
                Grammar::Caller => "the caller",
                Grammar::Reporter => "the reporter",
            }),
            Slot::Me => self.push(either("me", "them")),
            Slot::My => self.push(either("my", "their")),
            Slot::Myself => self.push(either("myself", "themselves")),
            Slot::Am => self.push(either("am", "is")),
            Slot::Have => self.push(either("have", "has")),
            Slot::Do => self.push(either("do", "does")),
            Slot::S => self.push(either("", "s")),
            Slot::Our => self.push(either("our", "the")),
            Slot::Site => self.push(&story.place.name),
            Slot::City => self.push(&story.place.city),
            Slot::Date => self.push(&self.date()),
            Slot::Weekday => self.push(&story.when.format("%A").to_string()),
            Slot::Month => self.push(&story.when.format("%B").to_string()),
            Slot::Since => {
                let began = story.when - Duration::days(WEEKS[story.weeks].1);
                self.push(&began.format("%B").to_string());
            }
            Slot::NextMonth => {
                let next = story.reported.date() + Months::new(1);
                self.push(&next.format("%B").to_string());
            }
            Slot::Time => self.push(&self.time()),
            Slot::Shift => self.push(match story.when.hour() {
                5..12 => "morning",
                12..17 => "afternoon",
                17..22 => "evening",
                _ => "night",
            }),
            Slot::Count => self.push(COUNTS[story.count]),
            Slot::Number => self.push(&story.number.to_string()),
            Slot::Weeks => self.push(WEEKS[story.weeks].0),
            Slot::Amount => self.push(&self.money(story.amount)),
            Slot::AmountSmall => self.push(&self.money((story.amount / 4).max(5))),
            Slot::A => self.write(&story.incident.a[story.words[0]]),
            Slot::B => self.write(&story.incident.b[story.words[1]]),
            Slot::Gist => self.write(&story.incident.gist),
            Slot::Evidence => self.write(&story.incident.evidence[story.evidence[0]]),
            Slot::Evidence2 => self.write(&story.incident.evidence[story.evidence[1]]),
            Slot::TheEvidence => self.known(&story.incident.evidence[story.evidence[0]]),
            Slot::TheEvidence2 => self.known(&story.incident.evidence[story.evidence[1]]),
            Slot::EvIs => self.push(if story.plural_evidence { "are" } else { "is" }),
            Slot::EvWas => self.push(if story.plural_evidence { "were" } else { "was" }),
            Slot::EvS => self.push(if story.plural_evidence { "" } else { "s" }),
            Slot::Category => self.push(&story.category.to_lowercase()),
            Slot::Case => self.push(&story.case),
            Slot::Investigator => self.push(&story.investigator),
            Slot::FirstCase => self.push(&story.first_case),
        }
    }

    /// A noun phrase that has been spoken of before: with "the" where it began with "a" or "an".
    fn known(&mut self, template: &Template) {
        let from = self.out.len();
        self.write(template);
        for article in ["a ", "an "] {
            if self.out[from..].starts_with(article) {
                self.out.replace_range(from..from + article.len(), "the ");
                break;
            }
        }
    }

    fn accused_name(&mut self) -> String {
        let accused = &self.story.accused;
        if !self.introduced {
            self.introduced = true;
            return accused.full();
        }
        match self.naming {
            Naming::Full => accused.full(),
            Naming::First => accused.first.clone(),
            Naming::Last => accused.last.clone(),
            Naming::Courtesy => format!("{} {}", pronoun(accused, "Ms.", "Mr."), accused.last),
        }
    }

    fn date(&self) -> String {
        let when = self.story.when;
        if self.story.place.country == "United States" {
            format!("{} {}", when.format("%B"), when.day())
        } else {
            format!("{} {}", when.day(), when.format("%B"))
        }
    }

    fn time(&self) -> String {
        let when = self.story.when;
        // People remember quarters of an hour.
        let minute = when.minute() / 15 * 15;
        if self.story.place.country == "United States" {
            let (afternoon, hour) = when.hour12();
            let half = if afternoon { "pm" } else { "am" };
            if minute == 0 { format!("{hour} {half}") } else { format!("{hour}:{minute:02} {half}") }
        } else {
            format!("{}:{minute:02}", when.hour())
        }
    }

    fn money(&self, dollars: u64) -> String {
        let place = self.story.place;
        let mut amount = dollars * place.rate;
        if amount > 1000 {
            amount = amount / 10 * 10;
        }
        let digits = amount.to_string();
        let mut text = place.currency.clone();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }
}

fn pronoun(person: &Person, female: &'static str, male: &'static str) -> &'static str {
    match person.gender {
        Gender::F => female,
        Gender::M => male,
    }
}

/// A job title inside a sentence: "IT" and the like keep their capitals.
fn lower_title(title: &str) -> String {
    title
        .split(' ')
        .map(|word| {
            let capitals = word.chars().filter(|letter| letter.is_uppercase()).count();
            if capitals > 1 { word.to_owned() } else { word.to_lowercase() }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether the word begins with the sound of a vowel.
pub(crate) fn sounds_like_vowel(word: &str) -> bool {
    let lower: String = word.chars().take(4).flat_map(char::to_lowercase).collect();
    if ["uni", "use", "usu", "eu", "one", "once"].iter().any(|start| lower.starts_with(start)) {
        return false;
    }
    // An abbreviation is spelled out: an HR generalist, an X-ray.
    let first = word.split([' ', '-']).next().unwrap_or("");
    if (first.len() > 1 || word.starts_with("X-")) && first.chars().all(|letter| letter.is_ascii_uppercase())
    {
        return first.starts_with(['A', 'E', 'F', 'H', 'I', 'L', 'M', 'N', 'O', 'R', 'S', 'X']);
    }
    lower.starts_with(['a', 'e', 'i', 'o', 'u', '8'])
        || ["hour", "hone", "heir"].iter().any(|start| lower.starts_with(start))
        || lower.starts_with("11")
        || lower.starts_with("18")
}

/// Gives every sentence its capital.
fn capitalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    let mut stopped = false;
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            if start && letter.is_lowercase() {
                out.extend(letter.to_uppercase());
            } else {
                out.push(letter);
            }
            start = false;
            stopped = false;
            continue;
        }
        match letter {
            // "Mr." and "Ms." end no sentence.
            '.' => stopped = !["Mr", "Ms", "Dr"].iter().any(|title| ends_with_word(&out, title)),
            '!' | '?' => stopped = true,
            '\n' => start = true,
            ' ' if stopped => {
                start = true;
                stopped = false;
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word).is_some_and(|before| !before.ends_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_get_their_capitals() {
        assert_eq!(
            capitalized("the caller met Mr. van Dyk. they left.\n\nno one came"),
            "The caller met Mr. van Dyk. They left.\n\nNo one came"
        );
        assert_eq!(capitalized("it was 9 am. \"stop\" she said? yes"), "It was 9 am. \"Stop\" she said? Yes");
        assert_eq!(capitalized("he saw us. then left"), "He saw us. Then left");
    }

    #[test]
    fn articles_follow_the_sound() {
        for word in ["engineer", "HR generalist", "hour", "X-ray", "MRI"] {
            assert!(sounds_like_vowel(word), "{word}");
        }
        for word in ["unit clerk", "nurse", "one-off", "UK trip", "user"] {
            assert!(!sounds_like_vowel(word), "{word}");
        }
    }
}
