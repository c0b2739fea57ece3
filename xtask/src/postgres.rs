//! A PostgreSQL of its own for the tests and the benchmarks: a fresh cluster in a temporary folder, reached by a socket only.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::Failure;

/// The user that runs the server where the tests run as root, which PostgreSQL refuses: `nobody`.
const UNPRIVILEGED: u32 = 65_534;

/// A running cluster; stopped and removed when dropped.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
}

/// The folder with `initdb` and `pg_ctl`: on the path, or where Debian keeps it.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let candidates = on_path.unwrap_or_default().into_iter().chain(versions.into_iter().rev());
    candidates.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}

impl Cluster {
    /// Starts a cluster with these settings; none where PostgreSQL's server programs are not installed.
    pub(crate) fn start(settings: &[&str]) -> Result<Option<Self>, Failure> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder = std::env::temp_dir().join(format!("demo-reset-postgres-{}", std::process::id()));
        let failed = |e: std::io::Error| Failure::Other(format!("{}: {e}", folder.display()));
        fs::create_dir(&folder).map_err(failed)?;
        let cluster = Self { programs, folder: folder.clone() };
        if cluster.runs_as_root()? {
            chown(&folder, Some(UNPRIVILEGED), None).map_err(failed)?;
        }
        let data = folder.join("data");
        cluster
            .run("initdb", &["--no-sync", "--auth=trust", "--username=postgres", "--pgdata", &text(&data)])?;
        let settings: String = settings.iter().map(|setting| format!(" -c {setting}")).collect();
        let options = format!("-k {} -c listen_addresses={settings}", folder.display());
        let log = text(&folder.join("log"));
        cluster.run(
            "pg_ctl",
            &["start", "--wait", "--pgdata", &text(&data), "--log", &log, "--options", &options],
        )?;
        Ok(Some(cluster))
    }

    /// Where it listens, as the superuser.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@/postgres?host={}", self.folder.display())
    }

    fn runs_as_root(&self) -> Result<bool, Failure> {
        let owner = fs::metadata(&self.folder).map_err(|e| Failure::Other(e.to_string()))?.uid();
        Ok(owner == 0)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let owner = fs::metadata(&self.folder).map_err(|e| Failure::Other(e.to_string()))?.uid();
        if owner == UNPRIVILEGED {
            command.uid(UNPRIVILEGED);
        }
        let status = command.status().map_err(|e| Failure::Other(format!("{program} did not start: {e}")))?;
        if status.success() { Ok(()) } else { Err(Failure::Command { command: program.to_owned(), status }) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A cluster that did not start cannot be stopped; the folder goes either way.
        let _ =
            self.run("pg_ctl", &["stop", "--mode=immediate", "--pgdata", &text(&self.folder.join("data"))]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
