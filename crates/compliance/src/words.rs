//! Finding records by words: each must be a part of one of a record's texts, in any case.

use demo_reset_persistence::MultiBackend;
use diesel::BoxableExpression;
use diesel::sql_types::{Bool, Nullable};

/// A condition on a row of the table `T`.
pub(crate) type Condition<T> = Box<dyn BoxableExpression<T, MultiBackend, SqlType = Nullable<Bool>>>;

mod functions {
    // The macro writes items without docs.
    #![allow(missing_docs)]
    diesel::define_sql_function! {
        fn lower(text: diesel::sql_types::Nullable<diesel::sql_types::Text>)
            -> diesel::sql_types::Nullable<diesel::sql_types::Text>;
    }
}
pub(crate) use functions::lower;

/// The pattern of texts that have `word` as a part. What LIKE reads as a sign of its own is escaped by a backslash.
pub(crate) fn pattern(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len() + 2);
    pattern.push('%');
    for letter in word.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// Keeps the rows of a boxed query that have every word in one of these columns.
///
/// SQLite lowers only ASCII letters and compares those alike anyway: so the word is also looked for as it was typed.
macro_rules! with_words {
    ($query:expr, $list:expr, $table:ty, [$($column:expr),+ $(,)?]) => {
        for word in $list.words.as_deref().unwrap_or_default().split_whitespace() {
            let lowered = $crate::words::pattern(&word.to_lowercase());
            let typed = $crate::words::pattern(word);
            let any: Vec<$crate::words::Condition<$table>> = vec![$(
                Box::new($crate::words::lower($column.nullable()).like(lowered.clone()).escape('\\')),
                Box::new($column.nullable().like(typed.clone()).escape('\\')),
            )+];
            let any = any.into_iter().reduce(|one, other| Box::new(one.or(other)));
            if let Some(condition) = any {
                $query = $query.filter(condition);
            }
        }
    };
}
pub(crate) use with_words;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_like_are_letters_like_any_other() {
        assert_eq!(pattern("50%_\\"), "%50\\%\\_\\\\%");
    }
}
