//! TLS to PostgreSQL: with the feature `tls` it is there and checks whom it talks to; without, whoever asks for it is
//! told that it is not there, instead of going without. `cargo xtask test --package demo-reset-cli --features tls --test
//! cli tls` runs the first half.

use crate::harness::Answer;
#[cfg(feature = "tls")]
use crate::{cluster::Cluster, harness::Demo};

#[cfg(not(feature = "tls"))]
#[test]
fn without_the_feature_whoever_asks_for_tls_is_refused() {
    for asked in ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_demo-reset"));
        command.args(["stats", "--database-url", &format!("postgres://ann:secret@127.0.0.1:1/demo?{asked}")]);
        let answer = Answer::of(&mut command);
        answer.fails(2, &["sslmode", "TLS", "`--features tls`"]);
        assert!(!answer.stderr.contains("secret"), "{answer:?}");
    }
}

/// Makes a certificate for this machine that signs itself.
#[cfg(feature = "tls")]
fn certificate(folder: &std::path::Path, name: &str) {
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[cfg(feature = "tls")]
#[test]
fn with_the_feature_a_server_that_demands_tls_is_reached_and_checked() {
    use std::fs;
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt;

    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let certificates = tempfile::TempDir::new().expect("a folder");
    certificate(certificates.path(), "server");
    certificate(certificates.path(), "other");
    let settings = ["listen_addresses=127.0.0.1", &format!("port={port}"), "ssl=on"];
    let cluster = Cluster::start_with(&settings, &[], |cluster| {
        let data = std::path::PathBuf::from(cluster.data());
        for name in ["server.key", "server.crt"] {
            fs::copy(certificates.path().join(name), data.join(name)).expect("copied");
            cluster.give(&data.join(name));
        }
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(data.join("server.key"), private).expect("made private");
        // Nobody comes in without TLS.
        fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").expect("written");
    });
    let Some(_cluster) = cluster else { return };
    let demo = Demo::new();
    let run = |arguments: &[&str], parameters: &str| {
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?{parameters}");
        Answer::of(demo.command(arguments).env("DATABASE_URL", url))
    };
    let checked_by =
        |name: &str| format!("sslmode=verify-full&sslrootcert={}", certificates.path().join(name).display());
    run(&["seed"], &checked_by("server.crt")).succeeds();
    run(&["verify"], "sslmode=require").succeeds();
    let plain = run(&["stats"], "sslmode=disable");
    assert!(plain.code != 0 && plain.stderr.contains("pg_hba.conf"), "{plain:?}");
    let stranger = run(&["stats"], &checked_by("other.crt"));
    assert!(stranger.code != 0 && stranger.stderr.contains("certificate verify failed"), "{stranger:?}");
}
