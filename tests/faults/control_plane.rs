//! A control plane that hangs, or is kept busy by clients that do, is not
//! noticed by those the server is for: sessions are served, and SIGTERM drains.
//!
//! How: the one thread of the control plane is stopped as if its core had been
//! taken away; and hundreds of clients hold its connections half open, or ask
//! for metrics and never read them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::fault::{StoppedThread, cpu_time, descriptors, thread};
use crate::support::{DEADLINE, Server, http, on_each_driver, skip, wait_until};

/// Echo and broadcast go on, across shards.
fn expect_service(server: &Server) {
    let mut echo = Client::connect(server.address, "/echo");
    let mut listeners: Vec<_> = (0..8)
        .map(|_| Client::connect(server.address, "/broadcast"))
        .collect();
    for number in 0..50 {
        echo.expect_echo(&number.to_string());
        listeners[0].send_text("heard by all");
        for listener in &mut listeners {
            assert_eq!(listener.read_text(), "heard by all");
        }
    }
    echo.close();
}

fn stop_control(server: &Server) -> Option<StoppedThread> {
    let stopped = StoppedThread::stop(thread(server.pid(), "control"));
    stopped
        .inspect_err(|error| skip("a control plane that hangs", &error.to_string()))
        .ok()
}

#[test]
fn it_hangs_and_goes_on() {
    on_each_driver(&["--shards", "2"], |server| {
        let Some(stopped) = stop_control(server) else {
            return;
        };
        let mut waiting = TcpStream::connect(server.admin).unwrap();
        waiting
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        expect_service(server);
        let short = Some(Duration::from_millis(100));
        waiting.set_read_timeout(short).unwrap();
        assert!(waiting.read(&mut [0; 10]).is_err(), "it answers");

        drop(stopped);
        waiting.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(http::finish(&mut waiting, true).status, 200);
        server.wait_for("sessions", 0);
    });
}

#[test]
fn it_hangs_while_the_server_drains() {
    on_each_driver(&["--shards", "2"], |server| {
        let Some(stopped) = stop_control(server) else {
            return;
        };
        let mut client = Client::connect(server.address, "/echo");
        client.expect_echo("before the end");
        server.signal(libc::SIGTERM);
        assert_eq!(client.frame().close_code(), 1001);
        client.send_close(1001);
        client.expect_end();
        // A thread's end is complete only after its tracer has heard of it.
        wait_until("the server ends", || {
            stopped.hear_of_its_end();
            server.has_ended()
        });
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(server.log().contains("control plane hangs"));
    });
}

#[test]
fn hundreds_of_its_clients_hang() {
    on_each_driver(&["--shards", "2"], |server| {
        let before = descriptors(server.pid());
        let many: Vec<_> = (0..400)
            .map(|number| {
                let mut stream = TcpStream::connect(server.admin).unwrap();
                let say: &[u8] = match number % 4 {
                    0 => b"",
                    1 => b"GET /metrics HTTP/1.1\r\nHost:",
                    2 => b"\0\xff\r\n",
                    // Answers of many kilobytes that are never read.
                    _ => &b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(30),
                };
                let _ = stream.write_all(say);
                stream
            })
            .collect();
        expect_service(server);
        // Once the buffers of the clients that never read are full there is nothing to
        // do, and no thread spins.
        wait_until("the control plane rests", || {
            let used = cpu_time(server.pid());
            thread::sleep(Duration::from_millis(500));
            cpu_time(server.pid()) - used < Duration::from_millis(50)
        });

        drop(many);
        server.wait_for("sessions", 0);
        wait_until("their descriptors are given back", || {
            descriptors(server.pid()) <= before + 1
        });

        // Again, and the server ends all the same. No more than it accepts and
        // the kernel queues for it, or connecting would wait.
        let _many: Vec<_> = (0..350)
            .map(|_| TcpStream::connect(server.admin).unwrap())
            .collect();
        let mut client = Client::connect(server.address, "/echo");
        server.signal(libc::SIGTERM);
        assert_eq!(client.frame().close_code(), 1001);
        client.send_close(1001);
        assert_eq!(server.exit_status().code(), Some(0));
    });
}
