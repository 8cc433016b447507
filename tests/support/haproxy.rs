//! A real HAProxy in front of a server.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::skip;

/// A running HAProxy. Dropping it ends it.
pub struct Haproxy {
    child: Child,
    /// The address at which it takes connections.
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Haproxy {
    /// Whether there is one; where not, says that this test is skipped.
    pub fn is_there(test: &str) -> bool {
        let is_there = Command::new("haproxy").arg("-v").output().is_ok();
        if !is_there {
            skip(test, "there is no haproxy; apt-get install haproxy");
        }
        is_there
    }

    /// Starts one whose only section, `listen websocket`, has these lines.
    pub fn start(lines: &str) -> Haproxy {
        // It inherits the listener, so the port is chosen by the kernel and is not
        // shared.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        let config = format!(
            "defaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n \
             timeout tunnel 30s\nlisten websocket\n bind fd@3\n {lines}\n"
        );
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let fd = listener.as_raw_fd();
        // SAFETY: between fork and exec only dup2 and fcntl are called, which is allowed there.
        unsafe {
            command.pre_exec(move || {
                // A descriptor that is 3 already would keep its mark to be closed.
                let inherited = libc::dup2(fd, 3) == 3 && libc::fcntl(3, libc::F_SETFD, 0) == 0;
                inherited
                    .then_some(())
                    .ok_or_else(std::io::Error::last_os_error)
            });
        }
        Haproxy {
            child: command.spawn().unwrap(),
            address,
            _folder: folder,
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
