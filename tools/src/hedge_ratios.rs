//! How hedge instruments move with what they hedge, estimated while the maker runs, off its hot path.
//!
//! Fed with the market events that the maker is given; feeds it with journaled mixes of hedge instruments:
//! minimum-variance ratios and the variance that they leave. Changes of mids are taken on one clock, in
//! the time of the events. In the backtest between two events, in virtual time; live on a thread of its
//! own. A set of instruments with too few changes makes no mix, and what the maker knew of it ages.

use crate::config::ConfigFile;
use crate::config::hedge_basis::RawBasis;
use crate::mid_changes::MidChanges;
use crate::refresh::Refresh;
use ballast_engine::calibration::hedge_ratios::{Belief, Scale, mixes};
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::inventory::hedge_mix::{Mix, MixUpdate, Mixes};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::{HedgeSettings, MakerConfig};
use ballast_engine::maker::input::Control;
use ballast_engine::units::{Decimal, Nanos};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

const SECOND: u64 = 1_000_000_000;

/// One underlying.
struct Group {
    name: String,
    underlying: u8,
    symbols: Vec<String>,
    /// Of the reference, then of each hedge instrument: the currency that a tick is.
    ticks: Vec<f64>,
    settings: HedgeSettings,
    changes: MidChanges,
    belief: Belief,
    interval_s: f64,
    window_ns: u64,
    every_ns: u64,
    rows: VecDeque<(Nanos, Vec<Option<f64>>)>,
    due: Option<Nanos>,
    made: u64,
    unmade: u64,
    last: Option<Estimate>,
}

struct Estimate {
    at: Nanos,
    price: f64,
    changes: usize,
    /// Of the reference, relative to its price, a second.
    variance: f64,
    mixes: Vec<Mix>,
}

/// The hedge ratios of a run.
pub struct HedgeRatios {
    groups: Vec<Group>,
}

impl HedgeRatios {
    /// `None` where no underlying hedges by ratios.
    pub fn new(file: &ConfigFile, config: &MakerConfig) -> Option<HedgeRatios> {
        let underlyings = (0u8..).zip(file.table.underlyings.iter()).zip(&config.underlyings);
        let groups = underlyings.filter_map(|((place, name), settings)| {
            let raw = file.raw.underlying.get(name)?.hedge.as_ref()?.basis.as_ref()?;
            Group::new(file, config, raw, (place, name), settings.hedge.as_ref()?)
        });
        let groups: Vec<_> = groups.collect();
        (!groups.is_empty()).then_some(HedgeRatios { groups })
    }

    /// As it stands, by underlying.
    pub fn document(&self) -> Value {
        let groups = self.groups.iter().map(|group| (group.name.clone(), group.document()));
        Value::Object(groups.collect())
    }
}

impl Refresh for HedgeRatios {
    fn instruments(&self) -> Vec<InstrumentId> {
        self.groups.iter().flat_map(|group| group.changes.instruments()).collect()
    }

    fn take(&mut self, event: &MarketEvent) {
        for group in &mut self.groups {
            group.take(event);
        }
    }

    fn refresh_due(&mut self, out: &mut Vec<Control>) {
        for group in &mut self.groups {
            group.refresh_due(out);
        }
    }
}

impl Group {
    fn new(
        file: &ConfigFile,
        config: &MakerConfig,
        raw: &RawBasis,
        (underlying, name): (u8, &str),
        settings: &HedgeSettings,
    ) -> Option<Group> {
        let reference = settings.basis?.reference;
        let hedges = settings.instruments.iter().map(|with| with.instrument);
        let ids: Vec<InstrumentId> = std::iter::once(reference).chain(hedges).collect();
        let of = |id: &InstrumentId| config.instruments.get(usize::from(id.0));
        let instruments = ids.iter().map(of).collect::<Option<Vec<_>>>()?;
        let number = |tick: Decimal| tick.mantissa as f64 / 10f64.powi(tick.scale.into());
        Some(Group {
            name: name.to_owned(),
            underlying,
            symbols: instruments.iter().map(|i| i.symbol().to_owned()).collect(),
            ticks: instruments.iter().map(|i| number(i.spec().tick)).collect(),
            settings: settings.clone(),
            changes: MidChanges::new(file, ids.into_iter(), raw.interval_ms)?,
            belief: raw.belief()?,
            interval_s: raw.interval_ms as f64 * 1e-3,
            window_ns: raw.window_s.saturating_mul(SECOND),
            every_ns: raw.every_s.saturating_mul(SECOND),
            rows: VecDeque::new(),
            due: None,
            made: 0,
            unmade: 0,
            last: None,
        })
    }

    fn take(&mut self, event: &MarketEvent) {
        let (rows, ticks, window_ns) = (&mut self.rows, &self.ticks, self.window_ns);
        let is_ours = self.changes.take(event, |at, row| {
            let in_currency = row.iter().zip(ticks).map(|(change, tick)| Some((*change)? * tick));
            rows.push_back((at, in_currency.collect()));
            while rows.front().is_some_and(|(first, _)| at.since(*first) >= window_ns) {
                rows.pop_front();
            }
        });
        if is_ours {
            self.due.get_or_insert(self.changes.now().plus(self.every_ns));
        }
    }

    fn refresh_due(&mut self, out: &mut Vec<Control>) {
        let now = self.changes.now();
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = Some(now.plus(self.every_ns));
        let found = self.estimate(now).filter(|found| !found.mixes.is_empty());
        let Some(found) = found else {
            self.unmade += 1;
            return;
        };
        self.made += 1;
        let underlying = self.underlying;
        let update = |mix: &Mix| Control::HedgeMix(MixUpdate { made: now, underlying, mix: *mix });
        out.extend(found.mixes.iter().map(update));
        self.last = Some(found);
    }

    fn estimate(&self, now: Nanos) -> Option<Estimate> {
        let price = (*self.changes.mids().first()?)? * self.ticks.first()?;
        let rows: Vec<_> = self.rows.iter().map(|(_, row)| row.clone()).collect();
        let scale = Scale { price, interval_s: self.interval_s };
        let own: Vec<f64> = rows.iter().filter_map(|row| *row.first()?).collect();
        let count = own.len() as f64;
        let mean = own.iter().sum::<f64>() / count;
        let variance = own.iter().map(|change| (change - mean).powi(2)).sum::<f64>() / count;
        Some(Estimate {
            at: now,
            price,
            changes: own.len(),
            variance: variance / (price * price * self.interval_s),
            mixes: mixes(&rows, scale, &self.belief),
        })
    }

    fn document(&self) -> Value {
        let last = self.last.as_ref().map(|last| {
            let sets = last.mixes.iter().map(|mix| self.set(last, mix));
            json!({ "at_ns": last.at.0, "changes": last.changes, "sets": sets.collect::<Vec<_>>() })
        });
        json!({
            "reference": self.symbols.first(),
            "made": self.made,
            "unmade": self.unmade,
            "last": last,
        })
    }

    fn set(&self, last: &Estimate, mix: &Mix) -> Value {
        let hedges = self.symbols.iter().skip(1).zip(&mix.ratios).filter(|(_, ratio)| **ratio > 0);
        let ratios = hedges.map(|(symbol, ratio)| {
            (symbol.clone(), json!(format!("{:.6}", f64::from(*ratio) * 1e-6)))
        });
        let left = mix.residual as f64 * 1e-18;
        let explained = (1.0 - left / last.variance).max(0.0).sqrt();
        let cost = self.settings.basis.map(|terms| {
            let value = (last.price.abs() * 1e9) as i128;
            Mixes::new(terms).risk_ppb(mix.residual, value, self.settings.holding_ns)
        });
        json!({
            "ratios": ratios.collect::<Map<_, _>>(),
            "correlation": format!("{explained:.4}"),
            "residual_bps_per_sqrt_s": format!("{:.5}", left.sqrt() * 1e4),
            "unit_cost_bps": cost.map(|cost| format!("{:.5}", cost as f64 * 1e-5)),
        })
    }
}

/// The same document with what the maker chose: the set that hedges, and net delta as it sees it.
pub fn with_plans(document: &Value, file: &ConfigFile, maker: &Maker) -> Value {
    let mut document = document.clone();
    for (place, name) in file.table.underlyings.iter().enumerate() {
        let plan = maker.hedge_plan(place);
        if let (Some(group), Some(plan)) = (document.get_mut(name), plan) {
            let chosen = plan.instruments.iter().flatten();
            let chosen = chosen.filter_map(|id| file.table.instruments.get(usize::from(id.0)));
            group["plan"] = chosen.map(|instrument| instrument.symbol()).collect();
            group["at_risk"] = json!(plan.at_risk.to_string());
        }
    }
    document
}

/// A document of [`HedgeRatios::document`] for people, a line a set.
pub fn for_people(document: &Value) -> Vec<String> {
    let groups = document.as_object().into_iter().flatten();
    let text = |of: &Value| of.as_str().unwrap_or("-").to_owned();
    let lines = groups.flat_map(|(name, group)| {
        let sets = group["last"]["sets"].as_array().into_iter().flatten();
        sets.map(move |set| {
            let ratios = set["ratios"].as_object().into_iter().flatten();
            let ratios = ratios.map(|(symbol, ratio)| format!("{} {symbol}", text(ratio)));
            format!(
                "{name:<16} hedged by {}: correlation {}, basis risk {} bps a unit",
                ratios.collect::<Vec<_>>().join(" + "),
                text(&set["correlation"]),
                text(&set["unit_cost_bps"]),
            )
        })
    });
    lines.collect()
}
