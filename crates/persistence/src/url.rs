//! Which database: `sqlite://PATH` or `postgres://…`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// The base file; the sessions file stands beside it.
    Sqlite(PathBuf),
    /// A PostgreSQL connection URL, as libpq takes it.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let Some(path) = text.strip_prefix("sqlite://") else {
            return Err(Error::InvalidUrl { reason: "its scheme is neither sqlite nor postgres".to_owned() });
        };
        if path.is_empty() || path.ends_with('/') {
            return Err(Error::InvalidUrl {
                reason: "sqlite:// must be followed by the path of a file".to_owned(),
            });
        }
        if path.contains('\0') {
            return Err(Error::InvalidUrl { reason: "the path holds the character U+0000".to_owned() });
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl fmt::Display for DatabaseUrl {
    /// Leaves a password out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{user}@{host}")
        }
        None => authority.to_owned(),
    };
    let Some((path, query)) = tail.split_once('?') else { return format!("{scheme}://{authority}{tail}") };
    // libpq takes passwords as parameters too.
    let is_shown = |pair: &&str| !pair.split('=').next().unwrap_or_default().ends_with("password");
    let query: Vec<&str> = query.split('&').filter(is_shown).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}{path}{mark}{}", query.join("&"))
}

/// The sessions file of a base file: `demo.db` has `demo.sessions.db` beside it.
pub fn sessions_file(base: &Path) -> PathBuf {
    let stem = base.file_stem().unwrap_or(base.as_os_str()).to_string_lossy().into_owned();
    let extension = base.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    base.with_file_name(format!("{stem}.sessions{}", extension.unwrap_or_default()))
}

/// A path as SQLite takes it in a `file:` URI.
pub(crate) fn file_uri(path: &Path, query: &str) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'?' | b'#' | b'%' => uri.push_str(&format!("%{byte:02x}")),
            byte if byte.is_ascii_graphic() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str(query);
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_database() {
        assert_eq!(
            "sqlite://data/demo.db".parse::<DatabaseUrl>().ok(),
            Some(DatabaseUrl::Sqlite("data/demo.db".into()))
        );
        assert!(matches!("postgresql://h/d".parse(), Ok(DatabaseUrl::Postgres(_))));
        for wrong in ["", "data/demo.db", "mysql://h/d", "sqlite://", "sqlite://data/", "sqlite:demo.db"] {
            assert!(matches!(wrong.parse::<DatabaseUrl>(), Err(Error::InvalidUrl { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown =
            |url: &str| url.parse::<DatabaseUrl>().map(|url| format!("{url} {url:?}")).unwrap_or_default();
        assert_eq!(
            shown("postgres://ann:s3c@ret@db:5432/demo?x=y"),
            "postgres://ann@db:5432/demo?x=y ".repeat(2).trim()
        );
        assert_eq!(shown("postgres://db/demo"), "postgres://db/demo postgres://db/demo");
        for (url, expected) in [
            ("postgres://db/demo?password=s3cret", "postgres://db/demo"),
            ("postgres:///demo?user=ann&sslpassword=s3cret&host=db", "postgres:///demo?user=ann&host=db"),
        ] {
            assert_eq!(shown(url), format!("{expected} {expected}"));
        }
    }

    #[test]
    fn the_sessions_file_stands_beside_the_base_file() {
        assert_eq!(sessions_file(Path::new("data/demo.db")), PathBuf::from("data/demo.sessions.db"));
        assert_eq!(sessions_file(Path::new("demo")), PathBuf::from("demo.sessions"));
    }

    #[test]
    fn a_file_uri_escapes_what_would_end_the_path() {
        assert_eq!(file_uri(Path::new("/a b/c?d#e%.db"), "?mode=ro"), "file:/a%20b/c%3fd%23e%25.db?mode=ro");
    }
}
