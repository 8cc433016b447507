//! The cost of checking text, by its length and by the kind of its characters.
//!
//! The codec checks what it decodes, so text is decoded here, from frames without a
//! mask; `unchecked` is the same with binary messages, to subtract.
//!
//! Run with `cargo bench --bench utf8`.

mod support;

use std::fmt;
use std::hint::black_box;

use corecast::ws::{Decoder, OpCode};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use support::frames::{AS_CLIENT, fragments, full_buffer, plain, read};
use support::texts::Script;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler<mimalloc::MiMalloc> =
    divan::AllocProfiler::new(mimalloc::MiMalloc);

const SIZES: [usize; 3] = [20, 1024, 16 << 10];

fn main() {
    support::timing::run();
}

/// A text to be checked.
struct Case(Script, usize);

impl Case {
    fn text(&self) -> String {
        self.0.text(self.1)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} B", self.0, self.1)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    Script::ALL
        .into_iter()
        .flat_map(|script| SIZES.map(|len| Case(script, len)))
}

/// 64 KiB full of messages in one frame each.
#[divan::bench(args = cases())]
fn whole(bencher: Bencher<'_, '_>, case: &Case) {
    let text = case.text();
    run(bencher, &plain(OpCode::Text, text.as_bytes()), text.len());
}

/// The same bytes as binary messages: the decoder's share of `whole`.
#[divan::bench(args = SIZES)]
fn unchecked(bencher: Bencher<'_, '_>, len: usize) {
    let text = Script::Ascii.text(len);
    run(bencher, &plain(OpCode::Binary, text.as_bytes()), text.len());
}

/// 64 KiB full of messages in four fragments each, cut within characters that have
/// more than one byte. Most of it is putting the message together.
#[divan::bench(args = cases())]
fn in_fragments(bencher: Bencher<'_, '_>, case: &Case) {
    let text = case.text();
    let width = case.0.width();
    let cut = |quarter: usize| (text.len() * quarter / 4).next_multiple_of(width) - width / 2;
    let bytes = text.as_bytes();
    let pieces = [
        &bytes[..cut(1)],
        &bytes[cut(1)..cut(2)],
        &bytes[cut(2)..cut(3)],
        &bytes[cut(3)..],
    ];
    let is_cut = |&at: &usize| text.is_char_boundary(at) == (width == 1);
    assert!([1, 2, 3].map(cut).iter().all(is_cut));
    run(bencher, &fragments(&pieces), text.len());
}

/// The standard library's check alone, for comparison.
#[divan::bench(args = cases())]
fn standard_library(bencher: Bencher<'_, '_>, case: &Case) {
    let text = case.text();
    assert_eq!(str::from_utf8(text.as_bytes()), Ok(&*text));
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| str::from_utf8(black_box(text.as_bytes())).is_ok());
}

/// Times the reading of a buffer full of one message.
fn run(bencher: Bencher<'_, '_>, message: &[u8], len: usize) {
    let (mut buffer, count) = full_buffer(message);
    let mut decoder = Decoder::new();
    let expected = (count, count * len);
    assert_eq!(read(&mut decoder, &mut buffer, &AS_CLIENT), expected);
    assert!(decoder.is_idle());
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(count * len))
        .bench_local(|| read(&mut decoder, &mut buffer, &AS_CLIENT));
}
