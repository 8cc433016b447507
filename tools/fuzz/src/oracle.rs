//! A second decoder that takes one byte at a time, as slow and plain as it can be.
//!
//! Because it takes single bytes it also says *when*: which byte brings an event
//! or a fault. A decoder that is given pieces must say the same with the piece that
//! holds that byte, neither earlier nor later.

use corecast::ws::{ProtocolError, Role, Rules};

use crate::codec::Owned;

/// RFC 6455 §5, byte by byte.
pub struct Oracle {
    rules: Rules,
    head: Vec<u8>,
    frame: Option<Frame>,
    message: Option<PartialMessage>,
    control: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Frame {
    fin: bool,
    opcode: u8,
    key: [u8; 4],
    len: u64,
    received: u64,
}

struct PartialMessage {
    is_text: bool,
    bytes: Vec<u8>,
    /// How many of the bytes are whole characters.
    checked: usize,
}

impl Oracle {
    /// At the start of a stream.
    pub fn new(rules: Rules) -> Oracle {
        Oracle {
            rules,
            head: Vec::new(),
            frame: None,
            message: None,
            control: Vec::new(),
        }
    }

    /// Whether it is between two messages.
    pub fn is_idle(&self) -> bool {
        self.head.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    /// Payload received of the message in pieces.
    pub fn held_bytes(&self) -> usize {
        self.message
            .as_ref()
            .map_or(0, |message| message.bytes.len())
    }

    /// Takes the next byte.
    ///
    /// # Errors
    /// The fault that this byte brings.
    pub fn push(&mut self, byte: u8) -> Result<Option<Owned>, ProtocolError> {
        let mut frame = match self.frame.take() {
            Some(frame) => self.payload(frame, byte)?,
            None => {
                self.head.push(byte);
                let Some(frame) = header(&self.head)? else {
                    return Ok(None);
                };
                self.admit(&frame)?;
                self.head.clear();
                frame
            }
        };
        if frame.received < frame.len {
            self.frame = Some(frame);
            return Ok(None);
        }
        self.end_of_frame(&mut frame)
    }

    fn admit(&mut self, frame: &Frame) -> Result<(), ProtocolError> {
        let is_masked = self.head[1] & 0x80 != 0;
        match self.rules.role {
            Role::Server if !is_masked => return Err(ProtocolError::UnmaskedFrame),
            Role::Client if is_masked => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        if frame.opcode >= 8 {
            return Ok(());
        }
        match (&self.message, frame.opcode) {
            (None, 0) => return Err(ProtocolError::UnexpectedContinuation),
            (Some(_), 1 | 2) => return Err(ProtocolError::ExpectedContinuation),
            _ => {}
        }
        if u128::from(frame.len) > self.rules.max_frame_bytes as u128 {
            return Err(ProtocolError::FrameTooBig);
        }
        let whole = u128::from(frame.len) + self.held_bytes() as u128;
        if whole > self.rules.max_message_bytes as u128 {
            return Err(ProtocolError::MessageTooBig);
        }
        if frame.opcode != 0 {
            let is_text = frame.opcode == 1;
            self.message = Some(PartialMessage {
                is_text,
                bytes: Vec::new(),
                checked: 0,
            });
        }
        Ok(())
    }

    fn payload(&mut self, mut frame: Frame, byte: u8) -> Result<Frame, ProtocolError> {
        let byte = byte ^ frame.key[(frame.received % 4) as usize];
        frame.received += 1;
        if frame.opcode >= 8 {
            self.control.push(byte);
            return Ok(frame);
        }
        let message = self.message.as_mut().expect("begun with its first frame");
        message.bytes.push(byte);
        if message.is_text {
            match std::str::from_utf8(&message.bytes[message.checked..]) {
                Ok(_) => message.checked = message.bytes.len(),
                Err(error) if error.error_len().is_some() => {
                    return Err(ProtocolError::InvalidText);
                }
                Err(_) => {}
            }
        }
        Ok(frame)
    }

    fn end_of_frame(&mut self, frame: &mut Frame) -> Result<Option<Owned>, ProtocolError> {
        let control = std::mem::take(&mut self.control);
        match frame.opcode {
            8 => close(control).map(|close| Some(Owned::Close(close))),
            9 => Ok(Some(Owned::Ping(control))),
            10 => Ok(Some(Owned::Pong(control))),
            _ if !frame.fin => Ok(None),
            _ => {
                let message = self.message.take().expect("begun with its first frame");
                if !message.is_text {
                    return Ok(Some(Owned::Binary(message.bytes)));
                }
                match String::from_utf8(message.bytes) {
                    Ok(text) => Ok(Some(Owned::Text(text))),
                    Err(_) => Err(ProtocolError::InvalidText),
                }
            }
        }
    }
}

fn header(head: &[u8]) -> Result<Option<Frame>, ProtocolError> {
    let fin = head[0] & 0x80 != 0;
    let opcode = head[0] & 0x0f;
    if head[0] & 0x70 != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    if !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) {
        return Err(ProtocolError::UnknownOpCode(opcode));
    }
    if opcode >= 8 && !fin {
        return Err(ProtocolError::FragmentedControl);
    }
    let Some(&second) = head.get(1) else {
        return Ok(None);
    };
    let short = second & 0x7f;
    if opcode >= 8 && short > 125 {
        return Err(ProtocolError::ControlTooLong);
    }
    let digits = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if head.len() < 2 + digits {
        return Ok(None);
    }
    let mut len = u64::from(short);
    if digits > 0 {
        len = head[2..2 + digits]
            .iter()
            .fold(0, |sum, &digit| sum << 8 | u64::from(digit));
        let least = if digits == 2 { 126 } else { 65_536 };
        if len < least {
            return Err(ProtocolError::NonMinimalLength);
        }
        if len >> 63 != 0 {
            return Err(ProtocolError::LengthTopBit);
        }
    }
    let mut key = [0; 4];
    if second & 0x80 != 0 {
        let Some(sent) = head.get(2 + digits..6 + digits) else {
            return Ok(None);
        };
        key.copy_from_slice(sent);
    }
    Ok(Some(Frame {
        fin,
        opcode,
        key,
        len,
        received: 0,
    }))
}

fn close(payload: Vec<u8>) -> Result<Option<(u16, String)>, ProtocolError> {
    match payload.as_slice() {
        [] => Ok(None),
        [_] => Err(ProtocolError::TruncatedCloseCode),
        [high, low, reason @ ..] => {
            let code = u16::from(*high) << 8 | u16::from(*low);
            match code {
                1000..=1003 | 1007..=1014 | 3000..=4999 => {}
                _ => return Err(ProtocolError::InvalidCloseCode(code)),
            }
            match String::from_utf8(reason.to_vec()) {
                Ok(reason) => Ok(Some((code, reason))),
                Err(_) => Err(ProtocolError::InvalidCloseReason),
            }
        }
    }
}
