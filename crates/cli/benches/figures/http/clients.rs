//! Clients, each a thread with one connection that is kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use demo_reset_persistence::AnyConnection;
use diesel::connection::SimpleConnection;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::bare::connect;
use super::{CLIENTS, SECRET, Server};
use crate::measure::{Random, Samples};

/// A server to ask.
pub(super) struct Target {
    pub(super) is_bare: bool,
    pub(super) server: Server,
    /// Where its sessions are.
    pub(super) url: String,
}

/// What a client asks for.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Of a hundred requests.
    share: u64,
    status: u16,
    writes: bool,
}

pub(super) const KINDS: [Kind; 4] = [
    Kind { name: "page of 50 cases", share: 40, status: 200, writes: false },
    Kind { name: "case by id", share: 40, status: 200, writes: false },
    Kind { name: "edit of a case", share: 10, status: 200, writes: true },
    Kind { name: "new message", share: 10, status: 201, writes: true },
];

/// What there is to ask for, and who asks.
pub(super) struct Asked {
    organization: Uuid,
    /// Users and their tokens.
    users: Vec<User>,
    cases: Vec<Uuid>,
    administrator: String,
}

impl Asked {
    pub(super) fn new(
        organization: Uuid,
        users: impl Iterator<Item = Uuid>,
        cases: Vec<Uuid>,
    ) -> Result<Self> {
        let token = |user: Uuid, role: &str| {
            let claims = json!({
                "iss": "demo-reset", "sub": user, "org": organization, "role": role, "name": "Rep",
                "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
            });
            encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))
        };
        let users = users.map(|user| Ok((user, token(user, "MANAGER")?))).collect::<Result<Vec<_>>>()?;
        let administrator = token(users.first().context("a user")?.0, "SYSTEM_ADMIN")?;
        Ok(Self { organization, users, cases, administrator })
    }
}

/// What is asked of a server for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) length: Duration,
    /// How many of the users ask.
    pub(super) users: usize,
    /// Whether one more client resets and cleans up all the while.
    pub(super) resets: bool,
}

/// What came of a run.
#[derive(Default)]
pub(super) struct Load {
    pub(super) took: Samples,
    pub(super) by_kind: [Samples; KINDS.len()],
    pub(super) failed: u64,
    /// What the last failure said.
    pub(super) failure: String,
    pub(super) resets: u64,
    pub(super) cleanups: u64,
    /// Changes that the cleanups have removed.
    pub(super) purged: u64,
    /// Requests a second, and their 99th percentile, of each run.
    pub(super) runs: Vec<(f64, Duration)>,
    length: Duration,
}

impl Load {
    pub(super) fn add(&mut self, other: Self) {
        self.took.extend(&other.took);
        for (mine, theirs) in self.by_kind.iter_mut().zip(&other.by_kind) {
            mine.extend(theirs);
        }
        self.failed += other.failed;
        if !other.failure.is_empty() {
            self.failure = other.failure;
        }
        self.resets += other.resets;
        self.cleanups += other.cleanups;
        self.purged += other.purged;
        self.runs.extend(other.runs);
        self.length += other.length;
    }

    pub(super) fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.length.as_secs_f64()
    }

    /// How many requests wrote something.
    pub(super) fn writes(&self) -> usize {
        let all = KINDS.iter().zip(&self.by_kind);
        all.filter(|(kind, _)| kind.writes).map(|(_, samples)| samples.len()).sum()
    }

    /// All clients ask.
    pub(super) fn run(target: &Target, asked: &Asked, run: Run) -> Result<Self> {
        let is_over = AtomicBool::new(false);
        let started = Instant::now();
        let users = &asked.users[..run.users.min(asked.users.len())];
        let mut all = std::thread::scope(|scope| -> Result<Self> {
            let is_over = &is_over;
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| scope.spawn(move || ask(target, asked, users, number, is_over)))
                .collect();
            let resetting =
                run.resets.then(|| scope.spawn(move || reset_all_the_while(target, asked, users, is_over)));
            std::thread::sleep(run.length);
            is_over.store(true, Ordering::Relaxed);
            let mut all = Self::default();
            for client in clients.into_iter().chain(resetting) {
                all.add(client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
            }
            Ok(all)
        })?;
        all.length = started.elapsed();
        all.runs.push((all.per_second(), all.took.percentile(99)));
        Ok(all)
    }
}

/// Each user reads a case: those who have no session get one.
pub(super) fn visit(target: &Target, asked: &Asked) -> Result<()> {
    let mut connection = Connection::open(&target.server.address)?;
    for ((_, token), case) in asked.users.iter().zip(asked.cases.iter().cycle()) {
        let who = format!("Authorization: Bearer {token}");
        let (status, text) = connection.ask(&format!("GET /api/v1/cases/{case}"), &who, "")?;
        ensure!(status == 200, "a case: {status} {text}");
    }
    Ok(())
}

/// One user and the token.
type User = (Uuid, String);

/// One client, until it is over.
fn ask(target: &Target, asked: &Asked, users: &[User], number: usize, is_over: &AtomicBool) -> Result<Load> {
    let mut random = Random::new(number as u64);
    let mut connection = Connection::open(&target.server.address)?;
    let mut load = Load::default();
    while !is_over.load(Ordering::Relaxed) {
        let mut left = random.below(100) as u64;
        let kind = KINDS.iter().position(|kind| {
            let is_it = left < kind.share;
            left = left.saturating_sub(kind.share);
            is_it
        });
        let kind = kind.unwrap_or_default();
        let (user, token) = &users[random.below(users.len())];
        let case = asked.cases[random.below(asked.cases.len())];
        let who = if target.is_bare {
            format!("X-Organization: {}\r\nX-User: {user}", asked.organization)
        } else {
            format!("Authorization: Bearer {token}")
        };
        let (line, body) = match kind {
            0 => ("GET /api/v1/cases?limit=50".to_owned(), String::new()),
            1 => (format!("GET /api/v1/cases/{case}"), String::new()),
            2 => {
                let summary = format!("edited {}", random.below(1 << 30));
                (format!("PATCH /api/v1/cases/{case}"), json!({ "summary": summary }).to_string())
            }
            _ => {
                let message = json!({ "content": "When can we speak?", "direction": "OUTBOUND" });
                (format!("POST /api/v1/cases/{case}/messages"), message.to_string())
            }
        };
        let started = Instant::now();
        let answer = connection.ask(&line, &who, &body);
        let took = started.elapsed();
        match answer {
            Ok((status, _)) if status == KINDS[kind].status => {
                load.took.push(took);
                load.by_kind[kind].push(took);
            }
            Ok((status, text)) => {
                load.failed += 1;
                load.failure = format!("{line}: {status} {text}");
            }
            Err(error) => {
                load.failed += 1;
                load.failure = format!("{line}: {error}");
                connection = Connection::open(&target.server.address)?;
            }
        }
    }
    Ok(load)
}

/// Resets one session after another, and now and then cleans up.
fn reset_all_the_while(target: &Target, asked: &Asked, users: &[User], is_over: &AtomicBool) -> Result<Load> {
    let mut load = Load::default();
    let mut connection = Connection::open(&target.server.address)?;
    let mut archives = Archives::of(&target.url)?;
    let reset = json!({ "confirmationToken": "CONFIRM_RESET" }).to_string();
    for (number, (_, token)) in users.iter().cycle().enumerate() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let who = format!("Authorization: Bearer {token}");
        match connection.ask("POST /api/v1/demo/reset", &who, &reset)? {
            (200, _) => load.resets += 1,
            // There was nothing to reset.
            (409, _) => {}
            (status, text) => bail!("reset: {status} {text}"),
        }
        if number % 5 == 4 {
            archives.expire()?;
            let who = format!("Authorization: Bearer {}", asked.administrator);
            match connection.ask("POST /api/v1/demo/admin/cleanup", &who, "")? {
                (200, text) => {
                    load.cleanups += 1;
                    let report: Value = serde_json::from_str(&text)?;
                    load.purged += report["changesPurged"].as_u64().context("changesPurged")?;
                }
                (status, text) => bail!("cleanup: {status} {text}"),
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(load)
}

/// The archives of a server's sessions, which a run cannot wait a day for to expire.
struct Archives(AnyConnection);

impl Archives {
    fn of(url: &str) -> Result<Self> {
        let file = url.starts_with("sqlite:").then(|| url.replace(".db", ".sessions.db"));
        Ok(Self(connect(file.as_deref().unwrap_or(url))?))
    }

    /// Lets those that there are have had their time.
    fn expire(&mut self) -> Result<()> {
        let schema = if matches!(self.0, AnyConnection::Sqlite(_)) { "" } else { "demo." };
        Ok(self.0.batch_execute(&format!("update {schema}demo_archives set expires_at = archived_at"))?)
    }
}

/// A connection that is kept open.
struct Connection {
    reader: BufReader<TcpStream>,
    address: String,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream), address: address.to_owned() })
    }

    /// Sends a request; the status and the text of the answer.
    fn ask(&mut self, line: &str, who: &str, body: &str) -> Result<(u16, String)> {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\n{who}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        self.reader.read_line(&mut head)?;
        let status = head.split_whitespace().nth(1).context("a status")?.parse()?;
        let mut length = 0;
        loop {
            head.clear();
            self.reader.read_line(&mut head)?;
            let Some((name, value)) = head.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut text = vec![0; length];
        self.reader.read_exact(&mut text)?;
        Ok((status, String::from_utf8(text)?))
    }
}
