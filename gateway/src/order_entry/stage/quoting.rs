//! The stage sends what is quoted by MassQuote(i): the intents of one drain of the ring in one message.
//!
//! A part of the stage, fed by its turns with intents for instruments that the config quotes so; feeds the
//! session. Hot; buffers are taken at start, a message has at most [`ENTRIES_MAX`] entries and counts as one
//! against the venue's limit. No side stands twice in a message, and of two sides of an instrument the one
//! that moves away goes first: asks where prices go up, bids where they go down. A message that the limit
//! does not let pass gives back its new quotes and moves; its cancels may use the cancels' reserve. A new
//! quote on a side that has one, as far as the venue has said, is not sent. Deliberately absent: what the
//! answers mean ([`super::super::quotes`]).

use super::{OWN_IDS, OrderEntry};
use crate::fix::msg_type;
use crate::order_entry::kept_name;
use crate::order_entry::live_orders::{Form, LiveOrder};
use crate::order_entry::quotes::{Doomed, Quotes, ask_of};
use crate::store::Store;
use crate::venue::line::Dial;
use crate::venue::mass_quote::{self, Ask, ENTRIES_MAX, Entry};
use ballast_engine::event::{ClOrdId, InstrumentId, OrderAction, OrderIntent, TimeInForce};
use ballast_engine::latency::Mark;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};

/// One intent on its way into a message.
#[derive(Clone, Copy, Debug)]
struct Gathered {
    place: usize,
    intent: OrderIntent,
    ask: Ask,
    /// Where its price goes: 1 up, -1 down.
    moves: i64,
}

/// What is gathered: no side twice, and no more than a message takes.
#[derive(Default)]
pub(super) struct Quoting {
    batch: Vec<Gathered>,
    /// Of the batch, those of one group.
    of_group: Vec<Gathered>,
    /// QuoteCancel(Z) is to go out.
    pub cancels_all: bool,
}

impl Quoting {
    /// May something be asked of this side in the next message?
    fn has_room(&self, place: usize, side: Side) -> bool {
        let is_taken =
            |gathered: &Gathered| gathered.place == place && gathered.intent.side == side;
        self.batch.len() < ENTRIES_MAX && !self.batch.iter().any(is_taken)
    }
}

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// The same stage with these instruments quoted by MassQuote(i), each in its MMP group.
    pub fn with_mass_quotes(mut self, groups: &[(InstrumentId, String)]) -> OrderEntry<D, S> {
        if groups.is_empty() {
            return self;
        }
        let live = self.ear.desk.live().capacity();
        let symbols = self.ear.desk.symbols();
        let group = |id: InstrumentId| groups.iter().find(|(of, _)| *of == id);
        let by_place: Vec<_> =
            symbols.iter().map(|s| group(s.id()).map(|(_, name)| name.as_str())).collect();
        self.intended.expect_groups(&by_place);
        self.ear.desk.quotes = Quotes::new(&by_place, live);
        self.ear.reconciler.expect_quotes();
        self.quoting.batch.reserve_exact(ENTRIES_MAX);
        self.quoting.of_group.reserve_exact(ENTRIES_MAX);
        self
    }

    /// Does the intent go out, or what it is about stand, as a mass quote?
    pub(super) fn is_quoted(&self, place: usize, intent: &OrderIntent) -> bool {
        if self.ear.desk.quotes.group_of(place).is_none() {
            return false;
        }
        let live = self.ear.desk.live();
        let order = live.find(intent.orig_cl_ord_id).and_then(|handle| live.get(handle));
        match order {
            Some(order) => order.quoted.is_quote,
            None => intent.time_in_force == TimeInForce::PostOnly,
        }
    }

    /// After a Logon all quotes are asked out before anything is asked of one; a stage that winds down has
    /// asked so already.
    fn is_asking_out(&self) -> bool {
        let reconciler = &self.ear.reconciler;
        let is_before = reconciler.is_active() && !reconciler.has_asked_out();
        is_before && self.leaving_since.is_none()
    }

    /// Takes an intent into the next message, or tells the maker that it does not go out.
    pub(super) fn gather(&mut self, now: Nanos, place: usize, intent: &OrderIntent) -> bool {
        if !self.quoting.has_room(place, intent.side) {
            self.send_quotes(now);
        }
        let desk = &mut self.ear.desk;
        let order = desk.live().find(intent.orig_cl_ord_id).and_then(|h| desk.live().get(h));
        let moves =
            order.map_or(0, |order| (intent.price.0.saturating_sub(order.price.0)).signum());
        let form = order.map_or(Form::Itself, |order| form_of(order, intent));
        let is_new = intent.action == OrderAction::New;
        let has_one = is_new && desk.standing(place, intent.side).is_some();
        if has_one
            || self.is_asking_out()
            || !self.ear.has_room()
            || self.ear.desk.admit(intent).is_err()
        {
            let event = self.ear.desk.unsent(now, intent, false);
            self.ear.tell(event);
            return false;
        }
        let desk = &mut self.ear.desk;
        desk.live_mut().set_form(intent.cl_ord_id, form);
        if is_new {
            desk.live_mut().mark_quote(intent.cl_ord_id);
            desk.quotes.stand(place, intent.side, intent.cl_ord_id);
        }
        let ask = ask_of(intent.action, form);
        let moves = if ask == Ask::Reprice { moves } else { 0 };
        self.quoting.batch.push(Gathered { place, intent: as_sent(intent, ask), ask, moves });
        true
    }

    /// A cancel of the stage's own into the next message; whether there was room.
    pub(super) fn remove_quote(&mut self, now: Nanos, order: &LiveOrder) -> bool {
        let Some(place) = self.ear.desk.symbols().place_of(order.instrument) else { return true };
        if !self.quoting.has_room(place, order.side) {
            return false;
        }
        let intent = self.own_cancel(now, order);
        // One with as many requests out as are kept is being cancelled already.
        if self.ear.desk.admit(&intent).is_ok() {
            self.quoting.batch.push(Gathered { place, intent, ask: Ask::Remove, moves: 0 });
        }
        true
    }

    /// Sends what is gathered, a message a group; whether all of it went.
    pub(super) fn send_quotes(&mut self, now: Nanos) -> bool {
        if self.quoting.batch.is_empty() {
            return true;
        }
        let mut quoting = std::mem::take(&mut self.quoting);
        order_sides(&mut quoting.batch);
        let mut is_all_sent = true;
        for group in 0..self.ear.desk.quotes.names().len() {
            let of_group = &mut quoting.of_group;
            of_group.clear();
            let is_of =
                |gathered: &&Gathered| self.ear.desk.quotes.group_of(gathered.place) == Some(group);
            of_group.extend(quoting.batch.iter().filter(is_of));
            is_all_sent &= of_group.is_empty() || self.send_group(now, group, of_group);
        }
        quoting.batch.clear();
        self.quoting = quoting;
        is_all_sent
    }

    fn send_group(&mut self, now: Nanos, group: usize, gathered: &mut Vec<Gathered>) -> bool {
        let is_cancel = |gathered: &Gathered| gathered.ask == Ask::Remove;
        let are_cancels = gathered.iter().all(is_cancel);
        if self.throttle.pass(now, are_cancels) {
            return self.send_message(now, group, gathered);
        }
        for held in gathered.iter().filter(|held| are_cancels || !is_cancel(held)) {
            self.ear.counts.throttled += 1;
            self.give_back(now, &held.intent);
        }
        gathered.retain(|gathered| !are_cancels && is_cancel(gathered));
        if !gathered.is_empty() {
            if self.throttle.pass(now, true) {
                self.send_message(now, group, gathered);
                return false;
            }
            for held in gathered.iter() {
                self.ear.counts.throttled += 1;
                self.give_back(now, &held.intent);
            }
        }
        false
    }

    fn send_message(&mut self, now: Nanos, group: usize, gathered: &[Gathered]) -> bool {
        let quote_id = self.own_id();
        let desk = &self.ear.desk;
        let (symbols, names) = (desk.symbols(), desk.quotes.names());
        let Some(first) = gathered.first().and_then(|gathered| symbols.at(gathered.place)) else {
            return true;
        };
        let name = names.get(group).map_or("", |name| name);
        let entry = |gathered: &Gathered| Entry {
            id: gathered.intent.cl_ord_id,
            order: gathered.intent.orig_cl_ord_id,
            // What is gathered stands in the table of symbols.
            symbol: symbols.at(gathered.place).unwrap_or(first),
            side: gathered.intent.side,
            ask: gathered.ask,
            price: gathered.intent.price,
            size: gathered.intent.size,
        };
        let post_only = self.ear.rules.post_only;
        let sent = self.line.session_mut().send(now, msg_type::MASS_QUOTE, |encoder| {
            let entries = gathered.iter().map(entry);
            mass_quote::write_quotes(encoder, (quote_id, name), post_only, entries);
        });
        let Ok(msg_seq_num) = sent else {
            for held in gathered {
                self.give_back(now, &held.intent);
            }
            return false;
        };
        let entries = gathered.iter().map(|gathered| (&gathered.intent, gathered.ask));
        self.ear.desk.quotes.remember((quote_id, msg_seq_num), entries);
        for Gathered { intent, .. } in gathered {
            self.intended.expect(intent);
            self.ear.counts.own_cancels += u64::from(intent.cl_ord_id.0 & OWN_IDS != 0);
            if let Some(probe) = &mut self.probe {
                probe.mark(Mark::Encoded, intent.stamp);
                if self.unwritten.len() < self.unwritten.capacity() {
                    self.unwritten.push(intent.stamp);
                }
            }
        }
        self.ear.counts.sent += 1;
        true
    }

    /// An intent that did not go out after all. Of the stage's own nobody is told, and they stay to be sent.
    fn give_back(&mut self, now: Nanos, intent: &OrderIntent) {
        if intent.cl_ord_id.0 & OWN_IDS != 0 {
            let desk = &mut self.ear.desk;
            desk.withdraw(intent.cl_ord_id);
            let &OrderIntent { orig_cl_ord_id: order, instrument, side, .. } = intent;
            let is_stray = desk.live().find(order).is_none();
            desk.doom(Doomed { order, instrument, side, is_stray, due: now });
            return;
        }
        self.ear.counts.unsent += 1;
        let event = self.ear.desk.unsent(now, intent, true);
        self.ear.tell(event);
    }

    /// QuoteCancel(Z) of everything, once the limit lets it; whether it has gone.
    pub(super) fn cancel_all_quotes(&mut self, now: Nanos) -> bool {
        if !self.throttle.pass(now, true) {
            return false;
        }
        let id = self.own_id();
        let sent = self.line.session_mut().send(now, msg_type::QUOTE_CANCEL, |encoder| {
            mass_quote::write_cancel_all(encoder, id);
        });
        self.quoting.cancels_all = sent.is_err();
        self.ear.counts.own_cancels += u64::from(sent.is_ok());
        sent.is_ok()
    }

    /// Takes out what the desk has given up, as it is due, and asks after what the venue says is not there.
    pub(super) fn take_out_doomed(&mut self, now: Nanos) -> bool {
        if self.is_asking_out() || !self.line.session().is_logged_on() {
            return false;
        }
        let has_asked = self.ask_unsure(now);
        // One that waits holds up nobody behind it.
        for _ in 0..self.ear.desk.quotes.doomed.len() {
            let Some(doomed) = self.ear.desk.quotes.doomed.pop_front() else { break };
            if now < doomed.due || !self.take_out(now, &doomed) {
                self.ear.desk.quotes.doomed.push_back(doomed);
            }
        }
        // What does not go is doomed again.
        let had_any = !self.quoting.batch.is_empty();
        self.send_quotes(now);
        had_any || has_asked
    }

    /// Whether it is dealt with: sent, or not to be sent any more.
    fn take_out(&mut self, now: Nanos, doomed: &Doomed) -> bool {
        if self.throttle.room_for_cancels(now) == 0 {
            return false;
        }
        let live = self.ear.desk.live();
        let order = live.find(doomed.order).and_then(|handle| live.get(handle)).copied();
        match order {
            Some(order) if !order.is_live() || order.is_cancel_pending() => true,
            Some(order) => self.remove_quote(now, &order),
            None if !doomed.is_stray => true,
            None => self.remove_stray(now, doomed),
        }
    }

    /// A quote that only the venue knows: whatever of ours stands on its side goes.
    fn remove_stray(&mut self, now: Nanos, doomed: &Doomed) -> bool {
        let Some(place) = self.ear.desk.symbols().place_of(doomed.instrument) else { return true };
        if !self.quoting.has_room(place, doomed.side) {
            return false;
        }
        let intent = OrderIntent {
            cl_ord_id: self.own_id(),
            orig_cl_ord_id: doomed.order,
            price: Ticks(0),
            size: Lots(0),
            stamp: Stamp(0),
            at: now,
            instrument: doomed.instrument,
            action: OrderAction::Cancel,
            side: doomed.side,
            time_in_force: TimeInForce::PostOnly,
        };
        self.quoting.batch.push(Gathered { place, intent, ask: Ask::Remove, moves: 0 });
        true
    }
}

/// As what a request to a quote goes out: as a move where its price alone changes and no other request is
/// out, else it takes the quote out.
fn form_of(order: &LiveOrder, intent: &OrderIntent) -> Form {
    match intent.action {
        OrderAction::Replace if intent.size == order.size => {
            kept_name::form_of(order, intent, false)
        }
        OrderAction::New | OrderAction::Replace | OrderAction::Cancel => Form::Itself,
    }
}

/// The intent as it goes out.
fn as_sent(intent: &OrderIntent, ask: Ask) -> OrderIntent {
    let (action, orig_cl_ord_id) = match ask {
        Ask::Place => (OrderAction::New, ClOrdId::NONE),
        Ask::Reprice => (OrderAction::Replace, intent.orig_cl_ord_id),
        Ask::Remove => (OrderAction::Cancel, intent.orig_cl_ord_id),
    };
    OrderIntent { action, orig_cl_ord_id, ..*intent }
}

/// Of both sides of an instrument the one goes first that makes room for the other.
fn order_sides(batch: &mut [Gathered]) {
    // Bounded: a batch has at most ENTRIES_MAX entries.
    for place in 0..batch.len() {
        let Some(first) = batch.get(place).copied() else { return };
        let is_partner =
            |other: &Gathered| other.place == first.place && other.intent.side != first.intent.side;
        let later = batch.get(place + 1..).unwrap_or_default().iter().position(is_partner);
        let Some(partner) = later.map(|at| place + 1 + at) else { continue };
        let second = batch.get(partner).copied().unwrap_or(first);
        let direction = first.moves + second.moves;
        let rank = |gathered: &Gathered| match (gathered.ask, gathered.intent.side) {
            (Ask::Remove, _) => 0,
            (Ask::Place | Ask::Reprice, Side::Sell) => {
                if direction > 0 {
                    1
                } else {
                    2
                }
            }
            (Ask::Place | Ask::Reprice, Side::Buy) => {
                if direction < 0 {
                    1
                } else {
                    2
                }
            }
        };
        if rank(&second) < rank(&first) {
            batch.swap(place, partner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(place: usize, side: Side, ask: Ask, moves: i64) -> Gathered {
        let intent = OrderIntent {
            cl_ord_id: ClOrdId(1),
            orig_cl_ord_id: ClOrdId(2),
            price: Ticks(0),
            size: Lots(0),
            stamp: Stamp(0),
            at: Nanos(0),
            instrument: InstrumentId(0),
            action: OrderAction::Replace,
            side,
            time_in_force: TimeInForce::PostOnly,
        };
        Gathered { place, intent, ask, moves }
    }

    fn sides(mut batch: Vec<Gathered>) -> Vec<(usize, Side)> {
        order_sides(&mut batch);
        batch.iter().map(|gathered| (gathered.place, gathered.intent.side)).collect()
    }

    #[test]
    fn the_side_that_makes_room_goes_first() {
        use Ask::{Place, Remove, Reprice};
        use Side::{Buy, Sell};
        let pair = |bid: (Ask, i64), ask: (Ask, i64)| {
            sides(vec![gathered(0, Buy, bid.0, bid.1), gathered(0, Sell, ask.0, ask.1)])
        };
        let (bid_first, ask_first) = ([(0, Buy), (0, Sell)], [(0, Sell), (0, Buy)]);
        assert_eq!(pair((Reprice, 1), (Reprice, 1)), ask_first);
        assert_eq!(pair((Reprice, -1), (Reprice, -1)), bid_first);
        assert_eq!(pair((Reprice, 1), (Reprice, -1)), bid_first);
        assert_eq!(pair((Place, 0), (Reprice, 1)), ask_first);
        assert_eq!(pair((Reprice, -1), (Remove, 0)), ask_first);
        assert_eq!(pair((Place, 0), (Place, 0)), bid_first);
        let other = sides(vec![
            gathered(0, Buy, Reprice, 1),
            gathered(1, Sell, Reprice, 1),
            gathered(0, Sell, Reprice, 1),
            gathered(1, Buy, Reprice, 1),
        ]);
        assert_eq!(other, [(0, Sell), (1, Sell), (0, Buy), (1, Buy)]);
    }
}
