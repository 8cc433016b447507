//! The tested configuration: which end, on which driver, with which reads.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, IntoEnumIterator, IntoStaticStr};

/// One way to run all cases. All are run and shown in this order.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Configuration {
    /// The server on io_uring.
    ServerUring,
    /// The server on epoll.
    ServerEpoll,
    /// The server on io_uring, reading a byte at a time.
    ServerUringBytewise,
    /// The server on epoll, reading a byte at a time.
    ServerEpollBytewise,
    /// A client on the library's codec.
    Client,
    /// The same client, reading a byte at a time.
    ClientBytewise,
}

impl Configuration {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Its name in the heading of a table.
    pub const fn title(self) -> &'static str {
        match self {
            Configuration::ServerUring => "server, io_uring",
            Configuration::ServerEpoll => "server, epoll",
            Configuration::ServerUringBytewise => "server, io_uring, reads of 1 byte",
            Configuration::ServerEpollBytewise => "server, epoll, reads of 1 byte",
            Configuration::Client => "client",
            Configuration::ClientBytewise => "client, reads of 1 byte",
        }
    }

    /// The server's driver, or `None` where the client is tested.
    pub const fn driver(self) -> Option<&'static str> {
        match self {
            Configuration::ServerUring | Configuration::ServerUringBytewise => Some("uring"),
            Configuration::ServerEpoll | Configuration::ServerEpollBytewise => Some("epoll"),
            Configuration::Client | Configuration::ClientBytewise => None,
        }
    }

    /// Whether each read takes one byte, so that every split of the input is seen.
    pub const fn is_bytewise(self) -> bool {
        matches!(
            self,
            Configuration::ServerUringBytewise
                | Configuration::ServerEpollBytewise
                | Configuration::ClientBytewise
        )
    }
}

/// The choice of configurations to run: a whole name picks one, a part of names
/// all that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(String);

impl Selector {
    /// Whether it picks this one.
    pub fn picks(&self, configuration: Configuration) -> bool {
        let is_name = |one: Configuration| one.name() == self.0;
        match Configuration::iter().any(is_name) {
            true => is_name(configuration),
            false => configuration.name().contains(&self.0),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let selector = Selector(text.to_owned());
        if Configuration::iter().any(|one| selector.picks(one)) {
            return Ok(selector);
        }
        let names: Vec<_> = Configuration::iter().map(Configuration::name).collect();
        let names = names.join(", ");
        Err(format!("it is part of none of: {names}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(text: &str) -> Vec<&'static str> {
        let selector: Selector = text.parse().unwrap();
        let picked = Configuration::iter();
        let picked = picked.filter(|one| selector.picks(*one));
        picked.map(Configuration::name).collect()
    }

    #[test]
    fn a_name_or_a_part_of_names_picks() {
        assert_eq!(picked("uring"), ["server-uring", "server-uring-bytewise"]);
        assert_eq!(picked("server-uring"), ["server-uring"]);
        assert_eq!(picked("client"), ["client"]);
        assert_eq!(picked("bytewise").len(), 3);
        assert!("kqueue".parse::<Selector>().is_err());
    }

    #[test]
    fn files_and_people_use_the_same_names() {
        for configuration in Configuration::iter() {
            let json = serde_json::to_string(&configuration).unwrap();
            assert_eq!(json, format!("\"{configuration}\""));
        }
    }
}
