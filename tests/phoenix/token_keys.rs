//! Tokens are checked with several keys: by name (`kid`), while one takes the place of
//! another, or from a file with a JWK Set, which SIGHUP reads again.
//!
//! How: tokens signed here with keys of openssl's making and with secrets; a server
//! whose files change while it runs; and files that cannot stand.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

use crate::support::phoenix::{connect, error, hear, ok, say};
use crate::support::{Server, corecast, run, skip, wait_until};

const SECRETS: [&str; 3] = [
    "the first secret of this test, long enough",
    "the second secret of this test, long enough",
    "the third secret of this test, long enough",
];

fn claims() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    json!({"exp": since.as_secs() + 600, "topics": ["*"]})
}

fn sign(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    encode(&header, &claims(), key).unwrap()
}

fn sign_with(secret: &str, kid: Option<&str>) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    sign(Algorithm::HS256, kid, &key)
}

/// A server with this table of tokens, in a file that can be changed.
struct Configured {
    server: Server,
    folder: tempfile::TempDir,
}

fn whole(token: &str) -> String {
    format!("{token}\n[[handlers.phoenix.topics]]\npattern = '*'\njoin = 'token'\n")
}

impl Configured {
    fn start(folder: tempfile::TempDir, token: &str) -> Configured {
        let file = folder.path().join("corecast.toml");
        fs::write(&file, whole(token)).unwrap();
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--route", "/socket/websocket=phoenix"])
            .args(["--shards", "2", "--config"])
            .arg(&file);
        let server = Server::spawn(&mut command);
        Configured { server, folder }
    }

    fn reload(&self) {
        let said = || self.server.log().matches("SIGHUP").count();
        let before = said();
        self.server.signal(libc::SIGHUP);
        wait_until("it was read again", || said() > before);
    }

    fn takes(&self, token: &str) -> bool {
        let client = &mut connect(self.server.address);
        say(client, json!(["j", "r", "a", "phx_join", {"token": token}]));
        let answer = hear(client);
        assert!(answer == ok("j", "r", "a") || answer == error("j", "r", "a", "unauthorized"));
        answer == ok("j", "r", "a")
    }
}

#[test]
fn a_key_takes_the_place_of_another_without_a_gap() {
    let key = |kid: &str, secret: &str| {
        format!(
            "[[handlers.phoenix.token.keys]]\nkid = '{kid}'\nalgorithm = 'HS256'\nsecret = \
             '{secret}'\n"
        )
    };
    let [old, new, other] = SECRETS;
    let it = Configured::start(tempfile::tempdir().unwrap(), &key("old", old));
    let (by_old, by_new) = (sign_with(old, Some("old")), sign_with(new, Some("new")));
    let takes = || [it.takes(&by_old), it.takes(&by_new)];
    assert_eq!(takes(), [true, false]);

    let file = it.folder.path().join("corecast.toml");
    fs::write(&file, whole(&(key("old", old) + &key("new", new)))).unwrap();
    it.reload();
    assert_eq!(takes(), [true, true]);
    for (kid, secret, good) in [
        // Without a name each key is tried.
        (None, old, true),
        (None, new, true),
        (None, other, false),
        // Under the other's name, and under none that is known.
        (Some("old"), new, false),
        (Some("older"), old, false),
    ] {
        assert_eq!(it.takes(&sign_with(secret, kid)), good, "{kid:?} {secret}");
    }
    fs::write(&file, whole(&key("new", new))).unwrap();
    it.reload();
    assert_eq!(takes(), [false, true]);
}

/// Makes a pair of keys: the private one, and the public one in PEM.
fn key_pair(folder: &Path, arguments: &[&str]) -> Option<(Vec<u8>, String)> {
    let private = folder.join("private.pem");
    let mut make = Command::new("openssl");
    make.arg("genpkey")
        .args(arguments)
        .arg("-out")
        .arg(&private);
    if make.output().is_err() {
        skip("JWK Sets with key pairs", "openssl is not installed");
        return None;
    }
    let mut publish = Command::new("openssl");
    let (code, public, err) = run(publish.args(["pkey", "-pubout", "-in"]).arg(&private));
    assert_eq!(code, 0, "{err}");
    Some((fs::read(private).unwrap(), public))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a public key in PEM.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let text: String = lines.collect();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

#[test]
fn a_jwk_set_is_read_from_its_file_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some((rsa_private, rsa_public)) = key_pair(
        folder.path(),
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ) else {
        return;
    };
    let (ed_private, ed_public) = key_pair(folder.path(), &["-algorithm", "ED25519"]).unwrap();
    let rsa = rsa::RsaPublicKey::from_public_key_pem(&rsa_public).unwrap();
    let (n, e) = (rsa.n().to_bytes_be(), rsa.e().to_bytes_be());
    let ed = der(&ed_public);
    let set = json!({"keys": [
        {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": encoded(&n), "e": encoded(&e)},
        {"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": encoded(&ed[ed.len() - 32..])},
        {"kty": "oct", "kid": "s", "k": encoded(SECRETS[0].as_bytes())},
        // What is for something else is left out.
        {"kty": "oct", "kid": "enc", "use": "enc", "k": encoded(SECRETS[1].as_bytes())},
        {"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA"},
        {"kty": "oct", "kid": "h512", "alg": "HS512", "k": encoded(SECRETS[2].as_bytes())},
    ]});
    let path = folder.path().join("jwks.json");
    fs::write(&path, set.to_string()).unwrap();
    let token = format!("[handlers.phoenix.token]\njwks_file = '{}'", path.display());
    let it = Configured::start(folder, &token);

    let rsa_key = EncodingKey::from_rsa_pem(&rsa_private).unwrap();
    let ed_key = EncodingKey::from_ed_pem(&ed_private).unwrap();
    let by_rsa = sign(Algorithm::RS256, Some("r"), &rsa_key);
    let by_ed = sign(Algorithm::EdDSA, Some("e"), &ed_key);
    let by_secret = sign_with(SECRETS[0], Some("s"));
    assert_eq!(
        [&by_rsa, &by_ed, &by_secret].map(|token| it.takes(token)),
        [true; 3]
    );
    for bad in [
        sign(Algorithm::RS256, Some("e"), &rsa_key),
        sign(Algorithm::EdDSA, Some("r"), &ed_key),
        sign_with(SECRETS[1], Some("enc")),
        sign_with(SECRETS[2], Some("h512")),
        // A public key is no secret (RFC 8725 §2.1).
        sign_with(&rsa_public, Some("r")),
        sign_with(&encoded(&n), Some("r")),
        sign_with(&rsa_public, None),
    ] {
        assert!(!it.takes(&bad), "{bad}");
    }
    let log = it.server.log();
    for left_out in ["'enc'", "'ec'", "'h512'"] {
        assert!(
            log.contains(&format!("the key {left_out} of a JWK Set is not used")),
            "{log}"
        );
    }

    let rotated =
        json!({"keys": [{"kty": "oct", "kid": "s", "k": encoded(SECRETS[1].as_bytes())}]});
    fs::write(&path, rotated.to_string()).unwrap();
    it.reload();
    assert_eq!(
        [&by_rsa, &by_ed, &by_secret].map(|token| it.takes(token)),
        [false; 3]
    );
    assert!(it.takes(&sign_with(SECRETS[1], Some("s"))));

    // One that cannot stand changes nothing.
    fs::write(&path, "{").unwrap();
    it.reload();
    assert!(it.server.log().contains("every setting stays as it is"));
    assert!(it.takes(&sign_with(SECRETS[1], Some("s"))));
}

#[test]
fn keys_that_cannot_stand_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let complaint = |token: &str| {
        let file = folder.path().join("corecast.toml");
        fs::write(&file, whole(token)).unwrap();
        let mut command = corecast();
        let (code, _, err) = run(command.args(["check", "--demo", "--config"]).arg(&file));
        assert_eq!(code, 2, "{err}");
        err
    };
    let table = "[handlers.phoenix.token]\n";
    let secret = encoded(SECRETS[0].as_bytes());
    for (set, part) in [
        ("", "is no JWK Set"),
        ("[]", "is no JWK Set"),
        ("{\"keys\": 5}", "has no list called keys"),
        ("{\"keys\": []}", "has no key for HS256, RS256 or EdDSA"),
        (r#"{"keys": [{"kty": "EC"}]}"#, "has no key for"),
        (
            r#"{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}"#,
            "5 bytes can be guessed",
        ),
        (r#"{"keys": [{"kty": "oct"}]}"#, "has no 'k' in base64url"),
        (
            r#"{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}"#,
            "bits",
        ),
        (
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}"#,
            "is not an Ed25519 key",
        ),
        (
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "AAAA"}]}"#,
            "is a private key",
        ),
        (
            &format!(r#"{{"keys": [{{"kty": "oct", "kid": 5, "k": "{secret}"}}]}}"#),
            "a 'kid' that is no text",
        ),
        (
            &format!(
                r#"{{"keys": [{{"kty": "oct", "kid": "a", "k": "{secret}"}},
                {{"kty": "oct", "kid": "a", "k": "{secret}"}}]}}"#
            ),
            "two keys are called 'a'",
        ),
    ] {
        fs::write(&path, set).unwrap();
        let err = complaint(&format!("{table}jwks_file = '{}'", path.display()));
        assert!(err.contains(part), "{set}: {err}");
        assert!(!err.contains(&secret), "no key is told: {err}");
    }
    let one = "algorithm = 'HS256'\nsecret = 'a secret of more than thirty-two bytes'";
    for (token, part) in [
        (format!("{table}{one}\njwks_file = 'x'"), "or jwks_file"),
        (format!("{table}audience = 'a'"), "or jwks_file"),
        (format!("{table}keys = []"), "at least one key"),
        (
            format!("{table}jwks_file = '/nowhere/jwks'"),
            "cannot be read",
        ),
        (
            format!("[[handlers.phoenix.token.keys]]\nkid = 'a'\n{one}\nuse = 'sig'"),
            "'use' is not a key",
        ),
    ] {
        let err = complaint(&token);
        assert!(err.contains(part), "{token}: {err}");
    }
}

/// What is printed can be used again, and no secret is in it.
#[test]
fn several_keys_are_printed_as_they_are_typed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, SECRETS[0]).unwrap();
    let key = |kid: &str| {
        format!(
            "[[handlers.phoenix.token.keys]]\nkid = '{kid}'\nalgorithm = 'HS256'\n\
             secret_file = '{}'\n",
            secret.display()
        )
    };
    let file = folder.path().join("corecast.toml");
    fs::write(&file, whole(&(key("a") + &key("b")))).unwrap();
    let print = |file: &Path| {
        let mut command = corecast();
        let (code, text, err) = run(command
            .args(["serve", "--print-config", "--config"])
            .arg(file));
        assert_eq!(code, 0, "{err}");
        text
    };
    let first = print(&file);
    assert_eq!(
        first.matches("[[handlers.phoenix.token.keys]]").count(),
        2,
        "{first}"
    );
    let again = folder.path().join("again.toml");
    fs::write(&again, &first).unwrap();
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.map(|line| line.split(" # ").next().unwrap().trim().to_owned());
        values.collect()
    };
    assert_eq!(values(&print(&again)), values(&first));
}
