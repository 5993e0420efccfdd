//! Any body, sealed so that it is framed, through the decoder and the FIX 4.4 dictionary.
#![no_main]

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|body: &[u8]| hostile::validated(body));
