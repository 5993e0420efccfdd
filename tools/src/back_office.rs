//! The cold side of a run: journal, telemetry, progress line, and the decision to end it.
//!
//! Fed by the maker's journal and telemetry rings, by the stages' latency samples and by whoever may
//! end the run; feeds the journal file, the [`Observer`] and the maker's control ring. A stage of its
//! own, parked between looks. A journal that cannot be written ends the run: what is not recorded is
//! not traded.

use crate::latency_window::LatencyWindow;
use crate::observer::Observer;
use crate::operator::desk::Desk;
use crate::operator::standing::Latency;
use crate::outbox::Outbox;
use crate::report::recorder::SeriesRecorder;
use ballast_engine::clock::{Counter, Drift};
use ballast_engine::journal::recorder::Recorder;
use ballast_engine::journal::segments::Segments;
use ballast_engine::latency::{Mark, Samples};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::ring::RecordConsumer;
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use std::sync::Arc;

/// What the host's own stalls are called among the latencies.
pub const HICCUP: &str = "host_hiccup";
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

/// Latencies and the host's own stalls, as the hot threads tell them.
pub struct Measured {
    /// From every stage that marks latency.
    samples: Vec<Samples>,
    /// Gaps of the hot threads, in nanoseconds: the host's own stalls.
    hiccups: Vec<RecordConsumer<u64>>,
    /// The latencies of the last seconds.
    window: LatencyWindow,
    /// Turns counter steps into nanoseconds.
    counter: Counter,
    /// How far the counter is off since the start.
    pub drift: Drift,
}

impl Measured {
    /// Nothing yet.
    pub fn new(
        samples: Vec<Samples>,
        hiccups: Vec<RecordConsumer<u64>>,
        counter: Counter,
    ) -> Measured {
        let (window, drift) = (LatencyWindow::default(), Drift::of(counter));
        Measured { samples, hiccups, window, counter, drift }
    }

    /// Samples that found no room, so far.
    pub fn dropped(&self) -> u64 {
        self.samples.iter().map(Samples::dropped).sum()
    }

    /// Takes what has come, so much of each at most; whether there was a latency.
    fn take(&mut self, recorder: &mut SeriesRecorder) -> bool {
        let mut is_busy = false;
        for samples in &mut self.samples {
            for _ in 0..TELEMETRY_MAX {
                let Some(sample) = samples.pop() else { break };
                let nanos = self.counter.nanos_of_steps(sample.steps);
                let name = match sample.mark {
                    // The wire's end of the way has the name that people ask for.
                    Mark::Written => "tick_to_order",
                    other => other.name(),
                };
                recorder.latency(name, nanos);
                self.window.record(name, nanos);
                is_busy = true;
            }
        }
        for gaps in &mut self.hiccups {
            for _ in 0..TELEMETRY_MAX {
                let Some(nanos) = gaps.pop() else { break };
                recorder.latency(HICCUP, nanos);
                self.window.record(HICCUP, nanos);
            }
        }
        is_busy
    }
}

/// What the back office is made of.
pub struct BackOffice {
    /// The journal's stage.
    pub recorder: Recorder<Segments>,
    /// From the maker.
    pub telemetry: RecordConsumer<Telemetry>,
    /// What the hot threads tell of time.
    pub measured: Measured,
    /// To the maker, and what operators are shown.
    pub desk: Arc<Desk>,
    /// The series.
    pub observer: Observer,
    /// What treasury is asked for.
    pub outbox: Outbox,
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
        self.measured.take(self.observer.recorder_mut()) || is_busy
    }

    /// Once a second: the percentiles that operators and metrics are shown.
    fn tell_latency(&mut self, now: Nanos) {
        if now.since(self.told_at) < 1_000_000_000 {
            return;
        }
        self.told_at = now;
        let recorder = self.observer.recorder_mut();
        let names = Mark::ALL.into_iter().filter(|mark| *mark != Mark::Written).map(Mark::name);
        let names = std::iter::once("tick_to_order").chain(names).chain([HICCUP]);
        let latency = names.filter_map(|name| {
            recorder.histogram(name).map(|histogram| Latency::of(name, histogram))
        });
        let latency = latency.collect();
        let window = self.measured.window.turn(now);
        let (samples_dropped, drift_ppb) = (self.measured.dropped(), self.measured.drift.ppb());
        let mut standing = self.desk.standing();
        standing.latency = latency;
        standing.latency_dropped = samples_dropped;
        standing.drift_ppb = drift_ppb;
        if let Some(window) = window {
            standing.latency_window = window;
        }
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
        // Also where the journal has more to write: a burst would else fill the rings that nobody looks at,
        // and its own latencies, the worst there are, would be missing.
        let has_looked = self.look();
        let is_busy = journal == Turn::Busy || has_looked;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use crate::state_dir::StateDir;
    use ballast_engine::journal::header::Header;
    use ballast_engine::journal::record::Record;
    use ballast_engine::journal::writer::JournalWriter;
    use ballast_engine::latency::{self, Probe};
    use ballast_engine::ring::{self, RecordProducer};
    use ballast_engine::units::Stamp;
    use std::path::Path;

    /// Never ends.
    struct Never;

    impl EndWhen for Never {
        fn is_over(&mut self, _: Nanos) -> bool {
            false
        }
    }

    /// A back office whose rings a test holds the other ends of.
    fn office(folder: &Path) -> (BackOffice, RecordProducer<Record>, Probe) {
        let file = ConfigFile::demo().unwrap();
        let state = StateDir::open(folder).unwrap();
        let config = file.maker(state.epoch()).unwrap();
        let header = Header {
            epoch: state.epoch(),
            started: Nanos(0),
            binary: String::new(),
            config: file.text.clone(),
            resumption: config.resumption.clone(),
        };
        let segments = Segments::create(&state.journal(), 1 << 30, Box::new(drop)).unwrap();
        let writer = JournalWriter::over(segments, &state.journal(), &header).unwrap();
        let (journal, records) = ring::records(1 << 10);
        let counter = Counter::monotonic();
        let (probe, samples) = latency::probe(counter, 2);
        let (control, _) = ring::slots(16);
        let desk = Desk::new(control, Arc::default(), Vec::new(), Vec::new(), &state, &config);
        let office = BackOffice {
            recorder: Recorder::new(records, writer, 1_000_000_000),
            telemetry: ring::records(2).1,
            measured: Measured::new(vec![samples], Vec::new(), counter),
            desk: Arc::new(desk),
            observer: Observer::new(&file, &config),
            outbox: Outbox::open(state.folder(), &file),
            end: Box::new(Never),
            progress: Box::new(Silent),
            is_ending: false,
            told_at: Nanos(0),
        };
        (office, journal, probe)
    }

    #[test]
    fn latencies_are_taken_also_while_the_journal_is_busy_and_lost_ones_are_told() {
        let folder = std::env::temp_dir().join(format!("ballast-office-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let (mut office, mut journal, mut probe) = office(&folder);
        for number in 1..=4 {
            let now = Nanos(number * 1_000_000_000);
            journal.push(Record::Timer { number, now }).unwrap();
            // Three where the ring holds two.
            for _ in 0..3 {
                probe.record(Mark::Written, Stamp(10), Stamp(1_010));
            }
            assert_eq!(office.turn(now), Turn::Busy);
        }
        let standing = office.desk.standing().clone();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(standing.latency[0].count, 8, "{:?}", standing.latency);
        assert_eq!(standing.latency_dropped, 4);
    }
}
