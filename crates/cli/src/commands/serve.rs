use anyhow::Result;
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
        backend::load(url, DatasetOptions::new(edge::now().date_naive()), false)?;
    }
    let database = backend::open(url)?;
    credentials::ensure(&database)?;
    output::line(format_args!("serving {url} on http://{}", listener.local_addr()?))?;
    backend::serve(database, listener, arguments.demo_people)
}
