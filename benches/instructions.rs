//! The cost of the hot paths in instructions: a figure that a busy machine does not
//! blur.
//!
//! Each benchmark is one operation, run once under valgrind's callgrind after it was
//! run, checked and warmed outside of the count. Counts repeat to the instruction;
//! *estimated cycles* come from a model of the caches and are good for comparing only.
//! Neither includes contention, system calls, or the speed of the processor. Valgrind
//! knows no AVX-512, so code that would use it is counted with AVX2.
//!
//! Run with `make bench-instructions`.

#![allow(missing_docs, reason = "the macros make public items without any")]

mod support;

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use corecast::hub::{Hub, ShardMessage, Topic};
use corecast::link::{SendQueue, Sink};
use corecast::mesh::ShardEnd;
use corecast::participant::Participant;
use corecast::publication::{Publication, Run};
use corecast::upgrade::{self, Kind, Parsed, Response};
use corecast::ws::{
    Decoder, Message, OpCode, PreparedFrame, Rules, apply_mask, encode_frame, encode_masked_frame,
};
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use rtrb::{Consumer, Producer, RingBuffer};
use support::audience::{Audience, hub, shards};
use support::frames::{AS_CLIENT, AS_SERVER, fragments, masked, plain, read};
use support::texts::{Script, letters, noise};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// How often an operation is run before it is counted.
const WARM: usize = 8;

/// Gives a benchmark its subject by reference, so that neither moving it nor letting
/// go of it is counted.
type Subject<T> = &'static mut T;

fn subject<T>(value: T) -> Subject<T> {
    Box::leak(Box::new(value))
}

/// A decoder and what it is to read.
struct Reading {
    decoder: Decoder,
    bytes: Vec<u8>,
    rules: Rules,
}

impl Reading {
    fn of(bytes: Vec<u8>, len: usize, rules: Rules) -> Subject<Reading> {
        let mut reading = Reading {
            decoder: Decoder::new(),
            bytes,
            rules,
        };
        for _ in 0..WARM {
            assert_eq!(reading.read(), (1, len));
        }
        subject(reading)
    }

    #[inline]
    fn read(&mut self) -> (usize, usize) {
        read(&mut self.decoder, &mut self.bytes, &self.rules)
    }
}

fn masked_text(len: usize) -> Subject<Reading> {
    Reading::of(masked(OpCode::Text, &letters(len)), len, AS_SERVER)
}

fn masked_binary(len: usize) -> Subject<Reading> {
    Reading::of(masked(OpCode::Binary, &noise(len)), len, AS_SERVER)
}

/// About 1 KiB without a mask.
fn plain_text(script: Script) -> Subject<Reading> {
    let text = script.text(1024);
    Reading::of(plain(OpCode::Text, text.as_bytes()), text.len(), AS_CLIENT)
}

/// About 1 KiB without a mask, cut in the middle, there where that is within a character.
fn text_in_halves(script: Script) -> Subject<Reading> {
    let text = script.text(1024);
    let (left, right) = text.as_bytes().split_at(513);
    Reading::of(fragments(&[left, right]), text.len(), AS_CLIENT)
}

// One masked text message, from the receive buffer to the event and the end of input.
#[library_benchmark]
#[bench::bytes_20(args = (20), setup = masked_text)]
#[bench::bytes_1k(args = (1 << 10), setup = masked_text)]
#[bench::bytes_16k(args = (16 << 10), setup = masked_text)]
fn decode_text(reading: Subject<Reading>) -> (usize, usize) {
    reading.read()
}

// The same for binary messages.
#[library_benchmark]
#[bench::bytes_20(args = (20), setup = masked_binary)]
#[bench::bytes_1k(args = (1 << 10), setup = masked_binary)]
#[bench::bytes_16k(args = (16 << 10), setup = masked_binary)]
fn decode_binary(reading: Subject<Reading>) -> (usize, usize) {
    reading.read()
}

// One text message without a mask, by the kind of its characters.
#[library_benchmark]
#[bench::ascii_1k(args = (Script::Ascii), setup = plain_text)]
#[bench::two_bytes_1k(args = (Script::TwoBytes), setup = plain_text)]
#[bench::three_bytes_1k(args = (Script::ThreeBytes), setup = plain_text)]
#[bench::emoji_1k(args = (Script::Emoji), setup = plain_text)]
#[bench::emoji_1k_in_halves(args = (Script::Emoji), setup = text_in_halves)]
fn check_utf8(reading: Subject<Reading>) -> (usize, usize) {
    reading.read()
}

/// A payload and a buffer with room for its frame.
fn payload_and_room(len: usize) -> Subject<(Vec<u8>, Vec<u8>)> {
    let (payload, mut out) = (noise(len), Vec::with_capacity(len + 14));
    for _ in 0..WARM {
        out.clear();
        encode_frame(&mut out, OpCode::Binary, &payload);
        assert!(out.ends_with(&payload));
    }
    out.clear();
    subject((payload, out))
}

// One frame, as a server sends it.
#[library_benchmark]
#[bench::bytes_20(args = (20), setup = payload_and_room)]
#[bench::bytes_1k(args = (1 << 10), setup = payload_and_room)]
#[bench::bytes_16k(args = (16 << 10), setup = payload_and_room)]
fn encode((payload, out): Subject<(Vec<u8>, Vec<u8>)>) {
    encode_frame(out, OpCode::Binary, payload);
}

// One frame, as a client sends it.
#[library_benchmark]
#[bench::bytes_20(args = (20), setup = payload_and_room)]
#[bench::bytes_16k(args = (16 << 10), setup = payload_and_room)]
fn encode_masked((payload, out): Subject<(Vec<u8>, Vec<u8>)>) {
    encode_masked_frame(out, OpCode::Binary, payload, black_box(KEY));
}

fn warm_noise(len: usize) -> Subject<Vec<u8>> {
    let mut payload = noise(len);
    for _ in 0..WARM {
        apply_mask(&mut payload, KEY, 0);
    }
    assert!(payload == noise(len), "an even number of masks is none");
    subject(payload)
}

#[library_benchmark]
#[bench::bytes_20(args = (20), setup = warm_noise)]
#[bench::bytes_1k(args = (1 << 10), setup = warm_noise)]
#[bench::bytes_16k(args = (16 << 10), setup = warm_noise)]
fn mask(payload: Subject<Vec<u8>>) {
    apply_mask(payload, black_box(KEY), 0);
}

fn warm_payload(len: usize) -> Subject<Vec<u8>> {
    let payload = noise(len);
    for _ in 0..WARM {
        assert!(
            PreparedFrame::binary(&payload)
                .as_bytes()
                .ends_with(&payload)
        );
    }
    subject(payload)
}

// A frame for many sessions, with the memory it takes.
#[library_benchmark]
#[bench::bytes_20(args = (20), setup = warm_payload)]
#[bench::bytes_1k(args = (1 << 10), setup = warm_payload)]
fn prepare(payload: Subject<Vec<u8>>) -> PreparedFrame {
    PreparedFrame::new(Message::Binary(payload))
}

/// Frames, and then as many again, so that letting go of the first is no last one.
fn prepared(count: usize) -> Subject<[Vec<PreparedFrame>; 2]> {
    let frames = vec![PreparedFrame::binary(&noise(20)); count];
    for _ in 0..WARM {
        assert_eq!(Run::join(frames.clone()).len(), count * 22);
    }
    subject([frames.clone(), frames])
}

// Frames that waited together.
#[library_benchmark]
#[bench::frames_16(args = (16), setup = prepared)]
fn join([frames, _]: Subject<[Vec<PreparedFrame>; 2]>) -> Run {
    Run::join(std::mem::take(frames))
}

library_benchmark_group!(
    name = codec,
    benchmarks = [
        decode_text,
        decode_binary,
        check_utf8,
        encode,
        encode_masked,
        mask,
        prepare,
        join
    ]
);

type Ring = (Producer<u64>, Consumer<u64>);

fn warm_ring() -> Subject<Ring> {
    let (mut producer, mut consumer) = RingBuffer::new(1024);
    for number in 0..WARM as u64 {
        assert_eq!(
            push_and_pop(&mut producer, &mut consumer, number),
            Some(number)
        );
    }
    subject((producer, consumer))
}

#[inline]
fn push_and_pop(
    producer: &mut Producer<u64>,
    consumer: &mut Consumer<u64>,
    number: u64,
) -> Option<u64> {
    producer.push(number).ok()?;
    consumer.pop().ok()
}

// A number into the lock-free queue and out of it.
#[library_benchmark]
#[bench::push_and_pop(setup = warm_ring)]
fn ring((producer, consumer): Subject<Ring>) -> Option<u64> {
    push_and_pop(producer, consumer, black_box(7))
}

/// Two shards' ends, and the messages between them.
struct Mesh {
    ends: Vec<ShardEnd<ShardMessage>>,
    message: ShardMessage,
}

impl Mesh {
    #[inline]
    fn transfer(&mut self) -> usize {
        self.ends[0].broadcast(&self.message);
        self.ends[0].flush();
        self.ends[1].receive(usize::MAX, |message| drop(black_box(message)))
    }
}

fn warm_mesh() -> Subject<Mesh> {
    let publication = Publication {
        topic: Topic::new("/broadcast"),
        content: PreparedFrame::binary(&noise(20)).into(),
        origin: Participant::Outside,
    };
    let mut mesh = Mesh {
        ends: shards(2),
        message: ShardMessage::Publish(Arc::new(publication)),
    };
    for _ in 0..WARM {
        assert_eq!(mesh.transfer(), 1);
    }
    subject(mesh)
}

// A shared publication from one shard to another: both sides of the ring and the
// wake flag.
#[library_benchmark]
#[bench::one_message(setup = warm_mesh)]
fn mesh(mesh: Subject<Mesh>) -> usize {
    mesh.transfer()
}

/// The hubs of two shards without subscribers.
struct Hubs {
    from: Hub,
    to: Hub,
    topic: Topic,
    payload: Vec<u8>,
}

impl Hubs {
    #[inline]
    fn transfer(&mut self) {
        let frame = PreparedFrame::binary(&self.payload);
        self.from.publish(&self.topic, frame, None);
        self.from.flush_mesh();
        self.to.expect_incoming();
        self.to.receive();
    }
}

fn warm_hubs() -> Subject<Hubs> {
    let mut ends = shards(2).into_iter().map(hub);
    let (Some((from, _)), Some((to, metrics))) = (ends.next(), ends.next()) else {
        unreachable!("each shard has an end");
    };
    let mut hubs = Hubs {
        from,
        to,
        topic: Topic::new("/broadcast"),
        payload: noise(20),
    };
    for count in 1..=WARM as u64 {
        hubs.transfer();
        assert_eq!(metrics.ring_received.value(), count);
    }
    subject(hubs)
}

// A message encoded and published on one shard and taken by another, which has no
// subscribers.
#[library_benchmark]
#[bench::one_publication(setup = warm_hubs)]
fn hubs(hubs: Subject<Hubs>) {
    hubs.transfer();
}

fn warm_audience(subscribers: usize) -> Subject<(Audience, PreparedFrame)> {
    let mut audience = Audience::new(subscribers);
    let frame = PreparedFrame::binary(&noise(20));
    for _ in 0..WARM {
        audience.publish(&frame);
        assert_eq!(audience.deliver(), subscribers);
    }
    let expected = (WARM * frame.len()) as u64;
    assert_eq!(audience.received_by_each(), Some(expected));
    subject((audience, frame))
}

// A publication to all subscribers of a shard, without the system calls. The cost of
// one more delivery is the difference between the last two, divided by 1,000.
#[library_benchmark]
#[bench::to_1(args = (1), setup = warm_audience)]
#[bench::to_1000(args = (1_000), setup = warm_audience)]
#[bench::to_2000(args = (2_000), setup = warm_audience)]
fn fan_out((audience, frame): Subject<(Audience, PreparedFrame)>) -> usize {
    audience.publish(frame);
    audience.deliver()
}

/// A socket that takes everything.
struct Taker;

impl Sink for Taker {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(parts.iter().map(|part| part.len()).sum())
    }
}

fn warm_queue() -> Subject<(SendQueue, Rc<Run>)> {
    let (mut queue, frame) = (SendQueue::default(), PreparedFrame::binary(&noise(20)));
    let run = Rc::new(Run::from(frame));
    for _ in 0..WARM {
        queue.push_shared(&run, 0);
        assert_eq!(queue.flush(&mut Taker).ok(), Some(run.len()));
    }
    subject((queue, run))
}

// A delivery that waits in a session's queue and leaves it.
#[library_benchmark]
#[bench::push_and_flush(setup = warm_queue)]
fn send_queue((queue, run): Subject<(SendQueue, Rc<Run>)>) -> io::Result<usize> {
    queue.push_shared(run, 0);
    queue.flush(&mut Taker)
}

library_benchmark_group!(
    name = delivery,
    benchmarks = [ring, mesh, hubs, fan_out, send_queue]
);

/// An opening handshake, as a browser sends it.
const HANDSHAKE: &[u8] = b"GET /ws/ann HTTP/1.1\r\n\
    Host: example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const ACCEPT: &[u8; 28] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4000))
}

fn warm_handshake() -> &'static [u8] {
    for _ in 0..WARM {
        let parsed = parse(HANDSHAKE).expect("the handshake is right");
        assert_eq!(parsed.kind, Kind::WebSocket { accept: *ACCEPT });
        assert_eq!(parsed.consumed, HANDSHAKE.len());
    }
    HANDSHAKE
}

#[inline]
fn parse(handshake: &[u8]) -> Option<Parsed> {
    upgrade::parse(handshake, 8 << 10, peer()).ok()?
}

// A browser's request, with the accept key in it.
#[library_benchmark]
#[bench::browser(setup = warm_handshake)]
fn parse_request(handshake: &'static [u8]) -> Option<Parsed> {
    parse(handshake)
}

fn warm_key() -> &'static [u8] {
    let key = b"dGhlIHNhbXBsZSBub25jZQ==";
    for _ in 0..WARM {
        assert_eq!(upgrade::accept_key(key), *ACCEPT);
    }
    key
}

// SHA-1 and base64.
#[library_benchmark]
#[bench::one(setup = warm_key)]
fn accept_key(key: &'static [u8]) -> [u8; 28] {
    upgrade::accept_key(key)
}

fn warm_response() -> Subject<Vec<u8>> {
    let mut out = Vec::new();
    for _ in 0..WARM {
        out.clear();
        encode_response(&mut out);
        assert!(out.starts_with(b"HTTP/1.1 101 "));
    }
    out.clear();
    subject(out)
}

fn encode_response(out: &mut Vec<u8>) {
    let response = Response::SwitchingProtocols {
        accept: black_box(ACCEPT),
        subprotocol: None,
    };
    response.encode(out);
}

// 101, which opens the session.
#[library_benchmark]
#[bench::switching_protocols(setup = warm_response)]
fn response(out: Subject<Vec<u8>>) {
    encode_response(out);
}

library_benchmark_group!(
    name = handshake,
    benchmarks = [parse_request, accept_key, response]
);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::default().format([EventKind::Ir, EventKind::EstimatedCycles])),
    library_benchmark_groups = [codec, delivery, handshake]
);
