//! The market as we see it: one book an instrument, and whether to believe it.

pub mod book;
mod near;
mod shelf;
pub mod spike;
pub mod trust;
