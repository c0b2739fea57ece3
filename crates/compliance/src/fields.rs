//! What each kind of record is made of, told once: input is checked against it, and the API is documented from it.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};
use demo_reset_persistence::types::DbTime;
use serde_json::Value;
use uuid::Uuid;

/// The longest narrative, in characters.
pub(crate) const LONG: usize = 50_000;
/// The longest name, title or address, in characters.
pub(crate) const SHORT: usize = 500;

/// One field of a record.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Which values it takes.
    pub kind: FieldKind,
    /// Whether it may be null.
    pub nullable: bool,
    /// What happens when the record is created.
    pub create: OnCreate,
    /// Whether it can be edited.
    pub edit: OnEdit,
}

/// The values that a field takes.
#[derive(Debug, Clone, Copy)]
pub enum FieldKind {
    /// Text of at most so many characters.
    Text {
        /// The most characters.
        max: usize,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The id of a record.
    Id(Option<Reference>),
    /// A point in time.
    Time,
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// True or false.
    Flag,
    /// A list of short texts.
    Tags,
    /// A JSON object that the server writes.
    Object,
}

/// A table that an id refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A category.
    Category,
    /// A location.
    Location,
    /// An employee.
    Employee,
    /// A user.
    User,
    /// A case.
    Case,
    /// A RIU.
    Riu,
    /// An investigation.
    Investigation,
}

/// What happens to a field when its record is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCreate {
    /// The caller must give it.
    Required,
    /// The caller may give it.
    Optional(Initial),
    /// The server fills it.
    Server,
}

/// What a field is when the caller does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initial {
    /// Null.
    Null,
    /// This word.
    Word(&'static str),
    /// False.
    False,
    /// No tags.
    NoTags,
}

/// What happens to a field when its record is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEdit {
    /// The caller may change it.
    Free,
    /// It belongs to the record for good.
    Fixed,
    /// It is evidence: see [`crate::Error::ImmutableContent`].
    Immutable,
    /// The server fills it.
    Server,
}

impl Field {
    /// A field that the caller must give.
    pub(crate) const fn required(name: &'static str, kind: FieldKind) -> Self {
        Self { name, kind, nullable: false, create: OnCreate::Required, edit: OnEdit::Free }
    }

    /// A field that may be null, and is when the caller does not say.
    pub(crate) const fn optional(name: &'static str, kind: FieldKind) -> Self {
        let create = OnCreate::Optional(Initial::Null);
        Self { name, kind, nullable: true, create, edit: OnEdit::Free }
    }

    /// A field with a default.
    pub(crate) const fn defaulted(name: &'static str, kind: FieldKind, default: Initial) -> Self {
        Self { name, kind, nullable: false, create: OnCreate::Optional(default), edit: OnEdit::Free }
    }

    /// A field that the server fills.
    pub(crate) const fn server(name: &'static str, kind: FieldKind) -> Self {
        Self { name, kind, nullable: false, create: OnCreate::Server, edit: OnEdit::Server }
    }

    /// The field, null where there is no value.
    pub(crate) const fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The field, which stays what it was created as.
    pub(crate) const fn fixed(mut self) -> Self {
        self.edit = OnEdit::Fixed;
        self
    }

    /// The field, which is evidence.
    pub(crate) const fn immutable(mut self) -> Self {
        self.edit = OnEdit::Immutable;
        self
    }

    /// The value in its one stored form, or what was expected instead.
    pub(crate) fn accept(&self, value: &Value) -> Result<Value, String> {
        if value.is_null() && self.nullable {
            return Ok(Value::Null);
        }
        self.accept_some(value).ok_or_else(|| {
            let or_null = if self.nullable { ", or null" } else { "" };
            format!("expected {}{or_null}", self.kind)
        })
    }

    fn accept_some(&self, value: &Value) -> Option<Value> {
        match self.kind {
            FieldKind::Text { max } => {
                let text = value.as_str().filter(|text| is_text(text, max))?;
                let is_blank_evidence = self.create == OnCreate::Required && text.trim().is_empty();
                (!is_blank_evidence).then(|| text.into())
            }
            FieldKind::OneOf(words) => {
                let text = value.as_str()?;
                words.contains(&text).then(|| text.into())
            }
            FieldKind::Id(_) => Some(parse_id(value.as_str()?)?.to_string().into()),
            FieldKind::Time => Some(parse_time(value.as_str()?)?.to_string().into()),
            FieldKind::Integer { min, max } => {
                let number = whole_number(value)?;
                (min..=max).contains(&number).then(|| number.into())
            }
            FieldKind::Flag => value.as_bool().map(Value::Bool),
            FieldKind::Tags => {
                let tags = value.as_array().filter(|tags| tags.len() <= MAX_TAGS)?;
                let are_texts = tags.iter().all(|tag| {
                    tag.as_str().is_some_and(|text| !text.trim().is_empty() && is_text(text, MAX_TAG_LENGTH))
                });
                are_texts.then(|| value.clone())
            }
            FieldKind::Object => None,
        }
    }
}

/// The most tags of a record.
const MAX_TAGS: usize = 50;
/// The longest tag, in characters.
const MAX_TAG_LENGTH: usize = 100;

/// PostgreSQL cannot store U+0000 in text, so no database gets it.
fn is_text(text: &str, max: usize) -> bool {
    !text.contains('\0') && text.chars().count() <= max
}

/// JSON has one kind of number: `5.0` is a whole number too.
fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let float = value.as_f64()?;
        // Beyond 2^53 neighbouring whole numbers have the same float.
        (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(float as i64)
    })
}

/// An id in its hyphenated form, in any case.
pub(crate) fn parse_id(text: &str) -> Option<Uuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH { Uuid::try_parse(text).ok() } else { None }
}

/// A time of RFC 3339 in the years 1 to 9999 UTC, which is what both databases and the fixed width can hold.
pub(crate) fn parse_time(text: &str) -> Option<DbTime> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    // chrono tells a leap second by its nanoseconds; the databases have none.
    ((1..=9999).contains(&time.year()) && time.nanosecond() < 1_000_000_000).then(|| DbTime::new(time))
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { max } => {
                write!(f, "text of at most {max} characters, not blank where it is required")
            }
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::Id(_) => f.write_str("a UUID"),
            Self::Time => f.write_str("a time of RFC 3339 such as 2026-02-02T09:00:00Z"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Flag => f.write_str("true or false"),
            Self::Tags => {
                write!(f, "a list of at most {MAX_TAGS} texts of 1 to {MAX_TAG_LENGTH} characters")
            }
            Self::Object => f.write_str("an object"),
        }
    }
}

impl Initial {
    /// The default as JSON.
    pub fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Word(word) => word.into(),
            Self::False => false.into(),
            Self::NoTags => Value::Array(Vec::new()),
        }
    }
}

impl Reference {
    /// What the id is of.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Location => "location",
            Self::Employee => "employee",
            Self::User => "user",
            Self::Case => "case",
            Self::Riu => "riu",
            Self::Investigation => "investigation",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accepts(kind: FieldKind, value: Value) -> Option<Value> {
        Field::optional("x", kind).accept(&value).ok()
    }

    #[test]
    fn text_is_counted_in_characters_and_holds_no_nul() {
        let kind = FieldKind::Text { max: 3 };
        assert_eq!(accepts(kind, json!("äöü")), Some(json!("äöü")));
        assert_eq!(accepts(kind, json!("äöüß")), None);
        assert_eq!(accepts(kind, json!("a\0")), None);
        assert_eq!(accepts(kind, json!(5)), None);
    }

    #[test]
    fn required_text_is_not_blank() {
        let field = Field::required("details", FieldKind::Text { max: 10 });
        assert!(field.accept(&json!(" ")).is_err());
        assert!(field.accept(&json!(null)).is_err());
        assert!(field.accept(&json!("x")).is_ok());
    }

    #[test]
    fn times_are_stored_in_utc_with_microseconds() {
        let at = |text: &str| accepts(FieldKind::Time, json!(text));
        assert_eq!(at("2026-02-02T10:00:00.1234567+01:00"), Some(json!("2026-02-02T09:00:00.123456Z")));
        for wrong in ["2026-02-02", "2026-02-30T00:00:00Z", "0000-12-31T23:00:00Z", "2016-12-31T23:59:60Z"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_stay_in_their_range() {
        let kind = FieldKind::Integer { min: 0, max: 100 };
        assert_eq!(accepts(kind, json!(100)), Some(json!(100)));
        assert_eq!(accepts(kind, json!(7.0)), Some(json!(7)));
        for wrong in [json!(-1), json!(101), json!(0.5), json!("5"), json!(1e300)] {
            assert_eq!(accepts(kind, wrong), None);
        }
    }

    #[test]
    fn ids_are_hyphenated_uuids() {
        let id = "0190D5C0-0000-7000-8000-000000000001";
        assert_eq!(accepts(FieldKind::Id(None), json!(id)), Some(json!(id.to_lowercase())));
        assert_eq!(accepts(FieldKind::Id(None), json!(id.replace('-', ""))), None);
    }
}
