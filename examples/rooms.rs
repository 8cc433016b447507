//! Rooms: a server with a handler of its own, written against the library.
//!
//! Everybody connects to a room under a name, hears what is said there from
//! then on (nothing is kept), and is told who comes and goes:
//!
//! ```text
//! cargo run --example rooms                        # or: … rooms 127.0.0.1:9000
//! websocat 'ws://127.0.0.1:8080/rooms/kitchen?name=ada'
//! websocat 'ws://127.0.0.1:8080/rooms/kitchen?name=bob'
//! ```
//!
//! Without a WebSocket client: open any page in a browser, and in its console (F12)
//! type
//!
//! ```text
//! room = new WebSocket("ws://127.0.0.1:8080/rooms/kitchen?name=ada")
//! room.onmessage = (event) => console.log(event.data)
//! room.send("Who is cooking?")
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::thread;

use corecast::{
    Acceptance, CloseCode, Config, Context, Ended, Handler, Message, PreparedFrame, Refusal,
    Request, Server, StartError, StopSignals, Topic,
};

const MAX_NAME_CHARS: usize = 32;
const MAX_TEXT_BYTES: usize = 2_000;

/// The rooms of one shard. That their guests are spread over all shards is the
/// hub's concern: a publication reaches the topic everywhere.
struct Rooms;

/// The state kept for a session.
struct Guest {
    name: String,
    room: Topic,
}

impl Guest {
    /// The guest and the room it asks for, or the fault of the request.
    fn of(request: &Request) -> Result<Guest, String> {
        let name = request.query_param("name").unwrap_or_default();
        let name = checked("name", name.trim())?;
        let room = checked("room", request.param("room").unwrap_or_default())?;
        Ok(Guest {
            name,
            // Topics are shared by all routes: the prefix keeps rooms apart from
            // the topics of other handlers.
            room: Topic::new(format!("room:{room}")),
        })
    }

    fn tell_others(&self, notice: &str, ctx: &mut Context<'_>) {
        let notice = format!("* {} {notice}", self.name);
        ctx.publish_to_others(&self.room, PreparedFrame::text(&notice));
    }
}

/// A name that is safe to show in a line of its own.
fn checked(what: &str, name: &str) -> Result<String, String> {
    let length = name.chars().count();
    if !(1..=MAX_NAME_CHARS).contains(&length) || name.contains(char::is_control) {
        return Err(format!(
            "The {what} must have 1 to {MAX_NAME_CHARS} characters, all printable. \
             Connect to /rooms/ROOM?name=NAME."
        ));
    }
    Ok(name.to_owned())
}

impl Handler for Rooms {
    type State = Guest;
    type Notice = ();

    /// A client that the rooms cannot serve gets a status and a sentence, not a
    /// session.
    fn accept(&mut self, request: &Request) -> Result<Acceptance, Refusal> {
        Guest::of(request).map_err(|problem| Refusal::new(400, problem))?;
        Ok(Acceptance::default())
    }

    fn open(&mut self, request: &Request, ctx: &mut Context<'_>) -> Guest {
        let guest = Guest::of(request).expect("`accept` let this request through");
        ctx.subscribe(&guest.room);
        ctx.send_text(&format!("* welcome, {}", guest.name));
        guest.tell_others("has come in", ctx);
        guest
    }

    fn message(&mut self, guest: &mut Guest, message: Message<'_>, ctx: &mut Context<'_>) {
        match message {
            Message::Text(text) if text.trim().is_empty() => {
                ctx.send_text("* say something, or say nothing");
            }
            Message::Text(text) if text.len() > MAX_TEXT_BYTES => {
                ctx.send_text(&format!("* that was more than {MAX_TEXT_BYTES} bytes"));
            }
            Message::Text(text) => {
                let line = format!("{}: {text}", guest.name);
                ctx.publish(&guest.room, PreparedFrame::text(&line));
            }
            Message::Binary(_) => ctx.close(CloseCode::UNSUPPORTED_DATA, "rooms speak text"),
        }
    }

    fn close(&mut self, guest: Guest, _end: Ended, ctx: &mut Context<'_>) {
        guest.tell_others("has left", ctx);
    }
}

/// A server with rooms and nothing else.
pub fn server(listen: SocketAddr) -> Result<Server, StartError> {
    let config = Config::new().listen([listen.into()]);
    Server::new(config)?.route("/rooms/{room}", || Rooms)
}

fn main() -> Result<(), Box<dyn Error>> {
    let listen = match std::env::args().nth(1) {
        Some(address) => address.parse()?,
        None => ([127, 0, 0, 1], 8080).into(),
    };
    // Before the server's threads start, so that they hold the signals back too.
    let signals = StopSignals::block()?;
    let server = server(listen)?.start()?;
    println!("rooms on ws://{}/rooms/ROOM?name=NAME", server.local_addr());

    // The first signal closes all sessions, spread over the drain time; the
    // second closes those that are left at once.
    let handle = server.handle();
    thread::spawn(move || {
        loop {
            signals.wait();
            if !handle.drain() {
                handle.hurry();
            }
        }
    });
    server.wait();
    Ok(())
}
