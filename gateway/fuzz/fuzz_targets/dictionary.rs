//! Any text through the dictionary's loader: loaded or refused, and what is loaded can judge.
#![no_main]

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| _ = hostile::dictionary(bytes));
