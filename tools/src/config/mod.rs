//! Config files: TOML in, validated values out, every fault told at once.

pub mod faults;
pub mod instruments;
