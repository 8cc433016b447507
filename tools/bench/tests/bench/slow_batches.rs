//! A broadcast of several publications that takes longer than the window: shows
//! that it has a figure all the same.
//!
//! How: a server that needs 20 ms for each publication, 16 of which are
//! outstanding, under a window of 100 ms. No subscriber has all 16 in it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use corecast_bench::floor::GREETING;
use corecast_bench::load::broadcast::Broadcast;
use corecast_bench::load::{Account, Peer, Protocol, Window};

const BROADCAST: Broadcast = Broadcast {
    subscribers: 4,
    outstanding: 16,
    payload_bytes: 20,
};

/// A loop of sends on a very slow host.
fn start() -> SocketAddrV4 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
        panic!("not an IPv4 address");
    };
    let unit_bytes = BROADCAST.unit_bytes(&Peer::new(address, Protocol::Raw));
    thread::spawn(move || {
        let subscribers: Vec<TcpStream> = (0..BROADCAST.subscribers)
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(&[GREETING]).unwrap();
                stream
            })
            .collect();
        for publisher in 0..BROADCAST.subscribers {
            let mut publisher = subscribers[publisher].try_clone().unwrap();
            let mut subscribers: Vec<TcpStream> = subscribers
                .iter()
                .map(|it| it.try_clone().unwrap())
                .collect();
            thread::spawn(move || {
                let mut unit = vec![0; unit_bytes];
                // The load goes away when it has measured.
                while publisher.read_exact(&mut unit).is_ok() {
                    thread::sleep(Duration::from_millis(20));
                    for subscriber in &mut subscribers {
                        let _ = subscriber.write_all(&unit);
                    }
                }
            });
        }
    });
    address
}

#[test]
fn a_batch_that_takes_longer_than_the_window_has_a_figure() {
    let window = Window {
        warm_up: Duration::from_millis(50),
        measured: Duration::from_millis(100),
    };
    let peer = Peer::new(start(), Protocol::Raw);
    let sample = BROADCAST
        .measure(&peer, window, Account::default())
        .unwrap();
    // Four subscribers and at most fifty publications a second.
    assert!((1.0..=220.0).contains(&sample.rate()), "{sample:?}");
    assert!(sample.seconds < 0.3, "{sample:?}");
}
