//! Orders that go out as mass quotes: what of them was sent, and what their acknowledgement means.
//!
//! A part of the desk, fed by the stage with what each MassQuote(i) asked and by the ear with b, with
//! refusals of i and with reports of quotes; feeds the maker with what D, G and F are answered with
//! anywhere. Order-entry thread; tables and rings taken at start. b and the reports travel in queues of
//! their own, in any order. **A report says what became of a quote; b says what was refused.** That an
//! entry was taken both say, and the first counts. What neither names stays unanswered, and the maker's
//! clock puts it in doubt. A refused move leaves the quote where it stood or takes it out, as the venue's
//! documents have it one year or the next: so it counts as standing, and is taken out by a cancel of our
//! own, whose answer says which. That there is no quote to cancel may overtake the report of its end, which
//! says what traded: so it is not believed, but the venue is asked what became of the quote, by OrderID(37),
//! and the report that answers ends it. A quote whose OrderID(37) nobody has said stays in doubt; after a
//! Logon, when all quotes have been asked out, it is believed gone unless the venue says that it was filled,
//! because the positions, which are asked for then, show what it traded. Deliberately absent: sending
//! (`stage/quoting.rs`), and MMP groups' limits, which the venue keeps.

use super::desk::{Arrival, Desk, REASON_OTHER};
use super::live_orders::{Form, Handle, LiveOrder};
use super::report::{Report, ReportTags};
use super::stage::OWN_IDS;
use super::status::OrdStatus;
use crate::fix::message::Message;
use crate::fix::{msg_type, tag, value};
use crate::venue::mass_quote::{Answer, Ask, ENTRIES_MAX, Verdict, answers, names_of};
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate,
};
use ballast_engine::units::{Lots, Nanos, Side};
use std::collections::VecDeque;

/// Messages that may be unanswered at a time; what an older one's answer would have said, a report does.
const MESSAGES_MAX: usize = 64;
/// After so long a quote of which a cancel was refused is cancelled again.
const AGAIN_NS: u64 = 1_000_000_000;
/// QuoteEntryRejectReason(368) already_filled.
const FILLED: u16 = 11008;
/// QuoteEntryRejectReason(368) where there is no such quote: order_not_found, already_closed,
/// already_filled, not_open_order.
const NOT_THERE: [u16; 4] = [10004, 10010, FILLED, 11044];

/// One entry as it went out.
#[derive(Clone, Copy, Debug)]
struct Sent {
    id: ClOrdId,
    order: ClOrdId,
    instrument: InstrumentId,
    side: Side,
    ask: Ask,
}

/// One message as it went out.
#[derive(Clone, Copy, Debug)]
struct SentQuotes {
    msg_seq_num: u64,
    quote_id: ClOrdId,
    entries: [Option<Sent>; ENTRIES_MAX],
}

/// A quote that is to be taken out by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Doomed {
    /// The order.
    pub order: ClOrdId,
    /// What it quotes.
    pub instrument: InstrumentId,
    /// Which side.
    pub side: Side,
    /// The index has no such order, and the venue has.
    pub is_stray: bool,
    /// Not before.
    pub due: Nanos,
}

/// What is quoted by MassQuote(i), and what of it is out.
pub(super) struct Quotes {
    /// By place of the symbol: which of `names` is its group.
    groups: Box<[Option<usize>]>,
    names: Box<[Box<str>]>,
    /// By place of the symbol and side: the newest quote that was sent.
    newest: Box<[[ClOrdId; 2]]>,
    sent: Box<[Option<SentQuotes>]>,
    next: usize,
    pub doomed: VecDeque<Doomed>,
    /// First names of quotes of which the venue is to be asked what became of them.
    pub unsure: VecDeque<ClOrdId>,
    /// Since the last Logon there was a quote that the venue alone knew of.
    had_stray: bool,
}

impl Quotes {
    /// Nothing is.
    pub fn none() -> Quotes {
        Quotes {
            groups: Box::default(),
            names: Box::default(),
            newest: Box::default(),
            sent: Box::default(),
            next: 0,
            doomed: VecDeque::new(),
            unsure: VecDeque::new(),
            had_stray: false,
        }
    }

    /// `groups` by place of the symbol, so many orders at most.
    pub fn new(groups: &[Option<&str>], orders_max: usize) -> Quotes {
        let mut names: Vec<Box<str>> = Vec::new();
        let number = |name: &str, names: &mut Vec<Box<str>>| {
            names.iter().position(|known| &**known == name).unwrap_or_else(|| {
                names.push(name.into());
                names.len() - 1
            })
        };
        let groups: Box<[_]> =
            groups.iter().map(|group| group.map(|name| number(name, &mut names))).collect();
        Quotes {
            newest: vec![[ClOrdId::NONE; 2]; groups.len()].into_boxed_slice(),
            groups,
            names: names.into(),
            sent: vec![None; MESSAGES_MAX].into_boxed_slice(),
            next: 0,
            doomed: VecDeque::with_capacity(orders_max.max(ENTRIES_MAX)),
            unsure: VecDeque::with_capacity(orders_max.max(ENTRIES_MAX)),
            had_stray: false,
        }
    }

    /// Is anything quoted so?
    pub fn is_used(&self) -> bool {
        !self.names.is_empty()
    }

    /// Which MMP group the symbol at `place` is quoted in.
    pub fn group_of(&self, place: usize) -> Option<usize> {
        self.groups.get(place).copied().flatten()
    }

    /// The MMP groups.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The newest quote on a side.
    pub fn newest(&self, place: usize, side: Side) -> ClOrdId {
        let sides = self.newest.get(place);
        sides.and_then(|sides| sides.get(side.index())).copied().unwrap_or_default()
    }

    /// A new quote is on its way.
    pub fn stand(&mut self, place: usize, side: Side, id: ClOrdId) {
        let slot = self.newest.get_mut(place).and_then(|sides| sides.get_mut(side.index()));
        if let Some(slot) = slot {
            *slot = id;
        }
    }

    /// These went out in one message.
    pub fn remember<'a>(
        &mut self,
        (quote_id, msg_seq_num): (ClOrdId, u64),
        entries: impl Iterator<Item = (&'a OrderIntent, Ask)>,
    ) {
        let mut message = SentQuotes { msg_seq_num, quote_id, entries: [None; ENTRIES_MAX] };
        for (slot, (intent, ask)) in message.entries.iter_mut().zip(entries) {
            let &OrderIntent { cl_ord_id, orig_cl_ord_id, instrument, side, .. } = intent;
            *slot = Some(Sent { id: cl_ord_id, order: orig_cl_ord_id, instrument, side, ask });
        }
        if let Some(slot) = self.sent.get_mut(self.next) {
            *slot = Some(message);
        }
        self.next = (self.next + 1) % self.sent.len().max(1);
    }

    /// The session's numbers begin anew, or nothing that is unanswered will be. True where a quote may be
    /// left that the venue alone knows of.
    pub fn session_over(&mut self) -> bool {
        self.sent.fill(None);
        self.doomed.clear();
        self.unsure.clear();
        std::mem::take(&mut self.had_stray)
    }

    fn message(&self, is_it: impl Fn(&SentQuotes) -> bool) -> Option<SentQuotes> {
        self.sent.iter().flatten().find(|message| is_it(message)).copied()
    }

    /// Did a MassQuote(i) go out under this number?
    pub fn has_sent(&self, msg_seq_num: u64) -> bool {
        self.sent.iter().flatten().any(|message| message.msg_seq_num == msg_seq_num)
    }
}

impl SentQuotes {
    /// The entry that an answer is about: by its name, or by what it quotes.
    fn entry(&self, answer: &Answer<'_>, instrument: Option<InstrumentId>) -> Option<Sent> {
        let id = answer.name.map_or(ClOrdId::NONE, |name| names_of(name).0);
        let mut entries = self.entries.iter().flatten();
        let named = entries.clone().find(|sent| sent.id == id);
        let quoted = || {
            entries
                .find(|sent| Some(sent.instrument) == instrument && Some(sent.side) == answer.side)
        };
        named.or_else(quoted).copied()
    }
}

/// Events of one message, of which only the last says that it is told whole.
struct Telling<F> {
    tell: F,
    held: Option<OrderEvent>,
}

impl<F: FnMut(OrderEvent)> Telling<F> {
    fn say(&mut self, event: Option<OrderEvent>) {
        let Some(event) = event else { return };
        if let Some(before) = self.held.replace(event) {
            (self.tell)(OrderEvent { msg_seq_num: 0, ..before });
        }
    }

    fn end(mut self) {
        if let Some(last) = self.held.take() {
            (self.tell)(last);
        }
    }
}

impl Desk {
    /// The live quote on a side, as far as the venue has said.
    pub(super) fn standing(&self, place: usize, side: Side) -> Option<&LiveOrder> {
        let order = self.live().get(self.live().find(self.quotes.newest(place, side))?)?;
        (order.is_live() && order.quoted.is_quote).then_some(order)
    }

    /// A quote that an earlier run left.
    pub(super) fn restore_quote(&mut self, id: ClOrdId) {
        let Some(order) = self.live().find(id).and_then(|h| self.live().get(h)).copied() else {
            return;
        };
        let place = self.symbols.place_of(order.instrument);
        if let Some(place) = place.filter(|place| self.quotes.group_of(*place).is_some()) {
            self.live_mut().mark_quote(id);
            // By its first name it is found as long as it lives.
            self.quotes.stand(place, order.side, order.first_name);
        }
    }

    /// A report of a quote under the name of its order: it has no ClOrdID(11) of ours, but the name of our
    /// request, or of the order that the request was about, or else what the venue calls the quote. Every
    /// other report as it is.
    pub(super) fn as_a_quote<'a>(&mut self, report: &Report<'a>) -> Report<'a> {
        if !report.is_of_quote || !self.quotes.is_used() {
            return *report;
        }
        let live = self.live();
        let named = live.find(report.quote_entry).or_else(|| live.find(report.quote_order));
        let called = || live.find_venue_name(report.order_id?);
        let Some(handle) = named.or_else(called) else {
            self.doom_stray(report);
            return Report { cl_ord_id: report.quote_entry, ..*report };
        };
        if let Some(name) = report.order_id {
            self.live_mut().set_venue_name(handle, name);
        }
        let order = self.live().get(handle).copied();
        if let Some(order) = order.filter(|order| order.quoted.is_missed && is_open(report)) {
            // It was there, and was to go.
            self.live_mut().miss(handle, false);
            self.doom_order(&order, Nanos(0));
        }
        let cl_ord_id = order.map_or(report.quote_entry, |order| order.cl_ord_id);
        Report { cl_ord_id, ..*report }
    }

    /// What the venue calls quotes of an earlier run, out of a message that it heard; whether each has a
    /// name now.
    pub(super) fn learn_venue_names(&mut self, message: &Message<'_>, tags: ReportTags) -> bool {
        match message.msg_type() {
            msg_type::EXECUTION_REPORT => {
                let report = Report::read(message, tags);
                let names = (report.quote_entry, report.quote_order);
                self.learn_venue_name(names, report.order_id);
            }
            msg_type::MASS_QUOTE_ACKNOWLEDGEMENT => {
                for answer in answers(message) {
                    self.learn_venue_name(
                        names_of(answer.name.unwrap_or_default()),
                        answer.order_id,
                    );
                }
            }
            _ => {}
        }
        self.live().live().all(LiveOrder::can_be_asked_about)
    }

    fn learn_venue_name(&mut self, (entry, of): (ClOrdId, ClOrdId), name: Option<&[u8]>) {
        let handle = self.live().find(entry).or_else(|| self.live().find(of));
        if let (Some(handle), Some(name)) = (handle, name) {
            self.live_mut().set_venue_name(handle, name);
        }
    }

    /// The venue works a quote of ours that the index does not have: it goes.
    fn doom_stray(&mut self, report: &Report<'_>) {
        let place = report.symbol.and_then(|text| self.symbols.find(text));
        let symbol = place.and_then(|place| self.symbols.at(place));
        // One without our name may be of a quote whose OrderID(37) we do not know yet.
        let is_ours = is_open(report) && report.quote_entry != ClOrdId::NONE;
        if let (true, Some(symbol), Some(side)) = (is_ours, symbol, report.side) {
            let (order, instrument) = (report.quote_entry, symbol.id());
            self.doom(Doomed { order, instrument, side, is_stray: true, due: Nanos(0) });
        }
    }

    pub(super) fn doom(&mut self, doomed: Doomed) {
        self.quotes.had_stray |= doomed.is_stray;
        let is_doomed = self.quotes.doomed.iter().any(|other| other.order == doomed.order);
        // More than there are orders: what is not kept the maker asks after.
        if !is_doomed && self.quotes.doomed.len() < self.quotes.doomed.capacity() {
            self.quotes.doomed.push_back(doomed);
        }
    }

    fn doom_order(&mut self, order: &LiveOrder, due: Nanos) {
        // By the name that the index keeps however often it moves.
        let &LiveOrder { first_name, instrument, side, .. } = order;
        self.doom(Doomed { order: first_name, instrument, side, is_stray: false, due });
    }

    /// A removal of ours was refused: it is sent again, also of a quote that the venue alone knows.
    fn doom_again(&mut self, entry: &Sent, due: Nanos) {
        let order =
            self.live().find(entry.order).and_then(|handle| self.live().get(handle)).copied();
        match order {
            Some(order) => self.doom_order(&order, due),
            None => {
                let &Sent { order, instrument, side, .. } = entry;
                self.doom(Doomed { order, instrument, side, is_stray: true, due });
            }
        }
    }

    /// MassQuoteAcknowledgement(b). `has_cancelled_all`: the venue has been asked to since the Logon, and
    /// nothing was placed since.
    pub(super) fn on_quotes_answered(
        &mut self,
        arrival: Arrival,
        message: &Message<'_>,
        has_cancelled_all: bool,
        tell: impl FnMut(OrderEvent),
    ) {
        let quote_id = message.get(tag::QUOTE_ID).map_or(ClOrdId::NONE, |text| names_of(text).0);
        let Some(sent) = self.quotes.message(|sent| sent.quote_id == quote_id) else {
            self.counts.unknown_orders += 1;
            return;
        };
        let mut telling = Telling { tell, held: None };
        if message.get(tag::QUOTE_STATUS) == Some(b"5") {
            let reason = message.get(tag::QUOTE_REJECT_REASON).and_then(value::parse_uint);
            let reason = reason.and_then(|n| u16::try_from(n).ok()).unwrap_or(REASON_OTHER);
            self.counts.rejects += 1;
            for entry in sent.entries.iter().flatten() {
                telling.say(self.quote_refused(arrival, entry, (reason, Nanos(0)), false));
            }
            return telling.end();
        }
        for answer in answers(message) {
            let place = answer.symbol.and_then(|text| self.symbols.find(text));
            let instrument = place.and_then(|place| self.symbols.at(place)).map(|s| s.id());
            let Some(entry) = sent.entry(&answer, instrument) else { continue };
            let event = match answer.verdict {
                Verdict::Taken => self.quote_taken(arrival, &entry, &answer),
                Verdict::Refused => {
                    let why = (answer.reason.unwrap_or(REASON_OTHER), answer.transact_time);
                    self.quote_refused(arrival, &entry, why, has_cancelled_all)
                }
                Verdict::Other => None,
            };
            telling.say(event);
        }
        telling.end();
    }

    /// What b says was done, where no report has said so yet.
    fn quote_taken(
        &mut self,
        arrival: Arrival,
        entry: &Sent,
        answer: &Answer<'_>,
    ) -> Option<OrderEvent> {
        let handle = self.live().find(entry.id)?;
        let order = *self.live().get(handle)?;
        if let Some(name) = answer.order_id {
            self.live_mut().set_venue_name(handle, name);
        }
        let leaves_qty = Lots(order.size.0.saturating_sub(order.cum_qty.0).max(0));
        let (ids, update) = match entry.ask {
            Ask::Place if order.status == OrdStatus::Sent => {
                self.live_mut().set_status(handle, OrdStatus::New);
                ((order.cl_ord_id, ClOrdId::NONE), OrderUpdate::New { leaves_qty })
            }
            Ask::Reprice => {
                let asked = *order.request(entry.id)?;
                let place = self.symbols.place_of(order.instrument)?;
                let price = self.symbols.at(place)?.ticks(answer.price?).ok()?;
                // Another price than was asked for is a report's to tell.
                if price != asked.price {
                    return None;
                }
                self.live_mut().replaced(handle, entry.id);
                ((entry.id, order.cl_ord_id), OrderUpdate::Replaced { price, leaves_qty })
            }
            Ask::Place | Ask::Remove => return None,
        };
        Some(self.event(arrival, answer.transact_time, ids, order.instrument, update))
    }

    /// What the refusal of one entry means for its order; nothing where it is answered already.
    fn quote_refused(
        &mut self,
        arrival: Arrival,
        entry: &Sent,
        (reason, at): (u16, Nanos),
        has_cancelled_all: bool,
    ) -> Option<OrderEvent> {
        let is_own = entry.id.0 & OWN_IDS != 0;
        let is_not_there = NOT_THERE.contains(&reason);
        let Some(handle) = self.live().find(entry.id) else {
            if is_own && !is_not_there && self.live().find(entry.order).is_none() {
                self.doom_again(entry, arrival.now.plus(AGAIN_NS));
            }
            // The maker asks after an order that this index never had, or has no more.
            // Of one that is filled nobody here knows what was told.
            let is_question = entry.ask == Ask::Remove && !is_own && reason != FILLED;
            let update = OrderUpdate::CancelRejected { reason, is_gone: is_not_there };
            let ids = (entry.id, entry.order);
            return is_question.then(|| self.event(arrival, at, ids, entry.instrument, update));
        };
        let order = *self.live().get(handle)?;
        if order.cl_ord_id == entry.id && entry.ask == Ask::Place {
            let is_unanswered = order.status == OrdStatus::Sent;
            let event = self.event(
                arrival,
                at,
                (entry.id, ClOrdId::NONE),
                order.instrument,
                OrderUpdate::Rejected { reason },
            );
            return is_unanswered.then(|| {
                self.live_mut().set_status(handle, OrdStatus::Rejected);
                event
            });
        }
        let request = *order.request(entry.id)?;
        self.live_mut().request_refused(handle, entry.id);
        let now = arrival.now;
        let is_gone = if request.form == Form::KeptName {
            self.doom_order(&order, now);
            false
        } else if is_not_there {
            if !self.is_believed(handle, &order, reason, has_cancelled_all) {
                return None;
            }
            self.live_mut().set_status(handle, OrdStatus::Canceled);
            true
        } else {
            self.doom_order(&order, now.plus(AGAIN_NS));
            if is_own {
                return None;
            }
            false
        };
        let update = OrderUpdate::CancelRejected { reason, is_gone };
        Some(self.event(arrival, at, (entry.id, order.cl_ord_id), order.instrument, update))
    }

    /// Whether a quote is gone because the venue says that there is none, for this reason; where it can be
    /// asked what became of the quote, it is.
    fn is_believed(
        &mut self,
        handle: Handle,
        order: &LiveOrder,
        reason: u16,
        has_cancelled_all: bool,
    ) -> bool {
        if !order.is_live() {
            return true;
        }
        if order.can_be_asked_about() {
            self.ask_about(handle, order);
            return false;
        }
        let is_untold = reason == FILLED && order.cum_qty < order.size;
        has_cancelled_all && !is_untold
    }

    /// The venue says that there is no such quote: what became of it is to be asked.
    fn ask_about(&mut self, handle: Handle, order: &LiveOrder) {
        self.live_mut().miss(handle, true);
        let unsure = &mut self.quotes.unsure;
        if !unsure.contains(&order.first_name) && unsure.len() < unsure.capacity() {
            unsure.push_back(order.first_name);
        }
    }

    /// Reject(3) or BusinessMessageReject(j) of a whole MassQuote(i): nothing in it was acted on.
    pub(super) fn on_quotes_rejected(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
        tell: impl FnMut(OrderEvent),
    ) {
        self.counts.rejects += 1;
        let number = report.ref_seq_num.unwrap_or(0);
        let Some(sent) = self.quotes.message(|sent| sent.msg_seq_num == number) else { return };
        let reason = report.reason.unwrap_or(REASON_OTHER);
        let mut telling = Telling { tell, held: None };
        for entry in sent.entries.iter().flatten() {
            let is_known = self.is_unanswered(entry);
            let is_own = entry.id.0 & OWN_IDS != 0;
            if is_known {
                self.live_mut().withdraw(entry.id);
            }
            if is_own {
                self.doom_again(entry, arrival.now.plus(AGAIN_NS));
            }
            let is_question = entry.ask == Ask::Remove && !is_own;
            let update = OrderUpdate::MessageRejected { reason };
            let ids = (entry.id, entry.order);
            let is_told = !is_own && (is_known || is_question);
            let event = self.event(arrival, report.transact_time, ids, entry.instrument, update);
            telling.say(is_told.then_some(event));
        }
        telling.end();
    }

    fn is_unanswered(&self, entry: &Sent) -> bool {
        let order = self.live().find(entry.id).and_then(|handle| self.live().get(handle));
        order.is_some_and(|order| match entry.ask {
            Ask::Place => order.cl_ord_id == entry.id && order.status == OrdStatus::Sent,
            Ask::Reprice | Ask::Remove => order.request(entry.id).is_some(),
        })
    }
}

fn is_open(report: &Report<'_>) -> bool {
    let status = report.ord_status.and_then(OrdStatus::parse);
    matches!(status, Some(OrdStatus::New | OrdStatus::PartiallyFilled))
}

/// What an intent asks as an entry: a replace that cannot go out as a move takes the quote out.
pub(super) fn ask_of(action: OrderAction, form: Form) -> Ask {
    match (action, form) {
        (OrderAction::New, _) => Ask::Place,
        (OrderAction::Replace, Form::KeptName) => Ask::Reprice,
        (OrderAction::Replace | OrderAction::Cancel, _) => Ask::Remove,
    }
}

#[cfg(test)]
#[path = "quotes_tests.rs"]
mod tests;
