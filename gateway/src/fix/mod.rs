//! The FIX codec, in the order in which bytes meet it: framed, decoded, read; then written again.
//!
//! Fed by a transport's receive buffer; feeds the session, order entry and market data, which hand
//! what they encode back to the transport. Runs on the thread that owns the socket. Nothing here
//! allocates, reads a clock or keeps a message longer than its buffer; sequence numbers, sessions
//! and the dictionary's rules are deliberately elsewhere.

pub mod tag;

pub mod msg_type;

/// Whole messages out of a stream of bytes.
pub mod frame;

pub mod checksum;

mod scan;

mod predict;

/// Fields out of a whole message.
pub mod decode;

/// What a decoded message says: fields, typed values, repeating groups.
pub mod message;

/// Text to numbers and back.
pub mod value;

mod word;

/// UTC timestamps to text and back.
pub mod timestamp;

/// A message written into the caller's buffer.
pub mod encode;

mod place;

/// Hot messages, prepared once and filled.
pub mod template;

/// Messages written down without their secrets.
pub mod secret;

/// The byte between two fields.
pub const SOH: u8 = 1;
