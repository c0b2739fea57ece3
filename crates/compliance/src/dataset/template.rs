//! Sentences with slots, as authored in the seed data.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

/// A sentence or phrase with slots such as `{accused}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Slot(Slot),
    /// `a(n)`: "a" or "an", whichever fits what follows.
    Article,
}

macro_rules! slots {
    ($($name:literal $slot:ident $meaning:literal,)*) => {
        /// What a slot stands for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Slot {
            $(#[doc = $meaning] $slot,)*
        }

        impl Slot {
            fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$slot),)*
                    _ => None,
                }
            }
        }

        /// Every slot and what it stands for, for the README of the seed data.
        #[cfg(test)]
        pub(crate) const SLOTS: &[(&str, &str)] = &[$(($name, $meaning),)*];
    };
}

slots! {
    "accused" Accused "the person the report is about: the full name first, later the way this writer speaks of them",
    "accused_full" AccusedFull "the full name of that person",
    "accused_title" AccusedTitle "their job title, in lower case",
    "he" He "he or she, of that person",
    "him" Him "him or her",
    "his" His "his or her",
    "dept" Dept "their department",
    "manager" Manager "the full name of their manager",
    "witness" Witness "the full name of a colleague who was there",
    "witness_first" WitnessFirst "the first name of that colleague",
    "victim" Victim "the full name of another colleague, who was affected",
    "victim_first" VictimFirst "the first name of that colleague",
    "I" I "the writer: I, or the caller",
    "me" Me "me, or them",
    "my" My "my, or their",
    "myself" Myself "myself, or themselves",
    "am" Am "am, or is",
    "have" Have "have, or has",
    "do" Do "do, or does",
    "s" S "the ending of a verb whose subject is the writer: nothing, or s",
    "our" Our "our, or the",
    "site" Site "the place of work",
    "city" City "its city",
    "date" Date "the day of the incident, as people of the country write it",
    "weekday" Weekday "its weekday",
    "month" Month "its month",
    "since" Since "the month in which it began, `{weeks}` before the incident",
    "next_month" NextMonth "the month after the report",
    "time" Time "its time of day",
    "shift" Shift "the part of the day it falls in: morning, afternoon, evening or night",
    "count" Count "a small number in words, two or more",
    "number" Number "a number in figures, between 11 and 48",
    "weeks" Weeks "a duration: two weeks, a month",
    "amount" Amount "an amount of money of the usual size for the incident",
    "amount_small" AmountSmall "a part of that amount",
    "a" A "the incident's own word list `a`",
    "b" B "the incident's own word list `b`",
    "gist" Gist "the incident in a noun phrase",
    "evidence" Evidence "a piece of evidence of the incident, a noun phrase",
    "evidence2" Evidence2 "another one",
    "the_evidence" TheEvidence "the first piece of evidence as something known: the e-mail instead of an e-mail",
    "the_evidence2" TheEvidence2 "the other one in the same way",
    "ev_is" EvIs "is or are, of the first piece of evidence",
    "ev_was" EvWas "was or were, of the first piece of evidence",
    "ev_s" EvS "the ending of a verb whose subject is the first piece of evidence: s, or nothing",
    "category" Category "the category, in lower case",
    "case" Case "the reference number of the case",
    "investigator" Investigator "the full name of the investigator",
    "first_case" FirstCase "in a retaliation follow-up: the reference number of the first case",
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim() != text || text.is_empty() {
            return Err("text is empty, or begins or ends with a space".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            push_text(&mut parts, &rest[..at]);
            let inner = &rest[at + 1..];
            let end = inner.find('}').filter(|_| rest[at..].starts_with('{'));
            let Some(end) = end else { return Err(format!("unpaired brace in `{text}`")) };
            let name = &inner[..end];
            let slot = Slot::parse(name).ok_or_else(|| format!("there is no slot `{{{name}}}`"))?;
            parts.push(Part::Slot(slot));
            rest = &inner[end + 1..];
        }
        push_text(&mut parts, rest);
        for wrong in ["  ", " ,", " .", " ;", "..", ",,"] {
            if text.contains(wrong) {
                return Err(format!("`{wrong}` in `{text}`"));
            }
        }
        Ok(Self { parts })
    }

    /// Whether a noun phrase is in the plural, going by its head: the last word before the first one that begins
    /// a complement.
    pub(crate) fn is_plural(&self) -> bool {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Article => text.push('a'),
                Part::Slot(Slot::Count | Slot::Number) => text.push_str("two"),
                Part::Slot(_) => text.push_str("of"),
            }
        }
        let mut words = text.split([' ', ',']).peekable();
        match words.peek() {
            Some(&("a" | "an")) => return false,
            Some(&("both" | "two")) => return true,
            _ => {}
        }
        let head: Vec<&str> = words.take_while(|word| !COMPLEMENTS.contains(word)).collect();
        head.contains(&"and") || head.last().is_some_and(|word| word.ends_with('s') && !word.ends_with("ss"))
    }

    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.parts.contains(&Part::Slot(slot))
    }
}

/// Words after which a noun phrase has had its head.
const COMPLEMENTS: &[&str] = &[
    "of",
    "with",
    "from",
    "in",
    "at",
    "on",
    "for",
    "that",
    "without",
    "to",
    "by",
    "under",
    "behind",
    "left",
    "taken",
    "sent",
    "after",
    "before",
    "near",
    "over",
    "next",
    "shown",
    "kept",
    "which",
    "found",
    "about",
    "above",
    "as",
    "into",
    "posted",
    "handed",
    "used",
    "now",
    "overheard",
    "between",
    "made",
    "through",
    "side",
    "asking",
    "during",
    "announcing",
    "peeled",
    "given",
    "opened",
    "according",
    "",
];

fn push_text(parts: &mut Vec<Part>, text: &str) {
    for (index, piece) in text.split("a(n)").enumerate() {
        if index > 0 {
            parts.push(Part::Article);
        }
        if !piece.is_empty() {
            parts.push(Part::Text(piece.to_owned()));
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Template;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text with slots")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Template, E> {
                Template::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_articles_are_told_from_text() {
        let template = Template::parse("{I} saw a(n) {accused_title} there.").unwrap();
        assert_eq!(
            template.parts,
            [
                Part::Slot(Slot::I),
                Part::Text(" saw ".into()),
                Part::Article,
                Part::Text(" ".into()),
                Part::Slot(Slot::AccusedTitle),
                Part::Text(" there.".into()),
            ]
        );
    }

    #[test]
    fn plurals_are_told_by_their_head() {
        for plural in [
            "the minutes of the panel",
            "screenshots",
            "{count} printed examples",
            "the old and the new rota",
        ] {
            assert!(Template::parse(plural).unwrap().is_plural(), "{plural}");
        }
        for singular in
            ["the access log", "a list of codes", "the camera at the doors", "the list of extra shifts"]
        {
            assert!(!Template::parse(singular).unwrap().is_plural(), "{singular}");
        }
    }

    #[test]
    fn the_readme_lists_every_slot() {
        let readme = include_str!("../../../../seed-data/README.md");
        for (name, meaning) in SLOTS {
            assert!(readme.contains(&format!("| `{{{name}}}` | {meaning} |")), "{name}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for wrong in ["{nobody} went", "open {I", "close }", " space", "two  spaces", "space .", ""] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
