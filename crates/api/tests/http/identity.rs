//! Tokens of an identity provider.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::Duration;
use demo_reset_api::{IdentityProvider, KeySource, ServerConfig};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::fixture::{ANN, Backend, Client, PASSWORD, Server, no_limits, on_each_database};
use crate::provider_keys::{EC_PRIVATE, EC_X, EC_Y, RSA_1_N, RSA_1_PRIVATE, RSA_2_N, RSA_2_PRIVATE};

on_each_database! {
    a_token_of_the_provider_signs_in_the_user_of_its_address,
}

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "demo";

fn rsa(kid: &str, n: &str) -> Value {
    json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": "AQAB" })
}

fn ec(kid: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "x": EC_X, "y": EC_Y })
}

fn rsa_key(private: &str) -> EncodingKey {
    EncodingKey::from_rsa_der(&BASE64_STANDARD.decode(private).unwrap())
}

fn ec_key() -> EncodingKey {
    EncodingKey::from_ec_der(&BASE64_STANDARD.decode(EC_PRIVATE).unwrap())
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
}

fn claims(server: &Server) -> Value {
    let now = server.clock_now().timestamp();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|7", "email": ANN, "iat": now, "exp": now + 600 })
}

async fn trusting(backend: Backend, keys: KeySource) -> Server {
    let provider = IdentityProvider { keys, issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() };
    let config = ServerConfig {
        identity_provider: Some(provider),
        sign_in_limits: no_limits(),
        ..ServerConfig::default()
    };
    Server::with(backend, config).await
}

fn file(folder: &Path, keys: &[Value]) -> KeySource {
    let path = folder.join("jwks.json");
    std::fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
    KeySource::File(path)
}

async fn status(server: &Server, token: String) -> u16 {
    let client = Client { server: server.clone(), token };
    client.get("/auth/me").await.status
}

async fn a_token_of_the_provider_signs_in_the_user_of_its_address(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let server = trusting(backend, file(folder.path(), &[rsa("one", RSA_1_N), ec("two")])).await;
    for (header, key) in [
        (header(Algorithm::RS256, Some("one")), rsa_key(RSA_1_PRIVATE)),
        (header(Algorithm::ES256, Some("two")), ec_key()),
        // The only key of its kind needs no name.
        (header(Algorithm::RS256, None), rsa_key(RSA_1_PRIVATE)),
    ] {
        let token = encode(&header, &claims(&server), &key).unwrap();
        let client = Client { server: server.clone(), token };
        let me = client.get("/auth/me").await.expect(200);
        assert_eq!((&me["email"], &me["role"]), (&json!(ANN), &json!("SYSTEM_ADMIN")));
        client.create("/cases", json!({ "details": "x" })).await;
        client.get("/demo/admin/stats").await.expect(200);
    }
    // The same person by either token: one session.
    let own = server.sign_in(ANN).await.get("/demo/session").await.expect(200);
    assert_eq!(own["totalChanges"], 3);
}

#[actix_web::test]
async fn a_token_that_does_not_hold_is_refused_whatever_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let oct = json!({ "kty": "oct", "kid": "three", "k": "c2VjcmV0", "alg": "HS256" });
    let encryption = json!({ "kty": "RSA", "use": "enc", "kid": "four", "n": RSA_1_N, "e": "AQAB" });
    let keys = [rsa("one", RSA_1_N), ec("two"), oct, encryption];
    let server = trusting(Backend::Sqlite, file(folder.path(), &keys)).await;
    let good = claims(&server);
    let now = server.clock_now().timestamp();
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    let right = || header(Algorithm::RS256, Some("one"));
    for (what, claims) in [
        ("expired", with("exp", now.into())),
        ("without expiry", without("exp")),
        ("of another issuer", with("iss", "https://evil.example".into())),
        ("without issuer", without("iss")),
        ("for another audience", with("aud", "another".into())),
        ("without audience", without("aud")),
        ("not yet", with("nbf", (now + 120).into())),
        ("of nobody here", with("email", "nobody@acme.example".into())),
        ("without an address", without("email")),
        ("of an address that is not proven", with("email_verified", false.into())),
    ] {
        let token = encode(&right(), &claims, &rsa_key(RSA_1_PRIVATE)).unwrap();
        assert_eq!(status(&server, token).await, 401, "{what}");
    }
    let secret = EncodingKey::from_secret(b"secret");
    let public = EncodingKey::from_secret(RSA_1_N.as_bytes());
    for (what, header, key) in [
        ("of another key", right(), rsa_key(RSA_2_PRIVATE)),
        ("of an unknown key", header(Algorithm::RS256, Some("nine")), rsa_key(RSA_1_PRIVATE)),
        ("of a key for encryption", header(Algorithm::RS256, Some("four")), rsa_key(RSA_1_PRIVATE)),
        ("of another algorithm", header(Algorithm::RS512, Some("one")), rsa_key(RSA_1_PRIVATE)),
        ("of a key of another kind", header(Algorithm::ES256, Some("one")), ec_key()),
        ("with a secret among the public keys", header(Algorithm::HS256, Some("three")), secret),
        ("with a public key as a secret", header(Algorithm::HS256, Some("one")), public),
    ] {
        let token = encode(&header, &good, &key).unwrap();
        assert_eq!(status(&server, token).await, 401, "{what}");
    }
    let token = encode(&right(), &good, &rsa_key(RSA_1_PRIVATE)).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(status(&server, format!("{signed}.")).await, 401);
    assert_eq!(status(&server, token).await, 200);
}

#[actix_web::test]
async fn a_server_without_a_provider_accepts_no_such_token() {
    let server = Server::on(Backend::Sqlite).await;
    let token =
        encode(&header(Algorithm::RS256, Some("one")), &claims(&server), &rsa_key(RSA_1_PRIVATE)).unwrap();
    assert_eq!(status(&server, token).await, 401);
}

/// Serves what it is given on every request, and counts them.
struct Publisher {
    address: SocketAddr,
    shared: Arc<Mutex<(String, usize)>>,
}

impl Publisher {
    fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new((json!({ "keys": keys }).to_string(), 0)));
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                let mut shared = serving.lock().unwrap();
                shared.1 += 1;
                let (body, length) = (&shared.0, shared.0.len());
                let status = if body.is_empty() { "500 Internal Server Error" } else { "200 OK" };
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                stream.write_all((head + body).as_bytes()).unwrap();
            }
        });
        Self { address, shared }
    }

    fn publish(&self, keys: &[Value]) {
        self.shared.lock().unwrap().0 = json!({ "keys": keys }).to_string();
    }

    fn fail(&self) {
        self.shared.lock().unwrap().0.clear();
    }

    fn reads(&self) -> usize {
        self.shared.lock().unwrap().1
    }
}

#[actix_web::test]
async fn keys_are_read_from_a_url_kept_and_read_again_when_they_rotate() {
    let publisher = Publisher::start(&[rsa("one", RSA_1_N)]);
    let url = format!("http://{}/jwks.json", publisher.address);
    let server = trusting(Backend::Sqlite, url.parse().unwrap()).await;
    let token = |kid: &str, private: &str| {
        let mut lasting = claims(&server);
        lasting["exp"] = (server.clock_now().timestamp() + 100_000).into();
        encode(&header(Algorithm::RS256, Some(kid)), &lasting, &rsa_key(private)).unwrap()
    };
    let (old, new) = (token("one", RSA_1_PRIVATE), token("two", RSA_2_PRIVATE));
    for _ in 0..3 {
        assert_eq!(status(&server, old.clone()).await, 200);
    }
    assert_eq!(publisher.reads(), 1);
    // A key that is not known is looked for, but not by everybody who names one.
    publisher.publish(&[rsa("one", RSA_1_N), rsa("two", RSA_2_N)]);
    assert_eq!(status(&server, new.clone()).await, 401);
    assert_eq!(publisher.reads(), 1);
    server.clock.advance(Duration::minutes(1));
    assert_eq!(status(&server, new.clone()).await, 200);
    assert_eq!(publisher.reads(), 2);
    // A provider that is away takes nothing away.
    publisher.fail();
    server.clock.advance(Duration::hours(1));
    assert_eq!(status(&server, old.clone()).await, 200);
    assert_eq!(publisher.reads(), 3);
    // A key that was withdrawn is accepted no longer.
    publisher.publish(&[rsa("two", RSA_2_N)]);
    server.clock.advance(Duration::minutes(1));
    assert_eq!(status(&server, old).await, 401);
    assert_eq!(status(&server, new).await, 200);
    assert_eq!(publisher.reads(), 4);
}

#[actix_web::test]
async fn keys_that_cannot_be_read_are_a_server_that_is_not_ready_for_such_tokens() {
    let server = trusting(Backend::Sqlite, KeySource::File("/nowhere/jwks.json".into())).await;
    let token =
        encode(&header(Algorithm::RS256, Some("one")), &claims(&server), &rsa_key(RSA_1_PRIVATE)).unwrap();
    let client = Client { server: server.clone(), token };
    assert_eq!(client.get("/auth/me").await.problem(503), "unavailable");
    server.login(ANN, PASSWORD).await.expect(200);
}
