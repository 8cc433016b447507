//! Settings that are one of a few words.

/// Declares an enum whose variants each have a word, the same on the command
/// line, in the environment and in the file.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident, $noun:literal, {
        $($(#[$doc:meta])* $variant:ident => $word:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All words there are.
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word used on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err($crate::config::choice::refusal(text, $noun, $name::WORDS)),
                }
            }
        }

        impl $crate::config::setting::Field<String> for $name {
            fn to_setting(&self) -> String {
                self.as_str().to_owned()
            }

            fn from_setting(value: String) -> Result<Self, String> {
                value.parse()
            }
        }
    };
}

#[cfg(feature = "log")]
pub(crate) use choice;

choice! {
    /// The kernel interface the shards wait on (`--driver`).
    Driver, "a driver", {
        /// io_uring where the host allows it, epoll otherwise. Says which in the log.
        #[default]
        Auto => "auto",
        /// io_uring, or an error at start-up that names the cause and the remedy.
        Uring => "uring",
        /// epoll.
        Epoll => "epoll",
    }
}

choice! {
    /// Which shard a new connection is given to (`--steer`).
    Steer, "a way to steer connections", {
        /// Any, by the kernel's hash of the connection's addresses: all get as many.
        #[default]
        Hash => "hash",
        /// One on the core that received it, where there is one. A shard whose
        /// core receives nothing stays empty.
        Cpu => "cpu",
    }
}

choice! {
    /// The treatment of a session whose send queue is full when a publication arrives
    /// for it.
    SlowConsumerPolicy, "a slow-consumer policy", {
        /// Close it with 1013 (Try Again Later).
        #[default]
        Close => "close",
        /// Drop the publication for this session, and count the drop.
        Drop => "drop",
        /// Keep the newest publication of each topic, or of each key in it, and send it
        /// when there is room. What it replaces is counted as conflated.
        Latest => "latest",
    }
}

choice! {
    /// The treatment of a session that sends more than its rate.
    OverRatePolicy, "what can be done about a session over its rate", {
        /// It is not read until the rate allows more, so that the kernel's flow
        /// control reaches the sender. Nothing is lost.
        #[default]
        Pause => "pause",
        /// Close it with 1008 (Policy Violation).
        Close => "close",
    }
}

choice! {
    /// The source of a client's address: the connection itself, or a trusted proxy.
    ClientAddress, "a way to find the client's address", {
        /// The other end of the TCP connection.
        #[default]
        Peer => "peer",
        /// The `X-Forwarded-For` header, where a trusted proxy sends it.
        ForwardedFor => "forwarded-for",
        /// The PROXY protocol header, version 1 or 2, with which a trusted proxy
        /// begins each connection. Others may not connect.
        ProxyProtocol => "proxy-protocol",
    }
}

choice! {
    /// The clients that may join a topic of the Phoenix handler.
    JoinPolicy, "an answer to who may join", {
        /// Every client.
        #[default]
        Everyone => "everyone",
        /// Clients with a good token that names the topic.
        Token => "token",
        /// No client.
        Nobody => "nobody",
    }
}

choice! {
    /// Which clients may publish to a topic or on a route. The backend always may: a
    /// [`Publisher`](crate::publisher::Publisher), and what a handler itself publishes.
    PublishPolicy, "an answer to who may publish", {
        /// Every client.
        #[default]
        Everyone => "everyone",
        /// A client with a good token whose claim `publish` names the topic or path.
        Token => "token",
        /// No client.
        Nobody => "nobody",
    }
}

impl PublishPolicy {
    /// The one of two that lets fewer clients publish.
    #[must_use]
    pub fn stricter(self, other: PublishPolicy) -> PublishPolicy {
        let rank = |policy| match policy {
            PublishPolicy::Everyone => 0,
            PublishPolicy::Token => 1,
            PublishPolicy::Nobody => 2,
        };
        match rank(self) >= rank(other) {
            true => self,
            false => other,
        }
    }
}

choice! {
    /// How the tokens of Phoenix clients are signed.
    TokenAlgorithm, "a way to sign tokens", {
        /// With a secret that both sides know (HMAC with SHA-256).
        #[default]
        Hs256 => "HS256",
        /// With a private RSA key.
        Rs256 => "RS256",
        /// With a private Ed25519 key.
        EdDsa => "EdDSA",
    }
}

/// The sentence about a word that is not one of `words`.
pub(crate) fn refusal(text: &str, noun: &str, words: &[&str]) -> String {
    let (last, others) = words.split_last().expect("a choice has words");
    format!(
        "'{text}' is not {noun}; use {} or {last}",
        others.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_variant_name_each_other() {
        for word in ["peer", "forwarded-for", "proxy-protocol"] {
            assert_eq!(word.parse::<ClientAddress>().unwrap().as_str(), word);
        }
        assert_eq!(ClientAddress::default().as_str(), "peer");
    }

    #[test]
    fn the_stricter_of_two_lets_fewer_publish() {
        use PublishPolicy::{Everyone, Nobody, Token};
        for (a, b, stricter) in [
            (Everyone, Token, Token),
            (Token, Nobody, Nobody),
            (Everyone, Nobody, Nobody),
            (Token, Token, Token),
        ] {
            assert_eq!(a.stricter(b), stricter);
            assert_eq!(b.stricter(a), stricter);
        }
    }

    #[test]
    fn another_word_is_answered_with_all_there_are() {
        assert_eq!(
            "fast".parse::<Driver>().unwrap_err(),
            "'fast' is not a driver; use auto, uring or epoll"
        );
        assert_eq!(
            "wait".parse::<SlowConsumerPolicy>().unwrap_err(),
            "'wait' is not a slow-consumer policy; use close, drop or latest"
        );
    }
}
