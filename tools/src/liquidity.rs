//! The liquidity-provision report: what was shown to the market, what it paid, what it cost later.
//!
//! Fed with telemetry through the observer, and at the end with the maker's markouts; feeds the
//! summary. Never on the maker's thread in a live run. Floating point: a report. Spreads are whole
//! spreads, twice a side's distance from the mid. The fill ratio is of quotes alone: lots that traded over
//! lots shown, where a quote that is moved is shown anew. Memory does not grow with the run.

use ballast_engine::estimate::markout::{HORIZONS, HORIZONS_NS, Markouts, Tally};
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::maker::Maker;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::snapshot::InstrumentSnapshot;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::maker::tally::LineTally;
use ballast_engine::orders::order::Purpose;
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::quote::ladder::LEVELS_MAX;
use ballast_engine::units::{Decimal, Nanos, Side};
use serde_json::{Map, Value, json};

/// One instrument's quotes, sample by sample.
#[derive(Clone, Copy, Default)]
struct Shown {
    samples: u64,
    two_sided: u64,
    one_sided: u64,
    at_touch: u64,
    spread_ticks: f64,
    /// Twice the mid, in ticks, as of the last sample.
    mid_half_ticks: f64,
}

/// Net delta of one underlying.
#[derive(Clone, Copy, Default)]
struct Held {
    before: Option<(Nanos, f64)>,
    samples: f64,
    absolute: f64,
    squares: f64,
    products: f64,
    seconds: f64,
    traded: f64,
}

/// PnL from sample to sample.
#[derive(Clone, Copy, Default)]
struct Earned {
    before: Option<f64>,
    first: f64,
    steps: f64,
    squares: f64,
    peak: f64,
    drawdown: f64,
}

/// What is gathered of a run.
pub struct Liquidity {
    instruments: Vec<Instrument>,
    shown: Vec<Shown>,
    held: Vec<Held>,
    earned: Earned,
}

fn number(decimal: Decimal) -> f64 {
    decimal.mantissa as f64 / 10f64.powi(decimal.scale.into())
}

impl Liquidity {
    /// Nothing seen of these instruments.
    pub fn new(instruments: &[Instrument]) -> Liquidity {
        let underlyings = instruments.iter().map(|i| usize::from(i.spec().underlying.0) + 1).max();
        Liquidity {
            instruments: instruments.to_vec(),
            shown: vec![Shown::default(); instruments.len()],
            held: vec![Held::default(); underlyings.unwrap_or(0)],
            earned: Earned::default(),
        }
    }

    /// Takes one piece of telemetry.
    pub fn see(&mut self, telemetry: &Telemetry) {
        match *telemetry {
            Telemetry::Happened(Record::Fill { instrument, size, purpose, .. }) => {
                if let Purpose::Quote { .. } = purpose {
                    self.filled(instrument, size.0 as f64);
                }
            }
            Telemetry::Happened(_) | Telemetry::Greeks { .. } | Telemetry::Holdings { .. } => {}
            Telemetry::Instrument { instrument, snapshot, .. } => {
                if let Some(shown) = self.shown.get_mut(usize::from(instrument.0)) {
                    shown.take(&snapshot);
                }
            }
            Telemetry::Delta { at, underlying, delta } => {
                if let (Some(held), Some(delta)) =
                    (self.held.get_mut(usize::from(underlying)), delta)
                {
                    held.take(at, delta.0 as f64 * 1e-9);
                }
            }
            Telemetry::Pnl { total, .. } => self.earned.take(total.0 as f64 * 1e-9),
        }
    }

    fn filled(&mut self, instrument: InstrumentId, lots: f64) {
        let place = usize::from(instrument.0);
        let (Some(instrument), Some(shown)) = (self.instruments.get(place), self.shown.get(place))
        else {
            return;
        };
        let units = match instrument.value() {
            ContractValue::Linear { nano_underlying_per_lot, .. } => {
                lots * nano_underlying_per_lot as f64 * 1e-9
            }
            ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
                let price = shown.mid_half_ticks * 0.5 * nano_quote_per_tick as f64;
                if price > 0.0 { lots * nano_quote_per_lot as f64 / price } else { 0.0 }
            }
            // By its Greeks, which this report has not.
            ContractValue::Option { .. } => 0.0,
        };
        if let Some(held) = self.held.get_mut(usize::from(instrument.spec().underlying.0)) {
            held.traded += units;
        }
    }

    /// The report. `underlyings` are the names in the config's order.
    pub fn document<'a>(&self, maker: &Maker, underlyings: impl Iterator<Item = &'a str>) -> Value {
        let mut instruments = Map::new();
        for (instrument, shown) in self.instruments.iter().zip(&self.shown) {
            let has_quoted = shown.two_sided + shown.one_sided > 0;
            if let Some(markouts) = maker.markouts(instrument.id()).filter(|_| has_quoted) {
                let tally = maker.tally(instrument.id()).copied().unwrap_or_default();
                let value = of_instrument(instrument, shown, &tally, markouts);
                instruments.insert(instrument.symbol().to_owned(), value);
            }
        }
        let held = self.held.iter().zip(underlyings);
        let inventory = held.map(|(held, name)| (name.to_owned(), held.value()));
        let capital = maker.pnl().and_then(|(causes, _)| {
            causes.iter().find(|(cause, _)| *cause == Cause::CapitalCost).map(|(_, paid)| *paid)
        });
        json!({
            "instruments": instruments,
            "inventory": inventory.collect::<Map<String, Value>>(),
            "capital_cost": capital.map(|paid| paid.to_string()),
            "pnl_per_unit_of_risk": self.earned.per_risk(),
            "drawdown_max": self.earned.drawdown,
        })
    }
}

impl Shown {
    fn take(&mut self, snapshot: &InstrumentSnapshot) {
        self.samples += 1;
        let [bid, ask] = snapshot.quotes;
        match (bid, ask) {
            (Some(bid), Some(ask)) => {
                self.two_sided += 1;
                self.spread_ticks += (ask.0 - bid.0) as f64;
            }
            (Some(_), None) | (None, Some(_)) => self.one_sided += 1,
            (None, None) => {}
        }
        if let Ok(touch) = snapshot.touch {
            self.mid_half_ticks = touch.mid_half_ticks() as f64;
            let is_at = bid.is_some_and(|bid| bid >= touch.bid.price)
                || ask.is_some_and(|ask| ask <= touch.ask.price);
            self.at_touch += u64::from(is_at);
        }
    }
}

impl Held {
    fn take(&mut self, at: Nanos, delta: f64) {
        if let Some((then, before)) = self.before {
            self.samples += 1.0;
            self.seconds += at.since(then) as f64 * 1e-9;
            self.absolute += before.abs();
            self.squares += before * before;
            self.products += before * delta;
        }
        self.before = Some((at, delta));
    }

    fn value(&self) -> Value {
        let mean = self.absolute / self.samples;
        let hours = self.seconds / 3600.0;
        // Of x' = φx + noise: the time after which half of an inventory is gone.
        let phi = self.products / self.squares;
        let interval_s = self.seconds / self.samples;
        let half_life = interval_s * std::f64::consts::LN_2 / -phi.ln();
        let known = |value: f64| value.is_finite().then_some(value);
        json!({
            "traded": self.traded,
            "mean_abs": known(mean),
            "mean_square": known(self.squares / self.samples),
            "turnover_per_hour": known(self.traded / mean / hours),
            "half_life_s": known(half_life).filter(|_| phi > 0.0 && phi < 1.0),
        })
    }
}

impl Earned {
    fn take(&mut self, total: f64) {
        match self.before {
            Some(before) => {
                self.steps += 1.0;
                self.squares += (total - before).powi(2);
            }
            None => (self.first, self.peak) = (total, total),
        }
        self.before = Some(total);
        self.peak = self.peak.max(total);
        self.drawdown = self.drawdown.max(self.peak - total);
    }

    /// PnL over the standard deviation that as many independent steps would add up to.
    fn per_risk(&self) -> Option<f64> {
        let earned = self.before? - self.first;
        let mean = earned / self.steps;
        let deviation = (self.squares - self.steps * mean * mean).max(0.0).sqrt();
        (deviation > 0.0).then(|| earned / deviation)
    }
}

fn plus(a: Tally, b: Tally) -> Tally {
    let mut sum = a;
    sum.fills += b.fills;
    sum.lots += b.lots;
    sum.effective += b.effective;
    for n in 0..HORIZONS {
        sum.settled_lots[n] += b.settled_lots[n];
        sum.moved[n] += b.moved[n];
    }
    sum
}

fn total(markouts: &Markouts) -> Tally {
    let all = Side::BOTH.into_iter().flat_map(|side| (0..LEVELS_MAX).map(move |n| (side, n)));
    all.map(|(side, level)| markouts.tally(side, level)).fold(Tally::default(), plus)
}

/// `a/b` of big counts; none where nothing was counted.
fn over(a: i128, b: i128) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}

/// Spreads of a tally in quote currency, by horizon.
fn spreads(tally: &Tally, tick: f64) -> Value {
    let effective = over(tally.effective, tally.lots).map(|ticks| ticks * tick);
    let mut realised = Map::new();
    let mut moved = Map::new();
    for (n, ns) in HORIZONS_NS.iter().enumerate() {
        let name = format!("{}s", *ns as f64 / 1e9);
        let after = over(tally.moved[n], tally.settled_lots[n]).map(|ticks| 0.5 * ticks * tick);
        let both = effective.zip(after).map(|(effective, after)| effective + 2.0 * after);
        realised.insert(name.clone(), json!(both));
        moved.insert(name, json!(after));
    }
    json!({
        "fills": tally.fills, "effective_spread": effective, "realised_spread": realised,
        "markout": moved,
    })
}

fn of_instrument(
    instrument: &Instrument,
    shown: &Shown,
    tally: &LineTally,
    markouts: &Markouts,
) -> Value {
    let tick = number(instrument.spec().tick);
    let of_time = |samples: u64| samples as f64 / shown.samples.max(1) as f64;
    let mut by_level = Vec::new();
    for side in Side::BOTH {
        for level in 0..LEVELS_MAX {
            let tally = markouts.tally(side, level);
            if tally.fills > 0 {
                let side = if side == Side::Buy { "buy" } else { "sell" };
                let spreads = spreads(&tally, tick);
                by_level.push(json!({"side": side, "level": level, "spreads": spreads}));
            }
        }
    }
    let all = total(markouts);
    let mut adverse = Map::new();
    for (n, ns) in HORIZONS_NS.iter().enumerate() {
        let money = in_quote_currency(instrument, shown, all.moved[n]);
        adverse.insert(format!("{}s", *ns as f64 / 1e9), json!(money));
    }
    let quoted = (shown.two_sided > 0).then(|| shown.spread_ticks / shown.two_sided as f64 * tick);
    json!({
        "quote_uptime": of_time(shown.two_sided),
        "one_sided": of_time(shown.one_sided),
        "time_at_touch": of_time(shown.at_touch),
        "quoted_spread": quoted,
        "fill_ratio": tally.fill_ratio().map(|(filled, shown)| filled as f64 / shown as f64),
        "spreads": spreads(&all, tick),
        "by_side_and_level": by_level,
        "adverse_selection": adverse,
        "markouts_left_out": markouts.left_out(),
    })
}

/// `lots × half ticks` as money: the part of inventory_mtm that fell within the horizon of each fill.
fn in_quote_currency(instrument: &Instrument, shown: &Shown, moved: i128) -> f64 {
    let moved = moved as f64 * 0.5;
    match instrument.value() {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            moved * nano_per_tick_lot as f64 * 1e-9
        }
        // A lot of fixed value moves by its relative move; the price of the report's end serves.
        ContractValue::Inverse { nano_quote_per_lot, .. } => {
            let mid = 0.5 * shown.mid_half_ticks;
            if mid > 0.0 { moved / mid * nano_quote_per_lot as f64 * 1e-9 } else { 0.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_that_halves_a_second_has_a_half_life_of_one() {
        let mut held = Held::default();
        for n in 0..20u64 {
            held.take(Nanos(n * 1_000_000_000), 8.0 * 0.5f64.powi(n as i32));
        }
        let value = held.value();
        assert!((value["half_life_s"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{value}");
        let nothing = Held::default().value();
        assert!(nothing["half_life_s"].is_null() && nothing["turnover_per_hour"].is_null());
    }

    #[test]
    fn drawdown_and_pnl_per_risk_of_known_steps() {
        let mut earned = Earned::default();
        for total in [0.0, 3.0, 1.0, 4.0] {
            earned.take(total);
        }
        assert_eq!(earned.drawdown, 2.0);
        // Steps 3, −2, 3: mean 4/3, sum of squared deviations 22 − 16/3.
        let expected = 4.0 / (22.0f64 - 16.0 / 3.0).sqrt();
        assert!((earned.per_risk().unwrap() - expected).abs() < 1e-12);
        assert_eq!(Earned::default().per_risk(), None);
    }

    #[test]
    fn a_realised_spread_is_the_effective_one_and_twice_the_move() {
        let tally = Tally {
            fills: 1,
            lots: 10,
            effective: 40,
            settled_lots: [10, 0, 0, 0],
            moved: [-60, 0, 0, 0],
        };
        let value = spreads(&tally, 0.5);
        assert_eq!(value["effective_spread"], 2.0);
        assert_eq!(value["markout"]["0.1s"], -1.5);
        assert_eq!(value["realised_spread"]["0.1s"], -1.0);
        assert!(value["realised_spread"]["1s"].is_null());
    }
}
