//! The container file and the compose file say what the workspace and the program say. They are not run here: this
//! is what a linter would look for, and what only this project knows.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The instructions of the container file, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = read("Containerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

fn of<'a>(instructions: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(found, _)| found == name).map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn the_container_file_builds_with_the_oldest_rust_that_the_workspace_takes() {
    let manifest = read("Cargo.toml");
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let instructions = instructions();
    let images = of(&instructions, "FROM");
    assert!(images[0].contains(&format!("rust:{version}-")), "{images:?}");
    assert!(
        of(&instructions, "RUN").iter().any(|run| run.contains("cargo build") && run.contains("--locked"))
    );
}

#[test]
fn the_container_file_follows_the_rules_for_images() {
    let instructions = instructions();
    const KNOWN: [&str; 12] = [
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "USER",
        "VOLUME",
        "EXPOSE",
        "ENV",
        "ENTRYPOINT",
        "CMD",
        "LABEL",
        "ARG",
    ];
    for (name, rest) in &instructions {
        assert!(KNOWN.contains(&name.as_str()), "{name} {rest}");
    }
    for image in of(&instructions, "FROM") {
        let image = image.split(' ').next().unwrap();
        let tag = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag")).1;
        assert_ne!(tag, "latest", "{image}");
        assert_eq!(image.matches('/').count(), 2, "{image} names its registry");
    }
    for run in of(&instructions, "RUN").into_iter().filter(|run| run.contains("apt-get install")) {
        for part in ["apt-get update", " -y ", "--no-install-recommends", "rm -rf /var/lib/apt/lists/*"] {
            assert!(run.contains(part), "`{part}` is missing: {run}");
        }
    }
    let user: u32 =
        of(&instructions, "USER").last().unwrap().parse().expect("a number, so that it can be checked");
    assert_ne!(user, 0, "not root");
    for folder in of(&instructions, "WORKDIR") {
        assert!(folder.starts_with('/'), "{folder}");
    }
    for command in of(&instructions, "ENTRYPOINT").into_iter().chain(of(&instructions, "CMD")) {
        assert!(command.starts_with('['), "signals reach the program only in this form: {command}");
    }
}

#[test]
fn variables_in_the_deployment_files_are_those_that_the_program_reads() {
    let program = read("crates/cli/src/args.rs") + &read("crates/cli/src/credentials.rs");
    let ours = ["BIND_ADDR", "DATABASE_URL", "DEMO_USER_PASSWORD"];
    for name in ours {
        assert!(program.contains(&format!("\"{name}\"")), "{name}");
    }
    for (name, rest) in instructions().iter().filter(|(name, _)| name == "ENV") {
        for variable in rest.split(' ') {
            assert!(ours.contains(&variable.split('=').next().unwrap()), "{name} {variable}");
        }
    }
}

#[test]
fn the_compose_file_is_well_formed_and_gives_no_password_away() {
    let text = read("compose.yaml");
    let mut levels = vec![0];
    let mut services = BTreeSet::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        assert!(!line.contains('\t') && line.trim_end() == line, "{line:?}");
        let indent = line.len() - line.trim_start().len();
        assert_eq!(indent % 2, 0, "{line}");
        assert!(indent <= levels.last().unwrap() + 2, "{line}");
        levels.push(indent);
        if indent == 0 {
            section = line.trim_end_matches(':').to_owned();
        } else if indent == 2 && section == "services" {
            services.insert(line.trim().trim_end_matches(':').to_owned());
        }
        if let Some(image) = line.trim().strip_prefix("image: ") {
            let tag = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag")).1;
            assert_ne!(tag, "latest", "{image}");
        }
        // A secret comes from the environment of whoever starts it, and its absence is an error.
        if let Some((name, value)) = line.trim().split_once(": ") {
            let secret = name.ends_with("PASSWORD") || value.contains("postgres://");
            assert!(!secret || value.contains(":?"), "{line}");
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "depends_on:") {
        let on = lines[at + 1].trim_end_matches(':');
        assert!(services.contains(on), "{on} is no service");
    }
    assert!(lines.contains(&"dockerfile: Containerfile"));
    // The server's login is not the owner.
    assert!(text.contains("DATABASE_URL: postgres://demo_server:"));
}
