//! SIGHUP changes the rules of topics and the key for tokens in a running server.
//!
//! How: the file of a real server is changed, and clients join before and after.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::client::Client;
use crate::support::phoenix::{connect, error, hear, join, ok, say};
use crate::support::{Server, corecast, wait_until};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRETS: [&str; 2] = [
    "the first secret of this test, which is replaced",
    "the second secret of this test, which replaces it",
];

/// A server whose file and secret can be changed.
struct Configured {
    server: Server,
    folder: TempDir,
}

impl Configured {
    fn start(phoenix: &str) -> Configured {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("corecast.toml");
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRETS[0]).unwrap();
        fs::write(&file, with_secret(phoenix, &secret)).unwrap();
        let mut command = corecast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--route", "/socket/websocket=phoenix"])
            .args(["--shards", "2", "--config"])
            .arg(&file);
        let server = Server::spawn(&mut command);
        Configured { server, folder }
    }

    fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// Changes the file, sends SIGHUP, and waits until the log says these words.
    fn reload(&self, phoenix: &str, words: &str) {
        let file = self.folder.path().join("corecast.toml");
        fs::write(file, with_secret(phoenix, &self.secret())).unwrap();
        let said = |log: String| log.matches(words).count();
        let before = said(self.server.log());
        self.server.signal(libc::SIGHUP);
        wait_until(words, || said(self.server.log()) > before);
    }

    /// The answer to a new client that joins a topic.
    fn joins(&self, topic: &str, payload: Value) -> Value {
        let client = &mut connect(self.server.address);
        say(client, json!(["j", "r", topic, "phx_join", payload]));
        hear(client)
    }
}

fn with_secret(phoenix: &str, secret: &std::path::Path) -> String {
    phoenix.replace("SECRET", secret.to_str().unwrap())
}

#[test]
fn rules_of_topics_take_effect_for_joins_from_then_on() {
    let it = Configured::start("");
    let mut early = connect(it.server.address);
    join(&mut early, "room:a");

    it.reload(
        "[[handlers.phoenix.topics]]\npattern = 'room:*'\njoin = 'nobody'\n",
        "handlers.phoenix is as configured from now on",
    );
    let refused = error("j", "r", "room:a", "unauthorized");
    assert_eq!(it.joins("room:a", json!({})), refused);
    // A topic that is joined stays joined.
    say(&mut early, json!(["j", "p", "room:a", "said", {}]));
    let mut heard = [hear(&mut early), hear(&mut early)];
    heard.sort_by_key(|message| message[3] != "phx_reply");
    assert_eq!(heard[0], ok("j", "p", "room:a"));
    assert_eq!(heard[1][3], "said");

    it.reload("", "handlers.phoenix is as configured from now on");
    assert_eq!(it.joins("room:a", json!({})), ok("j", "r", "room:a"));
}

/// A server that began without presence has no timer for it.
#[test]
fn presence_can_begin_in_a_running_server() {
    let it = Configured::start("");
    it.reload(
        "[[handlers.phoenix.topics]]\npattern = 'room:*'\npresence = true\n",
        "handlers.phoenix is as configured from now on",
    );
    let mut first = connect(it.server.address);
    join(&mut first, "room:a");
    assert_eq!(hear(&mut first)[3], "presence_state");
    assert_eq!(next_difference(&mut first, "joins"), 1);
    let mut second = connect(it.server.address);
    join(&mut second, "room:a");
    assert_eq!(next_difference(&mut first, "joins"), 1);
    drop(second);
    assert_eq!(next_difference(&mut first, "leaves"), 1);
}

/// The number of members that came or went in the next difference with any.
fn next_difference(client: &mut Client, what: &str) -> usize {
    loop {
        let message = hear(client);
        assert_eq!(message[3], "presence_diff", "{message}");
        match message[4][what].as_object().unwrap().len() {
            0 => {}
            some => return some,
        }
    }
}

#[test]
fn the_key_for_tokens_is_read_again() {
    let rules = "[handlers.phoenix.token]\nalgorithm = 'HS256'\nsecret_file = 'SECRET'\n\
                 [[handlers.phoenix.topics]]\npattern = '*'\njoin = 'token'\n";
    let it = Configured::start(rules);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims = json!({"exp": since.as_secs() + 600, "topics": ["room:*"]});
    let tokens = SECRETS.map(|secret| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::default(), &claims, &key).unwrap()
    });
    let may = |token: &str| {
        let answer = it.joins("room:a", json!({"token": token}));
        answer == ok("j", "r", "room:a")
    };
    assert_eq!(tokens.each_ref().map(|token| may(token)), [true, false]);

    fs::write(it.secret(), SECRETS[1]).unwrap();
    it.reload(rules, "the key of handlers.phoenix.token was read again");
    assert_eq!(tokens.each_ref().map(|token| may(token)), [false, true]);

    // A key that cannot be used changes nothing.
    fs::write(it.secret(), "short").unwrap();
    it.reload(rules, "every setting stays as it is");
    assert_eq!(tokens.each_ref().map(|token| may(token)), [false, true]);
}

/// The other handlers whose routes ask for tokens read their keys again, too.
#[test]
fn the_key_of_a_one_way_route_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, SECRETS[0]).unwrap();
    let file = folder.path().join("corecast.toml");
    let text = format!(
        "[handlers.broadcast.token]\nalgorithm = 'HS256'\nsecret_file = '{}'\n",
        secret.display()
    );
    fs::write(&file, text).unwrap();
    let mut command = corecast();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--route", "/news=broadcast:publish=token"])
        .args(["--shards", "2", "--config"])
        .arg(&file);
    let server = Server::spawn(&mut command);
    let may_publish = |secret: &str| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let claims = json!({"exp": since.as_secs() + 600, "publish": ["/news"]});
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = encode(&Header::default(), &claims, &key).unwrap();
        let path = format!("/news?token={token}");
        let mut client = Client::connect(server.address, &path);
        client.send_text("said");
        client.frame().payload == b"said"
    };
    assert_eq!(SECRETS.map(may_publish), [true, false]);
    fs::write(&secret, SECRETS[1]).unwrap();
    server.signal(libc::SIGHUP);
    wait_until("the key is read", || {
        let words = "the key of handlers.broadcast.token was read again";
        server.log().contains(words)
    });
    wait_until("the other key counts", || {
        SECRETS.map(may_publish) == [false, true]
    });
}
