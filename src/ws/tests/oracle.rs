//! A second decoder, as simple as it can be: the whole stream at hand, one index into
//! it, everything copied. The decoder must give the same outcome.

use super::*;

pub(super) fn decode(rules: &Rules, stream: &[u8]) -> Outcome {
    let mut outcome = Outcome {
        events: Vec::new(),
        error: None,
        is_pending: false,
    };
    match read(rules, stream, &mut outcome.events) {
        Ok(is_pending) => outcome.is_pending = is_pending,
        Err(error) => outcome.error = Some(error),
    }
    outcome
}

/// Reads a stream to its end, and says whether that is within something.
fn read(rules: &Rules, stream: &[u8], events: &mut Vec<Owned>) -> Result<bool, ProtocolError> {
    let mut at = 0;
    let mut message: Option<(u8, Vec<u8>)> = None;
    // Takes so many bytes, or ends the reading because they are not there.
    macro_rules! take {
        ($count:expr, $is_pending:expr) => {{
            let Some(taken) = stream.get(at..at + $count) else {
                return Ok($is_pending);
            };
            at += $count;
            taken
        }};
    }
    loop {
        let first = take!(1, message.is_some())[0];
        let (fin, opcode) = (first >= 128, first % 16);
        if first / 16 % 8 != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(ProtocolError::UnknownOpCode(opcode));
        }
        if opcode >= 8 && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let second = take!(1, true)[0];
        let width = match second % 128 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if opcode >= 8 && width > 0 {
            return Err(ProtocolError::ControlTooLong);
        }
        let mut len = u64::from(second % 128);
        if width > 0 {
            let digits = take!(width, true).iter();
            len = digits.fold(0, |sum, digit| sum * 256 + u64::from(*digit));
            if len < 126 || (width == 8 && len < 65_536) {
                return Err(ProtocolError::NonMinimalLength);
            }
            if len >= 1 << 63 {
                return Err(ProtocolError::LengthTopBit);
            }
        }
        let key = match second >= 128 {
            true => take!(4, true),
            false => &[0; 4],
        };
        match (rules.role, second >= 128) {
            (Role::Server, false) => return Err(ProtocolError::UnmaskedFrame),
            (Role::Client, true) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        if opcode < 8 {
            if opcode == 0 && message.is_none() {
                return Err(ProtocolError::UnexpectedContinuation);
            }
            if opcode != 0 && message.is_some() {
                return Err(ProtocolError::ExpectedContinuation);
            }
            if len > rules.max_frame_bytes as u64 {
                return Err(ProtocolError::FrameTooBig);
            }
            let so_far = message.as_ref().map_or(0, |(_, bytes)| bytes.len());
            if len + so_far as u64 > rules.max_message_bytes as u64 {
                return Err(ProtocolError::MessageTooBig);
            }
        }

        let available = (stream.len() - at).min(len as usize);
        let payload: Vec<u8> = take!(available, true)
            .iter()
            .enumerate()
            .map(|(index, byte)| byte ^ key[index % 4])
            .collect();
        let is_whole = available as u64 == len;
        if opcode >= 8 {
            if !is_whole {
                return Ok(true);
            }
            match opcode {
                9 => events.push(Owned::Ping(payload)),
                10 => events.push(Owned::Pong(payload)),
                _ => {
                    events.push(Owned::Close(read_close(&payload)?));
                    return Ok(false);
                }
            }
            continue;
        }
        let (kind, bytes) = message.get_or_insert((opcode, Vec::new()));
        bytes.extend(payload);
        if *kind == 1 {
            match str::from_utf8(bytes) {
                Err(error) if error.error_len().is_some() || (fin && is_whole) => {
                    return Err(ProtocolError::InvalidText);
                }
                _ => {}
            }
        }
        if !is_whole {
            return Ok(true);
        }
        if fin {
            events.push(match message.take() {
                Some((1, bytes)) => Owned::Text(String::from_utf8(bytes).unwrap()),
                Some((_, bytes)) => Owned::Binary(bytes),
                None => unreachable!("a message was begun above"),
            });
        }
    }
}

fn read_close(payload: &[u8]) -> Result<Option<(u16, String)>, ProtocolError> {
    if payload.is_empty() {
        return Ok(None);
    }
    if payload.len() == 1 {
        return Err(ProtocolError::TruncatedCloseCode);
    }
    let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    if code < 1000 || matches!(code, 1004..=1006 | 1015..=2999) || code > 4999 {
        return Err(ProtocolError::InvalidCloseCode(code));
    }
    match String::from_utf8(payload[2..].to_vec()) {
        Ok(reason) => Ok(Some((code, reason))),
        Err(_) => Err(ProtocolError::InvalidCloseReason),
    }
}
