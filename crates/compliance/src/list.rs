//! Lists: filters, order, and pages that continue where the last one ended (keyset, never an offset).

use demo_reset_persistence::SearchIndex;
use demo_reset_persistence::types::{DbTime, DbUuid};
use uuid::Uuid;

use crate::error::{Error, FieldError, Result};
use crate::fields::{FieldKind, SHORT, parse_id, parse_time};

/// Items on a page when the caller does not say.
const DEFAULT_LIMIT: i64 = 50;
/// The most items on a page.
pub const MAX_LIMIT: i64 = 200;

/// What a list can be asked.
#[derive(Debug, Clone, Copy)]
pub struct ListSpec {
    /// The filters it takes.
    pub filters: &'static [Filter],
    /// The orders it takes, the default first.
    pub sorts: &'static [SortKey],
}

/// A filter of a list.
#[derive(Debug, Clone, Copy)]
pub enum Filter {
    /// `status`, one of these words.
    Status(&'static [&'static str]),
    /// `severity`, one of these words.
    Severity(&'static [&'static str]),
    /// `categoryId`.
    Category,
    /// `createdFrom` and `createdTo`, both inclusive.
    Created,
    /// `q`: words, each of which is the beginning of a word in one of these texts of the record.
    Words(&'static SearchIndex),
}

/// What a list is ordered by. The id breaks ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// When the record was created; newest first unless asked otherwise.
    CreatedAt,
    /// When the record was last edited.
    UpdatedAt,
    /// The reference number.
    ReferenceNumber,
    /// The code of a category or location.
    Code,
    /// The last name, then the first name.
    Name,
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// Greatest first.
    pub descending: bool,
}

/// Where a page ended: the last item's sort key, as text, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The sort key.
    pub key: String,
    /// The tie breaker.
    pub id: Uuid,
}

/// One page of a list, asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// At most so many items.
    pub limit: i64,
    /// In this order.
    pub sort: Sort,
    /// After this position; from the start without one.
    pub after: Option<Position>,
    /// Only records of this status.
    pub status: Option<String>,
    /// Only records of this severity.
    pub severity: Option<String>,
    /// Only records of this category.
    pub category_id: Option<Uuid>,
    /// Only records created at or after this time.
    pub created_from: Option<DbTime>,
    /// Only records created at or before this time.
    pub created_to: Option<DbTime>,
    /// Only records that have each of these words, or one that begins with it, in one of their texts.
    pub words: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; none where this is the last.
    pub next: Option<Position>,
    /// Items on all pages.
    pub total: i64,
}

impl SortKey {
    /// As the parameter `sort` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "createdAt",
            Self::UpdatedAt => "updatedAt",
            Self::ReferenceNumber => "referenceNumber",
            Self::Code => "code",
            Self::Name => "name",
        }
    }

    /// The order when the caller names none.
    fn by_default(self) -> Sort {
        Sort { key: self, descending: self == Self::CreatedAt }
    }
}

impl Sort {
    /// As the parameter `sort` spells it, with `-` for descending.
    pub fn as_parameter(self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.key.as_str())
    }
}

impl Filter {
    /// The parameters that set it.
    pub fn parameters(self) -> &'static [(&'static str, FieldKind)] {
        const STATUS: &[(&str, FieldKind)] = &[("status", FieldKind::Text { max: SHORT })];
        const SEVERITY: &[(&str, FieldKind)] = &[("severity", FieldKind::Text { max: SHORT })];
        const CATEGORY: &[(&str, FieldKind)] = &[("categoryId", FieldKind::Id(None))];
        const CREATED: &[(&str, FieldKind)] =
            &[("createdFrom", FieldKind::Time), ("createdTo", FieldKind::Time)];
        const WORDS: &[(&str, FieldKind)] = &[("q", FieldKind::Text { max: SHORT })];
        match self {
            Self::Status(_) => STATUS,
            Self::Severity(_) => SEVERITY,
            Self::Category => CATEGORY,
            Self::Created => CREATED,
            Self::Words(_) => WORDS,
        }
    }
}

impl ListSpec {
    /// Every order, as the parameter `sort` spells it, the default first.
    pub fn sort_parameters(&self) -> Vec<String> {
        let both = self.sorts.iter().flat_map(|&key| {
            let default = key.by_default();
            [default, Sort { descending: !default.descending, ..default }]
        });
        both.map(Sort::as_parameter).collect()
    }

    fn sort(&self, parameter: &str) -> Option<Sort> {
        let (name, descending) = match parameter.strip_prefix('-') {
            Some(name) => (name, true),
            None => (parameter, false),
        };
        let key = self.sorts.iter().find(|key| key.as_str() == name)?;
        Some(Sort { key: *key, descending })
    }

    /// Checks the parameters of a request. `cursor` is left to the caller, who knows its form: see
    /// [`ListQuery::after`].
    ///
    /// # Errors
    /// [`Error::Invalid`] with every parameter that is unknown, repeated or not accepted.
    pub fn parse(&self, parameters: &[(String, String)]) -> Result<ListQuery> {
        let mut query = ListQuery::first_page(self);
        let mut errors = Vec::new();
        for (at, (name, value)) in parameters.iter().enumerate() {
            let is_repeated = parameters[..at].iter().any(|(earlier, _)| earlier == name);
            let accepted = if is_repeated {
                Err("is given more than once".to_owned())
            } else {
                self.accept(&mut query, name, value)
            };
            if let Err(message) = accepted {
                errors.push(FieldError::new(name.as_str(), message));
            }
        }
        if errors.is_empty() { Ok(query) } else { Err(Error::Invalid { errors }) }
    }

    fn accept(&self, query: &mut ListQuery, name: &str, value: &str) -> std::result::Result<(), String> {
        match name {
            "cursor" => return Ok(()),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                query.limit =
                    limit.ok_or_else(|| format!("expected a whole number from 1 to {MAX_LIMIT}"))?;
                return Ok(());
            }
            "sort" => {
                let sort = self.sort(value);
                query.sort =
                    sort.ok_or_else(|| format!("expected one of {}", self.sort_parameters().join(", ")))?;
                return Ok(());
            }
            _ => {}
        }
        let is_ours = |filter: &&Filter| filter.parameters().iter().any(|(parameter, _)| *parameter == name);
        match self.filters.iter().find(is_ours) {
            Some(Filter::Status(words)) => query.status = Some(word(words, value)?),
            Some(Filter::Severity(words)) => query.severity = Some(word(words, value)?),
            Some(Filter::Category) => {
                query.category_id = Some(parse_id(value).ok_or("expected a UUID")?);
            }
            Some(Filter::Created) => {
                let time = parse_time(value).ok_or_else(|| format!("expected {}", FieldKind::Time))?;
                let bound =
                    if name == "createdFrom" { &mut query.created_from } else { &mut query.created_to };
                *bound = Some(time);
            }
            Some(Filter::Words(_)) => {
                let is_text = !value.contains('\0') && value.chars().count() <= SHORT;
                query.words = Some(
                    is_text
                        .then(|| value.to_owned())
                        .ok_or_else(|| format!("expected text of at most {SHORT} characters"))?,
                );
            }
            None => return Err("is not a parameter of this list".to_owned()),
        }
        Ok(())
    }
}

fn word(words: &[&str], value: &str) -> std::result::Result<String, String> {
    if words.contains(&value) {
        Ok(value.to_owned())
    } else {
        Err(format!("expected one of {}", words.join(", ")))
    }
}

impl ListQuery {
    /// The words that are looked for; nothing where there are none.
    pub(crate) fn text(&self) -> &str {
        self.words.as_deref().unwrap_or_default()
    }

    /// What is listed of an organization, whichever page of it and in which order.
    pub(crate) fn what(&self, organization: Uuid) -> String {
        let any = Sort { key: SortKey::CreatedAt, descending: false };
        format!("{organization} {:?}", Self { limit: 0, sort: any, after: None, ..self.clone() })
    }

    /// The first page in the default order.
    pub fn first_page(spec: &ListSpec) -> Self {
        let default = Sort { key: SortKey::CreatedAt, descending: true };
        Self {
            limit: DEFAULT_LIMIT,
            sort: spec.sorts.first().map_or(default, |key| key.by_default()),
            after: None,
            status: None,
            severity: None,
            category_id: None,
            created_from: None,
            created_to: None,
            words: None,
        }
    }
}

impl Position {
    /// The sort key as a time.
    pub(crate) fn time(&self) -> Result<DbTime> {
        parse_time(&self.key).ok_or_else(|| Error::invalid("cursor", "expected a cursor of this list"))
    }

    /// The sort key as text.
    pub(crate) fn text(&self) -> Result<String> {
        Ok(self.key.clone())
    }
}

impl<T> Page<T> {
    /// A page of `rows`, of which one more than the limit was loaded to see whether another page follows.
    pub(crate) fn new(
        mut rows: Vec<T>,
        query: &ListQuery,
        total: i64,
        position: impl Fn(&T) -> (String, DbUuid),
    ) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|last| {
            let (key, id) = position(last);
            Position { key, id: id.0 }
        });
        Self { items: rows, next, total }
    }
}

/// Orders a boxed query by a column and the id, starts it after the last page, and bounds it.
///
/// The condition on the column alone is what an index can start at; the second one only settles the ties.
macro_rules! keyset {
    ($query:expr, $list:expr, $column:expr, $id:expr, $parse:path) => {{
        let mut query = $query;
        if let Some(after) = &$list.after {
            let key = $parse(after)?;
            let id = demo_reset_persistence::types::DbUuid(after.id);
            query = if $list.sort.descending {
                query.filter($column.le(key.clone())).filter($column.lt(key).or($id.lt(id)))
            } else {
                query.filter($column.ge(key.clone())).filter($column.gt(key).or($id.gt(id)))
            };
        }
        query = if $list.sort.descending {
            query.order(($column.desc(), $id.desc()))
        } else {
            query.order(($column.asc(), $id.asc()))
        };
        query.limit($list.limit + 1)
    }};
}
pub(crate) use keyset;

/// Keeps the rows created in the asked time.
macro_rules! created_between {
    ($query:expr, $list:expr, $column:expr) => {
        if let Some(from) = $list.created_from {
            $query = $query.filter($column.ge(from));
        }
        if let Some(to) = $list.created_to {
            $query = $query.filter($column.le(to));
        }
    };
}
pub(crate) use created_between;

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: ListSpec = ListSpec {
        filters: &[Filter::Status(&["NEW", "OPEN"]), Filter::Category, Filter::Created],
        sorts: &[SortKey::CreatedAt, SortKey::ReferenceNumber],
    };

    fn parse(parameters: &[(&str, &str)]) -> Result<ListQuery> {
        let owned: Vec<_> = parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        SPEC.parse(&owned)
    }

    fn refused_fields(parameters: &[(&str, &str)]) -> Vec<String> {
        match parse(parameters) {
            Err(Error::Invalid { errors }) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_starts_with_the_newest_50() {
        let query = parse(&[]).unwrap();
        assert_eq!((query.limit, query.sort.as_parameter().as_str()), (50, "-createdAt"));
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let wrong = [
            ("limit", "0"),
            ("sort", "severity"),
            ("status", "new"),
            ("categoryId", "1"),
            ("createdFrom", "today"),
            ("severity", "LOW"),
            ("offset", "1"),
        ];
        assert_eq!(refused_fields(&wrong), wrong.map(|(name, _)| name));
        assert_eq!(refused_fields(&[("limit", "201")]), ["limit"]);
        assert_eq!(refused_fields(&[("limit", "1"), ("limit", "1")]), ["limit"]);
    }

    #[test]
    fn sort_takes_both_directions_of_every_key() {
        assert_eq!(
            SPEC.sort_parameters(),
            ["-createdAt", "createdAt", "referenceNumber", "-referenceNumber"]
        );
        let query = parse(&[("sort", "-referenceNumber")]).unwrap();
        assert_eq!(query.sort, Sort { key: SortKey::ReferenceNumber, descending: true });
    }
}
