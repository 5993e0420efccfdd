//! What the venue promises its participants, as examples and as invariants over random runs.

use super::*;
use crate::random::Random;
use ballast_engine::event::{MarketUpdate, VenueId};
use ballast_engine::instrument::{Currency, InstrumentKind, InstrumentSpec, Underlying};
use ballast_engine::units::{FeeRate, Stamp};
use proptest::prelude::*;

fn listed(kind: InstrumentKind, grid: [&str; 3], maker: i64, taker: i64) -> Instrument {
    let [tick, lot, multiplier] = grid.map(|text| text.parse().unwrap());
    let is_inverse = kind == InstrumentKind::InversePerpetual;
    let spec = InstrumentSpec {
        symbol: "BTC".into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind,
        tick,
        lot,
        multiplier,
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(u8::from(!is_inverse)),
        maker_fee: FeeRate(maker),
        taker_fee: FeeRate(taker),
    };
    Instrument::new(InstrumentId(0), spec).unwrap()
}

/// BTC/USDT, with fees in 1e-9.
pub(crate) fn spot(maker: i64, taker: i64) -> Instrument {
    listed(InstrumentKind::Spot, ["0.01", "0.00001", "1"], maker, taker)
}

/// BTC/USD contracts of 100 USD.
pub(crate) fn inverse(maker: i64, taker: i64) -> Instrument {
    listed(InstrumentKind::InversePerpetual, ["0.1", "1", "100"], maker, taker)
}

const A: Participant = Participant(0);
const B: Participant = Participant(1);
const BTC: InstrumentId = InstrumentId(0);

fn event(at: u64, update: MarketUpdate) -> MarketEvent {
    MarketEvent {
        at: Nanos(at),
        venue_at: Nanos(0),
        stamp: Stamp(0),
        update,
        instrument: BTC,
        last_in_message: true,
    }
}

fn level(side: Side, price: i64, size: i64) -> MarketUpdate {
    MarketUpdate::Level { side, price: Ticks(price), size: Lots(size) }
}

fn trade(aggressor: Side, price: i64, size: i64) -> MarketUpdate {
    MarketUpdate::Trade { aggressor, price: Ticks(price), size: Lots(size) }
}

fn new(id: u64, side: Side, price: i64, size: i64, lifetime: Lifetime) -> Request {
    let (price, size) = (Ticks(price), Lots(size));
    Request::New(NewOrder { cl_ord_id: ClOrdId(id), instrument: BTC, side, price, size, lifetime })
}

fn venue(options: VenueOptions) -> Exchange {
    let mut venue = Exchange::new(&[spot(100_000, 200_000)], options);
    for update in [level(Side::Buy, 100, 10), level(Side::Sell, 102, 10)] {
        venue.on_market(&event(0, update), &mut Vec::new());
    }
    venue
}

/// Sends one request at the venue's time and returns its answers in short.
fn ask(
    venue: &mut Exchange,
    who: Participant,
    request: Request,
) -> Vec<(ExecType, OrdStatus, i64)> {
    let mut out = Vec::new();
    venue.submit(venue.now(), who, request);
    venue.on_arrival(&mut out);
    executions(&out).map(|r| (r.exec_type, r.ord_status, r.leaves_qty.0)).collect()
}

fn executions(reports: &[Report]) -> impl Iterator<Item = &ExecutionReport> {
    reports.iter().filter_map(|report| match &report.answer {
        Answer::Execution(execution) => Some(execution),
        Answer::CancelReject(_)
        | Answer::MassCanceled { .. }
        | Answer::Listed { .. }
        | Answer::Position { .. } => None,
    })
}

fn refusal(venue: &mut Exchange, who: Participant, request: Request) -> (u16, OrdStatus) {
    let mut out = Vec::new();
    venue.submit(venue.now(), who, request);
    venue.on_arrival(&mut out);
    match out.as_slice() {
        [Report { answer: Answer::CancelReject(reject), .. }] => {
            (reject.refusal.cxl_rej_reason(), reject.ord_status)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn orders_arrive_after_the_order_latency_and_answers_take_as_long_back() {
    let options = VenueOptions { order_latency_ns: 5, feed_latency_ns: 3, ..Default::default() };
    let mut venue = venue(options);
    venue.submit(Nanos(100), A, new(1, Side::Buy, 99, 1, Lifetime::PostOnly));
    assert_eq!(venue.next_arrival(), Some(Nanos(105)));
    let mut out = Vec::new();
    venue.on_arrival(&mut out);
    assert_eq!((out[0].at, out[0].deliver_at), (Nanos(105), Nanos(110)));
    let seen = venue.on_market(&event(200, trade(Side::Buy, 102, 1)), &mut out);
    assert_eq!(seen.at, Nanos(203));
}

#[test]
fn a_post_only_order_that_would_take_is_rejected_and_ioc_does_not_rest() {
    let mut venue = venue(VenueOptions::default());
    let rejected = ask(&mut venue, A, new(1, Side::Buy, 102, 1, Lifetime::PostOnly));
    assert_eq!(rejected, [(ExecType::Rejected, OrdStatus::Rejected, 0)]);
    let taken = ask(&mut venue, A, new(2, Side::Buy, 102, 12, Lifetime::ImmediateOrCancel));
    assert_eq!(
        taken,
        [
            (ExecType::New, OrdStatus::New, 12),
            (ExecType::Trade, OrdStatus::PartiallyFilled, 2),
            (ExecType::Canceled, OrdStatus::Canceled, 0),
        ]
    );
    assert_eq!((venue.position(A, BTC), venue.live_orders(A)), (Lots(10), 0));
}

#[test]
fn a_used_cl_ord_id_is_refused_for_ever() {
    let mut venue = venue(VenueOptions::default());
    ask(&mut venue, A, new(1, Side::Buy, 99, 1, Lifetime::PostOnly));
    let mut out = Vec::new();
    venue.submit(Nanos(1), A, new(1, Side::Buy, 98, 1, Lifetime::PostOnly));
    venue.on_arrival(&mut out);
    let reason = executions(&out).next().unwrap().refusal.unwrap().ord_rej_reason();
    assert_eq!(reason, 6);
    let other = ask(&mut venue, B, new(1, Side::Buy, 98, 1, Lifetime::PostOnly));
    assert_eq!(
        other,
        [(ExecType::New, OrdStatus::New, 1)],
        "another participant's ids are its own"
    );
}

#[test]
fn a_smaller_size_keeps_the_place_and_anything_else_loses_it() {
    for (price, size, is_first) in [(101, 2, true), (101, 4, false), (100, 3, false)] {
        let mut venue = venue(VenueOptions::default());
        ask(&mut venue, A, new(1, Side::Buy, 101, 3, Lifetime::PostOnly));
        ask(&mut venue, B, new(1, Side::Buy, 101, 3, Lifetime::PostOnly));
        let (cl_ord_id, orig_cl_ord_id) = (ClOrdId(2), ClOrdId(1));
        let (price, size) = (Ticks(price), Lots(size));
        let replace = Request::Replace { cl_ord_id, orig_cl_ord_id, price, size };
        let answer = ask(&mut venue, A, replace);
        assert_eq!(answer, [(ExecType::Replaced, OrdStatus::New, size.0)]);
        venue.on_market(&event(1, trade(Side::Sell, 101, 1)), &mut Vec::new());
        assert_eq!(venue.position(A, BTC) == Lots(1), is_first, "{price:?} {size:?}");
        assert_eq!(venue.position(B, BTC) == Lots(1), !is_first);
    }
}

#[test]
fn a_size_not_above_what_traded_leaves_the_order_filled() {
    let mut venue = venue(VenueOptions::default());
    ask(&mut venue, A, new(1, Side::Buy, 101, 3, Lifetime::PostOnly));
    venue.on_market(&event(1, trade(Side::Sell, 101, 2)), &mut Vec::new());
    let (cl_ord_id, orig_cl_ord_id) = (ClOrdId(2), ClOrdId(1));
    let replace = Request::Replace { cl_ord_id, orig_cl_ord_id, price: Ticks(99), size: Lots(1) };
    assert_eq!(ask(&mut venue, A, replace), [(ExecType::Replaced, OrdStatus::Filled, 0)]);
    assert_eq!(venue.live_orders(A), 0);
}

#[test]
fn cancels_that_come_too_late_or_from_nowhere_are_refused_with_the_reason() {
    let mut venue = venue(VenueOptions::default());
    let cancel =
        |id, orig| Request::Cancel { cl_ord_id: ClOrdId(id), orig_cl_ord_id: ClOrdId(orig) };
    assert_eq!(refusal(&mut venue, A, cancel(1, 9)), (1, OrdStatus::Rejected));
    ask(&mut venue, A, new(2, Side::Buy, 99, 1, Lifetime::PostOnly));
    assert_eq!(refusal(&mut venue, A, cancel(2, 2)), (6, OrdStatus::New));
    assert_eq!(ask(&mut venue, A, cancel(3, 2)), [(ExecType::Canceled, OrdStatus::Canceled, 0)]);
    assert_eq!(refusal(&mut venue, A, cancel(4, 2)), (0, OrdStatus::Canceled));
    assert_eq!(refusal(&mut venue, B, cancel(5, 2)), (1, OrdStatus::Rejected));
}

#[test]
fn a_post_only_replace_that_would_take_leaves_the_order_as_it_was() {
    let mut venue = venue(VenueOptions::default());
    ask(&mut venue, A, new(1, Side::Buy, 99, 1, Lifetime::PostOnly));
    let (cl_ord_id, orig_cl_ord_id) = (ClOrdId(2), ClOrdId(1));
    let replace = Request::Replace { cl_ord_id, orig_cl_ord_id, price: Ticks(102), size: Lots(1) };
    assert_eq!(refusal(&mut venue, A, replace), (99, OrdStatus::New));
    assert_eq!(venue.live_orders(A), 1);
}

#[test]
fn cancel_all_ends_every_order_of_one_participant_alone() {
    let mut venue = venue(VenueOptions::default());
    for id in 1..=3 {
        ask(&mut venue, A, new(id, Side::Buy, 99, 1, Lifetime::PostOnly));
    }
    ask(&mut venue, B, new(1, Side::Buy, 99, 1, Lifetime::PostOnly));
    let ended = ask(&mut venue, A, Request::CancelAll { instrument: Some(BTC) });
    assert_eq!(ended, [(ExecType::Canceled, OrdStatus::Canceled, 0); 3]);
    assert_eq!((venue.live_orders(A), venue.live_orders(B)), (0, 1));
}

/// A random run; the reports of each step are handed to `check` with what caused them.
fn random_run(seed: u64, mut check: impl FnMut(&Exchange, Option<&MarketUpdate>, &[Report])) {
    let mut random = Random::new(seed);
    let queue_model = match random.below(2) {
        0 => QueueModel::BackOfQueue,
        _ => QueueModel::Probabilistic { power: 1 + random.below(4) as u32 },
    };
    let self_match = [SelfMatch::Allow, SelfMatch::CancelResting, SelfMatch::CancelIncoming]
        [random.below(3) as usize];
    let options = VenueOptions { queue_model, self_match, ..Default::default() };
    let mut venue = venue(options);
    let side = |random: &mut Random| Side::BOTH[random.below(2) as usize];
    for step in 1..400u64 {
        let (price, size) = (96 + random.below(10) as i64, random.below(12) as i64);
        let mut reports = Vec::new();
        let update = match random.below(5) {
            0 => Some(level(side(&mut random), price, size)),
            1 => Some(trade(side(&mut random), price, size + 1)),
            _ => None,
        };
        if let Some(update) = &update {
            venue.on_market(&event(step, *update), &mut reports);
        } else {
            let who = Participant(random.below(3) as u16);
            let request = match random.below(4) {
                0 => Request::Cancel {
                    cl_ord_id: ClOrdId(step),
                    orig_cl_ord_id: ClOrdId(random.below(step)),
                },
                1 => Request::Replace {
                    cl_ord_id: ClOrdId(step),
                    orig_cl_ord_id: ClOrdId(random.below(step)),
                    price: Ticks(price),
                    size: Lots(size),
                },
                kind => {
                    let lifetime =
                        [Lifetime::PostOnly, Lifetime::ImmediateOrCancel][usize::from(kind == 3)];
                    new(step, side(&mut random), price, size, lifetime)
                }
            };
            venue.submit(Nanos(step), who, request);
            venue.on_arrival(&mut reports);
        }
        check(&venue, update.as_ref(), &reports);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_tape_event_fills_more_than_its_volume(seed: u64) {
        random_run(seed, |_, update, reports| {
            let filled: i64 = executions(reports).filter_map(|r| r.last).map(|l| l.size.0).sum();
            match update {
                Some(MarketUpdate::Trade { size, .. } | MarketUpdate::Level { size, .. }) => {
                    assert!(filled <= size.0, "{filled} of {update:?}");
                }
                Some(MarketUpdate::Reset | MarketUpdate::Gap) | None => {}
            }
        });
    }

    #[test]
    fn queues_are_never_negative_and_hold_exactly_the_live_orders(seed: u64) {
        random_run(seed, |venue, _, _| {
            let market = venue.market(BTC).unwrap();
            let mut resting = 0;
            for side in Side::BOTH {
                for price in 90..110 {
                    for order in market.resting(side).at(Ticks(price)) {
                        assert!(order.ahead.0 >= 0 && order.leaves.0 > 0, "{order:?}");
                        assert_eq!(venue.order(order.order).leaves(), order.leaves);
                        resting += 1;
                    }
                }
            }
            let live: usize = (0..3).map(|p| venue.live_orders(Participant(p))).sum();
            assert_eq!(resting, live);
        });
    }

    #[test]
    fn positions_are_the_sums_of_fills_and_every_report_adds_up(seed: u64) {
        let mut sums = [0i64; 3];
        random_run(seed, |venue, _, reports| {
            for report in executions(reports) {
                assert!(report.cum_qty.0 + report.leaves_qty.0 <= report.order_qty.0.max(0));
                if let Some(last) = report.last {
                    let order = venue.order(report.order_id);
                    sums[usize::from(order.participant.0)] += report.side.sign() * last.size.0;
                }
            }
            for (participant, sum) in sums.iter().enumerate() {
                assert_eq!(venue.position(Participant(participant as u16), BTC), Lots(*sum));
            }
        });
    }

    #[test]
    fn what_participants_trade_among_themselves_sums_to_zero(seed: u64) {
        random_run(seed, |_, update, reports| {
            if update.is_some() {
                return;
            }
            // An arrival's maker fills each stand beside a taker fill of the same price and size.
            let fills: Vec<_> = executions(reports)
                .filter_map(|r| r.last.map(|l| (r.side, l.price, l.size, l.liquidity)))
                .collect();
            for (index, (side, price, size, liquidity)) in fills.iter().enumerate() {
                if *liquidity == Liquidity::Maker {
                    let taker = (side.opposite(), *price, *size, Liquidity::Taker);
                    assert_eq!(fills[index - 1], taker);
                }
            }
        });
    }

    #[test]
    fn of_two_orders_the_better_priced_and_then_the_earlier_fills_first(seed: u64) {
        let mut random = Random::new(seed);
        let mut venue = venue(VenueOptions::default());
        let mut placed = Vec::new();
        for id in 1..=8u64 {
            let price = 97 + random.below(5) as i64;
            ask(&mut venue, Participant(id as u16), new(id, Side::Buy, price, 5, Lifetime::PostOnly));
            placed.push((-price, id));
        }
        placed.sort();
        let mut order_of_fills: Vec<(i64, u64)> = Vec::new();
        for step in 0..40 {
            let mut reports = Vec::new();
            venue.on_market(&event(step, trade(Side::Sell, 97, 4)), &mut reports);
            for report in executions(&reports) {
                let fill = (-report.price.0, report.cl_ord_id.0);
                if order_of_fills.last() != Some(&fill) {
                    order_of_fills.push(fill);
                }
            }
        }
        prop_assert_eq!(order_of_fills, placed);
    }
}

#[test]
fn the_same_seed_gives_the_same_reports() {
    let run = || {
        let mut all = Vec::new();
        random_run(7, |_, _, reports| all.extend_from_slice(reports));
        all
    };
    assert_eq!(run(), run());
}
