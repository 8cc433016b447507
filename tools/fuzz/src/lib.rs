//! The parts that the fuzz targets share.
//!
//! Each file in `fuzz_targets/` is one program that libFuzzer feeds with bytes. It
//! says in its first lines what must hold and panics where it does not, so that a
//! finding is a broken promise and not only a crash. `make fuzz-smoke` runs them
//! all for a while, `make fuzz TARGETS=decoder MINUTES=30` one for longer.
//!
//! To add one: a file in `fuzz_targets/`, a `[[bin]]` in `Cargo.toml`, and where the
//! input has a grammar a dictionary in `dictionaries/` or a few small files in
//! `seeds/`, both called after the target.

mod accept_key;
pub mod codec;
pub mod heap;
pub mod oracle;

pub use accept_key::accept_key;

use std::net::SocketAddr;

/// A stream in pieces of these lengths, over and over; 0 and no length at all mean 1.
/// No piece is empty.
pub fn pieces<'a>(mut stream: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !stream.is_empty() {
        let length = lengths
            .next()
            .map_or(1, |&length| usize::from(length.max(1)));
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// Checks that a parser's verdict does not depend on how its input arrived, and
/// returns it. `parse` gives `None` where it wants more. All beginnings that are a
/// multiple of `step` bytes long are tried: once there is a verdict on one of them,
/// more bytes do not change it.
pub fn verdict_of_any_split<V: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    step: usize,
    parse: impl Fn(&[u8]) -> Option<V>,
) -> Option<V> {
    let whole = parse(bytes);
    for end in (0..bytes.len()).step_by(step.max(1)) {
        if let Some(early) = parse(&bytes[..end]) {
            assert_eq!(
                Some(&early),
                whole.as_ref(),
                "after {end} bytes and after all"
            );
            break;
        }
    }
    whole
}

/// The other end of every connection here.
pub fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4000))
}
