//! What a fill is booked against, and that causes and total agree while the market moves on.

use super::input::Input;
use super::tests::{Desk, PERP, SPOT};
use super::*;
use crate::event::{
    ClOrdId, ExecId, Liquidity, MarketEvent, MarketUpdate, OrderAction, OrderEvent, OrderIntent,
    OrderUpdate,
};
use crate::pnl::attribution::Cause;
use crate::pnl::valuation::HalfTicks;
use crate::units::{Lots, Nanos, Notional, Side, Stamp, Ticks};

/// A market two ticks wide, as the venue had it at `venue_at`.
fn image(desk: &mut Desk, mid: i64, venue_at: u64) {
    let level = |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
    let updates = [MarketUpdate::Reset, level(Side::Buy, mid - 1), level(Side::Sell, mid + 1)];
    for (n, update) in updates.into_iter().enumerate() {
        desk.step(Input::Market(MarketEvent {
            at: Nanos(desk.now),
            venue_at: Nanos(venue_at),
            stamp: Stamp(0),
            update,
            instrument: SPOT,
            last_in_message: n == 2,
        }));
    }
}

/// A whole fill of `quote`, made at the venue's time `venue_at`.
fn fill(desk: &mut Desk, quote: &OrderIntent, venue_at: u64) {
    let update = OrderUpdate::Fill {
        exec_id: ExecId(venue_at),
        side: quote.side,
        last_px: quote.price,
        last_qty: quote.size,
        cum_qty: quote.size,
        leaves_qty: Lots(0),
        liquidity: Liquidity::Maker,
    };
    desk.step(Input::Order(OrderEvent {
        at: Nanos(desk.now),
        venue_at: Nanos(venue_at),
        stamp: Stamp(0),
        msg_seq_num: venue_at,
        cl_ord_id: quote.cl_ord_id,
        orig_cl_ord_id: ClOrdId::NONE,
        update,
        instrument: SPOT,
        venue: VenueId(0),
    }));
}

fn cause(desk: &Desk, of: Cause) -> i128 {
    let (causes, total) = desk.maker.pnl().unwrap();
    let sum: i128 = causes.iter().map(|(_, amount)| amount.0).sum();
    assert_eq!(Notional(sum), total, "to the last unit");
    causes.iter().find(|(cause, _)| *cause == of).unwrap().1.0
}

#[test]
fn a_fill_is_booked_against_the_mid_just_before_it_however_late_its_report_comes() {
    let (mut desk, quotes) = Desk::quoting();
    let ask = quotes.iter().find(|quote| quote.side == Side::Sell).unwrap();
    image(&mut desk, 600_000, 10_000);
    image(&mut desk, 600_004, 20_000);
    // What the fill at 30,000 did to the book, and what came after it, is known before the report.
    image(&mut desk, 600_050, 30_000);
    image(&mut desk, 600_070, 40_000);
    let mtm = cause(&desk, Cause::InventoryMtm);
    fill(&mut desk, ask, 30_000);
    // A tick and lot is 0.0001 USDT.
    let captured = i128::from((ask.price.0 - 600_004) * ask.size.0) * 100_000;
    assert_eq!(cause(&desk, Cause::SpreadCapture), captured);
    let ran_over = -i128::from((600_070 - 600_004) * ask.size.0) * 100_000;
    assert_eq!(cause(&desk, Cause::InventoryMtm) - mtm, ran_over, "the rest is the position's");
    assert_eq!(desk.maker.ledger().mark(SPOT), Some(HalfTicks(2 * 600_070)), "the mark stays");
}

#[test]
fn where_the_venue_does_not_say_when_the_last_mark_stands() {
    let (mut desk, quotes) = Desk::quoting();
    let bid = quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
    image(&mut desk, 600_006, 0);
    fill(&mut desk, bid, 30_000);
    let captured = i128::from((600_006 - bid.price.0) * bid.size.0) * 100_000;
    assert_eq!(cause(&desk, Cause::SpreadCapture), captured);
}

#[test]
fn a_fill_of_another_instrument_than_the_order_s_halts_both_with_their_accounts_in_doubt() {
    let (mut desk, quotes) = Desk::quoting();
    let bid = *quotes.iter().find(|quote| quote.side == Side::Buy).unwrap();
    let position = |desk: &Desk, id| desk.maker.ledger().position(id).unwrap().0;
    let before = [SPOT, PERP].map(|id| position(&desk, id));
    let sent = desk.fill(&OrderIntent { instrument: PERP, ..bid }, 10, 10);
    let after = [SPOT, PERP].map(|id| position(&desk, id));
    assert_eq!(after, [before[0], before[1] + 10], "booked as told");
    for id in [SPOT, PERP] {
        let snapshot = desk.maker.snapshot(id).unwrap();
        assert_eq!((snapshot.state, snapshot.reason), (State::Halted, Reason::Inconsistent));
    }
    assert!(sent.iter().all(|intent| intent.action == OrderAction::Cancel), "{sent:?}");
    assert!(desk.timer().iter().all(|intent| intent.action == OrderAction::Cancel));
    assert_eq!(desk.maker.resumption(1, false).unconfirmed, [SPOT, PERP]);
}
