//! Amendments at a venue that keeps an order's first name: a venue of its own words answers late, early, not
//! at all or with a refusal, and fills in between; what the stage tells is held to what the venue did.

use crate::world::World;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce,
};
use ballast_engine::units::{Lots, Side, Stamp, Ticks};
use ballast_gateway::order_entry::throttle::{Limits, MessageLimit};
use ballast_gateway::venue::deribit::RULES;
use ballast_gateway::venue::dialect::Rules;
use std::collections::{BTreeMap, VecDeque};

/// Price in ticks of 0.01, sizes in lots of 0.001.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Working {
    price: i64,
    size: i64,
    cum: i64,
}

/// The venue: its book by the names that orders were sent under, and requests that it has not looked at.
#[derive(Default)]
struct Exchange {
    book: BTreeMap<u64, Working>,
    waiting: VecDeque<BTreeMap<u32, String>>,
    /// Reports and refusals, in the order in which they are said.
    said: VecDeque<String>,
    filled: i64,
    reports: u64,
    refuses_amendments: bool,
}

fn number(text: &str, digits: usize) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<digits$}").parse().unwrap()
}

fn decimal(value: i64, digits: u32) -> String {
    let unit = 10i64.pow(digits);
    format!("{}.{:0width$}", value / unit, value % unit, width = digits as usize)
}

impl Exchange {
    fn report(&mut self, id: u64, order: &Working, status: char, more: &str) -> String {
        self.reports += 1;
        let leaves = if status == '4' { 0 } else { order.size - order.cum };
        format!(
            "35=8|527=S{}|37=V{id}|11=V{id}|41={id}|39={status}|54=2|151={}|14={}|38={}|40=2|44={}|150=I|55=BTC{more}",
            self.reports,
            decimal(leaves, 3),
            decimal(order.cum, 3),
            decimal(order.size, 3),
            decimal(order.price, 2),
        )
    }

    fn working(order: &Working) -> char {
        if order.cum > 0 { '1' } else { '0' }
    }

    fn hear(&mut self, text: &str) {
        let field = |field: &str| {
            let (tag, value) = field.split_once('=').unwrap();
            (tag.parse().unwrap(), value.to_owned())
        };
        let fields: BTreeMap<u32, String> = text.split('|').map(field).collect();
        match fields[&35].as_str() {
            "AN" => self.said.push_back(format!("35=AP|721=r|710={}|728=0|702=0", fields[&710])),
            "q" => self.said.push_back(format!("35=r|11={}|530=7|531=7|533=0", fields[&11])),
            _ => self.waiting.push_back(fields),
        }
    }

    /// Looks at one request.
    fn act(&mut self) -> bool {
        let Some(request) = self.waiting.pop_front() else { return false };
        let id: u64 = request[&11].parse().unwrap();
        assert!(!request.contains_key(&41), "the order is named in 11: {request:?}");
        let terms =
            |cum| Working { price: number(&request[&44], 2), size: number(&request[&38], 3), cum };
        let known = self.book.get(&id).copied();
        let refusal = format!("35=9|11={id}|39={}|58=no", if known.is_some() { '0' } else { '4' });
        let answer = match (request[&35].as_str(), known) {
            ("D", None) => {
                self.book.insert(id, terms(0));
                self.report(id, &terms(0), '0', "|58=success")
            }
            ("G", Some(order)) if !self.refuses_amendments && terms(0).size > order.cum => {
                assert_eq!(request[&18], "6A", "post-only stays");
                let order = terms(order.cum);
                self.book.insert(id, order);
                self.report(id, &order, Self::working(&order), "|58=success")
            }
            ("F", Some(order)) => {
                self.book.remove(&id);
                self.report(id, &order, '4', "|58=success")
            }
            ("G" | "F", _) => refusal,
            other => panic!("{other:?}: {request:?}"),
        };
        self.said.push_back(answer);
        true
    }

    /// Something trades.
    fn trade(&mut self, place: usize, size: i64) {
        let count = self.book.len().max(1);
        let Some((id, order)) = self.book.iter().nth(place % count).map(|(k, v)| (*k, *v)) else {
            return;
        };
        let size = size.min(order.size - order.cum);
        let order = Working { cum: order.cum + size, ..order };
        self.filled += size;
        let is_gone = order.cum == order.size;
        let status = if is_gone { '2' } else { '1' };
        let more = format!("|1362=1|1363=F{}|1364=6.00|1365={}", self.reports, decimal(size, 3));
        let report = self.report(id, &order, status, &more);
        self.said.push_back(report);
        if is_gone {
            self.book.remove(&id);
        } else {
            self.book.insert(id, order);
        }
    }
}

/// An order as a maker knows it from what it is told.
#[derive(Clone, Copy, Debug)]
struct Mine {
    name: u64,
    terms: (i64, i64),
    cum: i64,
    asked: Option<(u64, (i64, i64))>,
    cancel: Option<u64>,
}

struct Rig {
    world: World,
    exchange: Exchange,
    mine: Vec<Mine>,
    next: u64,
    filled: i64,
    amended: u64,
}

/// What a lower layer of the venue's rules costs time here.
fn rules() -> Rules {
    let much = MessageLimit { messages: 1_000_000, window_ns: 1_000, cancel_reserve: 0 };
    Rules { order_limits: Limits::on_all(much), ..RULES }
}

impl Rig {
    fn new() -> Rig {
        let world = World::with(rules(), 256);
        let (exchange, mine) = (Exchange::default(), Vec::new());
        let mut rig = Rig { world, exchange, mine, next: 10, filled: 0, amended: 0 };
        for _ in 0..4 {
            rig.listen();
            rig.speak(usize::MAX);
        }
        assert!(rig.world.entry.session().is_logged_on());
        rig
    }

    fn send(&mut self, action: OrderAction, orig: u64, (price, size): (i64, i64)) -> u64 {
        self.next += 1;
        let intent = OrderIntent {
            cl_ord_id: ClOrdId(self.next),
            orig_cl_ord_id: ClOrdId(orig),
            price: Ticks(price),
            size: Lots(size),
            stamp: Stamp(0),
            at: self.world.now,
            instrument: InstrumentId(3),
            action,
            side: Side::Sell,
            time_in_force: TimeInForce::PostOnly,
        };
        self.world.intents.as_mut().unwrap().push(intent).unwrap();
        self.next
    }

    /// The venue gets what was sent, and the maker is told what came.
    fn listen(&mut self) {
        for event in self.world.events() {
            self.take(&event);
        }
        for text in self.world.venue.take_inbox() {
            self.exchange.hear(&text);
        }
    }

    fn speak(&mut self, most: usize) {
        for _ in 0..most {
            let Some(text) = self.exchange.said.pop_front() else { break };
            self.world.say(&text);
        }
        self.listen();
    }

    fn take(&mut self, event: &OrderEvent) {
        let (id, orig) = (event.cl_ord_id.0, event.orig_cl_ord_id.0);
        let is_it = |m: &Mine| {
            let names = [Some(m.name), m.asked.map(|a| a.0), m.cancel];
            names.contains(&Some(id)) || orig != 0 && names.contains(&Some(orig))
        };
        let Some(place) = self.mine.iter().position(is_it) else {
            // The late refusal of a request to an order that is gone names what nobody knows any more.
            let is_late = matches!(
                event.update,
                OrderUpdate::CancelRejected { .. }
                    | OrderUpdate::SessionUp
                    | OrderUpdate::SessionReconciling
                    | OrderUpdate::Position { .. }
            );
            assert!(is_late, "{event:?}");
            return;
        };
        let order = &mut self.mine[place];
        match event.update {
            OrderUpdate::New { .. } | OrderUpdate::Status { is_gone: false, .. } => {
                assert_eq!(id, order.name, "{event:?}");
            }
            OrderUpdate::Replaced { price, leaves_qty } => {
                let (name, terms) = order.asked.take().unwrap();
                assert_eq!((id, price.0), (name, terms.0), "{event:?}");
                assert_eq!(leaves_qty.0, terms.1 - order.cum, "{event:?}");
                (order.name, order.terms) = (name, terms);
                self.amended += 1;
            }
            OrderUpdate::Fill { last_qty, cum_qty, leaves_qty, .. } => {
                assert_eq!(id, order.name, "{event:?}");
                order.cum += last_qty.0;
                assert_eq!(order.cum, cum_qty.0, "{event:?}");
                assert_eq!(order.cum + leaves_qty.0, order.terms.1, "{event:?} {order:?}");
                self.filled += last_qty.0;
                if leaves_qty.0 == 0 {
                    self.mine.remove(place);
                }
            }
            OrderUpdate::Canceled { .. } => {
                assert_eq!(id, order.name, "{event:?}");
                self.mine.remove(place);
            }
            OrderUpdate::CancelRejected { is_gone, .. } => {
                order.asked = order.asked.filter(|asked| asked.0 != id);
                order.cancel = order.cancel.filter(|cancel| *cancel != id);
                if is_gone {
                    self.mine.remove(place);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn new_order(&mut self, terms: (i64, i64)) -> u64 {
        let name = self.send(OrderAction::New, 0, terms);
        self.mine.push(Mine { name, terms, cum: 0, asked: None, cancel: None });
        name
    }

    fn replace(&mut self, place: usize, terms: (i64, i64)) {
        let asked = self.send(OrderAction::Replace, self.mine[place].name, terms);
        self.mine[place].asked = Some((asked, terms));
    }

    fn cancel(&mut self, place: usize) {
        let Mine { name, terms, .. } = self.mine[place];
        self.mine[place].cancel = Some(self.send(OrderAction::Cancel, name, terms));
    }

    /// Everything is answered; what each side believes is the same.
    fn agree(&mut self) {
        for _ in 0..3 {
            self.listen();
            while self.exchange.act() {}
            self.speak(usize::MAX);
        }
        assert_eq!(self.filled, self.exchange.filled);
        let live = self.world.entry.desk().live();
        assert_eq!(
            (live.live_count(), self.mine.len()),
            (self.exchange.book.len(), self.exchange.book.len())
        );
        for order in live.live() {
            let there = self.exchange.book[&order.first_name.0];
            let here = Working { price: order.price.0, size: order.size.0, cum: order.cum_qty.0 };
            assert_eq!(here, there, "{order:?}");
            let mine = self.mine.iter().find(|m| m.name == order.cl_ord_id.0).unwrap();
            assert_eq!((mine.terms, mine.cum), ((there.price, there.size), there.cum));
            assert!(order.requests().is_empty() && mine.asked.is_none(), "{order:?} {mine:?}");
        }
    }
}

fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize
}

/// `BALLAST_AMEND_LIVES` makes more of it.
#[test]
fn whatever_crosses_an_amendment_both_sides_agree_in_the_end() {
    let lives = std::env::var("BALLAST_AMEND_LIVES").map_or(12, |n| n.parse().unwrap());
    let mut amended = 0;
    for life in 0..lives {
        let (mut rig, mut seed) = (Rig::new(), life);
        for _ in 0..150 {
            let (what, which, amount) =
                (random(&mut seed) % 12, random(&mut seed), random(&mut seed));
            let terms = (600 + (amount % 7) as i64, 20 + (amount % 31) as i64);
            let idle = |m: &Mine| m.asked.is_none() && m.cancel.is_none();
            let idle: Vec<usize> = (0..rig.mine.len()).filter(|n| idle(&rig.mine[*n])).collect();
            match (what, idle.get(which % idle.len().max(1)).copied()) {
                (0 | 1, _) if rig.mine.len() < 4 => _ = rig.new_order(terms),
                (2..=5, Some(place)) if terms.1 > rig.mine[place].cum => rig.replace(place, terms),
                (6, Some(place)) => rig.cancel(place),
                (7, _) => rig.exchange.trade(which, 1 + (amount % 9) as i64),
                (8, _) => rig.exchange.refuses_amendments = amount.is_multiple_of(4),
                (9 | 10, _) => _ = rig.exchange.act(),
                // A maker that lost patience with an amendment cancels.
                (11, _) => {
                    let is_stuck = |m: &Mine| m.asked.is_some() && m.cancel.is_none();
                    if let Some(place) = rig.mine.iter().position(is_stuck)
                        && amount.is_multiple_of(3)
                    {
                        rig.cancel(place);
                    }
                }
                _ => {}
            }
            rig.speak(amount % 3);
        }
        rig.agree();
        amended += rig.amended;
    }
    assert!(amended > lives * 5, "{amended} amendments were done");
}

#[test]
fn terms_from_before_the_last_amendment_are_not_asked_for_again() {
    let mut rig = Rig::new();
    rig.new_order((600, 50));
    rig.agree();
    rig.replace(0, (610, 50));
    rig.agree();
    assert_eq!(rig.amended, 1);
    // Back to where it was: a late report could not be told from the answer. It is cancelled instead.
    rig.replace(0, (600, 50));
    rig.listen();
    assert_eq!(rig.exchange.waiting[0][&35], "F");
    rig.agree();
    assert!(rig.mine.is_empty());
}

#[test]
fn a_late_report_of_the_old_terms_answers_nothing() {
    let mut rig = Rig::new();
    let name = rig.new_order((600, 50));
    rig.agree();
    rig.replace(0, (610, 50));
    rig.agree();
    rig.replace(0, (620, 50));
    let old = Working { price: 600, size: 50, cum: 0 };
    let late = rig.exchange.report(name, &old, '0', "|58=notification");
    rig.exchange.said.push_back(late);
    rig.speak(usize::MAX);
    assert_eq!((rig.amended, rig.mine[0].terms), (1, (610, 50)));
    rig.agree();
    assert_eq!((rig.amended, rig.mine[0].terms), (2, (620, 50)));
}

#[test]
fn terms_that_nobody_asked_for_are_the_venues() {
    let mut rig = Rig::new();
    let name = rig.new_order((600, 50));
    rig.agree();
    let moved = Working { price: 605, size: 50, cum: 0 };
    let report = rig.exchange.report(name, &moved, '0', "");
    rig.world.say(&report);
    let events = rig.world.events();
    let restated = OrderUpdate::Restated { price: Ticks(605), leaves_qty: Lots(50) };
    assert_eq!((events[0].update, events[0].cl_ord_id.0, events.len()), (restated, name, 1));
}

#[test]
fn a_fill_under_the_new_terms_that_comes_first_is_told_behind_the_replacement() {
    let mut rig = Rig::new();
    let name = rig.new_order((600, 50));
    rig.agree();
    rig.replace(0, (600, 80));
    rig.listen();
    // Done and filled, more than the order was before; the answer itself is lost.
    rig.exchange.waiting.clear();
    rig.exchange.book.insert(name, Working { price: 600, size: 80, cum: 0 });
    rig.exchange.trade(0, 80);
    rig.agree();
    assert_eq!((rig.amended, rig.filled, rig.mine.len()), (1, 80, 0));
}

#[test]
fn a_venue_that_takes_no_amendment_is_not_asked_again_and_one_refused_by_a_report_stands() {
    let mut rig = Rig::new();
    let name = rig.new_order((600, 50));
    rig.agree();
    rig.replace(0, (610, 50));
    rig.listen();
    rig.exchange.waiting.clear();
    let order = rig.exchange.book[&name];
    let refusal = rig.exchange.report(name, &order, '8', "|103=99|58=post_only_reject");
    rig.exchange.said.push_back(refusal);
    rig.agree();
    assert_eq!((rig.mine.len(), rig.amended), (1, 0), "it works on");
    rig.replace(0, (610, 50));
    rig.listen();
    rig.exchange.waiting.clear();
    let sent = rig.world.entry.session().store();
    let number = ballast_gateway::store::Store::next_sender(sent) - 1;
    rig.world.say(&format!("35=j|45={number}|372=G|380=3"));
    let told = rig.world.events();
    assert_eq!(told[0].update, OrderUpdate::MessageRejected { reason: 3 });
    rig.mine[0].asked = None;
    rig.replace(0, (610, 50));
    rig.listen();
    assert_eq!(rig.exchange.waiting[0][&35], "F");
}
