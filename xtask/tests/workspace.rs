//! The rules of the workspace: which crate may touch what (the table in `docs/architecture.md`), where
//! dependencies are declared, and what the sources of a crate must not hold.

#![allow(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What one crate may depend on.
struct Rule {
    package: &'static str,
    /// The workspace's own crates that it may use; a crate not named here is above it or beside it.
    own: &'static [&'static str],
    others: Others,
}

enum Others {
    /// Nothing from outside but these.
    Only(&'static [&'static str]),
    /// Anything but names that start so. Tests and benchmarks (dev-dependencies) may use them.
    Never(&'static [&'static str]),
}

const DOMAIN: &str = "demo-reset-domain";
const PERSISTENCE: &str = "demo-reset-persistence";
const COMPLIANCE: &str = "demo-reset-compliance";
const API: &str = "demo-reset-api";
const CLI: &str = "demo-reset-cli";
const FAULTS: &str = "sqlite-faults";

const RULES: &[Rule] = &[
    Rule { package: DOMAIN, own: &[], others: Others::Only(&["chrono", "thiserror", "uuid"]) },
    Rule {
        package: PERSISTENCE,
        own: &[DOMAIN],
        others: Others::Never(&["actix", "anyhow", "clap", "env_logger", "getrandom", "hyper", "utoipa"]),
    },
    Rule {
        package: COMPLIANCE,
        own: &[DOMAIN, PERSISTENCE],
        others: Others::Never(&["actix", "anyhow", "clap", "env_logger", "getrandom", "hyper", "utoipa"]),
    },
    Rule {
        package: API,
        own: &[DOMAIN, PERSISTENCE, COMPLIANCE],
        others: Others::Never(&[
            "anyhow",
            "clap",
            "diesel",
            "env_logger",
            "libsqlite3-sys",
            "pq-sys",
            "r2d2",
        ]),
    },
    Rule {
        package: CLI,
        own: &[DOMAIN, PERSISTENCE, COMPLIANCE, API],
        others: Others::Never(&["actix", "diesel", "hyper", "libsqlite3-sys", "pq-sys", "r2d2"]),
    },
    Rule {
        package: "music-shop",
        own: &[DOMAIN, PERSISTENCE, API],
        others: Others::Never(&["anyhow", "clap", "getrandom", "hyper"]),
    },
    // What it does needs unsafe code, and only tests may use it: see `unsafe_code_is_in_one_package_for_tests`.
    Rule { package: FAULTS, own: &[], others: Others::Only(&["libsqlite3-sys"]) },
    Rule {
        package: "fuzz-targets",
        own: &[DOMAIN, PERSISTENCE, COMPLIANCE],
        others: Others::Never(&["actix"]),
    },
    Rule { package: "xtask", own: &[], others: Others::Only(&["serde_json", "toml"]) },
];

/// Copyleft and unmaintained crates that would slip in easily; `deny.toml` holds the whole policy.
const BANNED: &[&str] = &["actix-governor"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// What is wrong with the dependencies of one package, by its rule.
fn broken_dependencies(package: &Value, rule: &Rule) -> Vec<String> {
    let mut wrong = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let name = text(dependency, "name");
        let is_dev = text(dependency, "kind") == "dev";
        let allowed = if name.starts_with("demo-reset") || name == "xtask" {
            rule.own.contains(&name)
        } else {
            !BANNED.contains(&name)
                && match rule.others {
                    Others::Only(names) => names.contains(&name),
                    Others::Never(prefixes) => {
                        is_dev || !prefixes.iter().any(|prefix| name.starts_with(prefix))
                    }
                }
        };
        if !allowed {
            wrong.push(format!("{} may not depend on {name}", rule.package));
        }
    }
    wrong
}

#[test]
fn crates_depend_only_on_what_they_may_touch() {
    let packages = packages();
    let mut wrong = Vec::new();
    for package in &packages {
        match RULES.iter().find(|rule| rule.package == text(package, "name")) {
            Some(rule) => wrong.extend(broken_dependencies(package, rule)),
            None => wrong.push(format!("{} has no rule: say here what it may use", text(package, "name"))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(packages.len(), RULES.len(), "a rule for a package that does not exist");
}

#[test]
fn a_broken_dependency_is_noticed() {
    let package = serde_json::json!({ "dependencies": [
        { "name": "demo-reset-compliance", "kind": null },
        { "name": "actix-web", "kind": null },
        { "name": "actix-rt", "kind": "dev" },
        { "name": "diesel", "kind": null },
        { "name": "actix-governor", "kind": "dev" },
    ]});
    let wrong = broken_dependencies(&package, &RULES[1]);
    assert_eq!(
        wrong,
        [
            "demo-reset-persistence may not depend on demo-reset-compliance",
            "demo-reset-persistence may not depend on actix-web",
            "demo-reset-persistence may not depend on actix-governor",
        ]
    );
}

#[test]
fn unsafe_code_is_in_one_package_for_tests() {
    let workspace = manifest(&root().join("Cargo.toml"));
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for package in packages() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let is_dev = text(dependency, "kind") == "dev";
            assert!(text(dependency, "name") != FAULTS || is_dev, "{}", text(&package, "name"));
        }
    }
}

fn manifest(path: &Path) -> toml::Table {
    fs::read_to_string(path).expect("a manifest").parse().expect("TOML")
}

/// Every table of dependencies in a manifest: plain, dev, build, and those of targets.
fn dependency_tables(manifest: &toml::Table) -> Vec<&toml::Table> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(|targets| targets.values()).filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|name| table.get(name))
        })
        .flatten()
        .filter_map(toml::Value::as_table)
        .collect()
}

fn from_workspace(value: Option<&toml::Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

#[test]
fn dependencies_are_declared_once_and_lints_apply_everywhere() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for package in packages() {
        let path = PathBuf::from(text(&package, "manifest_path"));
        let manifest = manifest(&path);
        let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        if text(&package, "name") != FAULTS && !from_workspace(manifest.get("lints")) {
            wrong.push(format!("{shown}: [lints] workspace = true is missing"));
        }
        for (name, value) in dependency_tables(&manifest).into_iter().flatten() {
            if !from_workspace(Some(value)) {
                wrong.push(format!("{shown}: {name} is declared outside [workspace.dependencies]"));
            }
            used.insert(name.clone());
        }
    }
    let workspace = manifest(&root().join("Cargo.toml"));
    let declared = workspace["workspace"]["dependencies"].as_table().expect("[workspace.dependencies]");
    for name in declared.keys().filter(|name| !used.contains(*name)) {
        wrong.push(format!("Cargo.toml: no crate uses {name}"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A source file without its comments: the code, with every string literal taken out, and the literals.
struct Source {
    path: String,
    code: String,
    literals: Vec<String>,
}

impl Source {
    /// Reads Rust just well enough to tell comments, strings and code apart. What follows `#[cfg(test)]` is left
    /// out: tests may name what the code must not.
    fn parse(path: &str, text: &str) -> Self {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let (mut code, mut literals) = (String::new(), Vec::new());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if rest.starts_with("//") {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            } else if rest.starts_with("/*") {
                rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
            } else if let Some(hashes) = raw_string_hashes(rest, &code) {
                let body = &rest[hashes + 2..];
                let end = format!("\"{}", "#".repeat(hashes));
                let length = body.find(&end).unwrap_or(body.len());
                literals.push(body[..length].to_owned());
                rest = body.get(length + end.len()..).unwrap_or_default();
            } else if c == '"' {
                let length = string_length(&rest[1..]);
                literals.push(rest[1..=length].to_owned());
                rest = rest.get(length + 2..).unwrap_or_default();
            } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
                rest = rest.split_once("\"'").map_or("", |(_, rest)| rest);
            } else {
                code.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        Self { path: path.to_owned(), code, literals }
    }
}

/// How many `#` open a raw string here, if one starts here.
fn raw_string_hashes(rest: &str, before: &str) -> Option<usize> {
    let inside_a_word = before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_');
    let after = rest.strip_prefix('r').filter(|_| !inside_a_word)?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The bytes before the quote that ends a string.
fn string_length(body: &str) -> usize {
    let mut escaped = false;
    body.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
    .unwrap_or(body.len())
}

/// Every source file below `folder` of the workspace.
fn sources(folder: &str) -> Vec<Source> {
    let mut open = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            found.push(Source::parse(&shown, &fs::read_to_string(&path).expect("UTF-8")));
        }
    }
    assert!(!found.is_empty(), "{folder} holds no source");
    found
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether a literal names `table` as SQL or as a name by itself; prose may use the word.
fn names_table(literal: &str, table: &str) -> bool {
    const BEFORE_A_TABLE: &[&str] = &["from", "into", "join", "on", "references", "table", "update"];
    let words = words(literal);
    words.len() == 1 && words[0] == table
        || words.windows(2).any(|pair| pair[1] == table && BEFORE_A_TABLE.contains(&pair[0].as_str()))
}

/// Whether a literal is a statement in SQL.
fn is_sql(literal: &str) -> bool {
    let words = words(literal);
    let has = |word: &str| words.iter().any(|other| other == word);
    let first_two = (words.first().map_or("", String::as_str), words.get(1).map_or("", String::as_str));
    match first_two {
        ("select", _) => has("from"),
        ("update", _) => has("set"),
        ("insert" | "replace", "into" | "or") | ("delete", "from") => true,
        ("create" | "drop" | "alter", kind) => {
            matches!(kind, "table" | "view" | "index" | "trigger" | "unique" | "temp" | "schema")
        }
        ("begin", "immediate" | "transaction") | ("pragma", _) => true,
        _ => false,
    }
}

#[test]
fn sources_are_read_as_rust_reads_them() {
    let source = Source::parse(
        "a.rs",
        r##"let a = "x \" y"; // "not this"
let b = r#"raw " text"#; let c = '"'; for_r("z"); /* "nor this" */ done
#[cfg(test)] mod tests { "never" }"##,
    );
    assert_eq!(source.literals, [r#"x \" y"#, r#"raw " text"#, "z"]);
    assert_eq!(words(&source.code), ["let", "a", "let", "b", "let", "c", "for_r", "done"]);
}

#[test]
fn sql_and_table_names_are_told_from_prose() {
    assert!(is_sql("select 1 from cases"));
    assert!(is_sql("  UPDATE cases SET status = 'NEW'"));
    assert!(is_sql("pragma journal_mode = wal"));
    assert!(!is_sql("select a user"));
    assert!(!is_sql("update the base"));
    assert!(names_table("cases", "cases"));
    assert!(names_table("insert into main.x select * from \"cases\"", "cases"));
    assert!(!names_table("in both cases", "cases"));
}

#[test]
fn the_engine_names_no_table_of_the_demo() {
    let schema = fs::read_to_string(root().join("crates/compliance/src/schema.rs")).expect("the schema");
    let tables: Vec<&str> = schema
        .lines()
        .map(str::trim)
        .filter(|line| line.split_once(" (").is_some_and(|(_, rest)| rest.ends_with(") {")))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(tables.contains(&"cases") && tables.contains(&"audit_logs"), "{tables:?}");
    let wrong: Vec<String> = sources("crates/persistence/src")
        .iter()
        .flat_map(|source| source.literals.iter().map(move |literal| (source, literal)))
        .flat_map(|(source, literal)| tables.iter().map(move |table| (source, literal, table)))
        .filter(|(_, literal, table)| names_table(literal, table))
        .map(|(source, literal, table)| format!("{}: `{table}` in {literal:?}", source.path))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_domain_knows_no_clock_and_no_randomness() {
    const NEVER: &[&str] =
        &["systemtime", "instant", "utc::now", "local::now", "new_v4", "now_v7", "getrandom"];
    for source in sources("crates/domain/src") {
        let code = source.code.to_lowercase();
        let found: Vec<_> = NEVER.iter().filter(|word| code.contains(**word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", source.path);
    }
}

#[test]
fn the_server_and_the_command_line_hold_no_sql() {
    for folder in ["crates/api/src", "crates/cli/src"] {
        for source in sources(folder) {
            let found: Vec<_> = source.literals.iter().filter(|literal| is_sql(literal)).collect();
            assert!(found.is_empty(), "{}: {found:?}", source.path);
        }
    }
}
