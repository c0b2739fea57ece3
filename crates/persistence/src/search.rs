//! Full text: an index of the words in some columns of a base table, and the condition that finds rows by it.
//!
//! What a word is must be the same on both databases, whatever their locale, so it is settled here: a run of letters
//! and digits of ASCII and of everything beyond ASCII but punctuation ([`is_separator`]). Letters of ASCII match in
//! any case; of the others the databases know different things, so a word is looked for in the ways that it can be
//! typed ([`forms`]). Accents count.
//!
//! Only the base is indexed, since it never changes: on SQLite by an FTS5 table in the base file that holds no text of
//! its own, on PostgreSQL by a GIN index. The changes of the session are read, so that an edit is found by its new
//! words and never by its old ones.

use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Bool};
use diesel::{QueryableByName, SqliteConnection};
use uuid::Uuid;

use crate::connection::{AnyConnection, Link, MultiBackend, SessionConnection, Sql};
use crate::counts::KeyedTable;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::postgres;
use crate::sql_text::{join, quote};
use crate::url::DatabaseUrl;

/// What the engine's search indexes are called, followed by the name of their table.
pub(crate) const SEARCH_PREFIX: &str = "demo_search_";

/// Of a longer word only so many characters count.
const WORD_LENGTH: usize = 64;

/// Between these and themselves stand the characters beyond ASCII that separate words: signs of Latin-1, general
/// punctuation, currencies, and punctuation of Chinese, Japanese and Korean. `demo.search_words` has the same.
const SEPARATORS: [(char, char); 4] =
    [('\u{80}', '\u{bf}'), ('\u{2000}', '\u{206f}'), ('\u{20a0}', '\u{20cf}'), ('\u{3000}', '\u{303f}')];

fn is_separator(letter: char) -> bool {
    match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' => false,
        _ if letter.is_ascii() => true,
        _ => SEPARATORS.iter().any(|(first, last)| (*first..=*last).contains(&letter)),
    }
}

/// What stands in front of a word, as PostgreSQL's regular expressions say it of a text in small letters: the start or a
/// separator, as [`is_separator`] has them.
fn before_a_word() -> String {
    let beyond_ascii = SEPARATORS
        .iter()
        .map(|(first, last)| format!(r"\u{:04x}-\u{:04x}", u32::from(*first), u32::from(*last)));
    format!(r"(^|[\u0001-\u002f\u003a-\u0060\u007b-\u007f{}])", join(beyond_ascii, ""))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_separator).filter(|word| !word.is_empty())
}

/// The ways to write a word that is looked for: as it was typed, small, in capitals, and with a capital in front;
/// letters of ASCII always small. One only for a word of ASCII.
fn forms(word: &str) -> Vec<String> {
    let small = word.to_lowercase();
    let capitals = word.to_uppercase();
    let mut letters = small.chars();
    let titled = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
    let mut forms = Vec::new();
    for form in [word.to_owned(), small, capitals].into_iter().chain(titled) {
        let form: String = form.to_ascii_lowercase().chars().take(WORD_LENGTH).collect();
        // Some signs become others in another case: nothing may come out that is no word.
        if !form.contains(is_separator) && !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// What is looked for: each word in its forms. A row matches where each of them is the beginning of a word of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted(Vec<Vec<String>>);

impl Wanted {
    fn parse(text: &str) -> Self {
        let mut wanted: Vec<Vec<String>> = Vec::new();
        for word in words(text) {
            let forms = forms(word);
            if !forms.is_empty() && !wanted.contains(&forms) {
                wanted.push(forms);
            }
        }
        Self(wanted)
    }

    /// As text: a space between words, a bar between the forms of one. Neither is ever a part of one.
    fn text(&self) -> String {
        join(self.0.iter().map(|forms| forms.join("|")), " ")
    }

    /// As SQLite's FTS5 and PostgreSQL's tsquery spell it.
    fn query(&self, one: impl Fn(&str) -> String, or: &str, and: &str) -> String {
        let word = |forms: &Vec<String>| format!("({})", join(forms.iter().map(|form| one(form)), or));
        join(self.0.iter().map(word), and)
    }
}

/// Whether every wanted word, given as [`Wanted::text`] writes them, begins a word of `text`.
fn has_words(text: &str, wanted: &str) -> bool {
    let begins = |word: &str, form: &str| {
        word.as_bytes().get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form.as_bytes()))
    };
    wanted.split(' ').all(|forms| words(text).any(|word| forms.split('|').any(|form| begins(word, form))))
}

/// A text in which only spaces, and the signs of ASCII, separate words.
fn spaced(text: &str) -> String {
    text.chars().map(|letter| if !letter.is_ascii() && is_separator(letter) { ' ' } else { letter }).collect()
}

mod functions {
    // The macro writes items without docs.
    #![allow(missing_docs)]
    #[allow(unused_imports, reason = "whether the macro names them is its own affair")]
    use diesel::sql_types::{Bool, Text};

    #[diesel::declare_sql_function]
    extern "SQL" {
        fn demo_has_words(text: Text, wanted: Text) -> Bool;
        fn demo_spaced(text: Text) -> Text;
    }
}

/// Gives a connection the functions that the conditions call.
pub(crate) fn register(conn: &mut SqliteConnection) -> Result<()> {
    functions::demo_has_words_utils::register_impl(conn, |text: String, wanted: String| {
        has_words(&text, &wanted)
    })?;
    Ok(())
}

/// The words in some columns of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchIndex {
    /// The table. On SQLite one with row ids.
    pub table: KeyedTable,
    /// The columns of text.
    pub columns: &'static [&'static str],
    /// Whether the base has the index, once it is [made](Self::make). Texts of few rows, or of rows that another condition leads
    /// to, are better read.
    pub indexed: bool,
    /// Whether the table is under sessions with [tracking columns](crate::AttachOptions::tracking_columns). Then a session's own
    /// rows take less time on PostgreSQL: they are told from those of the base, which the index is of.
    pub tracking_columns: bool,
}

/// Makes those of the indexes that a base on PostgreSQL lacks, all at once: each on a connection of its own, in a
/// transaction of its own. Rows are found without an index as well, only not as fast, so that this may go on while a base
/// that has just been loaded is taken up or used; one that was interrupted is made by the next call.
///
/// Does nothing for a login that does not own the base, over a host's tables, or on SQLite, where
/// [`SearchIndex::make`] has made them while the base file was built.
///
/// # Errors
/// Only those of the database.
pub fn make_search_indexes(url: &DatabaseUrl, indexes: &[SearchIndex]) -> Result<()> {
    match url {
        DatabaseUrl::Sqlite(_) => Ok(()),
        DatabaseUrl::Postgres(url) => postgres::base::make_search_indexes(url, indexes),
    }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    indexed: i64,
    #[diesel(sql_type = BigInt)]
    attached: i64,
}

impl SearchIndex {
    /// What the index is called.
    pub fn name(&self) -> String {
        format!("{SEARCH_PREFIX}{}", self.table.name)
    }

    /// All texts of a row as one.
    fn text(&self, row: &str) -> String {
        join(
            self.columns.iter().map(|column| format!("coalesce({row}.{}, '')", quote(column))),
            " || ' ' || ",
        )
    }

    /// Makes the index of the base that is being loaded, if it is not there. Called inside of
    /// [`load_base`](crate::load_base), when the rows are in; on PostgreSQL [`make_search_indexes`] takes less time
    /// for several. Does nothing in a PostgreSQL that the engine has not migrated.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn make(&self, conn: &mut AnyConnection) -> Result<()> {
        let (name, table) = (quote(&self.name()), quote(self.table.name));
        match conn {
            AnyConnection::Sqlite(conn) => {
                functions::demo_spaced_utils::register_impl(conn, |text: String| spaced(&text))?;
                // Neither texts nor places of words are kept: what is found is looked at again.
                Link::Sqlite(conn).batch(&format!(
                    "create virtual table {name} using fts5 \
                     (words, content = '', detail = none, columnsize = 0, tokenize = 'ascii'); \
                     insert into {name} (rowid, words) select rowid, demo_spaced({}) from {table} order by rowid;",
                    self.text(&table)
                ))
            }
            AnyConnection::Postgres(conn) => {
                let mut link = Link::Postgres(conn);
                let found: Option<Found> = link.first(Sql::new(
                    "select count(to_regprocedure('demo.search_words(text)')) as indexed, 0::bigint as attached",
                    [],
                ))?;
                if found.is_none_or(|found| found.indexed == 0) {
                    return Ok(());
                }
                // Which words are frequent is nothing to a plan, and finding out takes as long as making the index.
                link.batch(&format!(
                    "create index if not exists {name} on {table} using gin (demo.search_words({})); \
                     alter index {name} alter column 1 set statistics 0;",
                    self.text(&table)
                ))
            }
        }
    }

    /// The condition that a row has every word of `text`, each as the beginning of one of its own; with `first_key`
    /// only rows whose key begins with it. None where `text` has no word.
    ///
    /// It holds for rows of the table's view as for those of the table. A base without the index, as one loaded by an
    /// earlier version, is read instead.
    ///
    /// # Errors
    /// Only those of the database.
    pub fn matches(
        &self,
        conn: &mut AnyConnection,
        first_key: Option<Uuid>,
        text: &str,
    ) -> Result<Option<Matches>> {
        let wanted = Wanted::parse(text);
        if wanted.0.is_empty() {
            return Ok(None);
        }
        let mut link = conn.link();
        let mut sql = Sql::default();
        match link.dialect() {
            Dialect::Sqlite => {
                let found: Option<Found> = link.first(Sql::new(
                    "select (select count(*) from base.sqlite_schema where name = ?) as indexed, \
                     (select count(*) from main.demo_attached_tables where name = ?) as attached",
                    [self.name().as_str().into(), self.table.name.into()],
                ))?;
                let found = found.unwrap_or(Found { indexed: 0, attached: 0 });
                self.on_sqlite(&mut sql, &found, first_key, &wanted);
            }
            Dialect::Postgres => self.on_postgres(&mut sql, first_key, &wanted),
        }
        Ok(Some(Matches(sql)))
    }

    /// Adds the condition that the key of `row` begins with `first_key`, where that is asked, between these two texts.
    fn first_key_is(&self, sql: &mut Sql, first_key: Option<Uuid>, row: &str, [before, after]: [&str; 2]) {
        if let (Some(value), Some(column)) = (first_key, self.table.key.first()) {
            sql.push(&format!(" and {before}{row}.{} = ", quote(column))).bind(value).push(after);
        }
    }

    fn on_sqlite(&self, sql: &mut Sql, found: &Found, first_key: Option<Uuid>, wanted: &Wanted) {
        let table = quote(self.table.name);
        let keys =
            |row: &str| join(self.table.key.iter().map(|column| format!("{row}.{}", quote(column))), ", ");
        let first_is = |sql: &mut Sql, row: &str| self.first_key_is(sql, first_key, row, [""; 2]);
        if found.indexed > 0 {
            // The key alone leads to the rows: the condition on its first column stands inside, or SQLite would rather
            // walk an index that begins with that column. And it looks up no key of several columns in a UNION, but
            // does in what is selected from one.
            sql.push(&format!(
                "({}) in (select * from (select {} from base.{name} as f cross join base.{table} as b on b.rowid = f.rowid \
                 where f.{name} match ",
                keys(&table),
                keys("b"),
                name = quote(&self.name()),
            ));
            sql.bind(wanted.query(|form| format!("\"{form}\" *"), " OR ", " AND ").as_str());
            first_is(sql, "b");
            if found.attached > 0 {
                // What the session has changed is always looked at.
                sql.push(&format!(
                    " union all select {} from {} as c where c.demo_layer = (select layer from temp.demo_binding)",
                    keys("c"),
                    Dialect::Sqlite.change_table(self.table.name),
                ));
                first_is(sql, "c");
            }
            sql.push("))");
        } else {
            sql.push("1");
            first_is(sql, &table);
        }
        sql.push(&format!(" and demo_has_words({}, ", self.text(&table)));
        sql.bind(wanted.text().as_str()).push(")");
    }

    fn on_postgres(&self, sql: &mut Sql, first_key: Option<Uuid>, wanted: &Wanted) {
        let table = quote(self.table.name);
        let text = self.text(&table);
        let small = format!("lower(({text}) collate \"C\")");
        let by_index = |sql: &mut Sql| {
            sql.push(&format!("demo.search_words({text}) @@ cast("));
            sql.bind(wanted.query(|form| format!("'{form}':*"), " | ", " & ").as_str()).push(" as tsquery)");
        };
        // The longest word first, which the fewest rows have.
        let mut longest_first: Vec<_> = wanted.0.iter().collect();
        longest_first.sort_by_key(|forms| std::cmp::Reverse(forms.first().map_or(0, String::len)));
        // Far cheaper than to look for words, and most rows that are read have not even the letters.
        let has_letters = |sql: &mut Sql| {
            for (word, forms) in longest_first.iter().enumerate() {
                sql.push(if word == 0 { "" } else { " and " });
                for (at, form) in forms.iter().enumerate() {
                    sql.push(if at == 0 { "(" } else { " or " });
                    sql.push(&format!("strpos({small}, ")).bind(form.as_str()).push(") > 0");
                }
                sql.push(")");
            }
        };
        // CASE keeps the order: the planner would look for words first. And of a number the planner guesses that few rows have it,
        // where it takes half of all rows for true: then it would read the base in the order of a list, sure to find many of the
        // session's own on the way, and never look into the index of words.
        let by_reading = |sql: &mut Sql| {
            sql.push("case when ");
            has_letters(sql);
            sql.push(" then case when ");
            let before = before_a_word();
            for (at, forms) in longest_first.iter().enumerate() {
                sql.push(if at == 0 { "" } else { " and " });
                sql.push(&format!("{small} ~ "));
                sql.bind(format!("{before}({})", forms.join("|")).as_str());
            }
            sql.push(" then 1 else 0 end else 0 end = 1");
        };
        let first_is = |sql: &mut Sql, around| self.first_key_is(sql, first_key, &table, around);
        match (self.indexed, self.tracking_columns) {
            // The planner knows of either arm of a view which rows these are, and leaves of CASE what they come to. Of the
            // base's rows the first key is asked in a form that no index is read for: for the few rows that have the words,
            // PostgreSQL would read all keys that begin so.
            (true, true) => {
                sql.push(&format!("case when {table}.is_base_data then "));
                by_index(sql);
                first_is(sql, ["(", ") is true"]);
                sql.push(" else ");
                by_reading(sql);
                first_is(sql, [""; 2]);
                sql.push(" end");
            }
            (true, false) => {
                has_letters(sql);
                sql.push(" and ");
                by_index(sql);
                first_is(sql, [""; 2]);
            }
            (false, _) => {
                by_reading(sql);
                first_is(sql, [""; 2]);
            }
        }
    }
}

/// The condition that a row has some words: see [`SearchIndex::matches`]. For `filter` of a Diesel query over the
/// table.
#[derive(Debug, Clone)]
pub struct Matches(Sql);

impl Expression for Matches {
    type SqlType = Bool;
}

impl<T> AppearsOnTable<T> for Matches {}

impl<T> SelectableExpression<T> for Matches {}

impl ValidGrouping<()> for Matches {
    type IsAggregate = is_aggregate::No;
}

impl QueryId for Matches {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<MultiBackend> for Matches {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql("(");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, wanted: &str) -> bool {
        has_words(text, &Wanted::parse(wanted).text())
    }

    #[test]
    fn every_word_is_the_beginning_of_one_in_the_text() {
        let text = "CASE-2026-04501: “Cash” was missing; don’t tell Jürgen. 100€, 現金。";
        for wanted in
            ["cash", "CASH", "miss", "2026-04501", "don’t", "jür", "JÜRGEN", "100", "現", "tell cas"]
        {
            assert!(found(text, wanted), "{wanted}");
        }
        for wanted in ["ash", "issing", "cash none", "jurgen", "金"] {
            assert!(!found(text, wanted), "{wanted}");
        }
    }

    #[test]
    fn what_has_no_word_asks_for_none() {
        assert!(Wanted::parse(" – %_\"' ").0.is_empty());
    }

    #[test]
    fn a_word_of_ascii_has_one_form() {
        assert_eq!(Wanted::parse("Cash cash").0, [["cash"]]);
        assert_eq!(forms("Émile"), ["Émile", "émile"]);
    }

    #[test]
    fn nothing_that_a_query_reads_as_a_sign_of_its_own_is_part_of_a_word() {
        let all: String = (0..0x1_1000).filter_map(char::from_u32).collect();
        for form in Wanted::parse(&all).0.iter().flatten() {
            assert!(!form.contains(|letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric()));
        }
    }
}
