//! The cold side of a run: journal, telemetry, progress line, and the decision to end it.
//!
//! Fed by the maker's journal and telemetry rings, by the stages' latency samples and by whoever may
//! end the run; feeds the journal file, the [`Observer`] and the maker's control ring. A stage of its
//! own, parked between looks. A journal that cannot be written ends the run: what is not recorded is
//! not traded.

use crate::observer::Observer;
use crate::operator::desk::Desk;
use crate::operator::standing::Latency;
use crate::outbox::Outbox;
use ballast_engine::clock::Counter;
use ballast_engine::journal::recorder::Recorder;
use ballast_engine::journal::segments::Segments;
use ballast_engine::latency::{Mark, Samples};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::ring::RecordConsumer;
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use std::sync::Arc;

/// Telemetry and samples taken in one turn.
const TELEMETRY_MAX: usize = 4096;

/// Says when the run should end; asked every turn with the runner's time.
pub trait EndWhen: Send {
    /// Should it end now?
    fn is_over(&mut self, now: Nanos) -> bool;
}

/// Shows how the run goes; asked every turn.
pub trait Progress: Send {
    /// Draws it, if it is time.
    fn show(&mut self, now: Nanos, observer: &Observer);
}

/// Shows nothing.
pub struct Silent;

impl Progress for Silent {
    fn show(&mut self, _: Nanos, _: &Observer) {}
}

/// What the back office is made of.
pub struct BackOffice {
    /// The journal's stage.
    pub recorder: Recorder<Segments>,
    /// From the maker.
    pub telemetry: RecordConsumer<Telemetry>,
    /// From every stage that marks latency.
    pub samples: Vec<Samples>,
    /// To the maker, and what operators are shown.
    pub desk: Arc<Desk>,
    /// The series.
    pub observer: Observer,
    /// What treasury is asked for.
    pub outbox: Outbox,
    /// Turns counter steps into nanoseconds.
    pub counter: Counter,
    /// When to end.
    pub end: Box<dyn EndWhen>,
    /// What to show.
    pub progress: Box<dyn Progress>,
    /// The shutdown went to the maker.
    pub is_ending: bool,
    /// When latency was last told.
    pub told_at: Nanos,
}

impl BackOffice {
    fn look(&mut self) -> bool {
        let mut is_busy = false;
        if !self.telemetry.is_empty() {
            let mut standing = self.desk.standing();
            for _ in 0..TELEMETRY_MAX {
                let Some(telemetry) = self.telemetry.pop() else { break };
                self.observer.see(&telemetry);
                self.outbox.see(&telemetry);
                standing.see(&telemetry);
                is_busy = true;
            }
        }
        for samples in &mut self.samples {
            for _ in 0..TELEMETRY_MAX {
                let Some(sample) = samples.pop() else { break };
                let nanos = self.counter.nanos_of_steps(sample.steps);
                let name = match sample.mark {
                    // The wire's end of the way has the name that people ask for.
                    Mark::Written => "tick_to_order",
                    other => other.name(),
                };
                self.observer.recorder_mut().latency(name, nanos);
                is_busy = true;
            }
        }
        is_busy
    }

    /// Once a second: the percentiles that operators and metrics are shown.
    fn tell_latency(&mut self, now: Nanos) {
        if now.since(self.told_at) < 1_000_000_000 {
            return;
        }
        self.told_at = now;
        let recorder = self.observer.recorder_mut();
        let names = Mark::ALL.into_iter().filter(|mark| *mark != Mark::Written).map(Mark::name);
        let latency = std::iter::once("tick_to_order").chain(names).filter_map(|name| {
            recorder.histogram(name).map(|histogram| Latency::of(name, histogram))
        });
        let latency = latency.collect();
        self.desk.standing().latency = latency;
    }

    fn end(&mut self, now: Nanos) {
        let is_journal_lost = self.recorder.health().is_failed();
        if is_journal_lost {
            self.desk.standing().lose_journal();
        }
        let should_end = is_journal_lost || self.end.is_over(now);
        if should_end && !self.is_ending {
            self.is_ending = self.desk.push(Control::Shutdown).is_some();
        }
    }
}

impl Stage for BackOffice {
    fn name(&self) -> &'static str {
        "back-office"
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        // First, or what the maker pushes between two looks would be left in the ring.
        let is_last = self.telemetry.is_disconnected();
        let journal = self.recorder.turn(now);
        // Nothing waits to be written: what telemetry told before is in the journal.
        let has_all = journal != Turn::Busy && !self.recorder.health().is_failed();
        if has_all {
            self.outbox.on_journaled();
        }
        let is_busy = journal == Turn::Busy || self.look();
        if has_all && journal == Turn::Done {
            self.outbox.on_journaled();
        }
        self.tell_latency(now);
        self.end(now);
        self.progress.show(now, &self.observer);
        match (is_busy, is_last && journal == Turn::Done) {
            (true, _) => Turn::Busy,
            (false, true) => Turn::Done,
            (false, false) => Turn::Idle,
        }
    }
}
