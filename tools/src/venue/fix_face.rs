//! The venue's FIX 4.4 face: many sessions, order entry and market data, over any transport.
//!
//! Fed by a [`Playback`] and by connections; feeds them answers and market data in the order of the
//! tape's time. A [`Stage`] on one thread: real TCP and the in-memory pipe run the same code. Wall time
//! (sessions' timers) is `turn`'s argument, tape time is the playback's; the two never mix.
//! Deliberately absent: listening, which is whoever owns the door ([`FixVenue::accept`]).
//!
//! **Who may run ahead of whom.** Before anything happens in tape time [`Pace::may_release`] is asked.
//! A demo lets it answer no until the maker has consumed its input up to that time less the order
//! latency; so an order is matched at TransactTime(60) + order latency whatever the hosts' speed. A
//! client that does not read holds the venue back, too: what it is owed is never dropped.

use super::fix_market_data::{
    self as market_data, ENTRIES_MAX, MarketRequest, Mirror, Publication,
};
use super::fix_orders::{self as orders, Asked, ClientNames, Listing};
pub use super::fix_pace::{Pace, Told, Unpaced};
use super::fix_seat::{Parcel, Rights, Seat, SeatConfig};
use super::order::{Answer, ExecType, Participant, Report, Request};
use super::playback::{Playback, Step};
use crate::recording::{Tape, TapeError};
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Lots, Nanos};
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::msg_type;
use ballast_gateway::session::{Event, Knock, SendError, Turn as ConnectionTurn, Visitor};
use ballast_gateway::transport::Transport;
use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;

/// A new connection has so long to log on.
const LOGON_TIMEOUT_NS: u64 = 10_000_000_000;
/// How much happens in one turn at most.
const RELEASES_MAX: usize = 256;

/// How fast the tape runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speed {
    /// As fast as it is consumed.
    Max,
    /// So many times faster than it was recorded.
    Times(u32),
}

/// Where an order's time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderTime {
    /// TransactTime(60): the client runs on the tape's time.
    TransactTime,
    /// The tape's time at which the venue reads it: the client has a clock of its own.
    Arrival,
}

/// How the face behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaceOptions {
    /// How fast the tape runs.
    pub speed: Speed,
    /// Where an order's time comes from.
    pub order_time: OrderTime,
    /// The tape waits for so many sessions to be logged on …
    pub logons_min: usize,
    /// … and for so many instruments to be subscribed.
    pub subscriptions_min: usize,
}

/// What happened so far. Each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaceCounters {
    /// Requests taken to the exchange.
    pub requests: u64,
    /// Requests that arrived when the tape was already past their time.
    pub requests_late: u64,
    /// Fills reported.
    pub fills: u64,
    /// Business and market data rejects, and orders refused before the exchange.
    pub refusals: u64,
    /// Connections of nobody known.
    pub turned_away: u64,
}

/// A simulated venue that speaks FIX 4.4.
pub struct FixVenue<T: Tape, C: Transport, P: Pace> {
    playback: Playback<T>,
    pace: P,
    options: FaceOptions,
    listing: Listing,
    seats: Vec<Seat<C>>,
    visitors: Vec<Visitor<C>>,
    /// By participant.
    names: Vec<ClientNames>,
    mirror: Mirror,
    reports: VecDeque<Report>,
    market: VecDeque<MarketEvent>,
    outgoing: VecDeque<(usize, Parcel)>,
    fresh: Vec<Report>,
    /// Wall and tape time at which the tape began.
    began: Option<(Nanos, Nanos)>,
    counters: FaceCounters,
    told: Told,
    failure: Option<TapeError>,
    is_over: bool,
    is_leaving: bool,
}

/// What a message of a session leads to.
enum Action {
    Came,
    Order(Asked),
    Market(MarketRequest),
}

impl<T: Tape, C: Transport, P: Pace> FixVenue<T, C, P> {
    /// A venue with these seats. Seats that name the same participant are one firm.
    pub fn new(
        playback: Playback<T>,
        seats: &[SeatConfig],
        options: FaceOptions,
        pace: P,
    ) -> FixVenue<T, C, P> {
        let instruments = playback.exchange().instruments();
        let firms: BTreeSet<&str> = seats.iter().map(|seat| &*seat.participant).collect();
        let place = |seat: &SeatConfig| {
            firms.iter().position(|firm| *firm == seat.participant).unwrap_or_default()
        };
        let number = |seat| Participant(u16::try_from(place(seat)).unwrap_or(u16::MAX));
        FixVenue {
            pace,
            options,
            listing: Listing::new(instruments),
            mirror: Mirror::new(instruments.len()),
            seats: seats.iter().map(|seat| Seat::new(seat.clone(), number(seat))).collect(),
            names: firms.iter().map(|_| ClientNames::default()).collect(),
            playback,
            visitors: Vec::new(),
            reports: VecDeque::new(),
            market: VecDeque::new(),
            outgoing: VecDeque::new(),
            fresh: Vec::new(),
            began: None,
            counters: FaceCounters::default(),
            told: Told::default(),
            failure: None,
            is_over: false,
            is_leaving: false,
        }
    }

    /// Takes a new connection, which has yet to say who it is.
    pub fn accept(&mut self, now: Nanos, transport: C) {
        self.visitors.push(Visitor::new(transport, now.plus(LOGON_TIMEOUT_NS)));
    }

    /// The tape and the exchange.
    pub fn playback(&self) -> &Playback<T> {
        &self.playback
    }

    /// The sessions' places.
    pub fn seats(&self) -> &[Seat<C>] {
        &self.seats
    }

    /// What a firm held before it first traded here.
    pub fn open_with(&mut self, firm: &str, instrument: InstrumentId, lots: Lots) {
        let seat = self.seats.iter().find(|seat| seat.config().participant == firm);
        if let Some(participant) = seat.map(Seat::participant) {
            self.playback.exchange_mut().open_with(participant, instrument, lots);
        }
    }

    /// Who a seat trades for.
    pub fn participant(&self, seat: usize) -> Option<Participant> {
        self.seats.get(seat).map(Seat::participant)
    }

    /// What happened so far.
    pub fn counters(&self) -> FaceCounters {
        self.counters
    }

    /// What clients were told and what was heard from them.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// As far as the pace knows, nothing is on its way in either direction.
    pub fn is_quiet(&self) -> bool {
        self.pace.is_quiet(&self.told)
    }

    /// [`Self::failure`], to keep.
    pub fn take_failure(&mut self) -> Option<TapeError> {
        self.failure.take()
    }

    /// The tape is over and all that it led to has been handed to the sessions.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Why the tape stopped before its end. The sessions go on.
    pub fn failure(&self) -> Option<&TapeError> {
        self.failure.as_ref()
    }

    /// Says Logout to every session; the stage is done when all are gone.
    pub fn leave(&mut self, now: Nanos) {
        self.is_leaving = true;
        for seat in &mut self.seats {
            seat.log_out(now);
        }
        for visitor in self.visitors.drain(..) {
            visitor.turn_away();
        }
    }

    /// The venue's process dies and comes back: connections are gone and, untold, all working orders.
    /// Reports that did not go out wait. Where it `forgets`, the sessions' numbers begin at 1.
    pub fn restart(&mut self, now: Nanos, forgets: bool) {
        self.visitors.clear();
        for (place, parcel) in self.outgoing.drain(..) {
            self.seats[place].keep(parcel);
        }
        for seat in &mut self.seats {
            seat.restart(now, forgets);
            self.playback.exchange_mut().lose_orders(seat.participant());
        }
    }

    fn receive_visitors(&mut self, now: Nanos) -> bool {
        let before = self.visitors.len();
        for mut visitor in std::mem::take(&mut self.visitors) {
            match visitor.listen(now) {
                Knock::Waiting => self.visitors.push(visitor),
                Knock::Logon { sender_comp_id, target_comp_id } => {
                    let is_wanted =
                        |seat: &&mut Seat<C>| seat.is_free_for(&sender_comp_id, &target_comp_id);
                    match self.seats.iter_mut().find(is_wanted) {
                        Some(seat) => seat.sit_down(now, visitor),
                        None => {
                            self.counters.turned_away += 1;
                            visitor.turn_away();
                        }
                    }
                }
                Knock::Gone => {
                    self.counters.turned_away += 1;
                    visitor.turn_away();
                }
            }
        }
        self.visitors.len() != before
    }

    /// Lets one session read and write; what it asks is done before the next one's turn.
    fn turn_seat(&mut self, now: Nanos, place: usize) -> bool {
        let FixVenue { seats, names, listing, .. } = self;
        let Some(seat) = seats.get_mut(place) else { return false };
        let Some(names) = names.get_mut(usize::from(seat.participant().0)) else { return false };
        let mut actions = Vec::new();
        let turn = seat.turn(now, |seat, event| {
            match event {
                Event::LoggedOn { .. } => actions.push(Action::Came),
                Event::Message(message) => {
                    actions.push(read_message(&message, seat, listing, names, place));
                }
                // The session settles the rest by itself.
                _ => {}
            }
            ControlFlow::Continue(())
        });
        let is_idle = turn == ConnectionTurn::Idle && actions.is_empty();
        for action in actions {
            self.act(place, action);
        }
        if matches!(turn, ConnectionTurn::Ended(_)) {
            self.stand_up(place);
        }
        !is_idle
    }

    fn act(&mut self, place: usize, action: Action) {
        match action {
            Action::Came => {
                if let Some(seat) = self.seats.get_mut(place) {
                    let owed = seat.take_backlog();
                    self.outgoing.extend(owed.into_iter().map(|parcel| (place, parcel)));
                }
            }
            Action::Order(Asked::Request(request, sent_at)) => {
                self.submit(place, request, sent_at);
            }
            Action::Order(Asked::Status(request, req_id)) => {
                self.seats[place].await_status(req_id);
                self.submit(place, request, None);
            }
            Action::Order(Asked::MassCancel(request, cl_ord_id, scope)) => {
                self.seats[place].await_mass_cancel(Some((cl_ord_id, scope)));
                self.submit(place, request, None);
            }
            Action::Order(Asked::List(request, req_id)) => {
                self.seats[place].await_list(req_id);
                self.submit(place, request, None);
            }
            Action::Order(Asked::Refused(refused)) => {
                self.counters.refusals += 1;
                self.told.heard += 1;
                self.told.reports += 1;
                let at = self.playback.exchange().now();
                let number = self.counters.refusals;
                self.outgoing.push_back((place, Parcel::Refused { refused, at, number }));
            }
            Action::Market(request) => self.subscribe(place, request),
        }
    }

    fn submit(&mut self, place: usize, request: Request, sent_at: Option<Nanos>) {
        let exchange = self.playback.exchange_mut();
        let now = exchange.now();
        let sent_at = match self.options.order_time {
            OrderTime::TransactTime => sent_at.unwrap_or(now),
            OrderTime::Arrival => now,
        };
        // A session's requests are never overtaken by its later ones, whatever times they carry.
        let sent_at = self.seats[place].in_order(sent_at);
        let latency = exchange.options().order_latency_ns;
        self.counters.requests += 1;
        self.told.heard += u64::from(!request.is_question());
        self.counters.requests_late += u64::from(sent_at.plus(latency) < now);
        exchange.submit(sent_at, self.seats[place].participant(), request);
    }

    fn subscribe(&mut self, place: usize, request: MarketRequest) {
        match request {
            MarketRequest::Subscribe { subscriptions, is_streaming } => {
                for subscription in subscriptions {
                    if let Some(book) = self.mirror.snapshot(subscription.instrument) {
                        self.publish_to(place, &subscription, &book);
                    }
                    if is_streaming {
                        self.seats[place].subscribe(subscription);
                    }
                }
            }
            MarketRequest::Unsubscribe { md_req_id } => self.seats[place].unsubscribe(&md_req_id),
            MarketRequest::Refused(refusal) => {
                self.counters.refusals += 1;
                self.outgoing.push_back((place, Parcel::MarketRefused(refusal)));
            }
        }
    }

    fn publish_to(
        &mut self,
        place: usize,
        subscription: &market_data::Subscription,
        publication: &Publication,
    ) {
        let entries = subscription.select(publication);
        let count = entries.len();
        if count == 0 && !publication.is_snapshot {
            return;
        }
        self.told.published_at = self.told.published_at.max(publication.at);
        let mut from = 0;
        loop {
            let to = count.min(from + ENTRIES_MAX);
            let parcel = Parcel::Market {
                md_req_id: subscription.md_req_id.clone(),
                instrument: publication.instrument,
                at: publication.at,
                is_snapshot: publication.is_snapshot && from == 0,
                entries: entries.clone(),
                part: from..to,
            };
            self.outgoing.push_back((place, parcel));
            if to == count {
                return;
            }
            from = to;
        }
    }

    /// A connection ended: answers wait for the next one, market data does not.
    fn stand_up(&mut self, place: usize) {
        let mut kept = VecDeque::new();
        for (to, parcel) in self.outgoing.drain(..) {
            if to != place {
                kept.push_back((to, parcel));
            } else {
                self.seats[place].keep(parcel);
            }
        }
        self.outgoing = kept;
        if self.seats[place].stand_up() {
            self.seats[place].await_mass_cancel(None);
            self.submit(place, Request::CancelAll { instrument: None }, None);
        }
    }

    /// Hands out what is ready; true where a session has no room for more.
    fn send_outgoing(&mut self, now: Nanos) -> bool {
        while let Some((place, parcel)) = self.outgoing.pop_front() {
            let seat = &mut self.seats[place];
            let names = &self.names[usize::from(seat.participant().0)];
            match seat.send(now, &parcel, &self.listing, names) {
                Ok(()) => {}
                Err(SendError::Full) => {
                    self.outgoing.push_front((place, parcel));
                    return true;
                }
                Err(SendError::NotLoggedOn) => seat.keep(parcel),
                // What cannot be written once can never be: the count says that it was.
                Err(SendError::Encode(_) | SendError::Store(_)) => self.counters.refusals += 1,
            }
        }
        false
    }

    /// The tape waits for its listeners, once.
    fn has_begun(&mut self, now: Nanos) -> Result<bool, TapeError> {
        if self.began.is_some() {
            return Ok(true);
        }
        let logons = self.seats.iter().filter(|seat| seat.is_logged_on()).count();
        let subscribed: BTreeSet<InstrumentId> =
            self.seats.iter().flat_map(Seat::instruments).collect();
        if logons < self.options.logons_min || subscribed.len() < self.options.subscriptions_min {
            return Ok(false);
        }
        let first = self.playback.tape_at()?.unwrap_or_default();
        self.began = Some((now, first));
        Ok(true)
    }

    fn limit(&self, now: Nanos) -> Nanos {
        match (self.options.speed, self.began) {
            (Speed::Times(times), Some((wall, tape))) => {
                tape.plus(now.since(wall).saturating_mul(u64::from(times)))
            }
            (Speed::Max, _) | (_, None) => Nanos(u64::MAX),
        }
    }

    /// Lets the next thing in tape time happen; false where there is none that may.
    fn release(&mut self, now: Nanos, limit: Nanos) -> Result<bool, TapeError> {
        let step = self.playback.next_at()?;
        let report = self.reports.front().map(|report| report.deliver_at);
        let market = self.market.front().map(|event| event.at);
        let Some(next) = [step, report, market].into_iter().flatten().min() else {
            self.is_over = self.outgoing.is_empty();
            return Ok(false);
        };
        self.is_over = false;
        if next > limit || !self.pace.may_release(now, next, &self.told) {
            return Ok(false);
        }
        // What is due is told before anything new happens, and fills before ticks.
        if report == Some(next)
            && let Some(report) = self.reports.pop_front()
        {
            self.deliver(report);
        } else if market == Some(next)
            && let Some(event) = self.market.pop_front()
        {
            if let Some(publication) = self.mirror.take(&event) {
                self.publish(&publication);
            }
        } else {
            if let Step::Market(event) = self.playback.step(next, &mut self.fresh)? {
                self.market.push_back(event);
            }
            self.reports.extend(self.fresh.drain(..));
        }
        Ok(true)
    }

    fn publish(&mut self, publication: &Publication) {
        for place in 0..self.seats.len() {
            if let Some(subscription) = self.seats[place].subscription(publication.instrument) {
                self.publish_to(place, &subscription, publication);
            }
        }
    }

    /// To the seat whose request or order it answers.
    fn deliver(&mut self, report: Report) {
        let names = &self.names[usize::from(report.participant.0)];
        let cl_ord_id = match &report.answer {
            Answer::Execution(execution) => Some(execution.cl_ord_id),
            Answer::CancelReject(reject) => Some(reject.cl_ord_id),
            Answer::Listed { .. } | Answer::Position { .. } | Answer::MassCanceled { .. } => None,
        };
        let is_list = matches!(report.answer, Answer::Listed { .. } | Answer::Position { .. });
        let of_firm = |seat: &Seat<C>| seat.participant() == report.participant;
        let asked = |seat: &Seat<C>| of_firm(seat) && seat.awaits_mass_cancel();
        let place = match cl_ord_id {
            Some(cl_ord_id) => names.seat(cl_ord_id),
            None if is_list => {
                self.seats.iter().position(|seat| of_firm(seat) && seat.awaits_list())
            }
            None => self.seats.iter().position(asked),
        };
        let Some(place) = place else { return };
        let mut note = None;
        match &report.answer {
            Answer::Execution(execution) if execution.exec_type == ExecType::OrderStatus => {
                note = self.seats[place].take_status().map(|req_id| (req_id, 0));
            }
            Answer::Execution(execution) => {
                self.counters.fills += u64::from(execution.last.is_some());
            }
            Answer::CancelReject(_) => {}
            Answer::Listed { place: of, .. } | Answer::Position { place: of, .. } => {
                note = self.seats[place].take_list(of.is_last()).map(|req_id| (req_id, 0));
            }
            // The venue's own, after a disconnect: nobody asked for a summary.
            Answer::MassCanceled { .. } => match self.seats[place].take_mass_cancel() {
                Some(asked) => note = Some(asked),
                None => return,
            },
        }
        let is_listed = matches!(report.answer, Answer::Listed { report: Some(_), .. });
        self.told.reports += u64::from(cl_ord_id.is_some() || is_listed);
        let parcel = Parcel::Answer { at: report.at, answer: report.answer, note };
        self.outgoing.push_back((place, parcel));
    }

    fn play(&mut self, now: Nanos) -> Result<bool, TapeError> {
        if self.failure.is_some() || !self.has_begun(now)? {
            self.send_outgoing(now);
            return Ok(false);
        }
        let limit = self.limit(now);
        for done in 0..RELEASES_MAX {
            if self.send_outgoing(now) || !self.release(now, limit)? {
                return Ok(done > 0);
            }
        }
        self.send_outgoing(now);
        Ok(true)
    }
}

fn read_message(
    message: &Message<'_>,
    seat: Rights<'_>,
    listing: &Listing,
    names: &mut ClientNames,
    place: usize,
) -> Action {
    let refuse = |reason, text: &str| {
        Action::Order(Asked::Refused(orders::business(message, reason, text.to_owned())))
    };
    if message.msg_type() == msg_type::MARKET_DATA_REQUEST {
        if !seat.config.has_market_data {
            return refuse(6, "this session carries no market data");
        }
        return match market_data::read_request(message, listing, |id| seat.uses(id)) {
            Ok(request) => Action::Market(request),
            Err(fault) => refuse(5, &fault.to_string()),
        };
    }
    match orders::read(message, listing, names, place) {
        Some(_) if !seat.config.has_orders => refuse(6, "this session carries no orders"),
        Some(asked) => Action::Order(asked),
        None => refuse(3, "this venue does not know the message"),
    }
}

impl<T: Tape + Send, C: Transport + Send, P: Pace> Stage for FixVenue<T, C, P> {
    fn name(&self) -> &'static str {
        "venue"
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        let mut is_busy = self.receive_visitors(now);
        for place in 0..self.seats.len() {
            is_busy |= self.turn_seat(now, place);
        }
        match self.play(now) {
            Ok(has_played) => is_busy |= has_played,
            Err(error) => self.failure = Some(error),
        }
        if self.is_leaving && self.seats.iter().all(|seat| !seat.is_connected()) {
            Turn::Done
        } else if is_busy {
            Turn::Busy
        } else {
            Turn::Idle
        }
    }
}
#[cfg(test)]
#[path = "fix_face_tests.rs"]
mod tests;
