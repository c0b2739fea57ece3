//! Runs the binary and looks at what it answers.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::UNIX_EPOCH;

use diesel::connection::{Connection, SimpleConnection};
use diesel::sqlite::SqliteConnection;
use serde_json::Value;
use tempfile::TempDir;

/// The password of the demo users in every test.
pub(crate) const PASSWORD: &str = "correct horse";

/// Where tests keep their files: one file system, so that seeded bases can be linked.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// A folder of its own with a database to be.
pub(crate) struct Demo {
    folder: TempDir,
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
        Self { folder: TempDir::new_in(SCRATCH).expect("a temporary folder") }
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

    /// A server on this database.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.command(&["serve", "--bind", "127.0.0.1:0"]).env("DEMO_USER_PASSWORD", PASSWORD))
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
            .env("DATABASE_URL", format!("sqlite://{}", self.base().display()))
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
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("stdout");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit("http://").next().unwrap_or_default().to_owned();
        assert!(line.starts_with("serving ") && address.starts_with("127.0.0.1:"), "{line:?}");
        Self { process, address }
    }

    /// Sends a signal by its name and waits for the exit code.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().expect("kill runs");
        assert!(sent.success());
        self.process.wait().expect("it ends").code()
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
    token: String,
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
