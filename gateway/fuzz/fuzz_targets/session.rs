//! Lines of bodies, each sealed under the next number, or raw behind a `!`, to a session that is logged
//! on: it comes to rest, its answers stay bounded, and it is logged on or over afterwards. The first
//! byte chooses the role and whether the dictionary judges.
#![no_main]

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::conversation(bytes));
