//! What one record of the journal says, and its frame.
//!
//! Fed by the maker through the record ring (all but the end, which the writer adds); feeds the
//! reader. A record is `Copy`. Frame, little-endian: payload length (2), kind (1), a check of these
//! three bytes (1), CRC-32C (4), payload. The CRC starts from the header's and covers the record's
//! number, length, kind and payload.

use super::codec::Field;
use super::hash::Sha;
use crate::event::{InstrumentId, MarketEvent, OrderEvent, OrderIntent};
use crate::maker::input::{Control, Input};
use crate::risk::state::{Reason, State};
use crate::units::Nanos;

/// Bytes before a payload.
pub const HEAD_BYTES: usize = 8;
/// No payload is longer; a length beyond it is damage, not data.
pub const PAYLOAD_BYTES_MAX: usize = 1024;

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// The maker consumed a market event.
    Market {
        /// Its place among all inputs, from 0.
        number: u64,
        /// The maker's time at that step.
        now: Nanos,
        /// The input.
        event: MarketEvent,
    },
    /// The maker consumed an order event.
    Order {
        /// Its place among all inputs, from 0.
        number: u64,
        /// The maker's time at that step.
        now: Nanos,
        /// The input.
        event: OrderEvent,
    },
    /// The maker consumed an operator's order.
    Control {
        /// Its place among all inputs, from 0.
        number: u64,
        /// The maker's time at that step.
        now: Nanos,
        /// The input.
        control: Control,
    },
    /// The maker's own timer fired.
    Timer {
        /// Its place among all inputs, from 0.
        number: u64,
        /// The maker's time at that step.
        now: Nanos,
    },
    /// The maker decided.
    Intent {
        /// Number of the input that caused it.
        cause: u64,
        /// What it decided.
        intent: OrderIntent,
    },
    /// An instrument changed its state. Told, not replayed: it follows from the inputs.
    State {
        /// Number of the input that caused it.
        cause: u64,
        /// Which.
        instrument: InstrumentId,
        /// Into what.
        state: State,
        /// Why.
        reason: Reason,
    },
    /// The run ended in order; nothing follows.
    End(End),
}

/// What a whole journal adds up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// How many inputs were consumed.
    pub inputs: u64,
    /// How many intents were made.
    pub intents: u64,
    /// SHA-256 over all intents.
    pub intents_sha256: Sha,
}

impl Field for End {
    fn put(&self, to: &mut Vec<u8>) {
        self.inputs.put(to);
        self.intents.put(to);
        to.extend_from_slice(&self.intents_sha256.0);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let inputs = u64::take(from)?;
        let intents = u64::take(from)?;
        let (sha, rest) = from.split_first_chunk::<32>()?;
        *from = rest;
        Some(End { inputs, intents, intents_sha256: Sha(*sha) })
    }
}

/// Kinds, as the frame names them. Never reused.
mod kind {
    pub const MARKET: u8 = 1;
    pub const ORDER: u8 = 2;
    pub const CONTROL: u8 = 3;
    pub const TIMER: u8 = 4;
    pub const INTENT: u8 = 16;
    pub const STATE: u8 = 17;
    pub const END: u8 = 255;
}

/// Any flipped bit of the three bytes before it shows in this one.
fn head_check(length: [u8; 2], kind: u8) -> u8 {
    length[0] ^ length[1] ^ kind ^ 0xB5
}

/// The checksum of a record.
fn checksum(seed: u32, number: u64, length: [u8; 2], kind: u8, payload: &[u8]) -> u32 {
    let ([a, b, c, d, e, f, g, h], [low, high]) = (number.to_le_bytes(), length);
    let sum = crc32c::crc32c_append(seed, &[a, b, c, d, e, f, g, h, low, high, kind]);
    crc32c::crc32c_append(sum, payload)
}

/// A frame's first bytes, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    length: [u8; 2],
    kind: u8,
    sum: u32,
}

impl Head {
    /// Reads a head; `None` where its own check fails or its length is beyond belief.
    pub fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Head> {
        let [low, high, kind, check, sum @ ..] = *bytes;
        let head = Head { length: [low, high], kind, sum: u32::from_le_bytes(sum) };
        let is_sound = check == head_check(head.length, kind);
        (is_sound && head.payload_bytes() <= PAYLOAD_BYTES_MAX).then_some(head)
    }

    /// How many bytes follow.
    pub fn payload_bytes(&self) -> usize {
        usize::from(u16::from_le_bytes(self.length))
    }
}

impl Record {
    /// The input in it, with its number and the maker's time at that step.
    pub fn input(&self) -> Option<(u64, Nanos, Input)> {
        match *self {
            Record::Market { number, now, event } => Some((number, now, Input::Market(event))),
            Record::Order { number, now, event } => Some((number, now, Input::Order(event))),
            Record::Control { number, now, control } => {
                Some((number, now, Input::Control(control)))
            }
            Record::Timer { number, now } => Some((number, now, Input::Timer)),
            Record::Intent { .. } | Record::State { .. } | Record::End(_) => None,
        }
    }

    /// Input `number`, taken in at `now`.
    pub fn of_input(number: u64, now: Nanos, input: &Input) -> Record {
        match *input {
            Input::Market(event) => Record::Market { number, now, event },
            Input::Order(event) => Record::Order { number, now, event },
            Input::Control(control) => Record::Control { number, now, control },
            Input::Timer => Record::Timer { number, now },
        }
    }

    /// Appends the record's frame, as number `number` of the file whose header's checksum is `seed`.
    pub fn encode(&self, seed: u32, number: u64, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(&[0; HEAD_BYTES]);
        let kind = self.put(to);
        let Some((head, payload)) = to.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut)
        else {
            return;
        };
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        debug_assert!(payload.len() <= PAYLOAD_BYTES_MAX, "records are small");
        let length = length.to_le_bytes();
        let sum = checksum(seed, number, length, kind, payload).to_le_bytes();
        let check = head_check(length, kind);
        *head = [length[0], length[1], kind, check, sum[0], sum[1], sum[2], sum[3]];
    }

    /// The record of a head and its payload, or what is wrong with it.
    pub fn decode(
        seed: u32,
        number: u64,
        head: Head,
        payload: &[u8],
    ) -> Result<Self, &'static str> {
        if checksum(seed, number, head.length, head.kind, payload) != head.sum {
            return Err("it fails its checksum");
        }
        let mut rest = payload;
        let record = Record::take(head.kind, &mut rest);
        record.filter(|_| rest.is_empty()).ok_or("its fields do not parse")
    }

    fn put(&self, to: &mut Vec<u8>) -> u8 {
        match self {
            Record::Market { number, now, event } => {
                number.put(to);
                now.put(to);
                event.put(to);
                kind::MARKET
            }
            Record::Order { number, now, event } => {
                number.put(to);
                now.put(to);
                event.put(to);
                kind::ORDER
            }
            Record::Control { number, now, control } => {
                number.put(to);
                now.put(to);
                control.put(to);
                kind::CONTROL
            }
            Record::Timer { number, now } => {
                number.put(to);
                now.put(to);
                kind::TIMER
            }
            Record::Intent { cause, intent } => {
                cause.put(to);
                intent.put(to);
                kind::INTENT
            }
            Record::State { cause, instrument, state, reason } => {
                cause.put(to);
                instrument.put(to);
                state.put(to);
                reason.put(to);
                kind::STATE
            }
            Record::End(end) => {
                end.put(to);
                kind::END
            }
        }
    }

    fn take(kind: u8, from: &mut &[u8]) -> Option<Record> {
        match kind {
            kind::MARKET => {
                let (number, now) = (u64::take(from)?, Nanos::take(from)?);
                Some(Record::Market { number, now, event: Field::take(from)? })
            }
            kind::ORDER => {
                let (number, now) = (u64::take(from)?, Nanos::take(from)?);
                Some(Record::Order { number, now, event: Field::take(from)? })
            }
            kind::CONTROL => {
                let (number, now) = (u64::take(from)?, Nanos::take(from)?);
                Some(Record::Control { number, now, control: Field::take(from)? })
            }
            kind::TIMER => {
                Some(Record::Timer { number: u64::take(from)?, now: Nanos::take(from)? })
            }
            kind::INTENT => {
                Some(Record::Intent { cause: u64::take(from)?, intent: Field::take(from)? })
            }
            kind::STATE => {
                let (cause, instrument) = (u64::take(from)?, InstrumentId::take(from)?);
                let (state, reason) = (State::take(from)?, Reason::take(from)?);
                Some(Record::State { cause, instrument, state, reason })
            }
            kind::END => End::take(from).map(Record::End),
            _ => None,
        }
    }
}
