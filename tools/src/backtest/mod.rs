//! The virtual runner: the live maker against the simulated venue, in the tape's time, on one thread.
//!
//! Fed by a tape and a config; feeds the report and the summary. The maker is the stage that runs
//! live, behind the same rings; the venue is the demo's, without FIX between them. One order of time
//! decides everything, so that the same inputs give the same intents on every machine.

mod in_flight;
pub mod plan;
pub mod tape;
mod treasury;
pub mod venue_time;
pub mod window;

use crate::collateral::Assessor;
use crate::covariance::CovarianceRefresh;
use crate::greek_refresh::{GreekRefresh, RefreshCounters};
use crate::hedge_ratios::HedgeRatios;
use crate::live::{self, Ends, RingSizes};
use crate::observer::Observer;
use crate::recording::{Tape, TapeCounters, TapeError};
use crate::refit::{Refit, RefitCounters};
use crate::refresh::Refresh;
use crate::venue::exchange::Exchange;
use crate::venue::order::{Participant, Report, Request};
use crate::venue::playback::{Playback, Step};
use crate::venue::queue::QueueCounters;
use ballast_engine::clock::Counter;
use ballast_engine::event::{ClOrdId, InstrumentId, MarketEvent, OrderEvent, OrderUpdate, VenueId};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::hash::{IntentsHash, RunHash};
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::{ConfigError, MakerConfig};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::stage::{MakerStage, TURN_INPUTS, Telemetry, TimeBase};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Lots, Nanos, Notional, Stamp};
use in_flight::InFlight;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use thiserror::Error;
use treasury::Treasury;

/// The maker is the venue's only participant here.
const MAKER: Participant = Participant(0);
/// After the tape: how long answers to the last cancels are waited for, in tape time.
const WIND_DOWN_NS: u64 = 10_000_000_000;

/// Why a backtest did not come to its end.
#[derive(Debug, Error)]
pub enum BacktestError {
    /// The config as a whole is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// The tape.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// A ring that the loop empties was full: a bug.
    #[error("the {0} ring was full in the virtual runner; this is a bug")]
    RingFull(&'static str),
}

/// A finished backtest.
pub struct Outcome {
    /// The maker at the end.
    pub stage: MakerStage,
    /// SHA-256 over all intents.
    pub intents_sha256: String,
    /// SHA-256 over all intents and all fills, in the order in which the maker had them.
    pub run_sha256: String,
    /// What was read.
    pub tape: TapeCounters,
    /// What became of the refits, where there were any.
    pub refits: Option<RefitCounters>,
    /// What became of the refreshed Greeks, where there are options.
    pub greeks: Option<RefreshCounters>,
    /// What became of the covariance; null where no quotes share a risk.
    pub covariance: Value,
    /// What became of hedge ratios; null where none are estimated.
    pub hedge_ratios: Value,
    /// The collateral's short list at the end; null where it is not watched.
    pub collateral: Value,
    /// What queueing there was at the venue.
    pub queue: QueueCounters,
    /// Position at the venue, by instrument, counted from the start.
    pub venue_positions: Vec<Lots>,
    /// What the venue charged for fills, by instrument, in its settlement currency.
    pub venue_fees: Vec<Notional>,
}

impl Outcome {
    /// The maker at the end.
    pub fn maker(&self) -> &Maker {
        self.stage.maker()
    }
}

/// A backtest under way.
pub struct Backtest<T: Tape> {
    stage: MakerStage,
    ends: Ends,
    playback: Playback<T>,
    venues: Vec<VenueId>,
    /// Reports on their way to the maker, by delivery.
    reports: BTreeMap<(Nanos, u64), OrderEvent>,
    /// Market events on their way.
    market: InFlight,
    fresh: Vec<Report>,
    numbered: u64,
    hash: IntentsHash,
    run_hash: RunHash,
    journal: Option<JournalWriter>,
    observer: Observer,
    refit: Option<Refit>,
    greeks: Option<GreekRefresh>,
    assessor: Option<Assessor>,
    covariance: Option<CovarianceRefresh>,
    ratios: Option<HedgeRatios>,
    /// Greeks and rows on their way to the maker; empty between two events.
    refreshed: Vec<Control>,
    /// Orders of an operator, by their times.
    controls: VecDeque<(Nanos, Control)>,
    treasury: Treasury,
}

impl<T: Tape> Backtest<T> {
    /// Joins a maker to a venue and a tape.
    pub fn new(
        config: &MakerConfig,
        exchange: Exchange,
        tape: T,
        observer: Observer,
        journal: Option<JournalWriter>,
        sample_interval_ns: u64,
    ) -> Result<Backtest<T>, BacktestError> {
        let counter = Counter::monotonic();
        let (time, sizes) = (TimeBase::Events, RingSizes::VIRTUAL);
        let wired = live::wire_maker_sized(config, time, sample_interval_ns, counter, sizes);
        let (stage, ends) = wired.map_err(BacktestError::Config)?;
        // Without a journal its ring is read for intents and fills alone.
        let stage = if journal.is_some() { stage } else { stage.without_market_entries() };
        Ok(Backtest {
            stage,
            ends,
            playback: Playback::new(tape, exchange),
            venues: config.instruments.iter().map(|i| i.spec().venue).collect(),
            reports: BTreeMap::new(),
            market: InFlight::default(),
            fresh: Vec::new(),
            numbered: 0,
            hash: IntentsHash::new(),
            run_hash: RunHash::new(),
            journal,
            observer,
            refit: None,
            greeks: None,
            covariance: None,
            ratios: None,
            assessor: None,
            refreshed: Vec::new(),
            controls: VecDeque::new(),
            treasury: Treasury::new(config),
        })
    }

    /// The same with A and k refitted on the way.
    pub fn refitting(self, refit: Option<Refit>) -> Backtest<T> {
        Backtest { refit, ..self }
    }

    /// The same with its options' Greeks refreshed on the way.
    pub fn refreshing(self, greeks: Option<GreekRefresh>) -> Backtest<T> {
        Backtest { greeks, ..self }
    }

    /// The same with an operator who orders this, oldest first.
    pub fn ordered(self, controls: VecDeque<(Nanos, Control)>) -> Backtest<T> {
        Backtest { controls, ..self }
    }

    /// The same with its members' covariance estimated on the way.
    pub fn sharing(self, covariance: Option<CovarianceRefresh>) -> Backtest<T> {
        Backtest { covariance, ..self }
    }

    /// The same with its hedge ratios estimated on the way.
    pub fn mixing(self, ratios: Option<HedgeRatios>) -> Backtest<T> {
        Backtest { ratios, ..self }
    }

    /// The same with its collateral assessed on the way.
    pub fn assessing(self, assessor: Option<Assessor>) -> Backtest<T> {
        Backtest { assessor, ..self }
    }

    /// Plays the tape to its end or to `until`, cancels everything, and waits for the answers.
    pub fn run(mut self, until: Nanos) -> Result<(Outcome, Observer), BacktestError> {
        let start = self.playback.next_at()?.unwrap_or_default();
        for venue in 0..self.ends.orders.len() {
            let venue = VenueId(u8::try_from(venue).unwrap_or(u8::MAX));
            self.deliver_order(session_up(start, venue))?;
        }
        while self.advance(until)? {}
        self.deliver_control(Control::Shutdown)?;
        let end = self.stage.maker().now().plus(WIND_DOWN_NS);
        while self.stage.maker().live_orders() > 0 && self.advance(end)? {}
        if let Some(journal) = self.journal.take() {
            journal.finish()?;
        }
        let instruments = u16::try_from(self.venues.len()).unwrap_or(u16::MAX);
        let exchange = self.playback.exchange();
        let outcome = Outcome {
            venue_positions: (0..instruments)
                .map(|n| exchange.position(MAKER, InstrumentId(n)))
                .collect(),
            venue_fees: (0..instruments)
                .map(|n| exchange.fees_paid(MAKER, InstrumentId(n)))
                .collect(),
            intents_sha256: self.hash.value().to_string(),
            run_sha256: self.run_hash.value().to_string(),
            tape: self.playback.tape().counters(),
            queue: exchange.queue_counters(),
            refits: self.refit.as_ref().map(Refit::counters),
            greeks: self.greeks.as_ref().map(GreekRefresh::counters),
            covariance: self.covariance.as_ref().map_or(Value::Null, CovarianceRefresh::document),
            hedge_ratios: self.ratios.as_ref().map_or(Value::Null, HedgeRatios::document),
            collateral: self.assessor.as_ref().map_or(Value::Null, Assessor::document),
            stage: self.stage,
        };
        Ok((outcome, self.observer))
    }

    /// The next thing in time, at the venue or at the maker; false when nothing is left before
    /// `until`. A report is never behind a tick of the same moment; what happens at the venue at the
    /// moment of a delivery comes first.
    fn advance(&mut self, until: Nanos) -> Result<bool, BacktestError> {
        let report = self.reports.first_key_value().map_or(Nanos(u64::MAX), |((at, _), _)| *at);
        let order = self.controls.front().map_or(Nanos(u64::MAX), |(at, _)| *at);
        let mut tick = self.market.next_at();
        // The tape goes on to where something is due or something comes of it.
        while self.fresh.is_empty() {
            let limit = until.min(report).min(tick).min(order);
            let Some(event) = self.playback.next_market(limit, &mut self.fresh)? else { break };
            tick = tick.min(event.at);
            self.market.send(event);
        }
        let delivery = report.min(tick);
        let limit = until.min(delivery).min(order);
        if !self.fresh.is_empty() {
            self.send_reports();
            return Ok(true);
        }
        match self.playback.next_arrival(limit, &mut self.fresh)? {
            Step::Market(_) | Step::Arrival => {}
            // An operator's word; what would come after everything else is not waited for.
            Step::Idle if order <= until.min(delivery) => self.deliver_word(order)?,
            Step::Over if order <= until.min(delivery) && delivery < Nanos(u64::MAX) => {
                self.deliver_word(order)?;
            }
            Step::Idle | Step::Over if delivery > until || delivery == Nanos(u64::MAX) => {
                return Ok(false);
            }
            Step::Idle | Step::Over if report <= tick => {
                if let Some((_, event)) = self.reports.pop_first() {
                    self.deliver_order(event)?;
                }
            }
            Step::Idle | Step::Over => self.deliver_message()?,
        }
        if !self.fresh.is_empty() {
            self.send_reports();
        }
        Ok(true)
    }

    /// Hands the maker what arrived together of one message, in one turn: it would be the same one
    /// by one, but for requests and answers that take no time at all, which come after it.
    fn deliver_message(&mut self) -> Result<(), BacktestError> {
        let message = self.market.message(TURN_INPUTS);
        let Some(&MarketEvent { at, instrument, .. }) = message.first() else { return Ok(()) };
        let venue = self.venues.get(usize::from(instrument.0)).copied().unwrap_or_default();
        let taken = message.len();
        let pushed = if self.refit.is_some() { self.refit_within(venue, taken)? } else { 0 };
        self.push_market(venue, pushed..taken)?;
        if self.greeks.is_some() || self.covariance.is_some() || self.ratios.is_some() {
            self.show_refreshers(taken);
        }
        self.market.take(taken);
        self.turn(at, true, "market")?;
        self.deliver_refreshed()
    }

    /// Shows the refit the next so many events. Where something is due with one of them, the maker gets
    /// those before it and then that; says how many it got.
    fn refit_within(&mut self, venue: VenueId, count: usize) -> Result<usize, BacktestError> {
        let mut pushed = 0;
        for n in 0..count {
            let Some((refit, &event)) = self.refit.as_mut().zip(self.market.first(count).get(n))
            else {
                break;
            };
            for control in refit.see(&event) {
                self.push_market(venue, pushed..n)?;
                pushed = n;
                self.turn(event.at, true, "market")?;
                self.deliver_control(control)?;
            }
        }
        Ok(pushed)
    }

    /// Puts a part of what arrives next into the maker's ring.
    fn push_market(&mut self, venue: VenueId, part: Range<usize>) -> Result<(), BacktestError> {
        let events = self.market.first(part.end).get(part.start..).unwrap_or_default();
        let ring = self.ends.market.get_mut(usize::from(venue.0));
        if ring.is_none_or(|ring| ring.push_slice(events) < events.len()) {
            return Err(BacktestError::RingFull("market"));
        }
        Ok(())
    }

    /// Shows the next so many events to all that is refreshed on the way.
    fn show_refreshers(&mut self, count: usize) {
        for event in self.market.first(count) {
            if let Some(greeks) = &mut self.greeks {
                greeks.see(event, &mut self.refreshed);
            }
            if let Some(covariance) = &mut self.covariance {
                covariance.see(event, &mut self.refreshed);
            }
            if let Some(ratios) = &mut self.ratios {
                ratios.see(event, &mut self.refreshed);
            }
        }
    }

    fn send_reports(&mut self) {
        for report in self.fresh.drain(..) {
            self.numbered += 1;
            let event = report.order_event(VenueId(0), self.numbered);
            if let Some(mut event) = event {
                let place = usize::from(event.instrument.0);
                event.venue = self.venues.get(place).copied().unwrap_or_default();
                self.reports.insert((report.deliver_at, self.numbered), event);
            }
        }
    }

    fn deliver_order(&mut self, event: OrderEvent) -> Result<(), BacktestError> {
        let ring = self.ends.orders.get_mut(usize::from(event.venue.0));
        let is_taken = ring.is_some_and(|ring| ring.push(event).is_ok());
        self.turn(event.at, is_taken, "order")
    }

    /// What the message made due, after the maker has it: half of a message is no market.
    fn deliver_refreshed(&mut self) -> Result<(), BacktestError> {
        for refreshed in std::mem::take(&mut self.refreshed) {
            self.deliver_control(refreshed)?;
        }
        let assessor = self.assessor.as_mut();
        match assessor.and_then(|assessor| assessor.look(self.stage.maker())) {
            Some(view) => self.deliver_control(Control::Collateral(view)),
            None => Ok(()),
        }
    }

    /// The next of what an operator orders.
    fn deliver_word(&mut self, at: Nanos) -> Result<(), BacktestError> {
        let Some((_, control)) = self.controls.pop_front() else { return Ok(()) };
        let is_taken = self.ends.control.push(control).is_ok();
        self.turn(self.stage.maker().now().max(at), is_taken, "control")
    }

    fn deliver_control(&mut self, control: Control) -> Result<(), BacktestError> {
        let is_taken = self.ends.control.push(control).is_ok();
        self.turn(self.stage.maker().now(), is_taken, "control")
    }

    /// Lets the maker consume what was delivered and takes what it leaves behind.
    fn turn(
        &mut self,
        now: Nanos,
        is_taken: bool,
        ring: &'static str,
    ) -> Result<(), BacktestError> {
        if !is_taken {
            return Err(BacktestError::RingFull(ring));
        }
        // Where a turn leaves much behind, the next one goes on: nothing waits for the next event.
        loop {
            let turn = self.stage.turn(now);
            self.treasury.look(self.stage.maker(), &mut self.controls);
            self.take_what_is_left_behind()?;
            if turn != Turn::Busy || self.ends.market.iter_mut().all(|ring| ring.is_empty()) {
                return Ok(());
            }
        }
    }

    fn take_what_is_left_behind(&mut self) -> Result<(), BacktestError> {
        for ring in &mut self.ends.intents {
            while let Some(intent) = ring.pop() {
                let request = Request::from(&intent);
                self.playback.exchange_mut().submit(intent.at, MAKER, request);
            }
        }
        while let Some(entry) = self.ends.journal.pop() {
            if let Entry::Intent { intent, .. } = &entry {
                self.hash.update(intent);
            }
            self.run_hash.update(&entry);
            if let Some(journal) = &mut self.journal {
                journal.append(&entry)?;
            }
        }
        while let Some(telemetry) = self.ends.telemetry.pop() {
            self.see(&telemetry);
        }
        Ok(())
    }

    fn see(&mut self, telemetry: &Telemetry) {
        self.observer.see(telemetry);
    }
}

fn session_up(at: Nanos, venue: VenueId) -> OrderEvent {
    OrderEvent {
        at,
        venue_at: at,
        stamp: Stamp(0),
        msg_seq_num: 0,
        cl_ord_id: ClOrdId::NONE,
        orig_cl_ord_id: ClOrdId::NONE,
        update: OrderUpdate::SessionUp,
        instrument: InstrumentId(0),
        venue,
    }
}
