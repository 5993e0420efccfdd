//! Which of our own orders gives way, in every mode, over one session and over two to the same book.

use super::config::{ConfigError, MakerConfig};
use super::hedging_tests::set_band;
use super::input::Input;
use super::tests::{Desk, PERP, SPOT, config, news};
use super::*;
use crate::event::{ClOrdId, OrderAction, OrderEvent, OrderIntent};
use crate::event::{OrderUpdate, TimeInForce, VenueId};
use crate::risk::gate::BlockReason;
use crate::risk::self_trade::{Prevention, SelfTrade};
use crate::units::{Lots, Side, Ticks};

const TWIN: InstrumentId = InstrumentId(2);
const OTHER: VenueId = VenueId(1);

/// A step takes 1,000 ns: what rests is seen to rest.
fn rest_long(config: &mut MakerConfig) {
    config.settings[0].quote.as_mut().unwrap().reject_holdoff_ns = 50_000;
}

/// The spot instrument over a second session, quoted by the same model.
fn twins(prevention: Prevention) -> MakerConfig {
    let mut config = config();
    let mut spec = config.instruments[0].spec().clone();
    (spec.symbol, spec.venue) = ("TWIN".to_owned(), OTHER);
    config.instruments.push(Instrument::new(TWIN, spec).unwrap());
    rest_long(&mut config);
    config.settings.push(config.settings[0]);
    config.message_rates.push(config.message_rates[0]);
    config.order_to_trade.push(config.order_to_trade[0]);
    config.underlyings[0].target = Exposure(1_000_000_000);
    config.settings[2].self_trade = SelfTrade { prevention, same_book_as: Some(SPOT) };
    config
}

fn up(desk: &mut Desk, venue: VenueId) -> Vec<OrderIntent> {
    desk.step(Input::Order(OrderEvent {
        at: Nanos(desk.now),
        venue_at: Nanos(desk.now),
        stamp: Stamp(0),
        msg_seq_num: 1,
        cl_ord_id: ClOrdId::NONE,
        orig_cl_ord_id: ClOrdId::NONE,
        update: OrderUpdate::SessionUp,
        instrument: SPOT,
        venue,
    }))
}

/// The first session quotes its book around 600,000; the second is down, its market is known.
fn one_of_two(config: &MakerConfig) -> (Desk, Vec<OrderIntent>) {
    let mut desk = Desk::with(config);
    // Every position must have a worth, or gross notional blocks it all.
    assert!(desk.image(TWIN, 600_000).is_empty());
    let quotes = desk.begin();
    assert_eq!(quotes.len(), 4);
    (desk, quotes)
}

/// The twin's session comes up at a market so high that its bids would take the first session's asks.
fn twin_above(desk: &mut Desk) -> Vec<OrderIntent> {
    desk.image(TWIN, 600_200);
    up(desk, OTHER)
}

fn of(intents: &[OrderIntent], id: InstrumentId) -> Vec<OrderIntent> {
    intents.iter().filter(|intent| intent.instrument == id).copied().collect()
}

fn blocked(desk: &Desk) -> u64 {
    let place = BlockReason::ALL.iter().position(|r| *r == BlockReason::SelfTrade).unwrap();
    desk.maker.counters().blocked[place]
}

fn asks(quotes: &[OrderIntent]) -> Vec<OrderIntent> {
    quotes.iter().filter(|quote| quote.side == Side::Sell).copied().collect()
}

#[test]
fn over_two_sessions_to_one_book_a_new_order_that_would_meet_ours_does_not_go() {
    let (mut desk, quotes) = one_of_two(&twins(Prevention::CancelNew));
    let lowest = asks(&quotes).iter().map(|ask| ask.price).min().unwrap();
    let sent = twin_above(&mut desk);
    assert!(of(&sent, SPOT).is_empty(), "nothing of the first session gives way");
    let bids: Vec<_> = of(&sent, TWIN).into_iter().filter(|o| o.side == Side::Buy).collect();
    assert!(bids.iter().all(|bid| bid.price < lowest), "{bids:?}");
    assert!(blocked(&desk) > 0);
    assert_eq!(desk.maker.counters().self_trade_cancels, 0);
}

#[test]
fn without_a_common_book_prices_of_two_venues_may_cross() {
    let mut config = twins(Prevention::CancelNew);
    config.settings[2].self_trade = SelfTrade::default();
    let (mut desk, _) = one_of_two(&config);
    let sent = twin_above(&mut desk);
    assert_eq!(news(&of(&sent, TWIN)), 4);
    assert_eq!(blocked(&desk), 0);
}

#[test]
fn cancel_resting_takes_ours_out_and_the_new_order_goes_when_the_venue_has_said_so() {
    let (mut desk, quotes) = one_of_two(&twins(Prevention::CancelResting));
    let sent = twin_above(&mut desk);
    let cancels = of(&sent, SPOT);
    assert_eq!(cancels.len(), 2, "both asks stand in the way: {cancels:?}");
    for (cancel, ask) in cancels.iter().zip(asks(&quotes)) {
        assert_eq!((cancel.action, cancel.orig_cl_ord_id), (OrderAction::Cancel, ask.cl_ord_id));
    }
    assert!(!of(&sent, TWIN).iter().any(|order| order.side == Side::Buy), "not before the answer");
    // Asked again while the cancels are under way: nothing more is cancelled, nothing goes.
    let again = desk.image(TWIN, 600_200);
    assert!(of(&again, SPOT).is_empty() && !again.iter().any(|o| o.side == Side::Buy));
    for cancel in &cancels {
        assert!(of(&desk.accept(cancel), SPOT).is_empty(), "what gave way rests");
    }
    let bids = of(&desk.image(TWIN, 600_200), TWIN);
    assert_eq!(bids.iter().filter(|order| order.side == Side::Buy).count(), 2);
    assert_eq!(desk.maker.counters().self_trade_cancels, 2);
    assert_eq!(desk.maker.counters().self_trade_reductions, 0);
}

#[test]
fn an_order_in_doubt_stands_in_the_way_until_the_venue_s_word() {
    let (mut desk, _) = one_of_two(&twins(Prevention::CancelResting));
    desk.session(OrderUpdate::SessionDown);
    let sent = twin_above(&mut desk);
    assert!(of(&sent, SPOT).is_empty(), "nobody knows what a cancel would find");
    assert!(!of(&sent, TWIN).iter().any(|order| order.side == Side::Buy));
    assert!(blocked(&desk) > 0);
}

#[test]
fn decrement_drops_the_new_order_and_shrinks_the_resting_one_by_it() {
    let mut config = twins(Prevention::Decrement);
    // One level of 10 lots rests; the twin's order is of 4.
    let mut small = config.settings[2].quote.unwrap();
    small.ladder.set_size(Lots(4));
    config.settings[2].quote = Some(small);
    let (mut desk, quotes) = one_of_two(&config);
    let ask = *asks(&quotes).iter().min_by_key(|ask| ask.price).unwrap();
    let sent = twin_above(&mut desk);
    let moved = of(&sent, SPOT);
    let first = moved.iter().find(|order| order.orig_cl_ord_id == ask.cl_ord_id).unwrap();
    assert_eq!((first.action, first.price, first.size), (OrderAction::Replace, ask.price, Lots(6)));
    assert!(!of(&sent, TWIN).iter().any(|order| order.side == Side::Buy));
    assert!(desk.maker.counters().self_trade_reductions > 0);
    // It does not grow back at once, and it does not shrink by the same order again.
    let mut sent = desk.accept(first);
    for _ in 0..30 {
        sent.extend(desk.image(TWIN, 600_200));
        desk.now += 10_000;
    }
    let size = |o: &&OrderIntent| o.action != OrderAction::Cancel && o.size < Lots(6);
    assert_eq!(of(&sent, SPOT).iter().find(size), None, "six lots stay");
    let is_out =
        |o: &OrderIntent| o.orig_cl_ord_id == first.cl_ord_id && o.action == OrderAction::Cancel;
    assert!(!of(&sent, SPOT).iter().any(is_out), "{sent:?}");
}

#[test]
fn decrement_takes_out_what_is_no_larger_than_the_new_order() {
    let (mut desk, quotes) = one_of_two(&twins(Prevention::Decrement));
    let ask = *asks(&quotes).iter().min_by_key(|ask| ask.price).unwrap();
    let sent = of(&twin_above(&mut desk), SPOT);
    let first = sent.iter().find(|order| order.orig_cl_ord_id == ask.cl_ord_id).unwrap();
    assert_eq!(first.action, OrderAction::Cancel);
    assert!(desk.maker.counters().self_trade_cancels > 0);
}

/// The perpetual is quoted and hedged with: its lowest ask, and what is sent when both spot asks trade.
fn hedged_into_own_quotes(prevention: Prevention) -> (Desk, OrderIntent, Vec<OrderIntent>) {
    let mut config = config();
    rest_long(&mut config);
    config.settings[1].quote = config.settings[0].quote;
    config.settings[1].self_trade.prevention = prevention;
    set_band(&mut config, 15_000_000);
    let mut desk = Desk::with(&config);
    desk.session(OrderUpdate::SessionUp);
    let mut quotes = desk.image(PERP, 600_000);
    quotes.extend(desk.image(SPOT, 600_000));
    quotes.extend(desk.image(PERP, 600_000));
    quotes.iter().for_each(|quote| drop(desk.accept(quote)));
    let ask = *asks(&of(&quotes, PERP)).iter().min_by_key(|ask| ask.price).unwrap();
    let sold = asks(&of(&quotes, SPOT));
    let sent = sold.iter().flat_map(|ask| desk.fill(ask, ask.size.0, ask.size.0));
    let sent = sent.collect();
    (desk, ask, sent)
}

#[test]
fn a_hedge_keeps_below_our_quotes_or_takes_them_out_as_the_mode_says() {
    let is_hedge = |o: &&OrderIntent| o.time_in_force == TimeInForce::ImmediateOrCancel;
    let (_, ask, sent) = hedged_into_own_quotes(Prevention::CancelNew);
    let hedge = sent.iter().find(is_hedge).expect("beyond the band");
    assert!(hedge.price < ask.price && hedge.price > Ticks(600_000), "{hedge:?}");

    let (mut desk, ask, sent) = hedged_into_own_quotes(Prevention::CancelResting);
    assert_eq!(sent.iter().find(is_hedge), None, "our ask may still trade");
    let cancel = sent.iter().find(|o| o.orig_cl_ord_id == ask.cl_ord_id).expect("it gives way");
    assert_eq!(cancel.action, OrderAction::Cancel);
    let cancels: Vec<_> =
        of(&sent, PERP).into_iter().filter(|o| o.action == OrderAction::Cancel).collect();
    let after: Vec<_> = cancels.iter().flat_map(|cancel| desk.accept(cancel)).collect();
    let hedge = after.iter().find(is_hedge).expect("the way is clear");
    assert!(hedge.price >= ask.price, "{hedge:?}");
}

#[test]
fn what_cannot_be_one_book_is_refused() {
    let fault = |change: &dyn Fn(&mut MakerConfig)| {
        let mut config = twins(Prevention::CancelNew);
        change(&mut config);
        config.faults()
    };
    assert_eq!(fault(&|_| {}), []);
    let not_the_same = [ConfigError::NotTheSameBook { index: 2, with: 0 }];
    let spec = |config: &MakerConfig| config.instruments[2].spec().clone();
    let other_tick = fault(&|config| {
        let mut spec = spec(config);
        spec.tick = "0.01".parse().unwrap();
        config.instruments[2] = Instrument::new(TWIN, spec).unwrap();
    });
    assert_eq!(other_tick, not_the_same);
    let same_venue = fault(&|config| {
        let mut spec = spec(config);
        spec.venue = VenueId(0);
        config.instruments[2] = Instrument::new(TWIN, spec).unwrap();
    });
    assert_eq!(same_venue, not_the_same);
    let chain = fault(&|config| config.settings[0].self_trade.same_book_as = Some(TWIN));
    assert_eq!(chain.len(), 2, "each names one that names a further one");
    let nobody = fault(&|config| {
        config.settings[2].self_trade.same_book_as = Some(InstrumentId(9));
    });
    assert!(matches!(nobody[..], [ConfigError::NoSuchInstrument { index: 9, .. }]), "{nobody:?}");
}
