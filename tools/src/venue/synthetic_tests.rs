//! What the synthetic market promises: repeatable, sound, correlated and busy enough to quote in.

use super::*;
use crate::venue::exchange::{Exchange, VenueOptions};
use crate::venue::order::{Answer, ExecType, Lifetime, NewOrder, Participant, Report, Request};
use crate::venue::playback::{Playback, Step};
use ballast_engine::event::{ClOrdId, InstrumentId, VenueId};
use ballast_engine::instrument::{Currency, InstrumentSpec, Underlying};
use ballast_engine::units::FeeRate;

const MINUTE_NS: u64 = 60_000_000_000;

fn table() -> Vec<Instrument> {
    let rows = [
        (InstrumentKind::Spot, "0.01", "0.00001", "1", 1),
        (InstrumentKind::LinearPerpetual, "0.1", "0.001", "1", 1),
        (InstrumentKind::InversePerpetual, "0.1", "1", "100", 0),
    ];
    let listed =
        |(n, (kind, tick, lot, multiplier, settlement)): (u16, (_, &str, &str, &str, u8))| {
            let spec = InstrumentSpec {
                symbol: format!("BTC{n}"),
                venue: VenueId(0),
                underlying: Underlying(0),
                kind,
                tick: tick.parse().unwrap(),
                lot: lot.parse().unwrap(),
                multiplier: multiplier.parse().unwrap(),
                base: Currency(0),
                quote: Currency(1),
                settlement: Currency(settlement),
                maker_fee: FeeRate(0),
                taker_fee: FeeRate(0),
            };
            Instrument::new(InstrumentId(n), spec).unwrap()
        };
    (0..).zip(rows).map(listed).collect()
}

fn minute(seed: u64) -> Synthetic {
    Synthetic::new(&table(), SyntheticOptions::new(seed, Some(MINUTE_NS)))
}

#[test]
fn one_seed_gives_one_market_until_its_end() {
    let play = |seed| {
        let mut market = minute(seed);
        let mut events = Vec::new();
        while let Some(event) = market.next().unwrap() {
            events.push(event);
        }
        events
    };
    let (first, again, other) = (play(1), play(1), play(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let start = SyntheticOptions::new(1, None).start;
    assert!(first.iter().all(|e| e.at.since(start) < MINUTE_NS + DEPTH_DELAY_NS));
    assert!(first.len() > 10_000, "{}", first.len());
}

#[test]
fn books_are_never_crossed_trades_stand_in_them_and_time_goes_on() {
    for seed in 0..4 {
        let mut books: Vec<[BTreeMap<Ticks, Lots>; 2]> = vec![Default::default(); 3];
        let mut before = Nanos(0);
        let mut market = minute(seed);
        let mut traded: BTreeMap<(usize, Ticks), i64> = BTreeMap::new();
        while let Some(event) = market.next().unwrap() {
            assert!(event.at >= before);
            before = event.at;
            let place = usize::from(event.instrument.0);
            match event.update {
                MarketUpdate::Level { side, price, size } => {
                    traded.remove(&(place, price));
                    let book = &mut books[place][side.index()];
                    if size.0 > 0 {
                        book.insert(price, size)
                    } else {
                        book.remove(&price)
                    };
                }
                MarketUpdate::Trade { aggressor, price, size } => {
                    let sum = traded.entry((place, price)).or_default();
                    *sum += size.0;
                    let shown = books[place][aggressor.opposite().index()].get(&price);
                    assert!(shown.is_some_and(|shown| *sum <= shown.0), "{event:?}");
                }
                MarketUpdate::Reset | MarketUpdate::Gap => {}
            }
            if event.last_in_message {
                let [bids, asks] = &books[place];
                assert!(bids.last_key_value().unwrap().0 < asks.first_key_value().unwrap().0);
            }
        }
    }
}

#[test]
fn spot_and_perpetual_move_together() {
    let mut market = Synthetic::new(&table(), SyntheticOptions::new(3, Some(10 * MINUTE_NS)));
    let (mut samples, mut next) = (Vec::new(), market.options.start);
    while let Some(event) = market.next().unwrap() {
        if event.at >= next {
            next = next.plus(5_000_000_000);
            let middle = |market: &Synthetic, place| {
                let [bid, ask] = Side::BOTH.map(|side| market.best(place, side).unwrap().0.0);
                (bid + ask) as f64 / 2.0 * market.markets[place].tick
            };
            samples.push((middle(&market, 0), middle(&market, 1)));
        }
    }
    let moves: Vec<(f64, f64)> =
        samples.windows(2).map(|w| (w[1].0 - w[0].0, w[1].1 - w[0].1)).collect();
    let sum = |f: fn(&(f64, f64)) -> f64| moves.iter().map(f).sum::<f64>();
    let correlation = sum(|m| m.0 * m.1) / libm::sqrt(sum(|m| m.0 * m.0) * sum(|m| m.1 * m.1));
    assert!((0.8..1.0).contains(&correlation), "{correlation}");
}

#[test]
fn market_orders_reach_less_often_the_farther_a_price_is() {
    // Counted from where each market order starts, the reach is exponential: half of the trades
    // that reach one mean distance reach another ln 2 of it.
    let mut market = Synthetic::new(&table()[..1], SyntheticOptions::new(5, Some(10 * MINUTE_NS)));
    let (mut near, mut far) = (0.0, 0.0);
    while let Some(event) = market.next().unwrap() {
        if let MarketUpdate::Trade { price, .. } = event.update {
            let middle = market.underlyings[0].price * (1.0 + market.markets[0].basis);
            let reach = ((price.0 as f64 * 0.01 - middle) / middle).abs() / REACH;
            near += f64::from(u8::from((0.4..0.6).contains(&reach)));
            far += f64::from(u8::from((1.4..1.6).contains(&reach)));
        }
    }
    let decay = libm::log(near / far);
    assert!((0.7..1.3).contains(&decay), "one mean distance further: e^-{decay}");
}

/// Keeps one lot-sized quote on each side, one level spacing behind the touch.
fn fills_of_a_plain_quoter(seed: u64) -> usize {
    let options = VenueOptions { order_latency_ns: 1_000_000, ..VenueOptions::default() };
    let mut playback = Playback::new(minute(seed), Exchange::new(&table(), options));
    let (mut next_id, mut working) = (0u64, [None::<(ClOrdId, Ticks)>; 2]);
    let (mut fills, mut reports, mut refresh) = (0, Vec::<Report>::new(), Nanos(0));
    loop {
        let step = playback.step(Nanos(u64::MAX), &mut reports).unwrap();
        for report in reports.drain(..) {
            if let Answer::Execution(report) = report.answer {
                fills += usize::from(report.exec_type == ExecType::Trade);
                if report.ord_status.is_final() {
                    let side = report.side.index();
                    working[side] = working[side].filter(|w| w.0 != report.cl_ord_id);
                }
            }
        }
        let Step::Market(event) = step else {
            if step == Step::Over {
                return fills;
            }
            continue;
        };
        if event.at < refresh {
            continue;
        }
        refresh = event.at.plus(100_000_000);
        for side in Side::BOTH {
            let Some((touch, _)) = playback.tape().best(0, side) else { continue };
            let price = Ticks(touch.0 - 30 * side.sign());
            if working[side.index()].is_some_and(|w| w.1 == price) {
                continue;
            }
            next_id += 2;
            if let Some((orig_cl_ord_id, _)) = working[side.index()] {
                let cl_ord_id = ClOrdId(next_id - 1);
                let cancel = Request::Cancel { cl_ord_id, orig_cl_ord_id };
                playback.exchange_mut().submit(event.at, Participant(0), cancel);
            }
            let new = NewOrder {
                cl_ord_id: ClOrdId(next_id),
                instrument: InstrumentId(0),
                side,
                price,
                size: Lots(1_000),
                lifetime: Lifetime::PostOnly,
            };
            playback.exchange_mut().submit(event.at, Participant(0), Request::New(new));
            working[side.index()] = Some((new.cl_ord_id, price));
        }
    }
}

#[test]
fn a_quote_near_the_touch_is_filled_a_hundred_times_a_minute() {
    for seed in 0..3 {
        let fills = fills_of_a_plain_quoter(seed);
        assert!(fills >= 100, "seed {seed}: {fills}");
    }
}
