//! scratch
use corecast_load::dialect::*;
use corecast_load::engine::*;
use corecast_load::outcome::*;
use corecast_load::scenario::*;
use corecast_load::target::Target;
use std::time::Duration;
struct O;
impl Observer for O {
    fn phase(&mut self, p: Phase, _: &mut Outcome) {
        eprintln!("phase {p:?}")
    }
    fn sample(&mut self, s: &mut Sample, _: &Outcome) {
        eprintln!(
            "{:.2} conn {} opened {} failed {} recv {}",
            s.at, s.connected, s.opened, s.failed, s.received
        )
    }
}
fn main() {
    tracing::subscriber::NoSubscriber::default();
    let a: Vec<String> = std::env::args().collect();
    let n: u64 = a[2].parse().unwrap();
    let threads: usize = a[3].parse().unwrap();
    let p: u32 = a[4].parse().unwrap();
    let secs: f64 = a[5].parse().unwrap();
    let cores: Vec<usize> = a[6].split(',').map(|x| x.parse().unwrap()).collect();
    let t = Target::parse(&a[1]).unwrap();
    let sources: Vec<std::net::IpAddr> = (2..(3 + n / 14000))
        .map(|k| std::net::Ipv4Addr::new(127, 0, 0, k as u8).into())
        .collect();
    let plan = Plan {
        dialing: Dialing {
            targets: vec![t],
            sources,
            headers: vec![],
            timeout: Duration::from_secs(10),
            users_per_room: 0,
            close_frames: true,
        },
        connections: n,
        pace: Pace::Maximum { parallel: 256 },
        threads,
        cores,
        driver: corecast::plane::ResolvedDriver::Uring,
        opens_first: true,
        warm_up: Duration::from_millis(300),
        measured: Some(Duration::from_secs_f64(secs)),
        patience: Duration::from_secs(5),
        publishers: 0,
    };
    let json = serde_json::json!({"format":1,"version":"","scenario":"","command":[],"targets":[],"settings":[],"started_unix_ms":0,"seconds":0.0,"interrupted":false,"machines":[],"connections":Connections::default(),"messages":Messages::default(),"deliveries":null,"latencies":{},"resources":Resources::default(),"series":[],"findings":[],"failures":[]});
    let o: Outcome = serde_json::from_value(json).unwrap();
    let stop = Stop::default();
    let out = if p == 0 {
        run(plan, o, |_| Idle::new(None), &stop, &mut O)
    } else {
        let w = Wording::new(Dialect::Raw, 20).unwrap();
        run(
            plan,
            o,
            |_| Echo::new(w.clone(), Load::Pipeline(p), threads),
            &stop,
            &mut O,
        )
    }
    .unwrap();
    println!("{:?} rate {:.0}", out.connections, out.connections.rate());
    println!("{:?} {:.0}/s", out.messages, out.messages.received_rate());
    println!("{:?}", out.deliveries);
    println!("{:?}", out.resources);
    for (n, l) in &out.latencies {
        println!("{n} {:?}", l.percentiles());
    }
    println!("{:?}", out.problems());
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"))
            .collect::<Vec<_>>()
            .join(" ")
    );
}
