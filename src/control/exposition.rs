//! `/metrics`: everything counted, as OpenMetrics text.
//!
//! Nothing is kept here between two scrapes: a scrape walks the shards and
//! writes down what it finds.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit as MetricUnit};

use super::ServerView;
use super::balance::Balance;
use super::fields::{FIELDS, Field, Kind, Read, Unit};
use super::process::Process;
#[cfg(feature = "api")]
use crate::api::ReadMetric;
use crate::shutdown::Phase;

/// The metrics of one server.
pub(super) struct Exposition {
    registry: Registry,
}

impl Exposition {
    pub(super) fn new(view: Arc<ServerView>) -> Self {
        let mut registry = Registry::default();
        registry
            .sub_registry_with_prefix("corecast")
            .register_collector(Box::new(ServerCollector(view)));
        // These names are a convention of their own, which every dashboard for processes expects.
        registry
            .sub_registry_with_prefix("process")
            .register_collector(Box::new(ProcessCollector));
        Exposition { registry }
    }

    /// Everything as it is now.
    pub(super) fn text(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a String takes any text");
        page
    }
}

#[derive(Debug)]
struct ServerCollector(Arc<ServerView>);

impl Collector for ServerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let ServerView {
            shards,
            lifecycle,
            info,
            ..
        } = &*self.0;

        encoder
            .encode_descriptor("build", "What is running.", None, MetricType::Info)?
            .encode_info(&[("version", info.version), ("driver", info.driver.as_str())])?;
        encoder
            .encode_descriptor(
                "steering",
                "Which shard a connection is given to: one on the core that received it (cpu), or any (hash).",
                None,
                MetricType::Info,
            )?
            .encode_info(&[("by", info.steer.as_str())])?;
        encoder
            .encode_descriptor("shards", "Shards.", None, MetricType::Gauge)?
            .encode_gauge(&(info.shards as u64))?;
        encoder
            .encode_descriptor(
                "uptime",
                "Time since the server was started.",
                Some(&MetricUnit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&info.started.elapsed().as_secs_f64())?;

        let now = lifecycle.phase();
        let mut phases = encoder.encode_descriptor(
            "phase",
            "1 for the phase of the server's life it is in, 0 for the others.",
            None,
            MetricType::Gauge,
        )?;
        for phase in Phase::ALL {
            phases
                .encode_family(&[("phase", phase.label())])?
                .encode_gauge(&u64::from(*phase == now))?;
        }

        let predecessors = lifecycle.predecessors();
        let drain = lifecycle.drain_start();
        for (name, help, value) in [
            (
                "predecessors",
                "Processes that have handed over to this one and still drain.",
                predecessors.processes(),
            ),
            (
                "predecessor_sessions",
                "Sessions that those processes have left.",
                predecessors.sessions(),
            ),
            (
                "drain_initial_sessions",
                "Sessions that were open when the drain began; 0 before.",
                drain.map_or(0, |drain| drain.sessions),
            ),
        ] {
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&value)?;
        }
        encoder
            .encode_descriptor(
                "drain",
                "Time since the drain began; 0 before.",
                Some(&MetricUnit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&drain.map_or(0.0, |drain| drain.at.elapsed().as_secs_f64()))?;

        let balance = Balance::of(shards, info.started.elapsed());
        for (name, help, value) in [
            (
                "fullest_shard_sessions",
                "Sessions on the shard that has the most.",
                balance.fullest_sessions,
            ),
            (
                "emptiest_shard_sessions",
                "Sessions on the shard that has the fewest.",
                balance.emptiest_sessions,
            ),
        ] {
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&value)?;
        }
        encoder
            .encode_descriptor(
                "fullest_to_mean",
                "Sessions on the fullest shard as a multiple of the mean; 1 is perfect balance.",
                Some(&MetricUnit::Other("ratio".to_owned())),
                MetricType::Gauge,
            )?
            .encode_gauge(&balance.fullest_to_mean)?;

        let numbers: Vec<String> = (0..shards.len()).map(|shard| shard.to_string()).collect();
        for field in FIELDS {
            let mut family = encoder.encode_descriptor(
                field.name,
                field.help,
                metric_unit(field.unit),
                match field.kind {
                    Kind::Gauge => MetricType::Gauge,
                    Kind::Counter => MetricType::Counter,
                },
            )?;
            for (shard, number) in shards.iter().zip(&numbers) {
                let shard_label = ("shard", number.as_str());
                match field.read {
                    Read::One(read) => {
                        encode(field, family.encode_family(&[shard_label])?, read(shard))?;
                    }
                    Read::PerLabel(label, values, read) => {
                        for (value, counter) in values.iter().zip(read(shard)) {
                            let labels = [shard_label, (label, *value)];
                            encode(field, family.encode_family(&labels)?, counter.value())?;
                        }
                    }
                }
            }
        }
        #[cfg(feature = "api")]
        if let Some(api) = &self.0.api {
            encode_api(api, &mut encoder)?;
        }
        Ok(())
    }
}

/// The counters of the HTTP API, which belong to no shard.
#[cfg(feature = "api")]
fn encode_api(api: &crate::api::ApiMetrics, encoder: &mut DescriptorEncoder) -> fmt::Result {
    for (key, help, read) in crate::api::FIELDS {
        let name = format!("api_{key}");
        let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        match read {
            ReadMetric::One(read) => {
                family.encode_counter::<NoLabelSet, _, u64>(&read(api), None)?;
            }
            ReadMetric::PerReason(reasons, read) => {
                for (reason, counter) in reasons.iter().zip(read(api)) {
                    family
                        .encode_family(&[("reason", *reason)])?
                        .encode_counter::<NoLabelSet, _, u64>(&counter.value(), None)?;
                }
            }
        }
    }
    Ok(())
}

fn metric_unit(unit: Unit) -> Option<&'static MetricUnit> {
    match unit {
        Unit::None => None,
        Unit::Bytes => Some(&MetricUnit::Bytes),
        Unit::Nanoseconds => Some(&MetricUnit::Seconds),
    }
}

fn encode(field: &Field, mut encoder: MetricEncoder, value: u64) -> fmt::Result {
    match (field.kind, field.unit) {
        (Kind::Gauge, _) => encoder.encode_gauge(&value),
        (Kind::Counter, Unit::Nanoseconds) => {
            encoder.encode_counter::<NoLabelSet, _, u64>(&(value as f64 / 1e9), None)
        }
        (Kind::Counter, _) => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
    }
}

#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let process = Process::now();
        if let Some(seconds) = process.cpu_seconds {
            encoder
                .encode_descriptor(
                    "cpu",
                    "Processor time of all threads, in user and kernel mode.",
                    Some(&MetricUnit::Seconds),
                    MetricType::Counter,
                )?
                .encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
        }
        if let Some(bytes) = process.resident_memory_bytes {
            encoder
                .encode_descriptor(
                    "resident_memory",
                    "Resident memory; the kernel's own for sockets is not in it.",
                    Some(&MetricUnit::Bytes),
                    MetricType::Gauge,
                )?
                .encode_gauge(&bytes)?;
        }
        if let Some(fds) = process.open_fds {
            encoder
                .encode_descriptor(
                    "open_fds",
                    "Descriptors in the table of the main thread; a shard with its own table counts sessions instead.",
                    None,
                    MetricType::Gauge,
                )?
                .encode_gauge(&fds)?;
        }
        if let Some(threads) = process.threads {
            encoder
                .encode_descriptor("threads", "Threads.", None, MetricType::Gauge)?
                .encode_gauge(&threads)?;
        }
        Ok(())
    }
}
