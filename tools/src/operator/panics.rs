//! Panics of any thread of a run, for the guard to tell: what watches, refreshes or keeps in order ends in
//! silence else, and the run goes on without it.
//!
//! Fed by the process's panic hook, on the thread that panics; feeds the guard. Before the hook is set (in
//! tests, in tools) nothing is kept. Absent: what a panic means; its thread's reader knows.

use std::collections::VecDeque;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

/// Panics that wait to be told; of a thread that panics on and on the newest say no more than the first.
const WAITING_MAX: usize = 16;

/// One panic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// Which thread.
    pub thread: String,
    /// Where, and over what.
    pub message: String,
}

static WAITING: Mutex<VecDeque<Panic>> = Mutex::new(VecDeque::new());

/// From now on panics are kept for the guard, and told on standard error as before.
pub fn watch() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        keep(info);
        before(info);
    }));
}

fn keep(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map_or_else(String::new, ToString::to_string);
    // An alert must fit a pipe.
    let message = format!("{place}: {:.2000}", text.unwrap_or("(no message)"));
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if waiting.len() < WAITING_MAX {
        waiting.push_back(Panic { thread, message });
    }
}

/// The oldest that was not told yet.
pub fn next() -> Option<Panic> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_any_thread_is_kept_until_it_is_told() {
        watch();
        while next().is_some() {}
        let thread = std::thread::Builder::new().name("a side thread".into());
        let panicked = thread.spawn(|| panic!("over a {}", "test")).unwrap().join();
        assert!(panicked.is_err());
        // Other tests of this process may have panicked as well.
        let told: Vec<_> = std::iter::from_fn(next).collect();
        let panic = told.iter().find(|panic| panic.thread == "a side thread").unwrap();
        assert!(panic.message.contains("panics.rs:") && panic.message.ends_with(": over a test"));
    }
}
