//! Reading a list of source addresses.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{MAX_SOURCES, Sources};

impl FromStr for Sources {
    type Err = SourcesParseError;

    fn from_str(text: &str) -> Result<Self, SourcesParseError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Sources::Auto);
        }
        let mut addresses = Vec::new();
        let mut seen = HashSet::new();
        for part in text.split(',').map(str::trim) {
            let block = Block::parse(part)?;
            if block.len() > (MAX_SOURCES - addresses.len()) as u128 {
                return Err(SourcesParseError::TooMany { part: part.into() });
            }
            addresses.extend(block.addresses().filter(|&address| seen.insert(address)));
        }
        Ok(Sources::Listed(addresses))
    }
}

/// Addresses one after the other, as numbers of one family.
struct Block {
    is_v4: bool,
    numbers: RangeInclusive<u128>,
}

impl Block {
    fn parse(part: &str) -> Result<Block, SourcesParseError> {
        if part.is_empty() {
            return Err(SourcesParseError::Empty);
        }
        if part.eq_ignore_ascii_case("auto") {
            return Err(SourcesParseError::AutoMixed);
        }
        if let Some((network, bits)) = part.split_once('/') {
            return Block::network(part, address(network)?, bits);
        }
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (address(first)?, address(last)?),
            None => (address(part)?, address(part)?),
        };
        if first.is_ipv4() != last.is_ipv4() {
            return Err(SourcesParseError::MixedRange { part: part.into() });
        }
        if first > last {
            return Err(SourcesParseError::Reversed { first, last });
        }
        Ok(Block {
            is_v4: first.is_ipv4(),
            numbers: number(first)..=number(last),
        })
    }

    fn network(part: &str, network: IpAddr, bits: &str) -> Result<Block, SourcesParseError> {
        let is_v4 = network.is_ipv4();
        let width: u32 = if is_v4 { 32 } else { 128 };
        let bits = bits
            .parse::<u32>()
            .ok()
            .filter(|&bits| bits <= width)
            .ok_or_else(|| SourcesParseError::Prefix {
                part: part.into(),
                width,
            })?;
        let host_bits = width - bits;
        // All ones in the host's part; 128 bits of it cannot be shifted into place.
        let host_mask = 1u128
            .checked_shl(host_bits)
            .map_or(u128::MAX, |bit| bit - 1);
        let first = number(network) & !host_mask;
        let last = first | host_mask;
        if first != number(network) {
            return Err(SourcesParseError::NotANetwork {
                part: part.into(),
                network: of_number(is_v4, first),
                bits,
            });
        }
        // The first address is the network's own or its routers', the last one
        // IPv4's broadcast. A network of one or two has neither (RFC 3021, RFC 6164).
        let numbers = match (host_bits, is_v4) {
            (0 | 1, _) => first..=last,
            (_, true) => first + 1..=last - 1,
            (_, false) => first + 1..=last,
        };
        Ok(Block { is_v4, numbers })
    }

    fn len(&self) -> u128 {
        (self.numbers.end() - self.numbers.start()).saturating_add(1)
    }

    fn addresses(self) -> impl Iterator<Item = IpAddr> {
        let is_v4 = self.is_v4;
        self.numbers.map(move |number| of_number(is_v4, number))
    }
}

fn address(text: &str) -> Result<IpAddr, SourcesParseError> {
    let text = text.trim();
    text.parse()
        .map_err(|_| SourcesParseError::NotAnAddress { text: text.into() })
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The inverse of [`number`].
fn of_number(is_v4: bool, number: u128) -> IpAddr {
    if is_v4 {
        Ipv4Addr::from(number as u32).into()
    } else {
        Ipv6Addr::from(number).into()
    }
}

/// Why a text is not a list of source addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourcesParseError {
    /// Nothing where an address should be.
    #[error(
        "a source address is missing; write auto, or addresses with commas between them, \
             as in 10.0.0.5,127.0.0.2-127.0.0.60"
    )]
    Empty,
    /// `auto` beside addresses.
    #[error("'auto' chooses all source addresses itself; write it alone, or only addresses")]
    AutoMixed,
    /// A text that is no address.
    #[error(
        "'{text}' is not an address; write one as in 10.0.0.5, a range as in \
             127.0.0.2-127.0.0.60, a network as in 127.1.0.0/24, or auto"
    )]
    NotAnAddress {
        /// The text that was written.
        text: String,
    },
    /// A range whose ends are of two families.
    #[error("'{part}' goes from one family of addresses to the other")]
    MixedRange {
        /// The text that was written.
        part: String,
    },
    /// A range whose end comes before its beginning.
    #[error("'{first}-{last}' ends before it begins; did you mean {last}-{first}?")]
    Reversed {
        /// Its beginning, as written.
        first: IpAddr,
        /// Its end, as written.
        last: IpAddr,
    },
    /// A network whose length is not one.
    #[error("the length in '{part}' is not a number from 0 to {width}")]
    Prefix {
        /// The text that was written.
        part: String,
        /// Bits of an address.
        width: u32,
    },
    /// An address of a network where the network's own should be.
    #[error("'{part}' is not a network's first address; did you mean {network}/{bits}?")]
    NotANetwork {
        /// The text that was written.
        part: String,
        /// The network it belongs to.
        network: IpAddr,
        /// The network's length in bits.
        bits: u32,
    },
    /// More than [`MAX_SOURCES`] together.
    #[error(
        "with '{part}' there are more than {} source addresses; write fewer",
        MAX_SOURCES
    )]
    TooMany {
        /// The part that is too much.
        part: String,
    },
}
