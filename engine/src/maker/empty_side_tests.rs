//! Options whose books have an empty side: quoted where the config says so, and no nearer than what is
//! there.

use crate::event::{InstrumentId, MarketUpdate, OrderAction, OrderIntent};
use crate::maker::option_tests::{CALL, FUTURE, HOME, PUT, begin, limits, side, with};
use crate::maker::tests::Desk;
use crate::market::trust::Distrust;
use crate::risk::state::Reason;
use crate::units::{Lots, Side, Ticks};

/// Quoting; then the book of the call is whole again with these sides alone.
fn left_with(quotes_empty: bool, bid: Option<i64>, ask: Option<i64>) -> (Desk, Vec<OrderIntent>) {
    let mut config = with(limits(i64::MAX / 10));
    for option in &mut config.options.options {
        option.quotes_empty = quotes_empty;
    }
    let (mut desk, quotes) = begin(&config);
    assert_eq!(side(&quotes, CALL, Side::Buy).len(), 2);
    let level = |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(5) };
    let is_empty = bid.is_none() && ask.is_none();
    let mut sent = desk.market(CALL, MarketUpdate::Reset, is_empty);
    if let Some(bid) = bid {
        sent.extend(desk.market(CALL, level(Side::Buy, bid), ask.is_none()));
    }
    if let Some(ask) = ask {
        sent.extend(desk.market(CALL, level(Side::Sell, ask), true));
    }
    (desk, sent)
}

fn open(desk: &Desk, id: InstrumentId) -> [i64; 2] {
    desk.maker.snapshot(id).unwrap().open.map(|open| open.0)
}

fn best(desk: &Desk) -> [i64; 2] {
    desk.maker.snapshot(CALL).unwrap().quotes.map(|price| price.unwrap().0)
}

#[test]
fn without_a_word_in_the_config_an_empty_side_pulls_the_quotes() {
    let (desk, sent) = left_with(false, Some(1_599), None);
    assert_eq!(desk.maker.snapshot(CALL).unwrap().reason, Reason::Distrusted(Distrust::OneSided));
    assert!(
        sent.iter().all(|intent| intent.action == OrderAction::Cancel && intent.instrument == CALL)
    );
}

#[test]
fn with_one_both_sides_stand_around_the_models_value_whatever_side_is_empty() {
    for (bid, ask) in [(Some(1_599), None), (None, Some(1_601)), (None, None)] {
        let (desk, _) = left_with(true, bid, ask);
        assert_eq!(desk.maker.snapshot(CALL).unwrap().reason, Reason::Normal, "{bid:?} {ask:?}");
        assert_eq!(open(&desk, CALL), [20, 20], "{bid:?} {ask:?}");
        let [own_bid, own_ask] = best(&desk);
        assert!(own_bid < 1_600 && 1_600 < own_ask, "{own_bid} {own_ask}");
    }
}

#[test]
fn what_is_there_is_never_traded_against_by_a_quote() {
    // Somebody bids twenty ticks more than the model says, or offers for as much less.
    let (mut desk, mut sent) = left_with(true, Some(1_680), None);
    while let Some(intent) = sent.pop() {
        sent.extend(desk.accept(&intent));
    }
    assert!(best(&desk)[1] > 1_680, "{:?}", best(&desk));
    let (mut desk, mut sent) = left_with(true, None, Some(1_520));
    while let Some(intent) = sent.pop() {
        sent.extend(desk.accept(&intent));
    }
    assert!(best(&desk)[0] < 1_520, "{:?}", best(&desk));
}

#[test]
fn a_gap_and_a_value_that_is_not_believed_pull_them_all_the_same() {
    let (mut desk, _) = left_with(true, Some(1_599), None);
    desk.market(CALL, MarketUpdate::Gap, true);
    assert_eq!(desk.maker.snapshot(CALL).unwrap().reason, Reason::Distrusted(Distrust::Gapped));
    let (mut desk, _) = left_with(true, Some(1_599), None);
    desk.image(FUTURE, HOME + 61);
    assert_eq!(desk.maker.snapshot(CALL).unwrap().reason, Reason::Distrusted(Distrust::OneSided));
    assert_eq!(desk.maker.snapshot(PUT).unwrap().reason, Reason::GreeksOutside);
}
