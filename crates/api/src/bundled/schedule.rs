//! Cleanup on a schedule, in the server's own process.

use std::time::Duration;

use actix_web::{rt, web};
use demo_reset_domain::ArchiveId;

use super::state::AppState;

impl AppState {
    /// Cleans up once, unless another server of this database is at it.
    pub async fn clean_up(&self) {
        let done = self.engine().blocking(|engine| {
            let mut new_id = || ArchiveId(engine.new_id());
            engine.database().cleanup_in_turn(engine.now(), &mut new_id)
        });
        let done = done.await;
        self.metrics.cleaned_up(&done);
        match done {
            Ok(Some(report)) => log::info!(
                "cleanup: {} archives with {} changes purged, {} idle sessions archived, {} removed",
                report.archives_purged,
                report.changes_purged,
                report.sessions_archived,
                report.sessions_removed
            ),
            Ok(None) => log::debug!("cleanup: another server is at it"),
            // The next one tries again.
            Err(error) => log::error!("cleanup failed: {error}"),
        }
    }
}

/// Cleans up now and then every `period`, until the runtime stops.
pub(crate) fn start(state: web::Data<AppState>, period: Duration) {
    rt::spawn(async move {
        let mut ticks = rt::time::interval(period);
        loop {
            ticks.tick().await;
            state.clean_up().await;
        }
    });
}
