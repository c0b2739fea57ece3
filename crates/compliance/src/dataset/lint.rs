//! A small linter for composed texts: what goes wrong when sentences are put together by a program.

use super::story::sounds_like_vowel;

/// Pairs of words that no correct sentence contains: a pronoun or noun with the wrong form of its verb, mostly.
const NEVER: &[(&str, &str)] = &[
    ("i", "has"),
    ("i", "is"),
    ("i", "does"),
    ("i", "knows"),
    ("i", "wants"),
    ("i", "believes"),
    ("i", "hopes"),
    ("i", "asks"),
    ("i", "works"),
    ("he", "are"),
    ("he", "have"),
    ("she", "are"),
    ("she", "have"),
    ("they", "is"),
    ("they", "has"),
    ("they", "was"),
    ("we", "is"),
    ("we", "was"),
    ("caller", "am"),
    ("caller", "have"),
    ("caller", "do"),
    ("caller", "know"),
    ("caller", "want"),
    ("reporter", "am"),
    ("reporter", "have"),
    ("reporter", "do"),
    ("reporter", "know"),
    ("reporter", "want"),
    ("a", "the"),
    ("a", "a"),
    ("a", "an"),
    ("an", "a"),
    ("an", "an"),
    ("the", "a"),
    ("the", "an"),
    ("the", "the"),
    ("to", "to"),
    ("of", "of"),
    ("their", "the"),
    ("my", "the"),
];

/// What is wrong with a text; nothing for a good one.
pub fn lint(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut wrong = |what: &str, near: &str| found.push(format!("{what}: `{near}`"));
    if text.trim() != text || text.is_empty() {
        wrong("empty, or begins or ends with a space", text.get(..20).unwrap_or(text));
    }
    for bad in [
        "{", "}", "a(n)", "  ", " ,", " .", " ;", " :", " !", " ?", ",,", "..", ",.", ".,", "::", "TODO",
        "XXX",
    ] {
        if let Some(at) = text.find(bad) {
            wrong("placeholder or punctuation", around(text, at));
        }
    }
    for bad in ["lorem ipsum", "undefined", "null", "tbd", "n/a"] {
        if let Some(at) = find_word(text, bad) {
            wrong("placeholder", around(text, at));
        }
    }
    let mut before: Option<(usize, &str)> = None;
    for (at, word) in words(text) {
        let lower = word.to_lowercase();
        if let Some((start, previous)) = before {
            let between = &text[start + previous.len()..at];
            if between == " " {
                let first = previous.to_lowercase();
                if first == lower
                    && lower.chars().all(char::is_alphabetic)
                    && !DOUBLES.contains(&lower.as_str())
                {
                    wrong("doubled word", around(text, start));
                }
                if (first == "a" && previous != "A") && sounds_like_vowel(word) {
                    wrong("a before a vowel", around(text, start));
                }
                if first == "an" && !sounds_like_vowel(word) {
                    wrong("an before a consonant", around(text, start));
                }
                if NEVER.contains(&(first.as_str(), lower.as_str())) && !exempt(text, start) {
                    wrong("grammar", around(text, start));
                }
            }
            if between.ends_with(' ')
                && between.trim_end().ends_with(['.', '!', '?'])
                && word.starts_with(|letter: char| letter.is_lowercase())
                && !["Mr", "Ms", "Dr", "Ext"].contains(&previous)
            {
                wrong("sentence without a capital", around(text, start));
            }
        } else if word.starts_with(|letter: char| letter.is_lowercase()) && text.starts_with(word) {
            wrong("text without a capital", around(text, at));
        }
        if word == "i" {
            wrong("I without a capital", around(text, at));
        }
        before = Some((at, word));
    }
    for (open, close) in [('(', ')'), ('\u{201c}', '\u{201d}')] {
        if text.matches(open).count() != text.matches(close).count() {
            wrong("unpaired", &open.to_string());
        }
    }
    found
}

/// Words that may stand twice.
const DOUBLES: &[&str] = &["that", "had"];

/// "What he is told is …": the pair belongs to two clauses.
fn exempt(text: &str, at: usize) -> bool {
    // "did not do", "whether the caller do": none known so far but questions: "does the caller know".
    let before = text[..at].trim_end();
    let last = before.rsplit(' ').next().unwrap_or("").to_lowercase();
    let second = before.rsplit(' ').nth(1).unwrap_or("").to_lowercase();
    [last, second]
        .iter()
        .any(|word| ["does", "did", "could", "can", "may", "should", "let", "would"].contains(&word.as_str()))
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '\'' | '\u{2019}' | '-');
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(is_letter)?;
        let len = text[start..].find(|letter| !is_letter(letter)).unwrap_or(text.len() - start);
        rest = start + len;
        Some((start, &text[start..rest]))
    })
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    let lower = text.to_lowercase();
    // Lower case can be longer in bytes for some letters; then the place is only near.
    words(&lower).find(|(_, one)| *one == word).map(|(at, _)| at.min(text.len()))
}

fn around(text: &str, at: usize) -> &str {
    let mut from = at.saturating_sub(30);
    let mut to = (at + 40).min(text.len());
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    &text[from..to]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_found() {
        for bad in [
            "There was a incident.",
            "There was an nurse.",
            "It is the the same.",
            "Two  spaces.",
            "Space , comma.",
            "No {slot}.",
            "One. two.",
            "I has seen it.",
            "lower case start.",
            "Open (bracket.",
            "So i said.",
        ] {
            assert!(!lint(bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn good_texts_pass() {
        for good in [
            "There was an hour, an HR partner and a user.",
            "I know that that is so. Mr. van Dyk left at 9 am.",
            "Line one.\n\nLine two: \u{201c}yes\u{201d}.",
            "He said that he is ill.",
        ] {
            assert_eq!(lint(good), Vec::<String>::new(), "{good}");
        }
    }
}
