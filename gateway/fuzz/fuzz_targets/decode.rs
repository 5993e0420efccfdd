//! Any bytes through the decoder: it refuses them, or its fields are those bytes again.
#![no_main]

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::decoded(bytes));
