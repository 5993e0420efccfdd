//! Rebalancing through the maker: legs, transfers, what limits and cash leave, and a restart between.

use super::config::*;
use super::control::{Act, User};
use super::input::{Control, Input};
use super::tests::{Desk, config, instrument_at, quote_settings, settings};
use super::*;
use crate::event::*;
use crate::inventory::holdings::PlaceTerms;
use crate::inventory::rebalance::{Balance, Means, RebalanceConfig, TransferTerms};
use crate::inventory::transfer::{TransferId, TransferStage};
use crate::pnl::ledger::Holding;
use crate::risk::gate::{BlockReason, Proposal};
use crate::risk::order_to_trade::OrderToTradeLimit;
use crate::risk::throttle::MessageRate;
use crate::units::*;

const HERE: InstrumentId = InstrumentId(0);
const THERE: InstrumentId = InstrumentId(1);
const COIN: Currency = Currency(0);
const CASH: Currency = Currency(1);
/// 1e-9 of a coin in a lot of 0.001.
const LOT: i64 = 1_000_000;

fn place(venue: u8, currency: Currency, opening: i64) -> PlaceTerms {
    let (weight_ppm, tolerance_ppm) = (500_000, 100_000);
    PlaceTerms { venue: VenueId(venue), currency, weight_ppm, tolerance_ppm, opening }
}

/// Two spot venues, 2 coins and 240,000 of money in all.
fn two_venues(coins: [i64; 2], thousands: [i64; 2]) -> MakerConfig {
    let mut config = config();
    config.instruments =
        [0u8, 1].map(|n| instrument_at(n.into(), InstrumentKind::Spot, VenueId(n))).to_vec();
    config.settings = coins.map(|lots| settings(None, lots)).to_vec();
    config.message_rates = vec![MessageRate { max: 100, window_ns: 1_000, cancel_reserve: 20 }; 2];
    config.order_to_trade = vec![OrderToTradeLimit { max: 100, grace: 1_000 }; 2];
    config.underlyings[0].target = Exposure(coins.iter().sum::<i64>() * LOT);
    config.underlyings[0].hedge = None;
    let cash = thousands.map(|k| k * 1_000_000_000_000);
    config.opening_cash = vec![(CASH, Notional(i128::from(cash[0] + cash[1])))];
    let offset = |id| HedgeInstrument { instrument: id, collar: Ticks(50) };
    config.rebalance = RebalanceConfig {
        every_ns: 1_000,
        idle_ppb_day: 50_000,
        places: vec![
            place(0, COIN, 0),
            place(1, COIN, 0),
            place(0, CASH, cash[0]),
            place(1, CASH, cash[1]),
        ],
        transfers: vec![TransferTerms {
            currency: COIN,
            minimum: 10 * LOT,
            fee: LOT,
            time_ns: 1_000_000_000,
        }],
        offsets: vec![offset(HERE), offset(THERE)],
    };
    config
}

fn up(desk: &mut Desk) {
    for venue in [VenueId(0), VenueId(1)] {
        desk.step(Input::Order(OrderEvent {
            at: Nanos(desk.now),
            venue_at: Nanos(desk.now),
            stamp: Stamp(0),
            msg_seq_num: 0,
            cl_ord_id: ClOrdId::NONE,
            orig_cl_ord_id: ClOrdId::NONE,
            update: OrderUpdate::SessionUp,
            instrument: InstrumentId(venue.0.into()),
            venue,
        }));
    }
}

fn desk(config: &MakerConfig) -> Desk {
    let mut desk = Desk::with(config);
    up(&mut desk);
    desk.image(HERE, 600_000);
    desk.image(THERE, 600_000);
    desk
}

fn act(desk: &mut Desk, act: Act) -> Vec<OrderIntent> {
    desk.control(Control::By { user: User::NOBODY, second: User::NOBODY, act })
}

fn position(desk: &Desk, id: InstrumentId) -> i64 {
    desk.maker.ledger().position(id).unwrap().0
}

fn cause(desk: &Desk, cause: crate::pnl::attribution::Cause) -> i128 {
    let (causes, total) = desk.maker.pnl().unwrap();
    assert_eq!(causes.iter().map(|(_, amount)| amount.0).sum::<i128>(), total.0);
    causes.iter().find(|(of, _)| *of == cause).unwrap().1.0
}

use crate::pnl::attribution::Cause;

#[test]
fn an_offset_is_two_legs_and_the_second_asks_for_what_the_first_traded() {
    let mut config = two_venues([1_400, 600], [96, 144]);
    config.rebalance.transfers.clear();
    let mut desk = desk(&config);
    let sent = desk.timer();
    // 0.4 should move; an order may be 100 lots, a leg what the soft limit is.
    let first = *sent.first().expect("a leg");
    assert_eq!((sent.len(), first.instrument, first.side), (1, HERE, Side::Sell));
    assert_eq!((first.size, first.time_in_force), (Lots(50), TimeInForce::ImmediateOrCancel));
    desk.accept(&first);
    desk.fill(&first, 20, 20);
    let canceled = OrderUpdate::Canceled { cum_qty: Lots(20) };
    let sent = desk.report(first.cl_ord_id, ClOrdId::NONE, HERE, canceled);
    let second = *sent.first().expect("the other leg");
    assert_eq!((sent.len(), second.instrument), (1, THERE));
    assert_eq!((second.side, second.size), (Side::Buy, Lots(20)));
    desk.accept(&second);
    desk.fill(&second, 20, 20);
    assert_eq!((position(&desk, HERE), position(&desk, THERE)), (1_380, 620));
    assert_eq!(desk.maker.delta(0), Some(Exposure(0)));
    assert!(cause(&desk, Cause::RebalanceCost) < 0 && cause(&desk, Cause::HedgeCost) == 0);
    assert!(!desk.timer().is_empty(), "what is left goes on");
}

#[test]
fn an_offset_whose_first_leg_trades_nothing_is_over_and_no_hedge_has_failed() {
    let mut config = two_venues([1_400, 600], [96, 144]);
    config.rebalance.transfers.clear();
    let mut desk = desk(&config);
    for _ in 0..10 {
        let first = *desk.timer().first().expect("a leg");
        let canceled = OrderUpdate::Canceled { cum_qty: Lots(0) };
        assert!(desk.report(first.cl_ord_id, ClOrdId::NONE, HERE, canceled).is_empty());
    }
    assert_ne!(desk.maker.snapshot(HERE).unwrap().state, State::Halted);
}

#[test]
fn no_offset_goes_while_a_loss_or_a_cool_down_stops_quoting() {
    let mut config = two_venues([1_400, 600], [96, 144]);
    config.rebalance.transfers.clear();
    config.portfolio.loss.daily_max = Notional(1_000_000_000);
    let mut desk = desk(&config);
    let is_offset = |desk: &mut Desk| {
        let sent = desk.timer();
        for leg in &sent {
            let canceled = OrderUpdate::Canceled { cum_qty: Lots(0) };
            desk.report(leg.cl_ord_id, ClOrdId::NONE, leg.instrument, canceled);
        }
        !sent.is_empty()
    };
    assert!(is_offset(&mut desk));
    let now = Nanos(desk.now);
    let pool = &mut desk.maker.pools[0];
    assert!(pool.protection.on_fill(now, Exposure(i64::MAX)));
    assert!(!is_offset(&mut desk), "it cools down");
    desk.maker.pools[0].protection.reset();
    assert!(is_offset(&mut desk));
    // 2,000 lots, and each loses 0.01.
    desk.image(HERE, 599_900);
    desk.image(THERE, 599_900);
    assert!(!is_offset(&mut desk));
    assert_eq!(desk.maker.loss.stopped(), Some(Reason::DailyLoss));
}

#[test]
fn an_offset_that_would_make_money_stray_is_none() {
    // Coin and money are both at the same venue: selling there brings it more money still.
    let mut config = two_venues([1_400, 600], [168, 72]);
    config.rebalance.transfers.clear();
    let mut desk = desk(&config);
    assert!(desk.timer().is_empty());
    assert_eq!(desk.maker.balances()[0].balance, Balance::Stuck);
}

fn asked(desk: &Desk) -> TransferId {
    let open: Vec<_> = desk.maker.transfers().collect();
    assert_eq!(open.len(), 1, "{open:?}");
    open[0].id
}

#[test]
fn coins_on_their_way_are_ours_all_the_while_and_nobody_hedges_them() {
    let mut config = two_venues([1_400, 600], [120, 120]);
    config.rebalance.offsets.clear();
    let mut desk = desk(&config);
    assert!(desk.timer().is_empty());
    let id = asked(&desk);
    assert_eq!(desk.maker.balances()[0].balance, Balance::Moving(Means::Transfer));
    desk.timer();
    assert_eq!(asked(&desk), id, "what was asked for is not asked for again");
    act(&mut desk, Act::TransferArrived { id, came: 5 });
    assert_eq!(asked(&desk), id, "what was not sent cannot arrive");
    act(&mut desk, Act::TransferSent { id, leaves: 400 * LOT });
    assert_eq!((position(&desk, HERE), position(&desk, THERE)), (1_000, 600));
    assert_eq!(desk.maker.ledger().owned(THERE), Some(Lots(999)), "less the fee of a lot");
    assert_eq!(desk.maker.delta(0), Some(Exposure(-LOT)), "the fee alone is gone");
    desk.timer();
    assert_eq!(asked(&desk), id, "what is on its way counts where it goes");
    act(&mut desk, Act::TransferArrived { id, came: 398 * LOT });
    assert_eq!((position(&desk, HERE), position(&desk, THERE)), (1_000, 998));
    assert_eq!(desk.maker.delta(0), Some(Exposure(-2 * LOT)), "one more did not come");
    // Two lots at 60,000.
    assert_eq!(cause(&desk, Cause::RebalanceCost), -120_000_000_000);
    let flows = desk.maker.transfer_flows(COIN);
    assert_eq!(flows.sent - flows.arrived, flows.lost);
    assert_eq!(desk.maker.transfers().count(), 0);
}

#[test]
fn a_transfer_that_comes_back_is_where_it_was_less_what_that_cost() {
    let mut config = two_venues([1_400, 600], [120, 120]);
    config.rebalance.offsets.clear();
    let mut desk = desk(&config);
    desk.timer();
    let id = asked(&desk);
    act(&mut desk, Act::TransferSent { id, leaves: 400 * LOT });
    act(&mut desk, Act::TransferRefused { id, came: 399 * LOT });
    assert_eq!((position(&desk, HERE), position(&desk, THERE)), (1_399, 600));
    assert_eq!(desk.maker.ledger().away(THERE), Some(Lots(0)));
}

#[test]
fn no_transfer_brings_a_position_beyond_its_limit() {
    let mut config = two_venues([1_400, 600], [120, 120]);
    config.rebalance.offsets.clear();
    config.settings[1].limits.position_max = Lots(700);
    let mut desk = desk(&config);
    desk.timer();
    let open = *desk.maker.transfers().next().unwrap();
    assert_eq!((open.leaves, open.arrives), (101 * LOT, 100 * LOT));
    desk.timer();
    assert_eq!(desk.maker.transfers().count(), 1, "what was asked for fills the room");
}

#[test]
fn bids_leave_room_for_the_coins_that_are_on_their_way() {
    let mut config = two_venues([1_400, 600], [120, 120]);
    config.rebalance.offsets.clear();
    config.settings[1].limits.position_max = Lots(1_012);
    config.settings[1].quote = Some(quote_settings());
    let mut desk = desk(&config);
    let bids = |desk: &Desk| desk.maker.orders.open(THERE).buy;
    assert_eq!(bids(&desk), Lots(20), "both levels");
    desk.timer();
    let open = *desk.maker.transfers().next().expect("a transfer");
    assert_eq!(open.arrives, 392 * LOT, "the bids may trade yet");
    act(&mut desk, Act::TransferSent { id: open.id, leaves: open.leaves });
    let orders: Vec<_> = (0..desk.maker.orders.capacity())
        .filter_map(|n| desk.maker.orders.at(n))
        .filter(|(_, order)| order.side == Side::Buy)
        .collect();
    for (_, order) in orders {
        let update = OrderUpdate::Fill {
            exec_id: ExecId(order.cl_ord_id.0),
            side: Side::Buy,
            last_px: order.price,
            last_qty: Lots(10),
            cum_qty: Lots(10),
            leaves_qty: Lots(0),
            liquidity: Liquidity::Maker,
        };
        desk.report(order.cl_ord_id, ClOrdId::NONE, THERE, update);
    }
    assert_eq!((position(&desk, THERE), bids(&desk)), (620, Lots(0)), "all the room is taken");
    let blocked = desk.maker.counters().blocked;
    desk.image(THERE, 600_001);
    assert_eq!(bids(&desk), Lots(0));
    assert_eq!(desk.maker.counters().blocked, blocked, "nor tried at the gate");
    act(&mut desk, Act::TransferArrived { id: open.id, came: open.arrives });
    assert_eq!(position(&desk, THERE), 1_012, "the limit, and not a lot more");
}

#[test]
fn what_is_on_its_way_survives_a_restart() {
    let mut config = two_venues([1_400, 600], [168, 72]);
    config.rebalance.offsets.clear();
    config.rebalance.transfers.push(TransferTerms {
        currency: CASH,
        minimum: 1_000_000_000,
        fee: 5_000_000_000,
        time_ns: 0,
    });
    config.rebalance.transfers[1].minimum = 10_000_000_000;
    let mut desk = desk(&config);
    desk.timer();
    let open: Vec<_> = desk.maker.transfers().copied().collect();
    assert_eq!(open.len(), 2, "coin and money: {open:?}");
    for transfer in &open {
        act(&mut desk, Act::TransferSent { id: transfer.id, leaves: transfer.leaves });
    }
    let delta = desk.maker.delta(0);
    let mut next = config.clone();
    next.epoch = 2;
    desk.maker.resumption(1, false).begin(&mut next);
    let mut again = self::desk(&next);
    let left: Vec<_> = again.maker.transfers().map(|t| (t.id, t.stage)).collect();
    let were = open.iter().map(|t| (t.id, TransferStage::Sent)).collect::<Vec<_>>();
    assert_eq!(left, were);
    assert_eq!(again.maker.delta(0), delta);
    let [before, after] =
        [&desk, &again].map(|desk| desk.maker.places().map(|p| p.held).collect::<Vec<_>>());
    assert_eq!(before, after);
    for transfer in &open {
        act(&mut again, Act::TransferArrived { id: transfer.id, came: transfer.arrives });
    }
    again.timer();
    let cash: Vec<_> = again.maker.places().filter(|p| p.currency == CASH).collect();
    let totals: Vec<_> = cash.iter().map(|place| place.held.unwrap().total).collect();
    assert_eq!(totals, [120_000_000_000_000, 119_995_000_000_000]);
    assert_ne!(again.maker.snapshot(HERE).unwrap().reason, Reason::HoldingsDiffer);
}

#[test]
fn bids_keep_within_the_cash_of_their_venue_and_come_back_with_it() {
    let mut config = two_venues([1_000, 1_000], [0, 240]);
    (config.rebalance.offsets, config.rebalance.transfers) = (vec![], vec![]);
    for settings in &mut config.settings {
        settings.quote = Some(quote_settings());
    }
    let mut desk = Desk::with(&config);
    up(&mut desk);
    let bids = |sent: &[OrderIntent]| sent.iter().filter(|i| i.side == Side::Buy).count();
    let here = desk.image(HERE, 600_000);
    assert_eq!((bids(&here), here.len()), (0, 2), "no money, no bid");
    assert_eq!(bids(&desk.image(THERE, 600_000)), 2);
    let holding = Holding::CashAt { venue: VenueId(0), currency: CASH };
    let sent = act(&mut desk, Act::Transfer { holding, amount: 605_000_000_000 });
    let bid = *sent.iter().find(|i| i.side == Side::Buy).expect("money for one level");
    assert_eq!((bids(&sent), bid.size), (1, Lots(10)), "10 lots take 600 and a fee");
    desk.accept(&bid);
    desk.fill(&bid, 10, 10);
    assert!(bids(&desk.timer()) == 0, "it is spent");
    let place = desk.maker.places().nth(2).unwrap();
    assert_eq!((place.venue, place.currency), (VenueId(0), CASH));
    assert!(place.held.unwrap().total < 110_000_000_000);
    assert_eq!(desk.maker.counters().blocked.iter().sum::<u64>(), 0);
}

#[test]
fn an_operator_s_trade_and_cash_without_a_place_keep_the_sums() {
    let config = two_venues([1_000, 1_000], [120, 120]);
    let mut desk = desk(&config);
    let (side, price, size) = (Side::Buy, Ticks(600_000), Lots(3));
    act(&mut desk, Act::Trade { instrument: THERE, side, price, size });
    act(&mut desk, Act::Adjust { holding: Holding::Cash(CASH), amount: 7 });
    act(&mut desk, Act::Funding { instrument: HERE, received: -9 });
    desk.timer();
    let totals: Vec<_> = desk.maker.places().map(|place| place.held.unwrap().total).collect();
    assert_eq!(totals[..2], [1_000 * i128::from(LOT), 1_003 * i128::from(LOT)]);
    assert_eq!(totals[2], 119_999_999_999_991);
    // 180 of value and 4.5 basis points of fee.
    assert_eq!(totals[3], 120_000_000_000_000 - 180_000_000_000 - 81_000_000);
}

#[test]
fn spot_is_bought_with_the_last_unit_of_cash_and_not_with_one_that_is_not_there() {
    // 600 of value and 4.5 basis points of fee.
    let needed = 600_270_000_000;
    for (cash, is_blocked) in
        [(i64::MAX, false), (needed, false), (needed - 1, true), (0, true), (-1, true)]
    {
        let mut config = two_venues([1_000, 1_000], [0, 0]);
        config.rebalance.places[2].opening = cash;
        config.opening_cash = vec![(CASH, Notional(cash.into()))];
        let maker = Maker::new(&config).unwrap();
        let line = maker.line(HERE).unwrap();
        let (size, price) = (Lots(10), Ticks(600_000));
        let buy = Proposal { instrument: HERE, side: Side::Buy, price, size, added: size };
        let blocked = is_blocked.then_some(BlockReason::Cash);
        assert_eq!(maker.cash_block(line, &buy), blocked, "{cash}");
        // What asks for no more than works, and what brings cash, takes none.
        let nothing = Proposal { added: Lots(0), ..buy };
        assert_eq!(maker.cash_block(line, &nothing), (cash < 0).then_some(BlockReason::Cash));
        assert_eq!(maker.cash_block(line, &Proposal { side: Side::Sell, ..buy }), None);
        let extreme = Proposal { price: Ticks(i64::MAX), added: Lots(i64::MAX), ..buy };
        assert_eq!(maker.cash_block(line, &extreme), Some(BlockReason::Cash));
    }
}
