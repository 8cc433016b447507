//! Waking requests that wait for a shard.
//!
//! A shard may have a descriptor table of its own, in which the event that wakes this
//! thread's runtime is not, or another file has its number. So a shard does not wake a
//! request itself: it passes the waker on to a thread that shares the process's table,
//! through a channel that needs no descriptor.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread;

/// The way to the thread that wakes. The thread ends when nothing is left that it could
/// wake for.
pub(super) struct Relay {
    wakes: Sender<Waker>,
}

impl Relay {
    /// # Errors
    /// When there is no thread.
    pub(super) fn start() -> io::Result<Relay> {
        let (wakes, to_wake) = channel::<Waker>();
        thread::Builder::new()
            .name("api-relay".to_owned())
            .spawn(move || to_wake.into_iter().for_each(Waker::wake))?;
        Ok(Relay { wakes })
    }

    /// Runs a future that shards wake.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let relayed = Relayed {
                task: cx.waker().clone(),
                wakes: self.wakes.clone(),
            };
            let waker = Waker::from(Arc::new(relayed));
            future.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }
}

/// Wakes a task by way of the thread.
struct Relayed {
    task: Waker,
    wakes: Sender<Waker>,
}

impl Wake for Relayed {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The thread has ended only if there was no one to wake.
        let _ = self.wakes.send(self.task.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_task_is_woken_by_the_thread_of_the_relay() {
        let relay = Relay::start().unwrap();
        let mut polls = 0;
        let answer = relay.run(poll_fn(|cx| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready("done");
            }
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let answer =
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), answer).await });
        assert_eq!(answer, Ok("done"));
    }
}
