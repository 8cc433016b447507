//! Figures of a test's own making.

use crate::contestant::Contestant;
use crate::hold::Held;
use crate::newcomers::Waits;
use crate::reading::Reading;
use crate::slabs::Cache;

pub(super) fn reading(contestant: Contestant, connections: u64, server_micros: f64) -> Reading {
    Reading {
        contestant,
        connections,
        opened_per_second: 30_000.0,
        publications: 10,
        server_micros,
        load_micros: 4.0,
        last_seconds: 1.5,
        server_bytes: 106.0,
        load_bytes: 150.0,
        kernel_bytes: 8_400.0,
        kernel_caches: vec![Cache {
            name: "TCP".to_owned(),
            bytes: 5_200.0,
            object_bytes: 2_432,
            objects: 2.0,
        }],
    }
}

pub(super) fn held(connections: u64) -> Held {
    Held {
        reading: reading(Contestant::Server, connections, 8.0),
        seconds: 600.0,
        shards: 53,
        deliveries: connections * 10,
        pings: connections * 19,
        idle_server_cores: 0.5,
        idle_load_cores: 0.4,
        during_broadcasts: Waits::default(),
        between_broadcasts: Waits::default(),
        failures: Vec::new(),
    }
}
