//! The operator's hand on a running maker, from this side of the maker's control ring.
//!
//! In the order in which an act travels: words (what people write and read) → the maker's `Control`.

/// Symbols, sizes and users for people; the text of an act.
pub mod words;
