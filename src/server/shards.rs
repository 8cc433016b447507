//! The threads of the shards, and the lines between them and the start.
//!
//! Each shard has a line of its own: it reports each [`Stage`] that it reaches, or why
//! it does not, and is ordered to listen once. A shard that ends without a report
//! leaves its end of the line closed, which the start sees as a lost shard; a start
//! that fails closes the other ends, on which shards wait for their order.
//!
//! # Invariants worth naming
//!
//! - Shards listen one after the other, in the order of their numbers, because the
//!   kernel looks for a core's listener from a place in the group that the hash
//!   gives: only where the listeners of all cores alternate do those of one core get
//!   as many connections each.
//! - The lines of a start that fails are closed before its threads are joined.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use super::ServerHandle;
use super::starting::{Stage, StartingShard};
use crate::error::StartError;
use crate::shutdown::Phase;

/// The order to listen, and to run.
#[derive(Debug)]
pub(super) struct Listen;

/// A shard's end of its line.
pub(super) struct ShardLine {
    reports: mpsc::Sender<Result<Stage, StartError>>,
    orders: mpsc::Receiver<Listen>,
}

impl ShardLine {
    /// Reports how far the shard has come, or why it comes no further. It is lost
    /// where the start has failed elsewhere.
    pub(super) fn report(&self, reached: Result<Stage, StartError>) {
        let _ = self.reports.send(reached);
    }

    /// Waits for the order to listen; there is none when the start has failed
    /// elsewhere.
    pub(super) fn wait_for_order(&self) -> Option<Listen> {
        self.orders.recv().ok()
    }
}

/// The start's end of a shard's line.
struct StartLine {
    reports: mpsc::Receiver<Result<Stage, StartError>>,
    orders: mpsc::Sender<Listen>,
}

/// Both ends of a line.
fn line() -> (StartLine, ShardLine) {
    let (report, reports) = mpsc::channel();
    let (order, orders) = mpsc::channel();
    let start = StartLine {
        reports,
        orders: order,
    };
    let shard = ShardLine {
        reports: report,
        orders,
    };
    (start, shard)
}

impl StartLine {
    /// Waits until the shard has reached a stage, which is its next.
    fn wait_for(&self, stage: Stage) -> Result<(), StartError> {
        let reached = self.reports.recv().map_err(|_| StartError::ShardLost)??;
        debug_assert_eq!(reached, stage);
        Ok(())
    }
}

/// Shards that start. Dropped before they run, they are ended.
pub(super) struct StartingShards {
    /// Declared, and so dropped, before the threads, which wait on them.
    lines: Vec<StartLine>,
    shards: Shards,
}

impl StartingShards {
    pub(super) fn new(handle: ServerHandle) -> Self {
        StartingShards {
            lines: Vec::new(),
            shards: Shards {
                threads: Vec::new(),
                handle,
            },
        }
    }

    /// Starts the thread of the next shard.
    pub(super) fn spawn(&mut self, shard: StartingShard) -> Result<(), StartError> {
        let (start_line, shard_line) = line();
        let thread = thread::Builder::new()
            .name(format!("shard-{}", self.lines.len()))
            .spawn(move || shard.run(&shard_line))
            .map_err(StartError::Thread)?;
        self.lines.push(start_line);
        self.shards.threads.push(thread);
        Ok(())
    }

    /// Waits until every shard has reached a stage.
    pub(super) fn wait_for_all(&self, stage: Stage) -> Result<(), StartError> {
        self.lines.iter().try_for_each(|line| line.wait_for(stage))
    }

    /// Makes the shards listen, each after the one before it.
    pub(super) fn listen(&self) -> Result<(), StartError> {
        self.lines.iter().try_for_each(|line| {
            // A shard that is gone shows in its report.
            let _ = line.orders.send(Listen);
            line.wait_for(Stage::Listening)
        })
    }

    /// The shards as those of a server that runs.
    pub(super) fn running(self) -> Result<Shards, StartError> {
        if self.shards.threads.iter().any(JoinHandle::is_finished) {
            return Err(StartError::ShardLost);
        }
        Ok(self.shards)
    }
}

/// The shards' threads. Dropped early, they are ended.
pub(super) struct Shards {
    threads: Vec<JoinHandle<()>>,
    handle: ServerHandle,
}

impl Shards {
    /// Waits until all have ended.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a shard has panicked");
            }
        }
        self.handle.publisher.stop();
        if self.handle.lifecycle.set(Phase::Stopped)
            && let Some(summary) = self.handle.course.summary()
        {
            tracing::info!("{summary}");
        }
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.handle.drain_at_once();
        self.handle.hurry();
        self.join();
    }
}
