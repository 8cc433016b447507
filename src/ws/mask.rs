//! Masking (RFC 6455 §5.3): each payload byte xor the key's byte at its place.
//!
//! Undoing it is the same operation. `benches/codec.rs` measures this form against
//! the plain ones: it is level with the best of them on long payloads, where the
//! compiler makes vectors of the loop, and ahead on short ones, where the bytes
//! that fill no word are what costs.

/// Masks `payload`, or undoes its mask, where it lies. `offset` is the place of its
/// first byte within the frame's payload, for payloads that come in pieces.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    // As a little-endian word the key's first byte is its lowest, on any machine.
    let key = rotate(u32::from_le_bytes(key), offset);
    match payload.len() {
        0..4 => {
            for (byte, key) in payload.iter_mut().zip(key.to_le_bytes()) {
                *byte ^= key;
            }
        }
        4..8 => mask_u32(payload, key),
        _ => mask_u64(payload, key),
    }
}

/// The key as it stands `offset` bytes further on.
#[inline]
fn rotate(key: u32, offset: usize) -> u32 {
    key.rotate_right((offset % 4) as u32 * 8)
}

/// Two words, overlapping. Both are read before either is written, so that the
/// bytes they share are masked once.
#[inline]
fn mask_u32(payload: &mut [u8], key: u32) {
    let last_key = rotate(key, payload.len());
    let (Some(first), Some(last)) = (payload.first_chunk(), payload.last_chunk()) else {
        return;
    };
    let first = u32::from_le_bytes(*first) ^ key;
    let last = u32::from_le_bytes(*last) ^ last_key;
    payload[..4].copy_from_slice(&first.to_le_bytes());
    let last_at = payload.len() - 4;
    payload[last_at..].copy_from_slice(&last.to_le_bytes());
}

/// Whole words, and one last word that overlaps the one before it; read before
/// that is written, and written after.
#[inline]
fn mask_u64(payload: &mut [u8], key: u32) {
    let wide = |key: u32| u64::from(key) << 32 | u64::from(key);
    let last_key = wide(rotate(key, payload.len()));
    let key = wide(key);
    let Some(last) = payload.last_chunk() else {
        return;
    };
    let last = u64::from_le_bytes(*last) ^ last_key;
    let (words, _) = payload.as_chunks_mut();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ key).to_le_bytes();
    }
    let last_at = payload.len() - 8;
    payload[last_at..].copy_from_slice(&last.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn counted(len: usize) -> Vec<u8> {
        (0..len).map(|index| index as u8).collect()
    }

    #[test]
    fn every_length_and_offset_agrees_with_the_definition() {
        let (lengths, offsets) = if cfg!(miri) {
            (0..40, 2..4)
        } else {
            (0..200, 0..8)
        };
        for len in lengths {
            for offset in offsets.clone() {
                let mut payload = counted(len);
                apply_mask(&mut payload, KEY, offset);
                for (index, byte) in payload.iter().enumerate() {
                    let expected = index as u8 ^ KEY[(offset + index) % 4];
                    assert_eq!(*byte, expected, "{len} {offset} {index}");
                }
            }
        }
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let mut whole = counted(40);
        apply_mask(&mut whole, KEY, 0);
        for cut in 0..=40 {
            let mut pieces = counted(40);
            let (left, right) = pieces.split_at_mut(cut);
            apply_mask(left, KEY, 0);
            apply_mask(right, KEY, cut);
            assert_eq!(pieces, whole);
        }
    }
}
