use std::time::Duration;

use anyhow::Result;
use demo_reset_api::ServerConfig;
use demo_reset_compliance::dataset::DatasetOptions;

use crate::args::Serve;
use crate::{backend, credentials, edge, output};

pub(super) fn run(arguments: &Serve) -> Result<()> {
    // First of all, so that a port that is taken costs nothing; who connects meanwhile is answered once all is
    // ready.
    let listener = demo_reset_api::bind(&arguments.bind)?;
    let url = &arguments.database.url;
    if !backend::is_seeded(url)? {
        // Another server that started at the same moment may do it: then this one waits, and finds it done.
        let inputs = backend::seed_data(None)?;
        backend::load(url, &inputs.seed, DatasetOptions::new(edge::now().date_naive()), false)?;
    }
    let database = backend::open_whole(url, arguments.max_layer_changes)?;
    credentials::ensure(&database)?;
    output::line(format_args!("serving {url} on http://{}", listener.local_addr()?))?;
    let config = ServerConfig {
        writes_per_second: arguments.writes_per_second,
        cleanup_every: Some(Duration::from_secs(u64::from(arguments.cleanup_minutes) * 60)),
        demo_people: arguments.demo_people,
        signing_key: credentials::signing_key()?,
        identity_provider: arguments.provider.get(),
        ..ServerConfig::default()
    };
    backend::serve(database, listener, config)
}
