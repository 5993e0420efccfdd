//! The table of live orders: ids, sums of what may trade, and what outlives a run.

use super::*;
use crate::event::{OrderUpdate, VenueId};
use crate::instrument::{Currency, InstrumentKind, InstrumentSpec};
use crate::units::{FeeRate, Stamp};

const SPOT: InstrumentId = InstrumentId(0);

/// A linear perpetual of 0.001 coin a lot, and an inverse one.
fn instruments() -> [Instrument; 2] {
    let kinds = [InstrumentKind::LinearPerpetual, InstrumentKind::InversePerpetual];
    let spec = |kind| InstrumentSpec {
        symbol: "BTC".into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick: "0.1".parse().unwrap(),
        lot: if kind == kinds[0] { "0.001" } else { "1" }.parse().unwrap(),
        multiplier: if kind == kinds[0] { "1" } else { "100" }.parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(u8::from(kind == kinds[0])),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    [0, 1].map(|n: u16| Instrument::new(InstrumentId(n), spec(kinds[usize::from(n)])).unwrap())
}

fn table() -> OrderTable {
    OrderTable::new(4, &instruments(), 7)
}

fn insert(table: &mut OrderTable, side: Side, size: i64) -> (OrderSlot, ClOrdId) {
    let purpose = Purpose::Quote { level: 0 };
    table.insert(Nanos(0), SPOT, side, purpose, Ticks(100), Lots(size)).unwrap()
}

fn event(id: ClOrdId, orig: ClOrdId, update: OrderUpdate) -> OrderEvent {
    OrderEvent {
        at: Nanos(1),
        venue_at: Nanos(1),
        stamp: Stamp(0),
        msg_seq_num: 1,
        cl_ord_id: id,
        orig_cl_ord_id: orig,
        update,
        instrument: SPOT,
        venue: VenueId(0),
    }
}

#[test]
fn ids_are_never_used_twice_even_when_orders_come_and_go() {
    let mut table = table();
    let mut seen = std::collections::BTreeSet::new();
    let (_, resting) = insert(&mut table, Side::Buy, 1);
    seen.insert(resting);
    for _ in 0..1_000 {
        let (_, id) = insert(&mut table, Side::Sell, 1);
        assert!(seen.insert(id), "{id:?} twice");
        let rejected = event(id, ClOrdId::NONE, OrderUpdate::Rejected { reason: 0 });
        assert!(matches!(table.apply(&rejected), Applied::Order { .. }));
    }
    let ack = event(resting, ClOrdId::NONE, OrderUpdate::New { leaves_qty: Lots(1) });
    assert!(matches!(table.apply(&ack), Applied::Order { .. }), "the old order is still found");
}

#[test]
fn an_order_s_first_name_outlives_its_replacements_and_its_run() {
    let mut table = table();
    let (slot, first) = insert(&mut table, Side::Buy, 1);
    let second = table.request_replace(Nanos(1), slot, Ticks(99), Lots(2)).unwrap();
    let done = OrderUpdate::Replaced { price: Ticks(99), leaves_qty: Lots(2) };
    table.apply(&event(second, first, done));
    let order = *table.get(slot).unwrap();
    assert_eq!((order.cl_ord_id, table.first_name_at(0)), (second, Some(first)));
    let mut next = OrderTable::new(4, &instruments(), 8);
    next.restore(&order, first).unwrap();
    assert_eq!((next.first_name_at(0), next.first_name_at(1)), (Some(first), None));
}

#[test]
fn a_full_table_takes_no_order() {
    let mut table = table();
    for _ in 0..4 {
        insert(&mut table, Side::Buy, 1);
    }
    assert!(!table.has_room());
    let purpose = Purpose::Hedge;
    assert!(table.insert(Nanos(0), SPOT, Side::Buy, purpose, Ticks(1), Lots(1)).is_none());
}

#[test]
fn open_size_counts_pending_and_in_doubt_orders_in_full() {
    let mut table = table();
    let (slot, id) = insert(&mut table, Side::Buy, 10);
    insert(&mut table, Side::Sell, 3);
    assert_eq!(table.open(SPOT), OpenSize { buy: Lots(10), sell: Lots(3) });
    table.request_replace(Nanos(1), slot, Ticks(99), Lots(15)).unwrap();
    assert_eq!(table.open(SPOT).buy, Lots(15));
    table.doubt(|_| true);
    assert_eq!(table.open(SPOT).buy, Lots(15));
    table.apply(&event(id, ClOrdId::NONE, OrderUpdate::Canceled { cum_qty: Lots(0) }));
    assert_eq!(table.open(SPOT), OpenSize { buy: Lots(0), sell: Lots(3) });
}

#[test]
fn the_open_exposure_of_linear_contracts_follows_their_open_size_and_inverse_ones_stay_out() {
    let mut table = table();
    let (slot, id) = insert(&mut table, Side::Buy, 10);
    let inverse = InstrumentId(1);
    table.insert(Nanos(0), inverse, Side::Buy, Purpose::Hedge, Ticks(1), Lots(7)).unwrap();
    let exposure = |table: &OrderTable, side| table.open_linear(Underlying(0), side);
    let per_lot = 1_000_000;
    table.request_replace(Nanos(1), slot, Ticks(99), Lots(15)).unwrap();
    assert_eq!(exposure(&table, Side::Buy), 15 * per_lot);
    assert_eq!(exposure(&table, Side::Sell), 0);
    table.apply(&event(id, ClOrdId::NONE, OrderUpdate::Canceled { cum_qty: Lots(0) }));
    assert_eq!(exposure(&table, Side::Buy), 0);
}

#[test]
fn a_replaced_order_answers_to_its_new_name_alone() {
    let mut table = table();
    let (slot, old) = insert(&mut table, Side::Buy, 10);
    let new = table.request_replace(Nanos(1), slot, Ticks(99), Lots(10)).unwrap();
    let replaced = OrderUpdate::Replaced { price: Ticks(99), leaves_qty: Lots(10) };
    table.apply(&event(new, old, replaced));
    assert_eq!(table.get(slot).unwrap().cl_ord_id, new);
    let canceled = OrderUpdate::Canceled { cum_qty: Lots(0) };
    assert_eq!(table.apply(&event(old, ClOrdId::NONE, canceled)), Applied::Unknown);
    assert!(matches!(table.apply(&event(new, old, canceled)), Applied::Order { .. }));
    assert_eq!(table.live(), 0);
}

#[test]
fn a_late_answer_to_an_expired_replace_still_finds_its_order() {
    let mut table = table();
    let (slot, old) = insert(&mut table, Side::Buy, 10);
    table.apply(&event(old, ClOrdId::NONE, OrderUpdate::New { leaves_qty: Lots(10) }));
    let replace = table.request_replace(Nanos(1), slot, Ticks(99), Lots(10)).unwrap();
    assert_eq!(table.expire_requests(0..table.capacity(), Nanos(100), 50), 1);
    let cancel = table.request_cancel(Nanos(100), slot).unwrap();
    assert_eq!(table.get(slot).unwrap().state, OrderState::InDoubt);
    let replaced = OrderUpdate::Replaced { price: Ticks(99), leaves_qty: Lots(10) };
    table.apply(&event(replace, old, replaced));
    assert_eq!(table.get(slot).unwrap().cl_ord_id, replace);
    let canceled = OrderUpdate::Canceled { cum_qty: Lots(0) };
    table.apply(&event(cancel, replace, canceled));
    assert_eq!((table.live(), table.open(SPOT)), (0, OpenSize::default()));
}

#[test]
fn one_request_is_under_way_at_a_time() {
    let mut table = table();
    let (slot, _) = insert(&mut table, Side::Buy, 10);
    assert!(table.request_cancel(Nanos(1), slot).is_some());
    assert!(table.request_cancel(Nanos(2), slot).is_none());
}
