//! A server on a port of its own, over the small base of the HTTP tests and cases enough to scroll, with a clock that
//! tests move.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use chrono::{DateTime, Duration, Utc};
use demo_reset_api::{AppState, Clock, Engine, ServerConfig, SignInLimits, System, app, set_demo_password};
use demo_reset_compliance::attach_options;
use demo_reset_compliance::dataset::{self, DatasetOptions, SeedData};
use demo_reset_domain::{SessionId, UserKey};
use demo_reset_persistence::{AnyConnection, Database, DatabaseUrl, Error, OpenOptions, load_base};
use diesel::connection::SimpleConnection;
use tempfile::TempDir;
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery";
pub const ANN: &str = "ann@acme.example";

const TABLES: &str =
    include_str!("../../../../migrations/compliance/sqlite/2026-11-22-000000_demo_tables/up.sql");
const ROWS: &str = include_str!("../http/base.sql");
/// Older than the cases of `base.sql`, so that those stay on top.
const MORE_CASES: &str = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000) \
    insert into cases (organization_id, id, reference_number, details, summary, status, severity, created_at, \
    updated_at, created_by_id, updated_by_id) \
    select '00000000-0000-7000-8000-0000000000a0', printf('00000000-0000-7000-8001-%012d', i), \
    printf('CASE-2025-%05d', i), 'A longer account of an earlier matter.', 'An earlier matter, the ' || i || 'th', \
    'CLOSED', 'LOW', strftime('%Y-%m-%dT%H:00:00.000000Z', '2025-12-30', printf('-%d hours', 8 * i)), \
    '2025-12-31T09:00:00.000000Z', '00000000-0000-7000-8000-0000000000a1', '00000000-0000-7000-8000-0000000000a1' \
    from n";

/// The machine's clock, moved forward.
struct AheadClock(AtomicI64);

impl Clock for AheadClock {
    fn now(&self) -> DateTime<Utc> {
        System.now() + Duration::microseconds(self.0.load(Ordering::SeqCst))
    }
}

/// A running server; stopped when dropped.
pub struct Server {
    pub address: SocketAddr,
    database: Database,
    clock: Arc<AheadClock>,
    handle: Option<ServerHandle>,
    _folder: TempDir,
}

impl Server {
    /// Over the small base.
    pub fn start() -> Self {
        Self::over(|conn| {
            for statements in [TABLES, ROWS, MORE_CASES] {
                conn.batch_execute(statements)?;
            }
            Ok(())
        })
    }

    /// Over the demo dataset, as anybody gets it.
    pub fn with_dataset() -> Self {
        let options = DatasetOptions::new(System.now().date_naive());
        Self::over(move |conn| {
            dataset::migrate(conn).unwrap();
            dataset::load(conn, SeedData::embedded().unwrap(), options, &mut |_| {}).unwrap();
            Ok(())
        })
    }

    fn over(load: impl FnOnce(&mut AnyConnection) -> Result<(), Error>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url: DatabaseUrl =
            format!("sqlite://{}", folder.path().join("demo.db").display()).parse().unwrap();
        load_base(&url, Uuid::from_u128(1), System.now(), load).unwrap();
        let database = Database::open(
            &url,
            OpenOptions { attach: attach_options(), ..Default::default() },
            System.now(),
        )
        .unwrap();
        set_demo_password(&database, PASSWORD).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Arc::new(AheadClock(AtomicI64::new(0)));
        let mut server = Self { address, database, clock, handle: None, _folder: folder };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let most = NonZeroU32::new(100_000).unwrap();
        let limits = SignInLimits { per_address: most, per_account: most };
        let config = ServerConfig { demo_people: true, sign_in_limits: limits, ..ServerConfig::default() };
        let engine = Engine::with(self.database.clone(), self.clock.clone(), Arc::new(System));
        let state = AppState::new(engine, &config).unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || app(state.clone(), &[])).workers(2).disable_signals();
                let running = server.listen(listener).unwrap().run();
                sender.send(running.handle()).unwrap();
                running.await.unwrap();
            });
        });
        self.handle = Some(receiver.recv().unwrap());
    }

    /// Changes every one of the older cases in Ann's session.
    pub fn change_much(&self) {
        let key =
            UserKey::new("00000000-0000-7000-8000-0000000000a0", "00000000-0000-7000-8000-0000000000a1");
        let now = self.clock.now();
        let session = self.database.session(&key.unwrap(), SessionId(Uuid::from_u128(9)), now).unwrap();
        let much = "update cases set status = 'OPEN' where id like '00000000-0000-7000-8001-%'";
        self.database.write(session.id, now, |conn| conn.batch_execute(much).map_err(Error::from)).unwrap();
    }

    /// Moves the server's clock.
    pub fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(by.num_microseconds().unwrap(), Ordering::SeqCst);
    }

    /// The server goes away.
    pub async fn stop(&mut self) {
        self.handle.take().unwrap().stop(false).await;
    }

    /// The server is back, where it was.
    pub fn start_again(&mut self) {
        self.serve(TcpListener::bind(self.address).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            // The command is sent at once; the answer is of no interest any more.
            drop(handle.stop(false));
        }
    }
}
