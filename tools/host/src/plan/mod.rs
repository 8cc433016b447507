//! The budget on paper: the memory, descriptors, ports, network and processors
//! that a number of connections and a rate of messages need, before anything is
//! started.
//!
//! [`Question`] → [`Plan::of`], which asks one module for each section →
//! [`Plan::table`] or [`Plan::json`]. Nothing here reads the host: the constants stand in
//! [`budget`](crate::budget), and `corecast doctor` compares a host with them.
//!
//! # Invariants worth naming
//!
//! - Every line shows its arithmetic, and says where its constants come from.
//! - A value that was not given is not invented: without `--cores` and
//!   `--sources` the plan says how many are needed, with them whether they do.
//! - No multiplication overflows: counts are floating-point numbers from the
//!   start, exact up to 2^53, and are rounded up where a part cannot be had.

mod advice;
mod descriptors;
mod line;
mod memory;
mod network;
mod ports;
mod processor;
mod table;
#[cfg(test)]
mod tests;
mod times;
mod words;

use std::time::Duration;

use serde::Serialize;

use crate::Settings;
pub use line::{Line, Section, Unit};

/// The load to plan for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// Connections at one time.
    pub connections: u64,
    /// Messages that all clients together send, per second.
    pub rate: f64,
    /// Bytes of a message's payload.
    pub payload_bytes: u64,
    /// Sessions that each message is sent to.
    pub fan_out: u64,
    /// Source addresses that the clients of a test have, if that is known.
    pub sources: Option<u64>,
    /// Addresses and ports of the server that the clients connect to.
    pub targets: u64,
    /// The server's cores, each with a shard, if that is known.
    pub cores: Option<u64>,
    /// Silence after which the server sends a ping; `None` for never.
    #[serde(rename = "ping_interval_seconds", serialize_with = "seconds")]
    pub ping_interval: Option<Duration>,
    /// Connections that are opened per second, if that is known.
    pub connect_rate: Option<f64>,
}

impl Question {
    /// So many connections that say nothing, on a server with its default settings.
    pub fn new(connections: u64) -> Question {
        Question {
            connections,
            rate: 0.0,
            payload_bytes: 20,
            fan_out: 1,
            sources: None,
            targets: 1,
            cores: None,
            ping_interval: Some(Duration::from_secs(30)),
            connect_rate: None,
        }
    }

    /// Messages that are sent by the server per second.
    pub fn deliveries(&self) -> f64 {
        self.rate * self.fan_out as f64
    }

    /// Pings per second. A connection that sends more often than the interval
    /// gets none; messages are taken to come from all evenly.
    pub fn pings(&self) -> f64 {
        match self.ping_interval {
            Some(interval) if self.rate * interval.as_secs_f64() < self.connections as f64 => {
                self.connections as f64 / interval.as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

fn seconds<S: serde::Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(to)
}

/// The needs of a load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The load.
    pub question: Question,
    /// The budget, a section for each resource.
    pub sections: Vec<Section>,
    /// The requests that cannot be met with the resources that there are.
    pub problems: Vec<String>,
    /// The settings to make on the server's host.
    pub to_set: Vec<String>,
    /// The needs of a test of this size.
    pub for_a_test: Vec<String>,
}

impl Plan {
    /// The budget for a question. `settings` are those that the server would have
    /// if none were given; differences from them are in the advice.
    pub fn of(question: &Question, settings: &Settings) -> Plan {
        let cores = processor::cores(question);
        let sections = vec![
            memory::section(question, settings),
            descriptors::section(question, cores),
            ports::section(question),
            network::section(question),
            processor::section(question, cores),
            times::section(question, cores, settings),
        ];
        let mut plan = Plan {
            question: question.clone(),
            sections,
            problems: Vec::new(),
            to_set: Vec::new(),
            for_a_test: Vec::new(),
        };
        plan.problems = advice::problems(&plan);
        plan.to_set = advice::to_set(&plan, cores, settings);
        plan.for_a_test = advice::for_a_test(&plan);
        plan
    }

    /// The figure of the line with this name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let lines = self.sections.iter().flat_map(|section| &section.lines);
        lines
            .into_iter()
            .find(|line| line.name == name)
            .map(|line| line.value)
    }

    /// As JSON, a line at its end.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("a plan has text, finite numbers and lists only") + "\n"
    }

    /// As a table for a terminal of 100 columns.
    pub fn table(&self) -> String {
        table::table(self)
    }
}
