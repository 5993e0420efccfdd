//! What messages take of the system beside time: allocations and page faults, counted on their thread.
//!
//! Used by `tick-to-order` and `wire` after warming up, feeds the document. Page faults are the kernel's
//! own counters, those that getrusage returns as ru_minflt and ru_majflt, read from `/proc`: the call
//! itself needs unsafe code, and the file does not.

use crate::allocations;
use crate::document::Document;
use crate::ratio::Ratio;
use std::fs;

/// Page faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Served from memory: a page touched for the first time.
    pub minor: u64,
    /// Waited for a disk.
    pub major: u64,
}

impl Faults {
    /// Of the calling thread so far; `None` where the kernel does not say.
    pub fn of_thread() -> Option<Faults> {
        parse(&fs::read_to_string("/proc/thread-self/stat").ok()?)
    }

    /// Of all threads of this process so far.
    pub fn of_process() -> Option<Faults> {
        parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// How many more than `before`.
    pub fn since(self, before: Faults) -> Faults {
        Faults {
            minor: self.minor.saturating_sub(before.minor),
            major: self.major.saturating_sub(before.major),
        }
    }
}

/// Fields 10 and 12 of proc(5)'s stat; field 2 is a name in brackets that may hold blanks.
fn parse(stat: &str) -> Option<Faults> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let minor = fields.nth(7)?.parse().ok()?;
    let major = fields.nth(1)?.parse().ok()?;
    Some(Faults { minor, major })
}

/// Where a thread stood when counting began.
pub struct Meter {
    faults: Option<Faults>,
    allocations: u64,
}

impl Meter {
    /// Counts from now on.
    pub fn start() -> Meter {
        // In this order, and in the other at the end: reading the file allocates.
        let faults = Faults::of_thread();
        Meter { faults, allocations: allocations::so_far() }
    }

    /// What this thread took since, for so many messages.
    pub fn stop(self, messages: u64) -> Spent {
        let allocations = allocations::so_far() - self.allocations;
        let faults = self.faults.zip(Faults::of_thread());
        Spent { messages, allocations, faults: faults.map(|(before, after)| after.since(before)) }
    }
}

/// What so many messages took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spent {
    /// Messages.
    pub messages: u64,
    /// Allocations of the thread.
    pub allocations: u64,
    /// Page faults of the thread; `None` where the kernel does not say.
    pub faults: Option<Faults>,
}

impl Spent {
    /// Takes in what another run took.
    pub fn add(&mut self, other: Spent) {
        // One run of which the kernel did not say leaves the sum unknown.
        self.faults = match (self.messages, self.faults.zip(other.faults)) {
            (0, _) => other.faults,
            (_, sum) => sum.map(|(mine, theirs)| Faults {
                minor: mine.minor + theirs.minor,
                major: mine.major + theirs.major,
            }),
        };
        self.messages += other.messages;
        self.allocations += other.allocations;
    }

    /// No allocation and no major fault are promised, and where the kernel does not say that is not kept;
    /// minor ones are told.
    pub fn into_document(self, name: &str, document: &mut Document) {
        let each = |count: u64| count as f64 / self.messages.max(1) as f64;
        let faults = |of: fn(Faults) -> u64| self.faults.map(of);
        for (what, count, bound) in [
            ("allocations a message", Some(each(self.allocations)), Some(0.0)),
            ("major page faults", faults(|faults| faults.major).map(|n| n as f64), Some(0.0)),
            (
                "minor page faults a thousand messages",
                faults(|faults| faults.minor).map(|minor| 1_000.0 * each(minor)),
                None,
            ),
        ] {
            document.add_ratio(Ratio::single(&format!("{name}, {what}"), count, bound));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;

    #[test]
    fn the_fields_are_counted_after_a_name_with_blanks_and_brackets() {
        let stat = "17 (a b) c) R 1 2 3 4 5 6 1234 8 56 9 0 0";
        assert_eq!(parse(stat), Some(Faults { minor: 1_234, major: 56 }));
        assert_eq!(parse("17 (x) R 1"), None);
    }

    #[test]
    fn page_faults_of_which_the_kernel_does_not_say_are_a_promise_that_is_not_kept() {
        let told =
            Spent { messages: 1, allocations: 0, faults: Some(Faults { minor: 3, major: 0 }) };
        let untold = Spent { faults: None, ..told };
        let session = Session::in_tests();
        for (runs, broken) in
            [(vec![told, told], 0), (vec![told, untold], 1), (vec![untold, told], 1)]
        {
            let mut spent = Spent::default();
            runs.into_iter().for_each(|run| spent.add(run));
            assert_eq!(spent.messages, 2);
            let mut document = Document::of_cores([0, 0], "test".into(), &session, String::new());
            spent.into_document("x", &mut document);
            assert_eq!(document.broken().len(), broken, "{:?}", document.broken());
            assert!(
                document.broken().iter().all(|why| why == "x, major page faults: not measured")
            );
        }
    }

    #[test]
    fn an_allocation_and_its_first_touch_are_counted() {
        let meter = Meter::start();
        let mut pages = vec![0u8; 4 << 20];
        pages.iter_mut().step_by(4_096).for_each(|byte| *byte = 1);
        std::hint::black_box(&pages);
        let spent = meter.stop(1);
        assert_eq!((spent.messages, spent.allocations), (1, 1));
        // A huge page may stand for 512 small ones.
        assert!(spent.faults.unwrap().minor >= 2);
    }
}
