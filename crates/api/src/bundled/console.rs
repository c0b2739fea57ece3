//! The console: a web page over this API, embedded in the binary as it lies in `crates/api/console`.
//!
//! `GET /` answers the page. Everything that it loads is below `/console/{version}/`, where the version is a hash of
//! all of it: a browser may keep those files for good, and a page of one build never meets files of another.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};

use super::etag;
use crate::error::ApiError;
use crate::routing::Endpoint;

/// Its own scripts, styles, fonts and this API; nothing else, nothing inline, and no text that becomes a script.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    font-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Where the page is.
const PAGE: &str = "/";
/// Where its files are.
const FILES: &str = "/console/";
/// What stands in the page for the version.
const VERSION_SLOT: &str = "{version}";

/// A file of the console.
struct Asset {
    path: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($path:literal) => {
        Asset { path: $path, bytes: include_bytes!(concat!("../../console/", $path)) }
    };
}

const INDEX: &str = include_str!("../../console/index.html");

const ASSETS: &[Asset] = &[
    asset!("api.js"),
    asset!("charts.js"),
    asset!("connection.js"),
    asset!("console.css"),
    asset!("diff.js"),
    asset!("dom.js"),
    asset!("endless.js"),
    asset!("fonts/instrument-sans.woff2"),
    asset!("fonts/source-serif.woff2"),
    asset!("form.js"),
    asset!("format.js"),
    asset!("icon.svg"),
    asset!("icons.js"),
    asset!("links.js"),
    asset!("main.js"),
    asset!("parts.js"),
    asset!("people.js"),
    asset!("picker.js"),
    asset!("records.js"),
    asset!("schema.js"),
    asset!("screen.js"),
    asset!("sides.js"),
    asset!("sign-in.js"),
    asset!("theme.js"),
    asset!("ui.js"),
    asset!("undo.js"),
    asset!("views/admin.js"),
    asset!("views/case.js"),
    asset!("views/cases.js"),
    asset!("views/changes.js"),
    asset!("views/proof.js"),
    asset!("views/report.js"),
    asset!("views/reset.js"),
    asset!("world.js"),
];

/// The page and the version that it names.
struct Console {
    version: String,
    page: String,
}

static CONSOLE: LazyLock<Console> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    hasher.update(INDEX.as_bytes());
    for asset in ASSETS {
        hasher.update(asset.path.as_bytes()).update(asset.bytes);
    }
    let version = hasher.finalize().to_hex().as_str()[..16].to_owned();
    Console { page: INDEX.replace(VERSION_SLOT, &version), version }
});

/// Whether there is a part of the console at this address.
pub(crate) fn is_page(path: &str) -> bool {
    path == PAGE || path.starts_with(FILES)
}

/// The page.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at(PAGE).get(page)]
}

/// What the page loads. Of no use to anybody else, so the OpenAPI document leaves it out.
pub(crate) fn assets() -> Vec<Endpoint> {
    vec![Endpoint::at(format!("{FILES}{{version}}/{{path:.*}}")).get(asset)]
}

async fn page(request: HttpRequest) -> HttpResponse {
    let console = &*CONSOLE;
    if etag::is_known(&request, &console.version) {
        return HttpResponse::NotModified().insert_header(etag::header(&console.version)).finish();
    }
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(etag::header(&console.version))
        .body(console.page.as_str())
}

async fn asset(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let version = CONSOLE.version.as_str();
    let matched = request.match_info();
    let path = matched.get("path").filter(|_| matched.get("version") == Some(version));
    let asset =
        path.and_then(|path| ASSETS.iter().find(|asset| asset.path == path)).ok_or(ApiError::NoRoute)?;
    if etag::is_known(&request, version) {
        return Ok(HttpResponse::NotModified().insert_header(etag::header(version)).finish());
    }
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type(asset.path)))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header(etag::header(version))
        .body(asset.bytes))
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files_below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, root, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_console_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
        let mut files = BTreeSet::new();
        files_below(&root, &root, &mut files);
        files.retain(|file| file != "index.html" && !file.ends_with(".txt"));
        let embedded: BTreeSet<String> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(files, embedded);
    }

    #[test]
    fn every_embedded_file_has_a_type() {
        for asset in ASSETS {
            assert_ne!(media_type(asset.path), "application/octet-stream", "{}", asset.path);
        }
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let sources = ASSETS.iter().filter_map(|asset| std::str::from_utf8(asset.bytes).ok());
        for text in sources.chain([INDEX]) {
            let foreign = text.replace("http://www.w3.org/", "");
            assert!(!foreign.contains("http://") && !foreign.contains("https://"));
        }
    }
}
