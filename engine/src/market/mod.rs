//! The market as we see it: one book an instrument, and whether to believe it.

pub mod book;
pub mod spike;
pub mod trust;
