//! The exact queue against a count by hand: on the real recording of single orders, what stands ahead
//! of an order is what those that arrived before it still have in the book.

use ballast::recording::found::Folder;
use ballast::venue::exchange::{Exchange, VenueOptions};
use ballast::venue::order::{Lifetime, NewOrder, Participant, Request};
use ballast::venue::playback::{Playback, Step};
use ballast::venue::queue::QueueModel;
use ballast_engine::event::{ClOrdId, InstrumentId, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::{FeeRate, Lots, Nanos, Side, Ticks};
use dbn::decode::DecodeRecord;
use std::collections::BTreeMap;
use std::path::Path;

const ES: InstrumentId = InstrumentId(0);
const FILE: &str = "nautilus_trader/databento/es-mbo-2024-05-08";
const MBO: &str = "orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst";
/// 0.25 in Databento's prices.
const TICK: i64 = 250_000_000;

fn es() -> Instrument {
    let spec = InstrumentSpec {
        symbol: "ESM4".into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind: InstrumentKind::DatedFuture { expiry: Nanos(u64::MAX) },
        tick: "0.25".parse().unwrap(),
        lot: "1".parse().unwrap(),
        multiplier: "50".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(ES, spec).unwrap()
}

/// Every order of the file by its own records, with nothing of the reader.
#[derive(Default)]
struct ByHand {
    /// Id → side, price, size.
    orders: BTreeMap<u64, (u8, i64, i64)>,
}

impl ByHand {
    /// Takes a record; the id of an order that lost its place.
    fn take(&mut self, m: &dbn::MboMsg) -> Option<u64> {
        let (size, now) = (i64::from(m.size), (m.side as u8, m.price, i64::from(m.size)));
        match m.action as u8 {
            b'R' => self.orders.clear(),
            b'A' => drop(self.orders.insert(m.order_id, now)),
            b'M' => {
                let was = self.orders.insert(m.order_id, now)?;
                return (was.1 != m.price || size > was.2).then_some(m.order_id);
            }
            b'C' => {
                let order = self.orders.get_mut(&m.order_id)?;
                order.2 -= size;
                if order.2 <= 0 {
                    self.orders.remove(&m.order_id);
                }
            }
            _ => {}
        }
        None
    }

    fn best(&self, side: u8) -> i64 {
        let prices = self.orders.values().filter(|o| o.0 == side).map(|o| o.1);
        if side == b'B' { prices.max() } else { prices.min() }.unwrap()
    }
}

/// Joins both sides `depth` ticks behind the touch after record `after`, plays on, and compares what
/// stands ahead after every whole message; returns how often it was compared and how often it moved.
fn compared(folder: &Path, records: &[dbn::MboMsg], after: usize, depth: i64) -> [u64; 2] {
    let instruments = [es()];
    let tape = Folder::look(folder).unwrap().open(&instruments, &|_| None, 0).unwrap().tape;
    let options = VenueOptions { queue_model: QueueModel::Exact, ..VenueOptions::default() };
    let mut playback = Playback::new(tape, Exchange::new(&instruments, options));
    let mut by_hand = ByHand::default();
    for record in &records[..=after] {
        by_hand.take(record);
    }
    let joined = records[after].ts_recv;
    let mut reports = Vec::new();
    let mut play_to = |playback: &mut Playback<_>, at: u64| {
        while !matches!(playback.step(Nanos(at), &mut reports).unwrap(), Step::Idle | Step::Over) {}
    };
    play_to(&mut playback, joined);
    let mut places = Vec::new();
    for (id, (side, letter)) in [(Side::Buy, b'B'), (Side::Sell, b'A')].into_iter().enumerate() {
        let price = by_hand.best(letter) - side.sign() * depth * TICK;
        let ahead: Vec<u64> = (by_hand.orders.iter())
            .filter(|(_, o)| (o.0, o.1) == (letter, price))
            .map(|(id, _)| *id)
            .collect();
        let new = NewOrder {
            cl_ord_id: ClOrdId(1 + id as u64),
            instrument: ES,
            side,
            price: Ticks(price / TICK),
            size: Lots(1),
            lifetime: Lifetime::PostOnly,
        };
        playback.exchange_mut().submit(Nanos(joined), Participant(0), Request::New(new));
        places.push((side, Ticks(price / TICK), ahead));
    }
    play_to(&mut playback, joined);
    let (mut comparisons, mut moves) = (0, 0);
    let mut last = [None; 2];
    for (n, m) in records.iter().enumerate().skip(after + 1) {
        if let Some(lost) = by_hand.take(m) {
            places.iter_mut().for_each(|(_, _, ahead)| ahead.retain(|id| *id != lost));
        }
        let is_whole = m.flags.is_last();
        if !is_whole || records.get(n + 1).is_some_and(|next| next.ts_recv == m.ts_recv) {
            continue;
        }
        play_to(&mut playback, m.ts_recv);
        let market = playback.exchange().market(ES).unwrap();
        for (place, (side, price, ids)) in places.iter().enumerate() {
            // A filled order has no place any more.
            let Some(resting) = market.resting(*side).first(*price) else { continue };
            let ahead = ids.iter().filter_map(|id| by_hand.orders.get(id)).map(|o| o.2).sum();
            assert_eq!(resting.ahead, Lots(ahead), "record {n}, {side:?} at {price:?}");
            comparisons += 1;
            moves += u64::from(last[place].replace(ahead) != Some(ahead));
        }
    }
    [comparisons, moves]
}

#[test]
fn what_stands_ahead_is_what_arrived_before_and_is_still_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(FILE);
    if !folder.exists() {
        println!("skipped: {} is absent", folder.display());
        return;
    }
    let mut decoder = dbn::decode::dbn::Decoder::from_zstd_file(folder.join(MBO)).unwrap();
    let mut records = Vec::new();
    while let Some(record) = decoder.decode_record::<dbn::MboMsg>().unwrap() {
        records.push(record.clone());
    }
    let live = records.iter().rposition(|m| m.flags.is_snapshot()).unwrap();
    let mut sum = [0; 2];
    for (share, depth) in [(0, 0), (0, 1), (0, 4), (10, 0), (10, 2), (40, 0), (70, 1)] {
        let wanted = live + 1 + (records.len() - live) * share / 100;
        // After a whole message, so that the book is one.
        let whole = |n: &usize| {
            records[*n].flags.is_last() && records[*n + 1].ts_recv > records[*n].ts_recv
        };
        let after = (wanted..records.len() - 1).find(whole).unwrap();
        let [comparisons, moves] = compared(&folder, &records, after, depth);
        sum = [sum[0] + comparisons, sum[1] + moves];
    }
    assert!(sum[0] > 1_500 && sum[1] > 40, "{sum:?}");
}
