//! What is particular to a venue: its symbols and grids, and the dialect of FIX that it speaks.
//!
//! Fed by the config at start; feeds the sessions and both stages. Deliberately absent: sessions and
//! sockets.

/// Decimal text to ticks and lots.
pub mod grid;

/// Symbol(55) to instrument and back.
pub mod symbols;
