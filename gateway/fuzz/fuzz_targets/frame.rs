//! Any bytes through framing: it goes on, holds no more than a message, and finds the next good one.
#![no_main]

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::framed(bytes));
