//! What crosses from the hot thread to the log's: pieces of the byte stream with their place in it.
//!
//! Written by [`Tape`] on the session's thread, hot: one stamp and one copy, no allocation, no wait;
//! read by the writer. A place that is not where the last piece ended says how much was lost.

use ballast_engine::clock::Counter;
use ballast_engine::ring::RecordProducer;
use ballast_engine::units::Stamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the stream in one piece: a new order fits, and a piece is four cache lines.
pub const CHUNK_BYTES: usize = 232;

/// Which way bytes went, or what happened to the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    In,
    Out,
    Opened,
    Closed,
}

/// A piece of one direction of one connection.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    /// When the read or write was done.
    pub stamp: Stamp,
    /// Place of the first byte in its direction's stream, since the connection was made.
    pub place: u64,
    /// Counted from 1.
    pub connection: u32,
    len: u16,
    pub kind: Kind,
    bytes: [u8; CHUNK_BYTES],
}

const _: () = assert!(size_of::<Chunk>() == 256, "four cache lines");

impl Chunk {
    pub const BLANK: Chunk = Chunk {
        stamp: Stamp(0),
        place: 0,
        connection: 0,
        len: 0,
        kind: Kind::Closed,
        bytes: [0; CHUNK_BYTES],
    };

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The hot end of a session's log. One connection at a time writes to it.
pub struct Tape {
    ring: RecordProducer<Chunk>,
    counter: Counter,
    lost: Arc<AtomicU64>,
    connection: u32,
    /// Bytes so far, in and out.
    places: [u64; 2],
    /// Reused, so that only what is new is copied into it.
    chunk: Chunk,
}

impl Tape {
    pub(super) fn new(ring: RecordProducer<Chunk>, counter: Counter, lost: Arc<AtomicU64>) -> Tape {
        Tape { ring, counter, lost, connection: 0, places: [0; 2], chunk: Chunk::BLANK }
    }

    /// A connection was made.
    pub(crate) fn open(&mut self) {
        self.connection = self.connection.wrapping_add(1);
        self.places = [0; 2];
        self.mark(Kind::Opened);
    }

    /// The connection is over.
    pub(crate) fn close(&mut self) {
        self.mark(Kind::Closed);
    }

    /// Bytes that were read.
    #[inline]
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        let [place, _] = &mut self.places;
        let from = std::mem::replace(place, place.wrapping_add(bytes.len() as u64));
        self.record(Kind::In, from, bytes);
    }

    /// Bytes that the transport took.
    #[inline]
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        let [_, place] = &mut self.places;
        let from = std::mem::replace(place, place.wrapping_add(bytes.len() as u64));
        self.record(Kind::Out, from, bytes);
    }

    /// All of `bytes` or nothing: half a read helps nobody.
    fn record(&mut self, kind: Kind, mut place: u64, bytes: &[u8]) {
        if !self.ring.has_room(bytes.len().div_ceil(CHUNK_BYTES)) {
            self.lost.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            return;
        }
        let stamp = self.counter.stamp();
        for part in bytes.chunks(CHUNK_BYTES) {
            self.chunk.stamp = stamp;
            self.chunk.place = place;
            self.chunk.connection = self.connection;
            self.chunk.kind = kind;
            self.chunk.len = u16::try_from(part.len()).unwrap_or(0);
            if let Some(room) = self.chunk.bytes.get_mut(..part.len()) {
                room.copy_from_slice(part);
            }
            let is_taken = self.ring.push(self.chunk).is_ok();
            debug_assert!(is_taken, "room was asked for");
            place = place.wrapping_add(part.len() as u64);
        }
    }

    fn mark(&mut self, kind: Kind) {
        self.chunk.stamp = self.counter.stamp();
        self.chunk.connection = self.connection;
        self.chunk.kind = kind;
        self.chunk.len = 0;
        // Without the mark the next piece still says that its connection is another one.
        let _ = self.ring.push(self.chunk);
    }
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("connection", &self.connection).finish_non_exhaustive()
    }
}
