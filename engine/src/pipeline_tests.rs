//! Runners: order, ends, panics, cores and priorities.

use super::*;
use crate::clock::Counter;
use crate::ring::{self, Consumer, Producer};

fn clock() -> Clock {
    Clock::with_counter(Counter::monotonic())
}

/// Sends the numbers below `count`, then is done.
struct Source {
    next: u64,
    count: u64,
    out: Producer<u64>,
}

impl Stage for Source {
    fn name(&self) -> &'static str {
        "source"
    }
    fn turn(&mut self, _now: Nanos) -> Turn {
        if self.next == self.count || self.out.is_disconnected() {
            return Turn::Done;
        }
        match self.out.push(self.next) {
            Ok(()) => {
                self.next += 1;
                Turn::Busy
            }
            Err(_) => Turn::Idle,
        }
    }
}

/// Passes on twice what comes in; done when its source is gone.
struct Doubler {
    input: Consumer<u64>,
    out: Producer<u64>,
    panics_at: Option<u64>,
}

impl Stage for Doubler {
    fn name(&self) -> &'static str {
        "doubler"
    }
    fn turn(&mut self, _now: Nanos) -> Turn {
        if !self.out.has_room(1) {
            return Turn::Idle;
        }
        match self.input.pop() {
            Some(n) => {
                assert_ne!(Some(n), self.panics_at, "planted");
                self.out.push(2 * n).unwrap();
                Turn::Busy
            }
            None if self.input.is_disconnected() => Turn::Done,
            None => Turn::Idle,
        }
    }
}

/// Keeps all that comes in.
struct Sink {
    input: Consumer<u64>,
    seen: Vec<u64>,
}

impl Stage for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }
    fn turn(&mut self, _now: Nanos) -> Turn {
        match self.input.pop() {
            Some(n) => {
                self.seen.push(n);
                Turn::Busy
            }
            None if self.input.is_disconnected() => Turn::Done,
            None => Turn::Idle,
        }
    }
}

fn three(count: u64, panics_at: Option<u64>) -> (Source, Doubler, Sink) {
    let (first, input) = ring::slots(8);
    let (second, last) = ring::slots(8);
    (
        Source { next: 0, count, out: first },
        Doubler { input, out: second, panics_at },
        Sink { input: last, seen: Vec::new() },
    )
}

const YIELD: Wait = Wait::Yield { spins: 10 };

#[test]
fn pinned_fused_and_virtual_runs_see_the_same_sequence() {
    let expected: Vec<u64> = (0..1_000).map(|n| 2 * n).collect();

    let (source, doubler, mut sink) = three(1_000, None);
    let seats = vec![
        Seat::new(source, pin::allowed_cores().first().copied(), Wait::Spin),
        Seat::new(doubler, None, YIELD),
        Seat::new(&mut sink, None, Wait::Park { spins: 5, park_ns: 1_000 }),
    ];
    let ran = run(seats, clock(), &Stop::new()).unwrap();
    assert_eq!(sink.seen, expected);
    assert_eq!(ran.iter().map(|r| r.stage).collect::<Vec<_>>(), ["source", "doubler", "sink"]);
    assert_eq!(ran.iter().map(|r| r.busy).collect::<Vec<_>>(), [1_000; 3]);

    let (source, doubler, mut sink) = three(1_000, None);
    let fused = Fused::new("fused").then(source).then(doubler).then(&mut sink);
    run(vec![Seat::new(fused, None, YIELD)], clock(), &Stop::new()).unwrap();
    assert_eq!(sink.seen, expected);

    let (source, doubler, mut sink) = three(1_000, None);
    let mut fused = Fused::new("virtual").then(source).then(doubler).then(&mut sink);
    assert_eq!(fused.settle(Nanos(1), 100_000), Ok(Turn::Done));
    drop(fused);
    assert_eq!(sink.seen, expected);
}

/// As order entry does: what is out when its input goes away takes turns to come back.
struct Undoer {
    input: Consumer<u64>,
    out: u64,
    undone: u64,
}

impl Stage for Undoer {
    fn name(&self) -> &'static str {
        "undoer"
    }
    fn turn(&mut self, _now: Nanos) -> Turn {
        if self.input.is_disconnected() {
            self.undone += u64::from(self.undone < self.out);
            return if self.undone == self.out { Turn::Done } else { Turn::Busy };
        }
        match self.input.pop() {
            Some(_) => {
                self.out += 1;
                Turn::Busy
            }
            None => Turn::Idle,
        }
    }
}

/// Source, a doubler that panics, and who must undo what is out; fused or each on a thread of its own.
fn undone_after_a_panic(is_fused: bool) {
    let (first, input) = ring::slots(8);
    let (second, last) = ring::slots(8);
    let source = Source { next: 0, count: u64::MAX, out: first };
    let doubler = Doubler { input, out: second, panics_at: Some(500) };
    let mut undoer = Undoer { input: last, out: 0, undone: 0 };
    let seats = if is_fused {
        let fused = Fused::new("front").then(source).then(doubler).then(&mut undoer);
        vec![Seat::new(fused, None, YIELD)]
    } else {
        vec![
            Seat::new(source, None, YIELD),
            Seat::new(doubler, None, YIELD),
            Seat::new(&mut undoer, None, YIELD),
        ]
    };
    let (stop, mut told) = (Stop::new(), Vec::new());
    let mut tell = |stage: &'static str, message: &str| told.push((stage, message.to_owned()));
    let on_panic = OnPanic { tell: &mut tell, within: PANIC_END };
    let error = run_guarded(seats, clock(), &stop, on_panic).unwrap_err();
    assert!(matches!(error, PipelineError::Panicked { stage: "doubler", .. }), "{error}");
    assert!(error.to_string().contains("planted"), "{error}");
    assert!(matches!(&told[..], [("doubler", text)] if text.contains("planted")), "{told:?}");
    assert!(undoer.out > 400 && undoer.undone == undoer.out, "{} undone", undoer.undone);
    assert!(stop.is_set());
}

#[test]
fn a_panic_in_one_stage_ends_it_alone_and_the_others_wind_down() {
    undone_after_a_panic(false);
}

#[test]
fn a_panic_in_one_of_fused_stages_leaves_the_others_their_turns() {
    undone_after_a_panic(true);
}

/// Never done, whatever goes away.
struct Endless;

impl Stage for Endless {
    fn name(&self) -> &'static str {
        "endless"
    }
    fn turn(&mut self, _now: Nanos) -> Turn {
        Turn::Idle
    }
}

#[test]
fn stages_that_do_not_end_in_time_after_a_panic_are_stopped() {
    let (_, doubler, _) = three(0, None);
    let (first, input) = ring::slots(8);
    let source = Source { next: 3, count: 9, out: first };
    let doubler = Doubler { input, panics_at: Some(3), ..doubler };
    let seats = vec![
        Seat::new(Endless, None, YIELD),
        Seat::new(source, None, YIELD),
        Seat::new(doubler, None, YIELD),
    ];
    let on_panic = OnPanic { tell: &mut |_, _| {}, within: Duration::from_millis(20) };
    let error = run_guarded(seats, clock(), &Stop::new(), on_panic).unwrap_err();
    assert!(matches!(error, PipelineError::Panicked { stage: "doubler", .. }), "{error}");
}

#[test]
fn a_stop_ends_stages_that_would_run_for_ever() {
    let (source, _, _) = three(u64::MAX, None);
    let stop = Stop::new();
    stop.set();
    let ran = run(vec![Seat::new(source, None, Wait::Spin)], clock(), &stop).unwrap();
    assert_eq!(ran.first().map(|r| r.turns), Some(0));
}

#[test]
fn a_core_that_the_host_does_not_have_is_refused_before_anything_runs() {
    let (source, _, _) = three(1, None);
    let seats = vec![Seat::new(source, Some(100_000), Wait::Spin)];
    let error = run(seats, clock(), &Stop::new()).unwrap_err();
    assert!(matches!(error, PipelineError::NoSuchCore { core: 100_000, .. }), "{error}");
}

#[test]
fn a_priority_that_the_system_does_not_give_is_refused_before_anything_runs() {
    let (source, _, _) = three(1, None);
    let seat = Seat { priority: Some(100), ..Seat::new(source, None, YIELD) };
    let error = run(vec![seat], clock(), &Stop::new()).unwrap_err();
    assert!(matches!(error, PipelineError::NoPriority { priority: 100, .. }), "{error}");
}

#[test]
fn a_priority_is_the_threads_own_or_refused() {
    let (source, _, _) = three(1, None);
    let seat = Seat { priority: Some(1), ..Seat::new(source, None, YIELD) };
    match run(vec![seat], clock(), &Stop::new()) {
        Ok(ran) => assert_eq!(ran.first().map(|r| r.priority), Some(Some(1))),
        Err(error) => assert!(error.to_string().contains("LimitRTPRIO"), "{error}"),
    }
}

#[test]
fn a_stage_spins_on_a_core_that_is_not_in_the_mask_that_the_process_was_started_with() {
    let mask = pin::allowed_cores();
    let [one, other, ..] = mask.as_slice() else {
        println!("skipped: this process may run on {mask:?} alone");
        return;
    };
    let (one, other) = (*one, *other);
    let isolated = move || {
        assert!(pin::pin_current_thread(one));
        let (source, doubler, sink) = three(1, None);
        drop((doubler, sink));
        let idle = Fused::new("idle");
        let seats = vec![
            Seat::new(source, Some(other), Wait::Spin),
            Seat::new(idle, Some(one), Wait::Spin),
        ];
        run(seats, clock(), &Stop::new()).unwrap()
    };
    let ran = thread::spawn(isolated).join().unwrap();
    let has = |place: usize| ran.get(place).map(|r| (r.core, r.wait));
    assert_eq!(has(0), Some((Some(other), Wait::Spin)), "two cores, so it need not yield");
    assert_eq!(has(1), Some((Some(one), Wait::Spin)));
}

#[test]
fn spinning_on_a_shared_core_degrades_to_yielding() {
    let seat = |core, wait| Seat::new(Fused::new("empty"), core, wait);
    let mut seats = vec![seat(Some(1), Wait::Spin), seat(Some(1), YIELD), seat(None, Wait::Spin)];
    share_cores(&mut seats, 2);
    let waits: Vec<Wait> = seats.iter().map(|s| s.wait).collect();
    assert_eq!(waits, [Wait::Yield { spins: 0 }, YIELD, Wait::Spin]);

    let mut seats = vec![seat(None, Wait::Spin), seat(None, Wait::Spin), seat(None, Wait::Spin)];
    share_cores(&mut seats, 2);
    assert!(seats.iter().all(|s| s.wait == Wait::Yield { spins: 0 }));
}
