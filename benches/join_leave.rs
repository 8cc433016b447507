//! The cost to join a topic and leave it again, for a session that is in so many
//! others: the hub looks for the subscription along the session's list.

use corecast::hub::{SubscriberTable, Subscriptions, Topic};
use corecast::publication::Form;
use divan::Bencher;

fn main() {
    divan::main();
}

/// Sessions that are in the same topics, so that a session's entries lie apart.
const SESSIONS: u32 = 100;

#[divan::bench(args = [0, 10, 99, 1_000])]
fn join_and_leave(bencher: Bencher<'_, '_>, others: usize) {
    let mut table = SubscriberTable::default();
    let topics: Vec<Topic> = (0..others)
        .map(|i| Topic::new(format!("room:{i}")))
        .collect();
    let mut own = vec![Subscriptions::default(); SESSIONS as usize];
    for topic in &topics {
        for session in 0..SESSIONS {
            table.subscribe(session, &mut own[session as usize], topic, Form::Data);
        }
    }
    let lobby = Topic::new("rooms:lobby");
    for session in 1..SESSIONS {
        table.subscribe(session, &mut own[session as usize], &lobby, Form::Data);
    }
    let own = &mut own[0];
    bencher.bench_local(|| {
        assert!(table.subscribe(0, own, &lobby, Form::Data));
        assert!(table.unsubscribe(own, &lobby));
    });
}
