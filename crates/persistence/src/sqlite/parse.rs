//! Reads what SQLite's PRAGMAs do not tell out of the stored CREATE statements: CHECK constraints, generated
//! columns, collations, deferred foreign keys, and the expressions and conditions of indexes.
//!
//! The statements were accepted by SQLite, so this only has to find things in them, not to judge them.

/// What a CREATE TABLE statement says beyond the PRAGMAs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedTable {
    /// CHECK constraints in order: name and condition.
    pub(super) checks: Vec<(Option<String>, String)>,
    /// Per column definition, in order.
    pub(super) columns: Vec<ParsedColumn>,
    /// Per foreign key, in order of declaration: whether it is deferred to COMMIT.
    pub(super) deferred_foreign_keys: Vec<bool>,
}

/// What a column definition says beyond the PRAGMAs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedColumn {
    pub(super) name: String,
    pub(super) collation: Option<String>,
    pub(super) generated: Option<String>,
}

/// What a CREATE INDEX statement says beyond the PRAGMAs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedIndex {
    /// The text of each part without collation and direction.
    pub(super) parts: Vec<String>,
    pub(super) predicate: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    /// A bare word: keyword or name.
    Word,
    /// A name in quotes.
    Quoted,
    /// Anything else: strings, numbers, punctuation.
    Other,
    Open,
    Close,
    Comma,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// A name without its quotes.
    fn name(&self) -> String {
        let (open, close) = match self.text.chars().next() {
            Some('"') => ("\"", "\"\""),
            Some('`') => ("`", "``"),
            Some('\'') => ("'", "''"),
            Some('[') => return self.text[1..self.text.len() - 1].to_owned(),
            _ => return self.text.to_owned(),
        };
        self.text[1..self.text.len() - 1].replace(close, open)
    }
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let bytes = sql.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = sql[at..].find('\n').map_or(bytes.len(), |length| at + length);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = sql[at + 2..].find("*/").map_or(bytes.len(), |length| at + 2 + length + 2);
                continue;
            }
            quote @ (b'"' | b'`' | b'\'') => {
                at = end_of_quotes(bytes, at, quote);
                if quote == b'\'' { TokenKind::Other } else { TokenKind::Quoted }
            }
            b'[' => {
                at = sql[at..].find(']').map_or(bytes.len(), |length| at + length + 1);
                TokenKind::Quoted
            }
            b'(' => {
                at += 1;
                TokenKind::Open
            }
            b')' => {
                at += 1;
                TokenKind::Close
            }
            b',' => {
                at += 1;
                TokenKind::Comma
            }
            byte if is_word(byte) => {
                while at < bytes.len() && is_word(bytes[at]) {
                    at += 1;
                }
                if byte.is_ascii_digit() { TokenKind::Other } else { TokenKind::Word }
            }
            _ => {
                at += 1;
                TokenKind::Other
            }
        };
        tokens.push(Token { kind, text: &sql[start..at], start });
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The position after a quoted text that starts at `at`; a doubled quote stands for itself.
fn end_of_quotes(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    at += 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

/// The position of the token that closes the parenthesis at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (position, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => {
                depth -= 1;
                if depth == 0 {
                    return position;
                }
            }
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

/// Splits at the commas that stand in no parenthesis.
fn items<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (position, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Comma if depth == 0 => {
                items.push(&tokens[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    items.push(&tokens[start..]);
    items
}

/// The text between the parenthesis at `open` and its counterpart, and the position of the counterpart.
fn inside<'a>(sql: &'a str, tokens: &[Token<'_>], open: usize) -> (&'a str, usize) {
    let close = closing(tokens, open);
    (sql[tokens[open].end()..tokens[close].start].trim(), close)
}

/// Reads a CREATE TABLE statement as stored in `sqlite_schema`.
pub(super) fn create_table(sql: &str) -> ParsedTable {
    let tokens = tokens(sql);
    let mut parsed = ParsedTable::default();
    let Some(open) = tokens.iter().position(|token| token.kind == TokenKind::Open) else { return parsed };
    let close = closing(&tokens, open);
    for item in items(&tokens[open + 1..close]) {
        let Some(first) = item.first() else { continue };
        let is_constraint =
            ["constraint", "primary", "unique", "check", "foreign"].iter().any(|keyword| first.is(keyword));
        let mut column = ParsedColumn { name: first.name(), ..Default::default() };
        read_clauses(sql, item, usize::from(!is_constraint), &mut parsed, &mut column);
        if !is_constraint {
            parsed.columns.push(column);
        }
    }
    parsed
}

/// Finds the clauses of one column definition or table constraint.
fn read_clauses(
    sql: &str,
    item: &[Token<'_>],
    start: usize,
    parsed: &mut ParsedTable,
    column: &mut ParsedColumn,
) {
    let mut constraint_name = None;
    let mut at = start;
    while at < item.len() {
        let token = item[at];
        let next_opens = item.get(at + 1).is_some_and(|next| next.kind == TokenKind::Open);
        if token.is("constraint") {
            constraint_name = item.get(at + 1).map(Token::name);
            at += 2;
            continue;
        }
        if token.is("check") && next_opens {
            let (condition, close) = inside(sql, item, at + 1);
            parsed.checks.push((constraint_name.take(), condition.to_owned()));
            at = close + 1;
            continue;
        }
        if token.is("as") && next_opens {
            let (expression, close) = inside(sql, item, at + 1);
            column.generated = Some(expression.to_owned());
            at = close + 1;
            continue;
        }
        if token.is("collate") {
            column.collation = item.get(at + 1).map(Token::name);
            at += 2;
            continue;
        }
        if token.is("references") {
            parsed.deferred_foreign_keys.push(false);
        }
        if token.is("initially") && item.get(at + 1).is_some_and(|next| next.is("deferred")) {
            // `NOT DEFERRABLE INITIALLY DEFERRED` is not deferred.
            let negated = at >= 2 && item[at - 1].is("deferrable") && item[at - 2].is("not");
            if let Some(deferred) = parsed.deferred_foreign_keys.last_mut() {
                *deferred = !negated;
            }
        }
        at = if token.kind == TokenKind::Open { closing(item, at) + 1 } else { at + 1 };
    }
}

/// Reads a CREATE INDEX statement as stored in `sqlite_schema`.
pub(super) fn create_index(sql: &str) -> ParsedIndex {
    let tokens = tokens(sql);
    let mut parsed = ParsedIndex::default();
    let Some(open) = tokens.iter().position(|token| token.kind == TokenKind::Open) else { return parsed };
    let close = closing(&tokens, open);
    for item in items(&tokens[open + 1..close]) {
        parsed.parts.push(index_term(sql, item).to_owned());
    }
    if tokens.get(close + 1).is_some_and(|token| token.is("where")) {
        let predicate = sql[tokens[close + 1].end()..].trim().trim_end_matches(';').trim_end();
        parsed.predicate = Some(predicate.to_owned());
    }
    parsed
}

/// What follows the name in a CREATE VIEW statement as stored in `sqlite_schema`: columns, if any, AS and the query.
pub(super) fn create_view(sql: &str) -> &str {
    let tokens = tokens(sql);
    let Some(view) = tokens.iter().position(|token| token.is("view")) else { return "" };
    let is_guarded = tokens.get(view + 1).is_some_and(|token| token.is("if"));
    let name = if is_guarded { view + 4 } else { view + 1 };
    tokens.get(name).map_or("", |name| sql[name.end()..].trim())
}

/// The text of an index part up to its COLLATE, ASC or DESC.
fn index_term<'a>(sql: &'a str, item: &[Token<'_>]) -> &'a str {
    let mut depth = 0_usize;
    let mut last = None;
    for token in item {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ if depth == 0 && ["collate", "asc", "desc"].iter().any(|keyword| token.is(keyword)) => break,
            _ => {}
        }
        last = Some(token);
    }
    match (item.first(), last) {
        (Some(first), Some(last)) => sql[first.start..last.end()].trim(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_found_on_columns_and_on_the_table() {
        let parsed = create_table(
            r#"CREATE TABLE "t" (a int CHECK (a > 0), b text default ('x, check (1)') constraint "b ok" check(b <> ')'),
               /* check (no) */ -- check (no)
               CONSTRAINT both CHECK ((a > 1) or (b = 'y')), primary key (a))"#,
        );
        assert_eq!(
            parsed.checks,
            [
                (None, "a > 0".to_owned()),
                (Some("b ok".to_owned()), "b <> ')'".to_owned()),
                (Some("both".to_owned()), "(a > 1) or (b = 'y')".to_owned()),
            ]
        );
        let names: Vec<&str> = parsed.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn collations_and_generated_columns_are_found() {
        let parsed = create_table(
            "create table t(a text collate nocase, b text as (upper(a)) stored, c generated always as (a || ',') virtual)",
        );
        assert_eq!(parsed.columns[0].collation.as_deref(), Some("nocase"));
        assert_eq!(parsed.columns[1].generated.as_deref(), Some("upper(a)"));
        assert_eq!(parsed.columns[2].generated.as_deref(), Some("a || ','"));
    }

    #[test]
    fn deferred_foreign_keys_are_told_from_immediate_ones() {
        let parsed = create_table(
            "create table t(a references p deferrable initially deferred, b references p,
             foreign key (a, b) references q (x, y) not deferrable initially deferred,
             foreign key (a) references q on delete cascade deferrable initially immediate)",
        );
        assert_eq!(parsed.deferred_foreign_keys, [true, false, false, false]);
    }

    #[test]
    fn a_quoted_name_that_spells_a_keyword_is_a_column() {
        let parsed = create_table(r#"create table t("check" text, [primary] int, `a``b` int, "c""d")"#);
        let names: Vec<&str> = parsed.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["check", "primary", "a`b", "c\"d"]);
        assert_eq!(parsed.checks, []);
    }

    #[test]
    fn the_query_of_a_view_follows_its_name() {
        assert_eq!(create_view("CREATE VIEW [a b] AS select 1"), "AS select 1");
        assert_eq!(create_view("create view if not exists \"as\"(x) as select 1"), "(x) as select 1");
        assert_eq!(create_view("CREATE VIEW v /* c */ as select 'view'"), "/* c */ as select 'view'");
    }

    #[test]
    fn index_parts_and_predicates_are_found() {
        let parsed = create_index(
            "create unique index \"i (x)\" on t (lower(a) collate nocase desc, b asc, coalesce(c, ',')) where b > 0 and c is not null",
        );
        assert_eq!(parsed.parts, ["lower(a)", "b", "coalesce(c, ',')"]);
        assert_eq!(parsed.predicate.as_deref(), Some("b > 0 and c is not null"));
        assert_eq!(create_index("create index i on t(a)").predicate, None);
    }
}
