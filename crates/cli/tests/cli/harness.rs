//! Runs the binary and looks at what it answers.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use diesel::PgConnection;
use diesel::connection::{Connection, SimpleConnection};
use diesel::sqlite::SqliteConnection;
use serde_json::Value;
use tempfile::TempDir;

/// The password of the demo users in every test.
pub(crate) const PASSWORD: &str = "correct horse";

/// Where tests keep their files: one file system, so that seeded bases can be linked.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// Where a PostgreSQL for tests listens, with a login that may create databases and roles. `cargo xtask test`
/// starts one and sets this.
const POSTGRES_VARIABLE: &str = "DEMO_RESET_TEST_POSTGRES";

impl Backend {
    /// Whether tests can run on it here. In CI they must.
    pub(crate) fn is_there(self) -> bool {
        if self == Self::Sqlite || std::env::var_os(POSTGRES_VARIABLE).is_some() {
            return true;
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "{POSTGRES_VARIABLE} is not set: `cargo xtask test` sets it"
        );
        eprintln!("skipped on PostgreSQL: {POSTGRES_VARIABLE} is not set; run `cargo xtask test`");
        false
    }
}

/// Makes one test for each database.
macro_rules! on_each_database {
    (fn $name:ident($backend:ident) $body:block) => {
        mod $name {
            use super::*;

            fn run($backend: $crate::harness::Backend) $body

            #[test]
            fn sqlite() {
                run($crate::harness::Backend::Sqlite);
            }

            #[test]
            fn postgres() {
                if $crate::harness::Backend::Postgres.is_there() {
                    run($crate::harness::Backend::Postgres);
                }
            }
        }
    };
}
pub(crate) use on_each_database;

/// A folder of its own with a database to be.
pub(crate) struct Demo {
    folder: TempDir,
    /// The name of the database on the test server.
    postgres: Option<String>,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Demo {
    /// Nothing there yet.
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new_in(SCRATCH).expect("a temporary folder"), postgres: None }
    }

    fn on_postgres(name: String) -> Self {
        let mut demo = Self::new();
        demo.postgres = Some(name);
        demo
    }

    /// Nothing there yet, on either database.
    pub(crate) fn new_on(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::new(),
            Backend::Postgres => {
                let name = unique_name();
                on_server(&format!("create database {name}"));
                Self::on_postgres(name)
            }
        }
    }

    /// A seeded database of its own, on either database.
    pub(crate) fn seeded_on(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::seeded(),
            Backend::Postgres => {
                let name = unique_name();
                on_server(&format!(
                    "create database {name} template {} strategy file_copy",
                    postgres_template()
                ));
                Self::on_postgres(name)
            }
        }
    }

    /// The database's URL, as whoever owns it.
    pub(crate) fn url(&self) -> String {
        match &self.postgres {
            Some(name) => server_url(name),
            None => format!("sqlite://{}", self.base().display()),
        }
    }

    /// The database's URL for another login of the test server.
    pub(crate) fn url_as(&self, login: &str) -> String {
        let url = self.url();
        let mark = if url.contains('?') { '&' } else { '?' };
        format!("{url}{mark}user={login}&password=secret")
    }

    /// A seeded database of its own. Seeding takes seconds, so it happens once per build of the binary; the base
    /// file is never written and so can be shared.
    pub(crate) fn seeded() -> Self {
        let demo = Self::new();
        let template = template();
        fs::hard_link(template.join("demo.db"), demo.base()).expect("linked");
        fs::copy(template.join("demo.sessions.db"), demo.path("demo.sessions.db")).expect("copied");
        demo
    }

    /// Runs statements in a database file of this folder, past the engine.
    pub(crate) fn execute(&self, file: &str, sql: &str) {
        let path = self.path(file);
        let mut conn = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a database");
        conn.batch_execute(sql).expect("the statements run");
    }

    /// Runs statements in the base, past the engine, as whoever owns it.
    pub(crate) fn execute_in_base(&self, sql: &str) {
        match &self.postgres {
            Some(name) => {
                let mut conn = PgConnection::establish(&server_url(name)).expect("connected");
                conn.batch_execute(sql).expect("the statements run");
            }
            None => self.execute("demo.db", sql),
        }
    }

    /// A connection of PostgreSQL's owner that has run a statement in a transaction, which stays open until it is
    /// dropped.
    pub(crate) fn hold(&self, sql: &str) -> PgConnection {
        let name = self.postgres.as_ref().expect("a database on PostgreSQL");
        let mut conn = PgConnection::establish(&server_url(name)).expect("connected");
        conn.batch_execute(&format!("begin; {sql}")).expect("the statement runs");
        conn
    }

    /// A value that PostgreSQL's owner reads past the engine.
    pub(crate) fn value(&self, sql: &str) -> String {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            value: String,
        }
        let name = self.postgres.as_ref().expect("a database on PostgreSQL");
        let mut conn = PgConnection::establish(&server_url(name)).expect("connected");
        let query = diesel::sql_query(format!("select ({sql})::text as value"));
        diesel::RunQueryDsl::get_result::<Row>(query, &mut conn).expect("a row").value
    }

    /// A server on this database.
    pub(crate) fn serve(&self) -> Server {
        self.serve_at(&self.url())
    }

    /// A server on a database of this URL.
    pub(crate) fn serve_at(&self, url: &str) -> Server {
        let mut command = self.command(&["serve", "--bind", "127.0.0.1:0"]);
        Server::start(command.env("DATABASE_URL", url).env("DEMO_USER_PASSWORD", PASSWORD))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The base file.
    pub(crate) fn base(&self) -> PathBuf {
        self.path("demo.db")
    }

    /// The binary with these arguments on this database, environment and working folder of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo-reset"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", self.url())
            .env_remove("BIND_ADDR")
            .env_remove("DEMO_USER_PASSWORD")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(&mut self.command(arguments))
    }

    /// Every file of the folder with its bytes, to see that nothing was touched.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(self.folder.path())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(name) = &self.postgres {
            on_server(&format!("drop database {name} with (force)"));
        }
    }
}

/// A login of the test server that is no more than a member of the application role; removed at the end.
pub(crate) struct Login {
    pub(crate) name: String,
}

impl Login {
    pub(crate) fn new() -> Self {
        let name = format!("login_{}", unique_name());
        on_server(&format!("create role {name} login password 'secret' in role demo_app"));
        Self { name }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        on_server(&format!("drop role {}", self.name));
    }
}

fn server() -> String {
    std::env::var(POSTGRES_VARIABLE).expect("the server for tests")
}

/// The URL of a database of the test server.
fn server_url(name: &str) -> String {
    let server = server();
    let (url, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = url.rsplit_once('/').expect("a URL");
    if query.is_empty() { format!("{host}/{name}") } else { format!("{host}/{name}?{query}") }
}

/// Runs statements on the test server.
pub(crate) fn on_server(sql: &str) {
    PgConnection::establish(&server()).expect("connected").batch_execute(sql).expect("the statements run");
}

fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("cli{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A database with the seeded demo, made by the first test of this run. It stays for no longer than until the next
/// run of the same binary.
fn postgres_template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        env!("CARGO_BIN_EXE_demo-reset").hash(&mut hasher);
        let name = format!("demo_reset_cli_{:x}", hasher.finish());
        on_server(&format!("drop database if exists {name} with (force)"));
        on_server(&format!("create database {name}"));
        let mut demo = Demo::on_postgres(name.clone());
        let mut seed = demo.command(&["seed", "--as-of", "2026-02-02"]);
        Answer::of(seed.env("DEMO_USER_PASSWORD", PASSWORD)).succeeds();
        demo.postgres = None;
        name
    })
}

/// A folder with a seeded database, made by whichever test comes first.
fn template() -> PathBuf {
    let binary = fs::metadata(env!("CARGO_BIN_EXE_demo-reset")).expect("the binary");
    let built = binary.modified().expect("a time").duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let name = format!("seeded-{built}");
    let template = Path::new(SCRATCH).join(&name);
    if template.exists() {
        return template;
    }
    for entry in fs::read_dir(SCRATCH).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|other| other.to_string_lossy().starts_with("seeded-")) {
            // Of an earlier build; another test may have removed it already.
            let _ = fs::remove_dir_all(path);
        }
    }
    let demo = Demo::new();
    let mut seed = demo.command(&["seed", "--as-of", "2026-02-02"]);
    Answer::of(seed.env("DEMO_USER_PASSWORD", PASSWORD)).succeeds();
    // Whoever renames first wins; the others use what is there.
    if fs::rename(demo.folder.path(), &template).is_err() {
        assert!(template.exists());
    }
    template
}

/// A server that is stopped at the end.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
}

impl Server {
    /// Starts and waits until it says where it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::of(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs"))
    }

    /// A server that was started; waits until it says where it listens.
    pub(crate) fn of(mut process: Child) -> Self {
        let mut line = String::new();
        let stdout = process.stdout.take().expect("stdout");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit("http://").next().unwrap_or_default().to_owned();
        assert!(line.starts_with("serving ") && address.starts_with("127.0.0.1:"), "{line:?}");
        Self { process, address }
    }

    /// Kills it, as a machine that loses power does.
    pub(crate) fn kill(&self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-9", &id]).status().expect("kill runs").success());
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.process.wait().expect("it ends").code()
    }

    /// Sends a signal by its name and waits for the exit code.
    pub(crate) fn stop(self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// The same signed-in user on this server.
    pub(crate) fn with_token_of(&self, other: &User<'_>) -> User<'_> {
        User { server: self, token: other.token.clone() }
    }

    /// Signs a user in.
    pub(crate) fn sign_in(&self, email: &str) -> User<'_> {
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        let (status, answer) = self.request("POST", "/api/v1/auth/login", None, &body);
        assert_eq!(status, 200, "{answer}");
        User { server: self, token: answer["accessToken"].as_str().expect("a token").to_owned() }
    }

    fn request(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        let authorization =
            token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let content = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{authorization}{content}\
             content-length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(!head.to_lowercase().contains("chunked"), "{head}");
        (status, if body.is_empty() { Value::Null } else { serde_json::from_str(body).expect("JSON") })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A signed-in user.
pub(crate) struct User<'s> {
    server: &'s Server,
    pub(crate) token: String,
}

impl User<'_> {
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.server.request(method, &format!("/api/v1{path}"), Some(&self.token), body)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, answer) = self.request("GET", path, "");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The id of the newest case that the user sees.
    pub(crate) fn newest_case(&self) -> String {
        self.get("/cases?limit=1")["items"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// Edits a case.
    #[track_caller]
    pub(crate) fn edit_case(&self, id: &str, summary: &str) {
        let body = format!(r#"{{"summary":"{summary}"}}"#);
        let (status, answer) = self.request("PATCH", &format!("/cases/{id}"), &body);
        assert_eq!(status, 200, "{answer}");
    }
}

fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push((path.clone(), std::fs::read(path).expect("a readable file")));
        }
    }
    files.sort();
    files
}

impl Answer {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("the binary writes UTF-8");
        Self { code: status.code().expect("an exit code"), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Succeeded; gives what it wrote to stdout.
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Failed with this code and one line on stderr that says each of these things.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("demo-reset: "), "{self:?}");
        for text in said {
            assert!(self.stderr.contains(text), "`{text}` is missing: {self:?}");
        }
    }
}
