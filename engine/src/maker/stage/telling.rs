//! What the stage tells people, off the hot thread: what happened, samples, and states that found no room.
//!
//! A part of the stage, fed by its steps and turns; feeds the telemetry ring. Maker thread. Telemetry drops and
//! counts; but an instrument's state that was dropped is owed, and told as soon as there is room: an alert of
//! a halt waits for no sample. Deliberately absent: what it was in between.

use super::super::intents::Record;
use super::super::round::LINES_A_PART;
use super::super::{Maker, instrument_id};
use super::{MakerStage, Telemetry, TimeBase};
use crate::inventory::transfer::TRANSFERS_MAX;
use crate::maker::snapshot::HoldingsNews;
use crate::risk::state::{Reason, State};
use crate::units::Nanos;

/// How each instrument stands, as it was told last.
pub(super) struct ToldStates {
    states: Vec<(State, Reason)>,
    /// Records that a step had no room for, as far as looked at.
    dropped: u64,
    is_owed: bool,
}

impl ToldStates {
    pub(super) fn of(maker: &Maker) -> ToldStates {
        let states = maker.lines.iter().map(|line| (line.state, line.reason)).collect();
        ToldStates { states, dropped: 0, is_owed: false }
    }
}

impl MakerStage {
    /// Tells what happened; a state that finds no room is owed.
    pub(super) fn tell_record(&mut self, record: Record) {
        let is_told = self.tell(Telemetry::Happened(record));
        let Record::State { instrument, state, reason, .. } = record else { return };
        match self.told.states.get_mut(usize::from(instrument.0)) {
            Some(told) if is_told => *told = (state, reason),
            Some(_) | None => self.told.is_owed = true,
        }
    }

    /// What a step itself had no room for may have been a state.
    pub(super) fn note_dropped(&mut self) {
        let dropped = self.out.records_dropped();
        self.told.is_owed |= std::mem::replace(&mut self.told.dropped, dropped) != dropped;
    }

    /// Tells the states that are owed, as they are by now.
    #[inline]
    pub(super) fn tell_owed(&mut self) {
        if self.told.is_owed && self.links.telemetry.has_room(1) {
            self.tell_each_owed();
        }
    }

    #[cold]
    fn tell_each_owed(&mut self) {
        let at = self.maker.now();
        for (n, told) in self.told.states.iter_mut().enumerate() {
            let Some(line) = self.maker.lines.get(n) else { continue };
            let (state, reason) = (line.state, line.reason);
            if *told == (state, reason) {
                continue;
            }
            let record = Record::State { at, instrument: instrument_id(n), state, reason };
            if self.links.telemetry.push(Telemetry::Happened(record)).is_err() {
                return;
            }
            *told = (state, reason);
        }
        self.told.is_owed = false;
    }

    fn tell(&mut self, telemetry: Telemetry) -> bool {
        let is_told = self.links.telemetry.push(telemetry).is_ok();
        self.telemetry_dropped = self.telemetry_dropped.saturating_add(u64::from(!is_told));
        is_told
    }

    /// Samples what is due: one part of the instruments a turn, and behind the last what is one for all. Says
    /// whether more of it is to come.
    pub(super) fn sample(&mut self) -> bool {
        let at = self.maker.now();
        let interval = self.settings.sample_interval_ns;
        // On the events' time there is none before the first of them.
        let has_time = match self.settings.time {
            TimeBase::Clock => at > Nanos(0),
            TimeBase::Events => self.progress.consumed() > Nanos(0),
        };
        let from = self.sampled;
        if interval == 0 || !has_time || (from == 0 && at < self.sample_at) {
            return false;
        }
        if from == 0 {
            self.sample_at = at.plus(interval);
        }
        let until = from.saturating_add(LINES_A_PART).min(self.maker.lines.len());
        for n in from..until {
            let instrument = instrument_id(n);
            if let Some(snapshot) = self.maker.snapshot(instrument) {
                self.tell(Telemetry::Instrument { at, instrument, snapshot });
            }
        }
        if until < self.maker.lines.len() {
            self.sampled = until;
            return true;
        }
        self.sampled = 0;
        for underlying in (0..u8::MAX).take(self.maker.pools.len()) {
            let delta = self.maker.delta(usize::from(underlying));
            self.tell(Telemetry::Delta { at, underlying, delta });
            if let Some(sample) = self.maker.greek_sample(usize::from(underlying)) {
                self.tell(Telemetry::Greeks { at, underlying, sample });
            }
        }
        self.sample_holdings(at);
        if let Some((causes, total)) = self.maker.pnl() {
            self.tell(Telemetry::Pnl { at, causes, total });
        }
        false
    }

    fn sample_holdings(&mut self, at: Nanos) {
        for n in 0..self.maker.rebalancer.holdings.places().len() {
            let place = self.maker.places().nth(n).map(HoldingsNews::Place);
            self.tell_holdings(at, place);
        }
        for n in 0..TRANSFERS_MAX {
            let transfer = self.maker.transfers().nth(n).copied().map(HoldingsNews::Transfer);
            self.tell_holdings(at, transfer);
        }
        for n in 0..self.maker.balances().len() {
            let balance = self.maker.balances().get(n).copied().map(HoldingsNews::Balance);
            self.tell_holdings(at, balance);
        }
    }

    fn tell_holdings(&mut self, at: Nanos, news: Option<HoldingsNews>) {
        if let Some(news) = news {
            self.tell(Telemetry::Holdings { at, news });
        }
    }
}
