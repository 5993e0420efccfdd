//! Fills that are taken back or corrected: the account is the one that never had them.

use super::*;
use ballast_engine::pnl::ledger::undo::Booking;

/// Two accounts with every mark and rate known: what is opened is the same in both.
fn marked(reporting: Currency) -> Ledger {
    let mut ledger = ledger(reporting);
    for (id, mark) in [(SPOT, 12_337_200), (PERPETUAL, 1_233_720), (COIN, 1_233_720), (DATED, 10)] {
        ledger.on_mark(id, HalfTicks(mark)).unwrap();
    }
    for currency in [USD, USDT, BTC].into_iter().filter(|currency| *currency != reporting) {
        ledger.on_conversion(currency, ConversionRate(1_000_000_007)).unwrap();
    }
    ledger
}

fn cash_and_lots(ledger: &Ledger) -> ([Option<Notional>; 3], [Option<Lots>; 4]) {
    (
        [USD, USDT, BTC].map(|currency| ledger.cash(currency)),
        [SPOT, PERPETUAL, COIN, DATED].map(|id| ledger.position(id)),
    )
}

#[test]
fn causes_sum_to_the_total_while_fills_are_taken_back_and_corrected() {
    for reporting in [USD, USDT, BTC] {
        for seed in 0..40u64 {
            let mut random = Random(seed ^ 0xB057);
            let mut ledger = marked(reporting);
            let mut bookings = Vec::new();
            for event in 0..600 {
                let place = random.below(bookings.len().max(1) as u64) as usize;
                match random.below(6) {
                    0..=2 => bookings.push(ledger.book(&fill(&mut random, false)).unwrap()),
                    3 if !bookings.is_empty() => {
                        let was: Booking = bookings.swap_remove(place);
                        ledger.undo(&was).unwrap();
                        if random.below(2) == 0 {
                            let size = Lots(was.fill.size.0 + random.between(0, 9));
                            let price = Ticks(was.fill.price.0 + random.between(-9, 9));
                            let really = BookedFill { price, size, ..was.fill };
                            bookings.push(ledger.book(&really).unwrap());
                        }
                    }
                    _ => _ = step(&mut ledger, &mut random, false),
                }
                let total = ledger.total().unwrap().0;
                assert_eq!(sum(ledger.causes()), total, "{reporting:?} seed {seed} event {event}");
            }
        }
    }
}

#[test]
fn an_account_whose_false_fills_are_taken_back_is_the_one_that_never_had_them() {
    for reporting in [USD, USDT, BTC] {
        for seed in 0..60u64 {
            let mut random = Random(seed ^ 0xFA15E);
            let (mut told, mut truth) = (marked(reporting), marked(reporting));
            let mut false_ones = Vec::new();
            for _ in 0..400 {
                let event = fill(&mut random, false);
                match random.below(4) {
                    0 => {
                        // Where it is marked as well, both are.
                        let mid = event.mid.unwrap_or(HalfTicks(event.price.0 * 2));
                        told.on_mark(event.instrument, mid).unwrap();
                        truth.on_mark(event.instrument, mid).unwrap();
                    }
                    1 => false_ones.push(told.book(&event).unwrap()),
                    2 if !false_ones.is_empty() => {
                        let place = random.below(false_ones.len() as u64) as usize;
                        told.undo(&false_ones.swap_remove(place)).unwrap();
                    }
                    _ => {
                        // Against the same mid in both: the false ones have moved the last mark.
                        let mid = Some(event.mid.unwrap_or(HalfTicks(event.price.0 * 2)));
                        let event = BookedFill { mid, ..event };
                        told.on_fill(&event).unwrap();
                        truth.on_fill(&event).unwrap();
                    }
                }
                assert_eq!(sum(told.causes()), told.total().unwrap().0, "seed {seed}");
            }
            for booking in &false_ones {
                told.undo(booking).unwrap();
            }
            for id in [SPOT, PERPETUAL, COIN, DATED] {
                let mark = truth.mark(id).unwrap();
                told.on_mark(id, mark).unwrap();
            }
            assert_eq!(cash_and_lots(&told), cash_and_lots(&truth), "{reporting:?} seed {seed}");
            assert_eq!(told.total(), truth.total(), "{reporting:?} seed {seed}");
            for currency in [USD, USDT, BTC] {
                let own =
                    |ledger: &Ledger, cause: Cause| ledger.causes_of(currency)[cause as usize];
                for cause in [Cause::SpreadCapture, Cause::HedgeCost, Cause::Fees, Cause::Rebates] {
                    assert_eq!(own(&told, cause), own(&truth, cause), "{cause:?} seed {seed}");
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_taken_back_is_left_as_it_is() {
    let mut ledger = marked(USDT);
    let fill = BookedFill {
        instrument: SPOT,
        side: Side::Sell,
        price: Ticks(6_168_600),
        size: Lots(5),
        liquidity: Liquidity::Maker,
        purpose: Purpose::Quote,
        mid: None,
    };
    let booking = ledger.book(&fill).unwrap();
    ledger.on_transfer(Holding::Position(SPOT), i64::MAX - 99_995).unwrap();
    let before = (cash_and_lots(&ledger), ledger.causes(), ledger.total());
    assert_eq!(ledger.undo(&booking), Err(LedgerError::DoesNotFit(SPOT)));
    assert_eq!((cash_and_lots(&ledger), ledger.causes(), ledger.total()), before);
}
