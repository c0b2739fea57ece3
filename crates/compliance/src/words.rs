//! Which texts of which tables are found by words. What a word is, and how it is found, is the engine's.

use demo_reset_persistence::{AnyConnection, DatabaseUrl, KeyedTable, SearchIndex};

/// The key of every table of the demo: no row is found without its organization.
const KEY: &[&str] = &["organization_id", "id"];

/// A table of the demo.
pub(crate) const fn keyed(name: &'static str) -> KeyedTable {
    KeyedTable { name, key: KEY }
}

/// Cases.
pub(crate) const CASES: SearchIndex = SearchIndex {
    table: keyed("cases"),
    columns: &["reference_number", "summary", "details", "outcome_notes", "reporter_name"],
    indexed: true,
    tracking_columns: true,
};

/// RIUs.
pub(crate) const RIUS: SearchIndex = SearchIndex {
    table: keyed("rius"),
    columns: &["reference_number", "summary", "details", "reporter_name"],
    indexed: true,
    tracking_columns: true,
};

/// Investigations.
pub(crate) const INVESTIGATIONS: SearchIndex = SearchIndex {
    table: keyed("investigations"),
    columns: &["findings_summary", "findings_detail", "root_cause", "lessons_learned"],
    indexed: true,
    tracking_columns: true,
};

/// Employees.
pub(crate) const EMPLOYEES: SearchIndex = SearchIndex {
    table: keyed("employees"),
    columns: &["first_name", "last_name", "email", "employee_number"],
    indexed: true,
    tracking_columns: false,
};

/// Subjects. Like all that hangs on one record, so few that they are read and not indexed.
pub(crate) const SUBJECTS: SearchIndex = SearchIndex {
    table: keyed("subjects"),
    columns: &["name", "relationship", "department", "location", "job_title", "manager_name", "notes"],
    indexed: false,
    tracking_columns: true,
};

/// Messages.
pub(crate) const MESSAGES: SearchIndex = SearchIndex {
    table: keyed("case_messages"),
    columns: &["subject", "content"],
    indexed: false,
    tracking_columns: true,
};

/// Notes.
pub(crate) const NOTES: SearchIndex = SearchIndex {
    table: keyed("investigation_notes"),
    columns: &["content", "author_name"],
    indexed: false,
    tracking_columns: true,
};

/// Associations.
pub(crate) const ASSOCIATIONS: SearchIndex = SearchIndex {
    table: keyed("riu_case_associations"),
    columns: &["notes"],
    indexed: false,
    tracking_columns: true,
};

/// Audit entries.
pub(crate) const ACTIVITY: SearchIndex = SearchIndex {
    table: keyed("audit_logs"),
    columns: &["action_description", "actor_name"],
    indexed: false,
    tracking_columns: true,
};

/// Every table whose words are indexed: [`SearchIndex::indexed`].
pub const SEARCHED: [SearchIndex; 4] = [CASES, RIUS, INVESTIGATIONS, EMPLOYEES];

/// Makes the indexes of words that a base on PostgreSQL lacks. Does nothing on SQLite, where
/// [`dataset::load`](crate::dataset::load()) has made them.
///
/// # Errors
/// Only those of the database.
pub fn make_search_indexes(url: &DatabaseUrl) -> demo_reset_persistence::Result<()> {
    demo_reset_persistence::make_search_indexes(url, &SEARCHED)
}

/// Makes what words are found by, of a base that is being loaded and whose rows are in.
///
/// # Errors
/// Only those of the database.
pub fn index_words(conn: &mut AnyConnection) -> demo_reset_persistence::Result<()> {
    SEARCHED.iter().try_for_each(|index| index.make(conn))
}

/// The rows of a table that belong to an organization, and have the words of `q` where there are any.
macro_rules! of_organization {
    ($table:ident, $organization:expr, $words:expr) => {{
        let query = $table::table.into_boxed::<demo_reset_persistence::MultiBackend>();
        match &$words {
            // The words bring the organization along.
            Some(words) => query.filter(words.clone()),
            None => {
                query.filter($table::organization_id.eq(demo_reset_persistence::types::DbUuid($organization)))
            }
        }
    }};
}
pub(crate) use of_organization;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_made_of_every_table_that_is_found_by_one() {
        let all = [CASES, RIUS, INVESTIGATIONS, EMPLOYEES, SUBJECTS, MESSAGES, NOTES, ASSOCIATIONS, ACTIVITY];
        let indexed: Vec<SearchIndex> = all.into_iter().filter(|index| index.indexed).collect();
        assert_eq!(indexed, SEARCHED);
    }
}
