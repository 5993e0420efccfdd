//! The virtual runner beside hftbacktest 0.9.4's Rust core: the same depth and trade messages of the
//! perpetual, decoded beforehand into each one's own memory, and one bid and one ask that follow the mid.
//!
//! Fed by the hftbacktest sample recording; feeds people a table. One core. What is comparable: the
//! messages, the latencies (market data 0.5 ms, orders 1 ms each way), the back-of-queue reading, the
//! half-spread, the tolerance before a quote is moved, the size. What is not: our maker journals every
//! input, passes every order through the risk gate and keeps an exact account, which is part of its time;
//! theirs looks at the book after each event, as its `wait_next_feed` returns. Its
//! `submit_order` always sells, so the sided calls are used.

use ballast::backtest::Backtest;
use ballast::config::ConfigFile;
use ballast::observer::Observer;
use ballast::recording::merge::{CLOCK_OFFSET_20240808_NS, Recording, RecordingOptions};
use ballast::recording::{Tape, TapeCounters, TapeError, hftbacktest_files};
use ballast::venue::exchange::{Exchange, VenueOptions};
use ballast_engine::calibration::{Real, quoter};
use ballast_engine::event::{MarketEvent, MarketUpdate};
use ballast_engine::fixed::Scaled;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::units::{Lots, Nanos, Side, SubTicks};
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::Data;
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, RiskAdverseQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest as Theirs, DataSource, ExchangeKind, L2AssetBuilder};
use hftbacktest::prelude::{
    BUY_EVENT, Bot, DEPTH_CLEAR_EVENT, DEPTH_EVENT, EXCH_EVENT, ElapseResult, Event,
    HashMapMarketDepth, L2MarketDepth, LOCAL_EVENT, MarketDepth, OrdType, ROIVectorMarketDepth,
    SELL_EVENT, TRADE_EVENT, TimeInForce,
};
use std::path::Path;
use std::time::Instant;

const RUNS: usize = 7;
const FEED_NS: u64 = 500_000;
const ORDER_NS: u64 = 1_000_000;
const TICK: f64 = 0.1;
const SIZE: f64 = 0.01;
/// As in the config: a quote stays within so many ticks of where it is wanted.
const TOLERANCE_TICKS: f64 = 3.0;

/// Half the spread that the config's model quotes at its floor of volatility, in ticks.
fn half_ticks(file: &ConfigFile) -> Result<f64, String> {
    let instrument = file.table.instruments.first().ok_or("no instrument")?;
    let (model, parameters) = file.quote_parameters(instrument).ok_or("nothing is quoted")?;
    let quoter = quoter(model, &parameters).map_err(|error| error.to_string())?;
    let floor = Real::from(10.0).scaled();
    let half = quoter.half_spreads(Lots(0), floor, Scaled::ZERO).bid;
    let half = half.ok_or("the model quotes nothing")?;
    Ok((half.0 as f64 / SubTicks::ONE.0 as f64).round())
}

/// A market that was decoded beforehand.
struct InMemory<'e> {
    events: &'e [MarketEvent],
    next: usize,
}

impl Tape for InMemory<'_> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        let event = self.events.get(self.next).copied();
        self.next += usize::from(event.is_some());
        Ok(event)
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        Ok(self.events.get(self.next).map(|event| event.at))
    }

    fn counters(&self) -> TapeCounters {
        TapeCounters { events: self.next as u64, ..TapeCounters::default() }
    }
}

/// Seconds, orders (new and moved), fills.
type Run = (f64, u64, u64);

fn ours(file: &ConfigFile, config: &MakerConfig, events: &[MarketEvent]) -> Result<Run, String> {
    let options = VenueOptions {
        order_latency_ns: ORDER_NS,
        feed_latency_ns: FEED_NS,
        ..VenueOptions::default()
    };
    let exchange = Exchange::new(&config.instruments, options);
    let observer = Observer::new(file, config);
    let tape = InMemory { events, next: 0 };
    let backtest = Backtest::new(config, exchange, tape, observer, None, 0);
    let backtest = backtest.map_err(|error| error.to_string())?;
    let from = Instant::now();
    let (outcome, _) = backtest.run(Nanos(u64::MAX)).map_err(|error| error.to_string())?;
    let seconds = from.elapsed().as_secs_f64();
    let counters = outcome.maker().counters();
    Ok((seconds, counters.intents[0] + counters.intents[1], counters.fills))
}

/// The same events as they want them.
fn rows(events: &[MarketEvent]) -> Vec<Event> {
    let row = |event: &MarketEvent| {
        let side = |side: Side| if side == Side::Buy { BUY_EVENT } else { SELL_EVENT };
        let (kind, px, qty) = match event.update {
            MarketUpdate::Level { side: of, price, size } => {
                (DEPTH_EVENT | side(of), price.0 as f64 * TICK, size.0 as f64 * 0.001)
            }
            MarketUpdate::Trade { aggressor, price, size } => {
                (TRADE_EVENT | side(aggressor), price.0 as f64 * TICK, size.0 as f64 * 0.001)
            }
            MarketUpdate::Reset | MarketUpdate::Gap => (DEPTH_CLEAR_EVENT, 0.0, 0.0),
        };
        let at = i64::try_from(event.at.0).unwrap_or(0);
        Event {
            ev: kind | EXCH_EVENT | LOCAL_EVENT,
            exch_ts: at,
            local_ts: at + FEED_NS as i64,
            px,
            qty,
            order_id: 0,
            ival: 0,
            fval: 0.0,
        }
    };
    events.iter().map(row).collect()
}

fn told(error: &dyn std::fmt::Debug) -> String {
    format!("hftbacktest: {error:?}")
}

fn theirs<MD>(rows: &[Event], half: f64, depth: impl Fn() -> MD + 'static) -> Result<Run, String>
where
    MD: MarketDepth + L2MarketDepth + 'static,
{
    let latency = ORDER_NS as i64;
    let asset = L2AssetBuilder::new()
        .data(vec![DataSource::Data(Data::from_data(rows))])
        .latency_model(ConstantLatency::new(latency, latency))
        .asset_type(LinearAsset::new(1.0))
        .fee_model(TradingValueFeeModel::new(CommonFees::new(0.0, 0.0)))
        .exchange(ExchangeKind::PartialFillExchange)
        .queue_model(RiskAdverseQueueModel::new())
        .depth(depth)
        .build()
        .map_err(|error| told(&error))?;
    let mut hbt = Theirs::builder().add_asset(asset).build().map_err(|error| told(&error))?;
    let from = Instant::now();
    let mut quotes = Quotes { half, working: [None; 2], next_id: 1, sent: 0 };
    loop {
        match hbt.wait_next_feed(true, 1_000_000_000).map_err(|error| told(&error))? {
            ElapseResult::EndOfData => break,
            ElapseResult::OrderResponse => quotes.forget_gone(&mut hbt),
            ElapseResult::MarketFeed | ElapseResult::Ok => {}
        }
        quotes.follow(&mut hbt)?;
    }
    let seconds = from.elapsed().as_secs_f64();
    let fills = u64::try_from(hbt.state_values(0).num_trades).unwrap_or(0);
    Ok((seconds, quotes.sent, fills))
}

/// One bid and one ask of theirs.
struct Quotes {
    half: f64,
    working: [Option<(u64, f64)>; 2],
    next_id: u64,
    sent: u64,
}

impl Quotes {
    fn forget_gone<MD: MarketDepth>(&mut self, hbt: &mut Theirs<MD>) {
        for place in &mut self.working {
            let orders = hbt.orders(0);
            let is_there = |id: u64| orders.get(&id).is_some_and(|o| o.active() || o.pending());
            if place.is_some_and(|(id, _)| !is_there(id)) {
                *place = None;
            }
        }
        hbt.clear_inactive_orders(Some(0));
    }

    fn follow<MD: MarketDepth>(&mut self, hbt: &mut Theirs<MD>) -> Result<(), String> {
        let (bid, ask) = (hbt.depth(0).best_bid_tick(), hbt.depth(0).best_ask_tick());
        if bid == i64::MIN || ask == i64::MAX || bid >= ask {
            return Ok(());
        }
        let mid = (bid + ask) as f64 / 2.0;
        let wanted = [(mid - self.half).floor(), (mid + self.half).ceil()];
        for (side, wanted) in wanted.into_iter().enumerate() {
            if let Some((id, ticks)) = self.working[side] {
                let is_far = (ticks - wanted).abs() > TOLERANCE_TICKS;
                if is_far && hbt.orders(0).get(&id).is_some_and(|order| order.cancellable()) {
                    hbt.modify(0, id, wanted * TICK, SIZE, false).map_err(|error| told(&error))?;
                    self.working[side] = Some((id, wanted));
                    self.sent += 1;
                }
                continue;
            }
            let (id, gtx, limit) = (self.next_id, TimeInForce::GTX, OrdType::Limit);
            let submitted = if side == 0 {
                hbt.submit_buy_order(0, id, wanted * TICK, SIZE, gtx, limit, false)
            } else {
                hbt.submit_sell_order(0, id, wanted * TICK, SIZE, gtx, limit, false)
            };
            submitted.map_err(|error| told(&error))?;
            self.working[side] = Some((id, wanted));
            (self.next_id, self.sent) = (id + 1, self.sent + 1);
        }
        Ok(())
    }
}

fn median(runs: &mut [Run]) -> Run {
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    runs[runs.len() / 2]
}

fn main() -> Result<(), String> {
    let folder = std::env::args().nth(1).ok_or("name the folder with usdm/btcusdt_*.gz")?;
    let config_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("perpetual.toml");
    let file = ConfigFile::read(&config_path).map_err(|fault| fault.to_string())?;
    let half = half_ticks(&file)?;
    let config = file.maker(1).map_err(|fault| fault.to_string())?;
    let files = hftbacktest_files(Path::new(&folder), &config.instruments);
    let files = files.map_err(|error| error.to_string())?;
    let options =
        RecordingOptions { clock_offset_ns: CLOCK_OFFSET_20240808_NS, without_best_prices: true };
    let mut tape =
        Recording::open(&config.instruments, &files, options).map_err(|error| error.to_string())?;
    let mut events = Vec::new();
    while let Some(event) = tape.next().map_err(|error| error.to_string())? {
        events.push(event);
    }
    let rows = rows(&events);
    let messages = events.iter().filter(|event| event.last_in_message).count();
    let prices: Vec<f64> = rows.iter().map(|row| row.px).filter(|px| *px > 0.0).collect();
    let low = prices.iter().copied().fold(f64::INFINITY, f64::min);
    let high = prices.iter().copied().fold(0.0, f64::max);
    let mut runs: [Vec<Run>; 3] = Default::default();
    for _ in 0..RUNS {
        runs[0].push(ours(&file, &config, &events)?);
        let roi = move || ROIVectorMarketDepth::new(TICK, 0.001, low, high);
        runs[1].push(theirs(&rows, half, roi)?);
        runs[2].push(theirs(&rows, half, || HashMapMarketDepth::new(TICK, 0.001))?);
    }
    println!(
        "{messages} messages, {} events, median of {RUNS}, one core each in turn",
        events.len()
    );
    let names = ["ballast virtual runner", "hftbacktest, ROI depth", "hftbacktest, hash map depth"];
    let [first, rest @ ..] = &mut runs;
    let base = median(first);
    for (name, run) in
        names.iter().zip([base].into_iter().chain(rest.iter_mut().map(|r| median(r))))
    {
        let (seconds, sent, fills) = run;
        println!(
            "{name:<28} {:>8.2} ms  {:>10.0} messages/s  {:>6.0} ns/event  {sent:>6} orders  {fills:>5} fills  {:>5.2} x ours",
            seconds * 1e3,
            messages as f64 / seconds,
            seconds * 1e9 / events.len() as f64,
            base.0 / seconds,
        );
    }
    Ok(())
}
