//! A PostgreSQL of a test's own: it may be killed, and configured as nobody else wants it.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::{Connection, SimpleConnection};
use tempfile::TempDir;

/// A running cluster; stopped and removed at the end.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    settings: String,
    environment: Vec<(String, String)>,
}

/// The user that runs PostgreSQL where the tests run as root, which it refuses: `nobody`.
const UNPRIVILEGED: u32 = 65_534;

impl Cluster {
    /// None where PostgreSQL's server programs are not installed, which in CI they must be.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[], &[], |_| {})
    }

    /// With settings and environment variables of its own; `prepare` is handed the folder of its data before it
    /// starts, which belongs to whom the server runs as.
    pub(crate) fn start_with(
        settings: &[&str],
        environment: &[(&str, &str)],
        prepare: impl FnOnce(&Self),
    ) -> Option<Self> {
        let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
        let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let candidates =
            on_path.unwrap_or_default().into_iter().chain(installed.map(|entry| entry.path().join("bin")));
        let Some(programs) = candidates.into_iter().find(|folder| folder.join("initdb").exists()) else {
            assert!(std::env::var_os("CI").is_none(), "in CI PostgreSQL's server must be installed");
            eprintln!("skipped: PostgreSQL's server is not installed");
            return None;
        };
        // A socket's path must be short.
        let folder = TempDir::with_prefix_in("dr-pg-", "/tmp").expect("a folder");
        let settings = settings.iter().map(|setting| format!(" -c {setting}")).collect();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = environment.iter().map(owned).collect();
        let cluster = Self { programs, folder, settings, environment };
        if cluster.is_root() {
            chown(cluster.folder.path(), Some(UNPRIVILEGED), None).expect("given away");
        }
        cluster.run(
            "initdb",
            &["--no-sync", "--auth=trust", "--username=postgres", "--pgdata", &cluster.data()],
        );
        prepare(&cluster);
        cluster.start_again();
        Some(cluster)
    }

    /// Hands a file to whom the server runs as.
    #[cfg(feature = "tls")]
    pub(crate) fn give(&self, path: &Path) {
        if self.is_root() {
            chown(path, Some(UNPRIVILEGED), None).expect("given away");
        }
    }

    fn is_root(&self) -> bool {
        let id = Command::new("id").arg("-u").output().expect("id runs");
        id.stdout == b"0\n"
    }

    pub(crate) fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if self.is_root() {
            command.uid(UNPRIVILEGED);
        }
        command.stderr(Stdio::null()).status().expect("the program runs").success()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(self.try_run(program, arguments), "{program} {arguments:?}");
    }

    /// Starts, once what is left of a killed one has gone. Commits are synchronous: what is acknowledged survives a
    /// kill of the processes. (`fsync` is for the death of the machine.)
    pub(crate) fn start_again(&self) {
        let folder = self.folder.path().display();
        let options = format!("-k {folder} -c listen_addresses= -c fsync=off{}", self.settings);
        let log = self.folder.path().join("log").display().to_string();
        let started = Instant::now();
        while !self.try_run(
            "pg_ctl",
            &["start", "--wait", "--pgdata", &self.data(), "--log", &log, "--options", &options],
        ) {
            assert!(started.elapsed() < Duration::from_secs(60), "{:?}", fs::read_to_string(&log));
        }
    }

    /// Kills the postmaster, as a machine that runs out of memory may.
    pub(crate) fn kill(&self) {
        let pid =
            fs::read_to_string(Path::new(&self.data()).join("postmaster.pid")).expect("a running server");
        let pid = pid.lines().next().expect("a process id");
        assert!(Command::new("kill").args(["-9", pid]).status().expect("kill runs").success());
    }

    /// Runs statements as the superuser, past the engine.
    pub(crate) fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).expect("the statements run");
    }

    /// A connection of the superuser.
    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).expect("connected")
    }

    /// The URL for the superuser, who may connect without a password.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@/postgres?host={}", self.folder.path().display())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.try_run("pg_ctl", &["stop", "--mode=immediate", "--pgdata", &self.data()]);
    }
}
