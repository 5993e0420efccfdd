//! A line for people on standard error, by a run that goes on.
//!
//! Fed by commands and by threads of a run; feeds standard error. Any cold thread. A line that cannot be
//! written (a full disk behind `2> log`, a pipe whose reader died) is lost: `eprintln!` would panic over
//! it, and end the thread that spoke. Deliberately absent: the log, which is `tracing`'s.

use std::fmt::Display;
use std::io::Write;

/// Says it, as far as anybody can hear.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
