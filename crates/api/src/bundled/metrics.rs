//! What the server tells Prometheus.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use demo_reset_persistence::{CleanupReport, PoolStatus, Stats};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TEXT_FORMAT, TextEncoder,
};

use super::state::AppState;
use crate::demo::DemoEvent;
use crate::error::ApiError;
use crate::routing::Endpoint;

/// Seconds: from a cached read to a request that nobody should wait for.
const LATENCY_BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The route of the metrics, at the root.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/metrics").get(metrics)]
}

/// The figures of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    resets: IntCounter,
    changes_reset: IntCounter,
    undos: IntCounter,
    changes_restored: IntCounter,
    cleanups: IntCounterVec,
    cleaned: IntCounterVec,
    cleanup_at: IntGauge,
    database_up: IntGauge,
    connections: IntGaugeVec,
    sessions: IntGaugeVec,
    changes: IntGaugeVec,
    largest_layer: IntGauge,
    archives: IntGaugeVec,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// Never for these names; the library checks them when it runs.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let latency = HistogramOpts::new("http_request_duration_seconds", "Time to the answer's headers.");
        let latency = HistogramVec::new(latency.buckets(LATENCY_BUCKETS.to_vec()), &["method", "route"])?;
        registry.register(Box::new(latency.clone()))?;
        Ok(Self {
            requests: counters("http_requests_total", "Requests answered.", &["method", "route", "status"])?,
            latency,
            resets: counter("demo_reset_resets_total", "Resets done by this server.")?,
            changes_reset: counter("demo_reset_changes_reset_total", "Changes that they took back.")?,
            undos: counter("demo_reset_undos_total", "Undos done by this server.")?,
            changes_restored: counter(
                "demo_reset_changes_restored_total",
                "Changes that they brought back.",
            )?,
            cleanups: counters(
                "demo_reset_cleanups_total",
                "Scheduled cleanups of this server: done, skipped since another server was at it, or failed.",
                &["outcome"],
            )?,
            cleaned: counters("demo_reset_cleaned_total", "What scheduled cleanups removed.", &["what"])?,
            cleanup_at: gauge(
                "demo_reset_last_cleanup_timestamp_seconds",
                "When a server of this database last cleaned up; 0 for never.",
            )?,
            database_up: gauge("demo_reset_database_up", "Whether the database answered this time.")?,
            connections: gauges(
                "demo_reset_connections",
                "Connections by pool and state.",
                &["pool", "state"],
            )?,
            sessions: gauges("demo_reset_sessions", "Sessions: total, active7d, stale30d.", &["state"])?,
            changes: gauges("demo_reset_live_changes", "Changes in live layers by table.", &["table"])?,
            largest_layer: gauge("demo_reset_largest_layer_changes", "Changes in the largest live layer.")?,
            archives: gauges("demo_reset_archives", "Archives by state.", &["state"])?,
            registry,
        })
    }

    fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, route, status.to_string().as_str()]).inc();
        self.latency.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// Counts a reset or an undo.
    pub(crate) fn happened(&self, event: DemoEvent) {
        let (times, changes, count) = match event {
            DemoEvent::Reset { changes } => (&self.resets, &self.changes_reset, changes),
            DemoEvent::Undo { changes } => (&self.undos, &self.changes_restored, changes),
        };
        times.inc();
        changes.inc_by(count);
    }

    /// Counts a scheduled cleanup.
    pub(crate) fn cleaned_up<E>(&self, outcome: &Result<Option<CleanupReport>, E>) {
        let word = match outcome {
            Ok(Some(_)) => "done",
            Ok(None) => "skipped",
            Err(_) => "failed",
        };
        self.cleanups.with_label_values(&[word]).inc();
        if let Ok(Some(report)) = outcome {
            for (what, count) in [
                ("archives", report.archives_purged),
                ("changes", report.changes_purged),
                ("layers", report.sessions_archived),
                ("sessions", report.sessions_removed),
            ] {
                self.cleaned.with_label_values(&[what]).inc_by(count);
            }
        }
    }

    fn observe_pools(&self, pools: &[PoolStatus]) {
        for pool in pools {
            let set = |state: &str, count: u32| {
                self.connections.with_label_values(&[pool.name, state]).set(count.into());
            };
            set("idle", pool.idle);
            set("busy", pool.open.saturating_sub(pool.idle));
            set("max", pool.max);
        }
    }

    fn observe_stats(&self, stats: &Stats) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (state, count) in [
            ("total", stats.sessions),
            ("active7d", stats.sessions_active_7d),
            ("stale30d", stats.sessions_stale_30d),
        ] {
            self.sessions.with_label_values(&[state]).set(number(count));
        }
        for (state, count) in [
            ("available", stats.archives_available),
            ("expired", stats.archives_expired),
            ("restored", stats.archives_restored),
        ] {
            self.archives.with_label_values(&[state]).set(number(count));
        }
        // A table whose last change is gone is not listed any more.
        self.changes.reset();
        for (table, kinds) in stats.changes.iter() {
            self.changes.with_label_values(&[table]).set(number(kinds.total()));
        }
        self.largest_layer.set(number(stats.largest_layer));
        self.cleanup_at.set(stats.last_cleanup.map_or(0, |run| run.finished_at.timestamp()));
    }

    fn encode(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Middleware: counts and times every request by its route.
pub(crate) async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let state = request.app_data::<web::Data<AppState>>().cloned();
    let response = next.call(request).await?;
    if let Some(state) = state {
        // Addresses without a route, and methods that nobody knows, have one line each however many there are.
        let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
        let method = match response.request().method().as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PATCH" | "DELETE" | "PUT" | "OPTIONS") => known,
            _ => "other",
        };
        state.metrics.answered(method, &route, response.status().as_u16(), started.elapsed());
    }
    Ok(response)
}

async fn metrics(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let stats = state.engine().blocking(|engine| engine.database().stats(None, engine.now())).await;
    let metrics = &state.metrics;
    metrics.database_up.set(i64::from(stats.is_ok()));
    // A server whose database is away tells the rest.
    if let Ok(stats) = stats {
        metrics.observe_stats(&stats);
    }
    metrics.observe_pools(&state.engine().database().pools());
    let text = metrics.encode().map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, TEXT_FORMAT))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}
