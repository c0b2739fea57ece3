//! Log lines on stderr: text for people, or one JSON object per line for programs.

use std::io::Write;

use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::Map;

use crate::args::{Command, LogFormat};
use crate::edge;

/// Starts logging. `RUST_LOG` says what is logged; a server logs its requests unless told otherwise.
pub(crate) fn start(command: &Command) {
    let (default_filter, format) = match command {
        Command::Serve(serve) => ("info", serve.log_format),
        _ => ("warn", LogFormat::Text),
    };
    let environment = env_logger::Env::default().default_filter_or(default_filter);
    let mut builder = env_logger::Builder::from_env(environment);
    if format == LogFormat::Json {
        builder.format(|out, record| writeln!(out, "{}", line(record, &edge::now().to_rfc3339())));
    }
    builder.init();
}

/// The members that a line's own values are added to.
struct Members(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Members {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let json = match value.to_u64() {
            Some(number) => number.into(),
            None => value.to_string().into(),
        };
        self.0.insert(key.to_string(), json);
        Ok(())
    }
}

/// One line: when, how important, where, what, and for which request.
fn line(record: &Record<'_>, time: &str) -> String {
    let mut members = Members(Map::new());
    if let Some(request) = demo_reset_api::current_request_id() {
        members.0.insert("request".to_owned(), request.into());
    }
    // Values that cannot be read are left out; the line is still worth having.
    let _ = record.key_values().visit(&mut members);
    for (name, value) in [
        ("time", time.to_owned()),
        ("level", record.level().to_string()),
        ("target", record.target().to_owned()),
        ("message", record.args().to_string()),
    ] {
        members.0.insert(name.to_owned(), value.into());
    }
    serde_json::Value::Object(members.0).to_string()
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    #[test]
    fn a_line_is_one_json_object_with_the_values_of_its_own() {
        let values = [("status", Value::from(200_u16)), ("path", Value::from("/a\n\"b\""))];
        let arguments = format_args!("answered");
        let record = Record::builder()
            .level(Level::Info)
            .target("request")
            .key_values(&values)
            .args(arguments)
            .build();
        let text = line(&record, "2026-02-02T09:00:00Z");
        assert!(!text.contains('\n'), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "time": "2026-02-02T09:00:00Z", "level": "INFO", "target": "request", "message": "answered",
            "status": 200, "path": "/a\n\"b\"",
        });
        assert_eq!(read, expected);
    }
}
