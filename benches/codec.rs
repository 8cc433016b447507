//! The cost of the codec: nanoseconds per frame and per byte.
//!
//! Each benchmark asserts that its subject is right before it times it. Divan's
//! allocation profiler stands beside the times, so that a fast path that touches
//! the heap is seen.
//!
//! Run with `cargo bench --bench codec`.

mod support;

use std::hint::black_box;

use corecast::publication::Run;
use corecast::ws::{
    Decoder, Message, OpCode, PreparedFrame, apply_mask, encode_frame, encode_masked_frame,
};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use support::frames::{AS_SERVER, NO_KEY, full_buffer, masked, read};
use support::texts::{MidPage, letters, noise};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler<mimalloc::MiMalloc> =
    divan::AllocProfiler::new(mimalloc::MiMalloc);

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const SIZES: [usize; 6] = [0, 20, 125, 1024, 16 << 10, 256 << 10];

fn main() {
    support::timing::run();
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
        let (mut buffer, count) = full_buffer(&masked(opcode, payload));
        let mut decoder = Decoder::new();
        let expected = (count, count * payload.len());
        assert_eq!(read(&mut decoder, &mut buffer, &AS_SERVER), expected);
        assert!(decoder.is_idle());
        bencher
            .counter(ItemsCount::new(count))
            .counter(BytesCount::new(count * payload.len()))
            .bench_local(|| read(&mut decoder, &mut buffer, &AS_SERVER));
    }
}

/// One frame in an input of its own, as from a session that says one thing at a time.
#[divan::bench(args = SIZES)]
fn decode_one(bencher: Bencher<'_, '_>, len: usize) {
    let mut frame = masked(OpCode::Text, &letters(len));
    let mut decoder = Decoder::new();
    assert_eq!(read(&mut decoder, &mut frame, &AS_SERVER), (1, len));
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| read(&mut decoder, &mut frame, &AS_SERVER));
}

/// The fallback: one frame that arrives in reads of 16 KiB.
#[divan::bench(args = [16 << 10, 256 << 10, 1 << 20])]
fn decode_in_pieces(bencher: Bencher<'_, '_>, len: usize) {
    let mut frame = masked(OpCode::Text, &letters(len));
    let mut decoder = Decoder::new();
    let mut run = || {
        let pieces = frame.chunks_mut(16 << 10);
        pieces.fold((0, 0), |(messages, bytes), piece| {
            let (more_messages, more_bytes) = read(&mut decoder, piece, &AS_SERVER);
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
        let payload = MidPage::new(&noise(len));
        let mut out = Vec::with_capacity(len + 14);
        encode(&mut out, OpCode::Binary, &payload);
        assert!(out.ends_with(&payload));
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            out.clear();
            encode(&mut out, OpCode::Binary, black_box(&payload));
            out.len()
        });
    }
}

/// Frames for many sessions at once: encoded, shared, and joined to one run.
mod prepare {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn new(bencher: Bencher<'_, '_>, len: usize) {
        let payload = MidPage::new(&noise(len));
        let frame = PreparedFrame::binary(&payload);
        assert!(frame.as_bytes().ends_with(&payload));
        bencher
            .counter(BytesCount::new(len))
            .bench_local(|| PreparedFrame::new(Message::Binary(black_box(&payload))));
    }

    /// The first clone of a frame makes its count, the others find it.
    #[divan::bench]
    fn share(bencher: Bencher<'_, '_>) {
        let frame = PreparedFrame::binary(&noise(20));
        let first = frame.clone();
        assert_eq!(frame.as_bytes().as_ptr(), first.as_bytes().as_ptr());
        bencher.bench_local(|| black_box(&frame).clone());
    }

    /// So many publications of 20 bytes that waited together.
    #[divan::bench(args = [1, 2, 16, 256])]
    fn concat(bencher: Bencher<'_, '_>, count: usize) {
        let frames = vec![PreparedFrame::binary(&noise(20)); count];
        let run = Run::join(frames.clone());
        assert_eq!((run.messages() as usize, run.len()), (count, count * 22));
        bencher
            .counter(ItemsCount::new(count))
            .with_inputs(|| frames.clone())
            .bench_local_values(Run::join);
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
