//! A handler with its sessions' states, seen by a shard without their types.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use slab::Slab;

use super::{Acceptance, Context, Ended, Handler, RouteContext, RoutePolicy};
use crate::config::{Config, ConfigError, SlowConsumerPolicy};
use crate::upgrade::{Refusal, Reply, Request};
use crate::ws::Message;

/// A handler has panicked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panicked;

/// Calls a handler. This is the one place where a panic of it is caught: it ends
/// the session that was being served, if there is one, and nothing else.
#[inline]
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

/// A [`Handler`] without its state's type: a session remembers a slot instead.
pub(crate) trait Route {
    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal>;
    fn get(&mut self, request: &Request) -> Option<Reply>;
    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> u32;
    fn message(&mut self, slot: u32, message: Message<'_>, ctx: &mut Context<'_>);
    fn ping(&mut self, slot: u32, ctx: &mut Context<'_>) -> bool;
    fn close(&mut self, slot: u32, end: Ended, ctx: &mut Context<'_>);
    /// Whether the notice was of the handler's type, which is called then.
    fn notice(&mut self, notice: &(dyn Any + Send + Sync), ctx: &mut RouteContext<'_>) -> bool;
    fn visit(&mut self, slot: u32, content: &(dyn Any + Send + Sync), ctx: &mut Context<'_>);
    fn tick(&mut self, ctx: &mut RouteContext<'_>);
    fn policy(&self) -> RoutePolicy;
}

/// A handler and the states of its sessions on this shard.
pub(crate) struct Registered<H: Handler> {
    handler: H,
    states: States<H::State>,
}

impl<H: Handler> Registered<H> {
    pub(crate) fn new(handler: H) -> Self {
        Registered {
            handler,
            states: States::new(),
        }
    }
}

impl<H: Handler> Route for Registered<H> {
    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        self.handler.accept(request)
    }

    fn get(&mut self, request: &Request) -> Option<Reply> {
        self.handler.get(request)
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> u32 {
        let state = self.handler.open(request, ctx);
        self.states.insert(state)
    }

    #[inline]
    fn message(&mut self, slot: u32, message: Message<'_>, ctx: &mut Context<'_>) {
        if let Some(state) = self.states.get_mut(slot) {
            self.handler.message(state, message, ctx);
        }
    }

    fn ping(&mut self, slot: u32, ctx: &mut Context<'_>) -> bool {
        let state = self.states.get_mut(slot);
        state.is_some_and(|state| self.handler.ping(state, ctx))
    }

    fn close(&mut self, slot: u32, end: Ended, ctx: &mut Context<'_>) {
        if let Some(state) = self.states.remove(slot) {
            self.handler.close(state, end, ctx);
        }
    }

    fn notice(&mut self, notice: &(dyn Any + Send + Sync), ctx: &mut RouteContext<'_>) -> bool {
        let notice = notice.downcast_ref();
        notice
            .map(|notice| self.handler.notice(notice, ctx))
            .is_some()
    }

    fn visit(&mut self, slot: u32, content: &(dyn Any + Send + Sync), ctx: &mut Context<'_>) {
        if let Some(state) = self.states.get_mut(slot) {
            self.handler.visit(state, content, ctx);
        }
    }

    fn tick(&mut self, ctx: &mut RouteContext<'_>) {
        self.handler.tick(ctx);
    }

    fn policy(&self) -> RoutePolicy {
        self.handler.policy()
    }
}

/// Makes a handler for one shard.
type Make = Arc<dyn Fn() -> Box<dyn Route> + Send + Sync>;

/// Makes the handlers of one route.
#[derive(Clone)]
pub(crate) struct RouteFactory {
    make: Make,
    /// [`Handler::DROPS_EMPTY_SEGMENTS`] of what it makes.
    pub(crate) drops_empty_segments: bool,
    /// The policy for slow consumers that the configuration sets for this route, if
    /// any.
    pub(crate) slow_consumer: Option<SlowConsumerPolicy>,
    /// A description in one sentence.
    pub(crate) summary: &'static str,
    /// Whether the chat client of the page at `/` can talk to it.
    pub(crate) is_chat: bool,
    /// How the handlers take up other settings in a running server, if they do.
    pub(crate) renew: Option<Renew>,
}

/// Reads the settings of a route's handlers anew; they count once the result is called.
pub(crate) type Renew = Arc<dyn Fn(&Config) -> Result<TakeUp, ConfigError> + Send + Sync>;
/// Makes settings count that were read anew.
pub(crate) type TakeUp = Box<dyn FnOnce()>;

impl RouteFactory {
    pub(crate) fn new<H: Handler>(make: impl Fn() -> H + Send + Sync + 'static) -> Self {
        RouteFactory {
            make: Arc::new(move || Box::new(Registered::new(make()))),
            drops_empty_segments: H::DROPS_EMPTY_SEGMENTS,
            slow_consumer: None,
            summary: "Served by a handler of this program's own.",
            is_chat: false,
            renew: None,
        }
    }

    /// Makes the handler of one shard.
    pub(crate) fn make(&self) -> Box<dyn Route> {
        (self.make)()
    }
}

/// States by slot. One value without data is as good as another, so those take
/// no memory, however many there are.
enum States<S> {
    Sized(Slab<S>),
    ZeroSized(Vec<S>),
}

impl<S> States<S> {
    fn new() -> Self {
        if size_of::<S>() == 0 {
            States::ZeroSized(Vec::new())
        } else {
            States::Sized(Slab::new())
        }
    }

    fn insert(&mut self, state: S) -> u32 {
        match self {
            States::Sized(slab) => slab.insert(state) as u32,
            States::ZeroSized(states) => {
                states.push(state);
                0
            }
        }
    }

    #[inline]
    fn get_mut(&mut self, slot: u32) -> Option<&mut S> {
        match self {
            States::Sized(slab) => slab.get_mut(slot as usize),
            States::ZeroSized(states) => states.last_mut(),
        }
    }

    fn remove(&mut self, slot: u32) -> Option<S> {
        match self {
            States::Sized(slab) => slab.try_remove(slot as usize),
            // A session without a state has no slot; it must not take another's.
            States::ZeroSized(states) if slot == 0 => states.pop(),
            States::ZeroSized(_) => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::States;

    #[test]
    fn states_are_kept_apart() {
        let mut states = States::new();
        let (a, b) = (states.insert("a"), states.insert("b"));
        assert_eq!(states.remove(a), Some("a"));
        assert_eq!(states.get_mut(b), Some(&mut "b"));
        assert_eq!(states.get_mut(a), None);
        assert_eq!(states.remove(a), None);
    }

    #[test]
    fn states_without_data_take_no_memory() {
        let mut states = States::new();
        for _ in 0..1_000 {
            states.insert(());
        }
        assert!(matches!(&states, States::ZeroSized(states) if states.len() == 1_000));
        assert_eq!(states.remove(0), Some(()));
        assert_eq!(states.remove(u32::MAX), None, "not a slot");
    }
}
