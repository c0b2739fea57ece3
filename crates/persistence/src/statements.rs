//! A host's own statements, prepared against the views: which are refused, and which would mean something else.

use crate::attach::Attached;
use crate::dialect::Dialect;
use crate::error::Result;
pub(crate) use crate::host::StatementFinding;

/// A word of a statement: a bare word in lower case, or a quoted name as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Dot,
    Semicolon,
    Other,
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(text) if text == word)
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    fn names(&self, name: &str, dialect: Dialect) -> bool {
        match self {
            Self::Word(text) if dialect == Dialect::Sqlite => text.eq_ignore_ascii_case(name),
            Self::Word(text) => text == name,
            Self::Quoted(text) => dialect.same_name(text, name),
            _ => false,
        }
    }
}

/// The end of what opens at `start` and closes with `close`, which stands for itself when doubled.
fn closing(text: &[char], start: usize, close: char) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        if text[at] == close {
            if close != ']' && text.get(at + 1) == Some(&close) {
                at += 2;
                continue;
            }
            return at + 1;
        }
        at += 1;
    }
    text.len()
}

/// The tag of a dollar quote that opens at `start`, with both dollars.
fn dollar_tag(text: &[char], start: usize) -> Option<String> {
    let end = text[start + 1..].iter().position(|&c| c == '$')? + start + 1;
    let tag: String = text[start..=end].iter().collect();
    let inner = &tag[1..tag.len() - 1];
    let is_name = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    is_name.then_some(tag)
}

/// The tokens, each with the position in characters where it ends.
fn tokens(sql: &str) -> Vec<(Token, usize)> {
    let text: Vec<char> = sql.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (token, end) = match text[at] {
            c if c.is_whitespace() => (None, at + 1),
            '-' if rest.get(1) == Some(&'-') => {
                (None, rest.iter().position(|&c| c == '\n').map_or(text.len(), |length| at + length))
            }
            '/' if rest.get(1) == Some(&'*') => {
                let end = rest.windows(2).skip(2).position(|pair| pair == ['*', '/']);
                (None, end.map_or(text.len(), |length| at + length + 4))
            }
            '\'' => (Some(Token::Other), closing(&text, at, '\'')),
            open @ ('"' | '`' | '[') => {
                let close = if open == '[' { ']' } else { open };
                let end = closing(&text, at, close);
                let inside: String = text[at + 1..end.saturating_sub(1).max(at + 1)].iter().collect();
                let doubled = format!("{close}{close}");
                (Some(Token::Quoted(inside.replace(&doubled, &close.to_string()))), end)
            }
            '$' if dollar_tag(&text, at).is_some() => {
                let tag: Vec<char> = dollar_tag(&text, at).unwrap_or_default().chars().collect();
                let body = at + tag.len();
                let end = text[body..].windows(tag.len()).position(|part| part == tag);
                (Some(Token::Other), end.map_or(text.len(), |length| body + length + tag.len()))
            }
            '.' => (Some(Token::Dot), at + 1),
            ';' => (Some(Token::Semicolon), at + 1),
            c if c.is_alphabetic() || c == '_' => {
                let length = rest.iter().position(|&c| !(c.is_alphanumeric() || c == '_' || c == '$'));
                let end = length.map_or(text.len(), |length| at + length);
                (Some(Token::Word(text[at..end].iter().collect::<String>().to_lowercase())), end)
            }
            _ => (Some(Token::Other), at + 1),
        };
        if let Some(token) = token {
            tokens.push((token, end));
        }
        at = end;
    }
    tokens
}

/// The statements of a text that holds several, each without its semicolon.
pub fn split_statements(sql: &str) -> Vec<String> {
    let text: Vec<char> = sql.chars().collect();
    let mut statements = Vec::new();
    let (mut start, mut has_tokens) = (0, false);
    for (token, end) in tokens(sql) {
        if token != Token::Semicolon {
            has_tokens = true;
            continue;
        }
        if has_tokens {
            statements.push(text[start..end - 1].iter().collect::<String>().trim().to_owned());
        }
        (start, has_tokens) = (end, false);
    }
    if has_tokens {
        statements.push(text[start..].iter().collect::<String>().trim().to_owned());
    }
    statements
}

/// Whether a statement answers with rows.
pub(crate) fn gives_rows(sql: &str) -> bool {
    let tokens = tokens(sql);
    let is = |word: &str| tokens.first().is_some_and(|(token, _)| token.is(word));
    ["select", "values", "table", "pragma"].iter().any(|word| is(word))
        || tokens.iter().any(|(token, _)| token.is("returning"))
        || (is("with") && !tokens.iter().any(|(token, _)| token.is_one_of(&["insert", "update", "delete"])))
}

/// What of a statement the views have otherwise than the tables, with the way around.
fn meanings(tokens: &[Token], attached: &Attached, dialect: Dialect) -> Vec<&'static str> {
    let is_attached = |token: &Token| attached.tables.iter().any(|table| token.names(&table.name, dialect));
    let pair = |first: &str, second: &[&str]| {
        tokens.windows(2).any(|pair| pair[0].is(first) && pair[1].is_one_of(second))
    };
    let mut found = Vec::new();
    if dialect == Dialect::Sqlite && tokens.iter().any(|token| token.is("last_insert_rowid")) {
        found.push("last_insert_rowid() is not set by a view: select the key by a value that you know");
    }
    if dialect == Dialect::Sqlite && tokens.iter().any(|token| token.is_one_of(&["changes", "total_changes"]))
    {
        found.push("a view changes 0 rows: read what you need to know");
    }
    if dialect == Dialect::Postgres && pair("set", &["constraints"]) {
        found.push(
            "SET CONSTRAINTS by name does not reach the references of sessions, which are checked at the end of each \
             statement, and ALL IMMEDIATE has them checked row by row: leave it out, or change the rows in another order",
        );
    }
    if !tokens.iter().any(is_attached) {
        return found;
    }
    if pair("on", &["conflict"]) {
        found.push("ON CONFLICT does not work on a view: select first, then insert or update");
    }
    if tokens.first().is_some_and(|token| token.is("merge")) {
        found.push("MERGE does not work on a view: update and insert in two statements");
    }
    if tokens.first().is_some_and(|token| token.is("truncate")) {
        found.push("TRUNCATE does not work on a view: use DELETE");
    }
    match dialect {
        Dialect::Postgres => {
            if pair("for", &["update", "share", "no", "key"]) {
                found.push(
                    "a row lock on a view holds nobody up; the writes of one session happen one after the other anyway",
                );
            }
            if tokens.first().is_some_and(|token| token.is("lock")) {
                found.push("LOCK TABLE reaches the base, and holds up every session: leave it out");
            }
            let by_schema = tokens.windows(3).any(|three| {
                three[0].names("public", dialect) && three[1] == Token::Dot && is_attached(&three[2])
            });
            if by_schema {
                found.push("a name with its schema passes the view by: leave the schema out");
            }
        }
        Dialect::Sqlite => {
            let first_is = |word: &str| tokens.first().is_some_and(|token| token.is(word));
            if pair("insert", &["or"]) || pair("update", &["or"]) || first_is("replace") {
                found.push(
                    "OR REPLACE, OR IGNORE and the like act on the session's own rows alone: select first",
                );
            }
            if tokens.iter().any(|token| token.is("returning")) {
                found.push("RETURNING gives the row as it was proposed, without generated keys and defaults");
            }
            let by_schema = tokens.windows(3).any(|three| {
                three[0].is_one_of(&["main", "base"]) && three[1] == Token::Dot && is_attached(&three[2])
            });
            if by_schema {
                found.push("a name with its schema passes the view by: leave the schema out");
            }
        }
    }
    found
}

/// How statements begin that PostgreSQL runs but does not prepare, and that views have nothing to do with.
const SETTING: &[&str] =
    &["begin", "start", "commit", "end", "rollback", "savepoint", "release", "set", "reset", "show"];

/// Prepares each statement with `prepare`, which gives the database's words where it refuses.
pub(crate) fn check(
    statements: &[String],
    attached: &Attached,
    dialect: Dialect,
    mut prepare: impl FnMut(&str) -> Result<Option<String>>,
) -> Result<Vec<StatementFinding>> {
    let mut findings = Vec::new();
    for (at, statement) in statements.iter().enumerate() {
        let tokens: Vec<Token> = tokens(statement).into_iter().map(|(token, _)| token).collect();
        let meanings = meanings(&tokens, attached, dialect);
        // PostgreSQL prepares no statement that only sets something: that is no refusal.
        let sets =
            dialect == Dialect::Postgres && tokens.first().is_some_and(|token| token.is_one_of(SETTING));
        let refusal = if sets { None } else { prepare(statement)? };
        if refusal.is_none() && meanings.is_empty() {
            continue;
        }
        let reasons: Vec<&str> = meanings.into_iter().chain(refusal.as_deref()).collect();
        findings.push(StatementFinding {
            number: at + 1,
            statement: statement.clone(),
            refused: refusal.is_some(),
            reason: reasons.join("; "),
        });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let split = split_statements(
            "select ';' ; -- a; b\n select \";\" /* ; */ from t;; do $x$ begin; end $x$; select 1",
        );
        assert_eq!(
            split,
            ["select ';'", "-- a; b\n select \";\" /* ; */ from t", "do $x$ begin; end $x$", "select 1"]
        );
    }

    #[test]
    fn an_unfinished_quote_ends_with_the_text() {
        for text in ["'", "\"", "[", "$a$", "/*", "select '"] {
            assert_eq!(split_statements(text).len(), usize::from(text != "/*"), "{text}");
        }
    }
}
