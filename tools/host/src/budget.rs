//! The costs of a connection, as they were measured, and the sums that follow
//! from them.
//!
//! # Invariants worth naming
//!
//! - Every constant says where it comes from: [`Cost::origin`]. Nothing here is
//!   a guess, and nothing reads the host.
//! - The costs are of *idle* sessions. Bytes on their way come on top and are
//!   bounded elsewhere: in the program by `max_pending_bytes`, in the kernel by
//!   `tcp_mem`.

pub mod processor;
pub mod wire;

/// How a process waits for its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// On a ring of io_uring.
    Uring,
    /// On epoll.
    Epoll,
}

/// Bytes that something takes, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The use of the bytes, in a few words.
    pub what: &'static str,
    /// How many.
    pub bytes: u64,
    /// How it was measured, in one sentence.
    pub origin: &'static str,
}

/// Memory of the server's process for a session on `/echo`.
pub const ECHO_SESSION: Cost = Cost {
    what: "a session on /echo",
    bytes: 58,
    origin: "growth of the server's resident memory from 200 to 18,000 idle sessions (make bench)",
};

/// Memory of the server's process for a session with one subscription.
pub const SUBSCRIBED_SESSION: Cost = Cost {
    what: "a session on /broadcast and its subscription",
    bytes: 106,
    origin: "growth of the server's resident memory with idle sessions on /broadcast, 103 to 106 B each",
};

/// Kernel memory of one end of an idle TCP connection: the socket, its file,
/// inode and directory entry.
pub const SOCKET: Cost = Cost {
    what: "one end of a TCP connection in the kernel",
    bytes: 4_045,
    origin: "growth of all slabs with 18,000 idle loopback connections, halved for the two ends \
             (make bench)",
};

/// Kernel memory of waiting for a socket on io_uring: one request.
pub const URING_POLL: Cost = Cost {
    what: "an armed poll on io_uring",
    bytes: 256,
    origin: "object size of io_kiocb in /proc/slabinfo",
};

/// Kernel memory of waiting for a socket on epoll: one entry.
pub const EPOLL_ENTRY: Cost = Cost {
    what: "an entry of epoll",
    bytes: 128,
    origin: "object size of eventpoll_epi in /proc/slabinfo",
};

/// Memory of the load generator's process for one of its connections.
pub const GENERATOR_CONNECTION: Cost = Cost {
    what: "a connection of corecast-load",
    bytes: 150,
    origin: "growth of the generator's resident memory with idle connections",
};

/// Bytes in which the kernel counts the memory of TCP's buffers.
pub const BUFFER_PAGE_BYTES: u64 = 4_096;

/// Kernel memory of one end of a connection for bytes that are on their way or
/// were not read, in whole pages. Measured with 4,000 loopback connections that
/// are not read: 1.8, 1.2, 2.8 and 6.9 pages each for 20, 1,000, 4,000 and
/// 16,000 bytes, from `mem` in /proc/net/sockstat.
pub fn buffered_bytes(bytes: u64) -> u64 {
    (1 + (bytes * 3 / 2).div_ceil(BUFFER_PAGE_BYTES)) * BUFFER_PAGE_BYTES
}

/// The kernel's memory for waiting for a socket with this driver.
pub fn waiting(driver: Driver) -> Cost {
    match driver {
        Driver::Uring => URING_POLL,
        Driver::Epoll => EPOLL_ENTRY,
    }
}

/// One connection's memory at one end, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerConnection {
    /// Of the process; a control group counts it.
    pub user_bytes: u64,
    /// Of the kernel; a control group counts it, too.
    pub kernel_bytes: u64,
}

impl PerConnection {
    /// A session of the server, with or without a subscription.
    pub fn of_server(driver: Driver, subscribed: bool) -> PerConnection {
        let session = if subscribed {
            SUBSCRIBED_SESSION
        } else {
            ECHO_SESSION
        };
        PerConnection {
            user_bytes: session.bytes,
            kernel_bytes: SOCKET.bytes + waiting(driver).bytes,
        }
    }

    /// A connection of the load generator.
    pub fn of_generator(driver: Driver) -> PerConnection {
        PerConnection {
            user_bytes: GENERATOR_CONNECTION.bytes,
            kernel_bytes: SOCKET.bytes + waiting(driver).bytes,
        }
    }

    /// Both together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.user_bytes + self.kernel_bytes
    }

    /// Two ends of a connection on one host.
    pub fn and(self, other: PerConnection) -> PerConnection {
        PerConnection {
            user_bytes: self.user_bytes + other.user_bytes,
            kernel_bytes: self.kernel_bytes + other.kernel_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_its_own_memory_and_the_kernels() {
        let uring = PerConnection::of_server(Driver::Uring, true);
        assert_eq!((uring.user_bytes, uring.kernel_bytes), (106, 4_301));
        let epoll = PerConnection::of_server(Driver::Epoll, false);
        assert_eq!(epoll.bytes(), 58 + 4_045 + 128);
    }

    #[test]
    fn buffers_are_counted_in_pages() {
        let pages = |bytes| buffered_bytes(bytes) / BUFFER_PAGE_BYTES;
        assert_eq!([20, 1_000, 4_000, 16_000].map(pages), [2, 2, 3, 7]);
    }

    #[test]
    fn both_ends_on_one_host_are_summed() {
        let server = PerConnection::of_server(Driver::Uring, false);
        let both = server.and(PerConnection::of_generator(Driver::Uring));
        assert_eq!(both.bytes(), (58 + 150) + 2 * (4_045 + 256));
    }
}
