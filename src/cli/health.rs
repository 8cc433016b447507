//! `corecast health`: asks the running server whether it is ready.
//!
//! It is for images without a shell, for scripts, and for orchestrators that run a
//! command: the control plane is asked, or, where that is off, the health page of the
//! first listener.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::config::Config;

/// Time for all of it. Engines wait for 5 s and more.
const LIMIT: Duration = Duration::from_secs(3);
/// More than any answer has.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// The question whether a server is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    address: SocketAddr,
    path: &'static str,
}

impl Health {
    /// The question to a server with this configuration.
    pub(super) fn of(config: &Config) -> Self {
        let (address, path) = match config.admin {
            Some(admin) => (admin, "/readyz"),
            None => (config.listen[0].address, "/healthz"),
        };
        let ip = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let address = SocketAddr::new(ip, address.port());
        Health { address, path }
    }

    /// Asks. Returns the answer.
    ///
    /// # Errors
    /// A sentence that says why the server is not ready, or cannot be asked.
    pub fn ask(&self) -> Result<String, String> {
        let Health { address, path } = self;
        if address.port() == 0 {
            return Err(format!(
                "the server at {address} has a port of the kernel's choice, so it cannot be \
                 asked; give --admin a port"
            ));
        }
        let (status, body) = self
            .exchange()
            .map_err(|error| format!("http://{address}{path} does not answer: {error}"))?;
        match status {
            200 => Ok(format!("http://{address}{path}: {body}")),
            status => Err(format!(
                "the server is not ready: http://{address}{path} answers {status}, {body}"
            )),
        }
    }

    fn exchange(&self) -> io::Result<(u16, String)> {
        let until = Instant::now() + LIMIT;
        let left = || match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
            left => Ok(left),
        };
        let mut stream = TcpStream::connect_timeout(&self.address, LIMIT)?;
        stream.set_write_timeout(Some(left()?))?;
        let Health { address, path } = self;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut chunk = [0; 1024];
        while (answer.len() as u64) < MAX_ANSWER_BYTES {
            stream.set_read_timeout(Some(left()?))?;
            match stream.read(&mut chunk)? {
                0 => break,
                read => answer.extend_from_slice(&chunk[..read]),
            }
        }
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP");
        let answer = String::from_utf8(answer).map_err(|_| wrong())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
        let status = head
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5)?.parse().ok())
            .ok_or_else(wrong)?;
        Ok((status, body.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_plane_is_asked_or_else_the_first_listener() {
        let question = |listen: &str, admin: Option<&str>| {
            Health::of(&Config {
                listen: vec![listen.parse().unwrap()],
                admin: admin.map(|admin| admin.parse().unwrap()),
                ..Config::default()
            })
        };
        for (listen, admin, address, path) in [
            ("0.0.0.0:80", Some("0.0.0.0:90"), "127.0.0.1:90", "/readyz"),
            ("0.0.0.0:80", Some("[::]:90"), "[::1]:90", "/readyz"),
            ("0.0.0.0:80", None, "127.0.0.1:80", "/healthz"),
            ("192.0.2.1:80", None, "192.0.2.1:80", "/healthz"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(question(listen, admin), Health { address, path });
        }
        let error = question("0.0.0.0:0", None).ask().unwrap_err();
        assert!(error.contains("kernel's choice"), "{error}");
    }
}
