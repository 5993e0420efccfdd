//! The edge at which time enters: one reading of the processor's counter serves as [`Stamp`] and,
//! converted, as [`Nanos`].
//!
//! A runner owns a [`Clock`] and passes `now` to its stages; a stage that stamps at its boundary holds
//! a [`Counter`]. The time stamp counter is used where the processor promises that it runs at one rate
//! in every power state and where measuring it against CLOCK_MONOTONIC agrees; elsewhere the counter
//! is CLOCK_MONOTONIC itself, in nanoseconds. Any thread; each thread has a clock of its own, copied
//! from one start, and clocks of one start differ by less than a microsecond.
//!
//! A [`Clock`] never goes back: it takes UTC once at start and counts on from there, so a step of the
//! system's clock does not reach the maker. A counter that steps back (a virtual machine that was put to
//! sleep, a firmware that wrote to it) costs one reading of CLOCK_MONOTONIC; [`Drift`] says what it did.
//! Deliberately absent: virtual time (a backtest passes its own `now` and has no clock), and floating point.
//!
//! Cost: one counter read (8 ns here, in steps of 10) and a multiply; every 100 ms one
//! CLOCK_MONOTONIC read (40 ns) that keeps the calibration's error from adding up.

use crate::units::{Nanos, Stamp};
use std::time::{Duration, Instant, SystemTime};

/// Nanoseconds a counter step, times 2^32.
const RATE_SHIFT: u32 = 32;
/// How often a clock is set right against CLOCK_MONOTONIC.
const ANCHOR_NS: u64 = 100_000_000;
/// How long a calibration watches the counter: 20 ms bound its error to a few parts per million.
const CALIBRATION: Duration = Duration::from_millis(20);
/// How far two calibrations in a row may differ before the counter is not believed, in ppm.
const DISAGREEMENT_PPM_MAX: i64 = 1_000;

/// The counter that stamps are read from. `Copy`: a stage keeps its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    /// CLOCK_MONOTONIC's zero for the fallback.
    base: Instant,
    /// Nanoseconds a step × 2^32.
    rate: u64,
    source: Source,
}

/// What a [`Counter`] reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The time stamp counter, invariant and calibrated.
    Tsc,
    /// CLOCK_MONOTONIC, in nanoseconds.
    Monotonic,
}

impl Counter {
    /// Chooses and calibrates a counter; takes about 40 ms. For start-up.
    pub fn calibrate() -> Counter {
        let base = monotonic();
        let fallback = Counter { base, rate: 1 << RATE_SHIFT, source: Source::Monotonic };
        if !has_invariant_tsc() {
            return fallback;
        }
        let rates = [measure_rate(base), measure_rate(base)];
        match rates {
            [Some(first), Some(second)]
                if parts_per_million(first, second).abs() <= DISAGREEMENT_PPM_MAX =>
            {
                Counter { base, rate: second, source: Source::Tsc }
            }
            _ => fallback,
        }
    }

    /// CLOCK_MONOTONIC whatever the processor has.
    pub fn monotonic() -> Counter {
        Counter { base: monotonic(), rate: 1 << RATE_SHIFT, source: Source::Monotonic }
    }

    /// The counter now. Not ordered against the loads and stores around it: a few nanoseconds either
    /// way, where a fence would cost more than that.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        match self.source {
            Source::Tsc => Stamp(read_tsc()),
            // +1: 0 says "not stamped".
            Source::Monotonic => Stamp(nanos_of(monotonic().duration_since(self.base)) + 1),
        }
    }

    /// Nanoseconds from `from` to `to`; 0 where `to` is earlier (two cores' counters may differ by a
    /// few steps).
    #[inline]
    pub fn nanos_between(&self, from: Stamp, to: Stamp) -> u64 {
        self.nanos_of_steps(to.0.saturating_sub(from.0))
    }

    /// `steps` of the counter in nanoseconds, rounded down.
    #[inline]
    pub fn nanos_of_steps(&self, steps: u64) -> u64 {
        let scaled = (u128::from(steps) * u128::from(self.rate)) >> RATE_SHIFT;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// What is being read.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Counter steps a second, for a report.
    pub fn steps_per_second(&self) -> u64 {
        (1_000_000_000u64 << (RATE_SHIFT - 2)) / (self.rate >> 2).max(1)
    }
}

/// Time since the Unix epoch that never goes back. A copy carries the same start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    counter: Counter,
    started: Anchor,
    anchor: Anchor,
    last: Nanos,
}

/// A moment on all three scales.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    stamp: Stamp,
    monotonic: Instant,
    nanos: Nanos,
}

impl Clock {
    /// Calibrates a counter and takes UTC from the system, once. About 40 ms; for start-up.
    pub fn start() -> Clock {
        Clock::with_counter(Counter::calibrate())
    }

    /// Takes UTC from the system, once, and counts on by `counter`.
    #[allow(clippy::disallowed_methods)] // The edge at which UTC enters, once a process.
    pub fn with_counter(counter: Counter) -> Clock {
        let since_epoch =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let nanos = Nanos(nanos_of(since_epoch));
        let anchor = Anchor { stamp: counter.stamp(), monotonic: monotonic(), nanos };
        Clock { counter, started: anchor, anchor, last: nanos }
    }

    /// Now. Never earlier than what this clock said before.
    #[inline]
    pub fn now(&mut self) -> Nanos {
        let stamp = self.counter.stamp();
        // Wrapping: a counter that stepped back is then far too late, and no clock stands still.
        let since = self.counter.nanos_of_steps(stamp.0.wrapping_sub(self.anchor.stamp.0));
        if since >= ANCHOR_NS {
            return self.set_right();
        }
        self.last = self.last.max(self.anchor.nanos.plus(since));
        self.last
    }

    /// Takes a new anchor from CLOCK_MONOTONIC.
    #[cold]
    fn set_right(&mut self) -> Nanos {
        let (stamp, at) = bracketed(&self.counter);
        let nanos = self.started.nanos.plus(nanos_of(at.duration_since(self.started.monotonic)));
        self.anchor = Anchor { stamp, monotonic: at, nanos };
        self.last = self.last.max(nanos);
        self.last
    }

    /// The counter, to stamp with.
    pub fn counter(&self) -> Counter {
        self.counter
    }
}

/// How far a counter's calibrated rate is off CLOCK_MONOTONIC, from a moment on.
#[derive(Clone, Copy, Debug)]
pub struct Drift {
    counter: Counter,
    stamp: Stamp,
    monotonic: Instant,
}

impl Drift {
    /// Watches `counter` from now on.
    pub fn of(counter: Counter) -> Drift {
        let (stamp, monotonic) = bracketed(&counter);
        Drift { counter, stamp, monotonic }
    }

    /// In parts per billion: what a latency measured with [`Counter::nanos_between`] is wrong by. Not for
    /// the hot path.
    pub fn ppb(&self) -> i64 {
        let (stamp, at) = bracketed(&self.counter);
        let true_ns = i128::from(nanos_of(at.duration_since(self.monotonic)));
        let counted_ns = i128::from(self.counter.nanos_between(self.stamp, stamp));
        if true_ns == 0 {
            return 0;
        }
        i64::try_from((counted_ns - true_ns) * 1_000_000_000 / true_ns).unwrap_or(i64::MAX)
    }
}

#[inline]
#[allow(clippy::disallowed_methods)] // The edge at which the monotonic clock is read.
fn monotonic() -> Instant {
    Instant::now()
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The counter and CLOCK_MONOTONIC at the same moment: of five tries the one that was least disturbed.
fn bracketed(counter: &Counter) -> (Stamp, Instant) {
    let mut best: Option<(u64, Stamp, Instant)> = None;
    for _ in 0..5 {
        let before = counter.stamp().0;
        let at = monotonic();
        let width = counter.stamp().0.saturating_sub(before);
        if best.is_none_or(|(narrowest, ..)| width < narrowest) {
            best = Some((width, Stamp(before + width / 2), at));
        }
    }
    best.map_or_else(|| (counter.stamp(), monotonic()), |(_, stamp, at)| (stamp, at))
}

/// Nanoseconds a step × 2^32, watched over [`CALIBRATION`]; `None` where the counter stands still,
/// goes back, or is faster or slower than any processor's.
fn measure_rate(base: Instant) -> Option<u64> {
    let tsc = Counter { base, rate: 1 << RATE_SHIFT, source: Source::Tsc };
    let (from, from_at) = bracketed(&tsc);
    while monotonic().duration_since(from_at) < CALIBRATION {
        std::hint::spin_loop();
    }
    let (to, to_at) = bracketed(&tsc);
    let steps = u128::from(to.0.checked_sub(from.0)?);
    let nanos = to_at.duration_since(from_at).as_nanos();
    let rate = u64::try_from((nanos << RATE_SHIFT).checked_div(steps)?).ok()?;
    // 0.1 to 10 GHz.
    ((1 << RATE_SHIFT) / 10..=(1 << RATE_SHIFT) * 10).contains(&rate).then_some(rate)
}

/// How far `second` is from `first`, in parts per million.
fn parts_per_million(first: u64, second: u64) -> i64 {
    let difference = i128::from(second) - i128::from(first);
    i64::try_from(difference * 1_000_000 / i128::from(first).max(1)).unwrap_or(i64::MAX)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn read_tsc() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC, and no kernel that this runs on forbids it to users
    // (PR_SET_TSC is per process and off); it reads a register and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn has_invariant_tsc() -> bool {
    use core::arch::x86_64::__cpuid;
    // Intel SDM 18.17.1, AMD APM 3 E.4.6: leaf 8000_0007h, EDX bit 8, where that leaf exists.
    let highest = __cpuid(0x8000_0000).eax;
    highest >= 0x8000_0007 && __cpuid(0x8000_0007).edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn read_tsc() -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn has_invariant_tsc() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter that steps `rate`/2^32 nanoseconds at a time.
    fn counter(rate: u64) -> Counter {
        Counter { base: monotonic(), rate, source: Source::Tsc }
    }

    #[test]
    fn a_clock_never_goes_back_and_starts_at_utc() {
        let mut clock = Clock::with_counter(Counter::monotonic());
        let mut last = clock.now();
        assert!(last.0 > 1_700_000_000_000_000_000, "later than 2023");
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!(clock.set_right() >= last, "setting right never goes back either");
    }

    /// Until CLOCK_MONOTONIC has moved by 2 ms.
    fn two_milliseconds() {
        let from = monotonic();
        while monotonic().duration_since(from) < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_counter_that_stepped_back_does_not_stop_the_clock() {
        let mut clock = Clock::with_counter(Counter::monotonic());
        let before = clock.now();
        clock.anchor.stamp = Stamp(u64::MAX / 2);
        let resumed = clock.now();
        assert!(resumed >= before);
        two_milliseconds();
        assert!(clock.now().since(resumed) >= 2_000_000, "it goes on");
    }

    #[test]
    fn drift_is_what_the_rate_is_wrong_by() {
        let honest = Drift::of(Counter::monotonic());
        // Counts nanoseconds as a quarter more than they are.
        let fast = Counter { rate: (1 << RATE_SHIFT) / 4 * 5, ..Counter::monotonic() };
        let fast = Drift::of(fast);
        two_milliseconds();
        assert!(honest.ppb().abs() < 50_000_000, "{}", honest.ppb());
        assert!((200_000_000..300_000_000).contains(&fast.ppb()), "{}", fast.ppb());
    }

    #[test]
    fn a_calibrated_counter_agrees_with_the_monotonic_clock() {
        let counter = Counter::calibrate();
        let (from, from_at) = bracketed(&counter);
        while monotonic().duration_since(from_at) < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        let (to, to_at) = bracketed(&counter);
        let true_ns = nanos_of(to_at.duration_since(from_at));
        let counted_ns = counter.nanos_between(from, to);
        assert!(counted_ns.abs_diff(true_ns) < true_ns / 50, "{counted_ns} of {true_ns}");
    }

    #[test]
    fn steps_convert_without_loss_up_to_centuries() {
        let third = counter((1 << RATE_SHIFT) / 3);
        assert_eq!(third.nanos_of_steps(3_000_000_000), 999_999_999, "rounded down");
        assert_eq!(counter(1 << RATE_SHIFT).nanos_of_steps(u64::MAX), u64::MAX);
        assert_eq!(counter(u64::MAX).nanos_of_steps(u64::MAX), u64::MAX, "and stops at the edge");
        assert_eq!(counter(1 << (RATE_SHIFT - 1)).steps_per_second(), 2_000_000_000);
    }

    #[test]
    fn a_stamp_that_lies_before_its_cause_counts_as_no_time() {
        assert_eq!(counter(1 << RATE_SHIFT).nanos_between(Stamp(10), Stamp(7)), 0);
    }

    #[test]
    fn the_fallback_never_stamps_zero() {
        assert!(Counter::monotonic().stamp().0 > 0);
    }
}
