//! Any text through the dictionary's loader: loaded or refused, and what is loaded can judge.
#![no_main]

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Loaded or refused: both are right.
    let _ = hostile::dictionary(bytes);
});
