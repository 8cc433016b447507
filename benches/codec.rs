//! What the codec costs: nanoseconds per frame and per byte.
//!
//! Each benchmark asserts that its subject is right before it times it. Divan's
//! allocation profiler stands beside the times, so that a fast path that touches
//! the heap is seen.
//!
//! Run with `cargo bench --bench codec`.

use std::hint::black_box;

use corecast::ws::{
    Decoder, Event, Input, Message, OpCode, PreparedFrame, Role, Rules, apply_mask, encode_frame,
    encode_masked_frame,
};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The key that masks to the same bytes: decoding in place may be repeated.
const NO_KEY: [u8; 4] = [0; 4];

const SIZES: [usize; 6] = [0, 20, 125, 1024, 16 << 10, 256 << 10];

const RULES: Rules = Rules {
    role: Role::Server,
    max_frame_bytes: 16 << 20,
    max_message_bytes: 16 << 20,
};

fn main() {
    divan::main();
}

/// Bytes with no pattern that a predictor could learn.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(len)
    .collect()
}

fn letters(len: usize) -> Vec<u8> {
    noise(len).iter().map(|byte| b'a' + byte % 26).collect()
}

/// As many masked frames as fit into a read of a shard's scratch buffer, one at least.
fn stream(opcode: OpCode, payload: &[u8]) -> (Vec<u8>, usize) {
    let mut stream = Vec::new();
    let mut count = 0;
    while count == 0 || stream.len() + payload.len() + 14 < 64 << 10 {
        encode_masked_frame(&mut stream, opcode, payload, NO_KEY);
        count += 1;
    }
    (stream, count)
}

/// Reads a whole input, and says how many messages of how many bytes it held.
fn read(decoder: &mut Decoder, bytes: &mut [u8]) -> (usize, usize) {
    let (mut messages, mut len) = (0, 0);
    let mut input = Input::new(bytes);
    while let Some(event) = decoder
        .next(&mut input, &RULES)
        .expect("the stream is right")
    {
        if let Event::Message(message) = black_box(event) {
            messages += 1;
            len += message.as_bytes().len();
        }
    }
    (messages, len)
}

/// The fast path: 64 KiB full of whole frames. Time is per input, items are frames.
mod decode_whole {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn text(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, OpCode::Text, &letters(len));
    }

    #[divan::bench(args = SIZES)]
    fn binary(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, OpCode::Binary, &noise(len));
    }

    fn run(bencher: Bencher<'_, '_>, opcode: OpCode, payload: &[u8]) {
        let (mut stream, count) = stream(opcode, payload);
        let mut decoder = Decoder::new();
        let expected = (count, count * payload.len());
        assert_eq!(read(&mut decoder, &mut stream), expected);
        assert!(decoder.is_idle());
        bencher
            .counter(ItemsCount::new(count))
            .counter(BytesCount::new(count * payload.len()))
            .bench_local(|| read(&mut decoder, &mut stream));
    }
}

/// One frame in an input of its own, as from a session that says one thing at a time.
#[divan::bench(args = SIZES)]
fn decode_one(bencher: Bencher<'_, '_>, len: usize) {
    let mut frame = Vec::new();
    encode_masked_frame(&mut frame, OpCode::Text, &letters(len), NO_KEY);
    let mut decoder = Decoder::new();
    assert_eq!(read(&mut decoder, &mut frame), (1, len));
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| read(&mut decoder, &mut frame));
}

/// The fallback: one frame that arrives in reads of 16 KiB.
#[divan::bench(args = [16 << 10, 256 << 10, 1 << 20])]
fn decode_in_pieces(bencher: Bencher<'_, '_>, len: usize) {
    let mut frame = Vec::new();
    encode_masked_frame(&mut frame, OpCode::Text, &letters(len), NO_KEY);
    let mut decoder = Decoder::new();
    let mut run = || {
        let pieces = frame.chunks_mut(16 << 10);
        pieces.fold((0, 0), |(messages, bytes), piece| {
            let (more_messages, more_bytes) = read(&mut decoder, piece);
            (messages + more_messages, bytes + more_bytes)
        })
    };
    assert_eq!(run(), (1, len));
    bencher.counter(BytesCount::new(len)).bench_local(run);
}

mod encode {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn plain(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, encode_frame);
    }

    #[divan::bench(args = SIZES)]
    fn masked(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, |out, opcode, payload| {
            encode_masked_frame(out, opcode, payload, black_box(NO_KEY));
        });
    }

    fn run(bencher: Bencher<'_, '_>, len: usize, encode: fn(&mut Vec<u8>, OpCode, &[u8])) {
        // Some processors copy ten times slower between places whose distance is near
        // a whole number of pages, which two buffers allocated in a row would have.
        let payload = &noise(len + 3072)[1024..][..len];
        let mut out = Vec::with_capacity(len + 14);
        encode(&mut out, OpCode::Binary, payload);
        assert!(out.ends_with(payload));
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            out.clear();
            encode(&mut out, OpCode::Binary, black_box(payload));
            out.len()
        });
    }

    #[divan::bench(args = SIZES)]
    fn prepared(bencher: Bencher<'_, '_>, len: usize) {
        let payload = noise(len);
        let frame = PreparedFrame::binary(&payload);
        assert!(frame.as_bytes().ends_with(&payload));
        bencher
            .counter(BytesCount::new(len))
            .bench_local(|| PreparedFrame::new(Message::Binary(black_box(&payload))));
    }
}

/// `apply_mask` beside the forms it was chosen over.
mod mask {
    use super::*;

    type Mask = fn(&mut [u8], [u8; 4], usize);

    const LENGTHS: [usize; 9] = [2, 5, 12, 20, 31, 125, 1024, 16 << 10, 256 << 10];

    #[divan::bench(args = LENGTHS)]
    fn chosen(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, |payload, key, offset| {
            apply_mask(payload, key, offset)
        });
    }

    #[divan::bench(args = LENGTHS)]
    fn bytes(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, by_bytes);
    }

    #[divan::bench(args = LENGTHS)]
    fn zipped(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, by_zip);
    }

    #[divan::bench(args = LENGTHS)]
    fn chunks_4(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, by_chunks::<4>);
    }

    #[divan::bench(args = LENGTHS)]
    fn chunks_8(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, by_chunks::<8>);
    }

    #[divan::bench(args = LENGTHS)]
    fn chunks_64(bencher: Bencher<'_, '_>, len: usize) {
        run(bencher, len, by_chunks::<64>);
    }

    fn run(bencher: Bencher<'_, '_>, len: usize, mask: Mask) {
        let mut payload = noise(len);
        let mut expected = payload.clone();
        mask(&mut payload, KEY, 3);
        by_bytes(&mut expected, KEY, 3);
        assert!(payload == expected);
        bencher
            .counter(BytesCount::new(len))
            .bench_local(|| mask(black_box(&mut payload), black_box(KEY), 0));
    }

    /// The definition.
    fn by_bytes(payload: &mut [u8], key: [u8; 4], offset: usize) {
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[(offset + index) % 4];
        }
    }

    /// The definition without an index for the compiler to follow.
    fn by_zip(payload: &mut [u8], key: [u8; 4], offset: usize) {
        let key = key.into_iter().cycle().skip(offset % 4);
        for (byte, key) in payload.iter_mut().zip(key) {
            *byte ^= key;
        }
    }

    /// Blocks of the same width, which become words or vectors, and the rest by bytes.
    fn by_chunks<const WIDTH: usize>(payload: &mut [u8], mut key: [u8; 4], offset: usize) {
        key.rotate_left(offset % 4);
        let wide: [u8; WIDTH] = std::array::from_fn(|index| key[index % 4]);
        let (blocks, rest) = payload.as_chunks_mut::<WIDTH>();
        for block in blocks {
            for (byte, key) in block.iter_mut().zip(wide) {
                *byte ^= key;
            }
        }
        for (byte, key) in rest.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
}
