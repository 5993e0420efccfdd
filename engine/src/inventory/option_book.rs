//! What the options of a desk are worth and expose to between two refreshes of their Greeks, and what
//! positions and everything that may still trade could come to.
//!
//! Fed by the maker: refreshed Greeks (journaled), the underlyings' prices, positions and open orders;
//! feeds net delta, quotes, marks and the gate. Maker thread; sized at start. A repricing walks the
//! options of one underlying instrument, a change of a position or an order touches one option.
//! Deliberately absent: formulas of options (calibration's), orders and money.

use crate::estimate::option_value::{OptionGreeks, OptionValue, Outside};
use crate::event::InstrumentId;
use crate::instrument::{ContractValue, Instrument};
use crate::maker::option_config::{OptionLimits, OptionSettings, OptionsConfig};
use crate::option_terms::OptionTerms;
use crate::risk::greek_limits::{
    GREEKS, GreekLimits, GreekVector, GreekVerdict, PerLot, Range, Ranges, Reach,
};
use crate::units::{Exposure, Lots, Nanos, Side, SubTicks};

/// Why an option has no value now. It is not quoted, and where it is held nothing is hedged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Unvalued {
    /// No Greeks came yet.
    NoGreeks,
    /// What it is on is not to be believed.
    NoReference,
    /// Too long, or too far, from its refresh.
    Outside(Outside),
    /// It has expired, and where its future was then nobody saw: until it is settled, whether it
    /// delivers is not known.
    NotFixed,
}

/// One option.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OptionLine {
    /// Which.
    pub id: InstrumentId,
    /// How it is valued and quoted.
    pub settings: OptionSettings,
    /// Its terms.
    pub terms: OptionTerms,
    /// Its last refresh.
    pub greeks: Option<OptionGreeks>,
    /// Its value as of the last repricing.
    pub value: Result<OptionValue, Unvalued>,
    /// Position and open orders.
    pub reach: Reach,
    pool: usize,
    /// Its buckets: the underlying's, and that of its expiry.
    buckets: [usize; 2],
    nano_per_tick_lot: i64,
    /// What a lot is on, and so the most that it exposes to.
    nano_underlying_per_lot: i64,
    per_lot: PerLot,
    /// How far the Greeks of the next refresh may move, and which refresh that is.
    expected: Option<(Nanos, GreekVector)>,
    ranges: Ranges,
    /// It is held, or may come to be, and has no Greeks.
    is_unknown: bool,
    /// Where the reference was last seen before the expiry, and when.
    seen: Option<(Nanos, SubTicks)>,
    /// Where it was at the expiry: what the reference does afterwards changes nothing of what is
    /// delivered.
    fixed: Option<SubTicks>,
}

/// A bucket's sums and limits.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Bucket {
    limits: GreekLimits,
    ranges: Ranges,
    /// Options without Greeks that are held or may come to be.
    unknown: usize,
}

/// One underlying's sums.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Pool {
    /// Exposure of the positions; `None` where one of them has no value.
    exposure: Option<i128>,
    /// The least and the most that it may be then; `None` where not even that is known.
    bounds: Option<[i128; 2]>,
    /// What open orders could add and take off, both ≥ 0.
    open: [i128; 2],
    /// Net vega of the positions, 1e-9 a point.
    vega: i128,
    /// Its net limit; 0 where there are no options.
    vega_limit: i64,
}

/// All options.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OptionBook {
    lines: Vec<OptionLine>,
    /// By instrument.
    places: Box<[Option<u16>]>,
    buckets: Vec<Bucket>,
    pools: Vec<Pool>,
}

impl OptionBook {
    /// The options of a config that was found good.
    pub fn new(config: &OptionsConfig, instruments: &[Instrument], pools: usize) -> OptionBook {
        let mut book = OptionBook {
            lines: Vec::new(),
            places: vec![None; instruments.len()].into(),
            buckets: Vec::new(),
            pools: vec![Pool { exposure: Some(0), bounds: Some([0; 2]), ..Pool::default() }; pools],
        };
        let mut firsts = vec![None; pools];
        for (pool, limits) in &config.limits {
            let pool = usize::from(pool.0);
            if let (Some(first), Some(sums)) = (firsts.get_mut(pool), book.pools.get_mut(pool)) {
                *first = Some((book.buckets.len(), limits));
                sums.vega_limit = limits.total.net().vega;
            }
            let each = limits.buckets.iter().map(|(_, limits)| *limits);
            book.buckets.extend([limits.total].into_iter().chain(each).map(Bucket::new));
        }
        for settings in &config.options {
            let of = |id: InstrumentId| instruments.get(usize::from(id.0));
            let Some(instrument) = of(settings.instrument) else { continue };
            let pool = usize::from(instrument.spec().underlying.0);
            let first = firsts.get(pool).copied().flatten();
            if let (Some(terms), Some((first, limits))) = (instrument.option(), first) {
                let place = u16::try_from(book.lines.len()).ok();
                if let Some(known) = book.places.get_mut(usize::from(settings.instrument.0)) {
                    *known = place;
                }
                let bucket = first + 1 + bucket_of(limits, terms.expiry);
                book.lines.push(OptionLine::new(settings, instrument, terms, [first, bucket]));
            }
        }
        book
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many there are: the places that [`OptionBook::at`] takes.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The option at a place.
    pub fn at(&self, place: usize) -> Option<&OptionLine> {
        self.lines.get(place)
    }

    /// An instrument's option.
    #[inline]
    pub fn get(&self, instrument: InstrumentId) -> Option<&OptionLine> {
        self.lines.get(self.place(instrument)?)
    }

    /// The place of an instrument's option.
    #[inline]
    pub fn place(&self, instrument: InstrumentId) -> Option<usize> {
        self.places.get(usize::from(instrument.0)).copied().flatten().map(usize::from)
    }

    /// Net exposure of an underlying's options; `None` where what is held has no value.
    pub fn exposure(&self, pool: usize) -> Option<i128> {
        self.pools.get(pool).map_or(Some(0), |pool| pool.exposure)
    }

    /// The least and the most that the net exposure of an underlying's options may be; `None` where what
    /// an expired one delivers is not known.
    pub fn exposure_bounds(&self, pool: usize) -> Option<[i128; 2]> {
        self.pools.get(pool).map_or(Some([0; 2]), |pool| pool.bounds)
    }

    /// What open orders in options could add (a buy) or take off (a sell) of an underlying, ≥ 0.
    pub fn open_exposure(&self, pool: usize, side: Side) -> i128 {
        let [up, down] = self.pools.get(pool).map_or([0; 2], |pool| pool.open);
        match side {
            Side::Buy => up,
            Side::Sell => down,
        }
    }

    /// Net vega of an underlying's options and its net limit, 1e-9 a point.
    pub fn vega(&self, pool: usize) -> (i128, i64) {
        self.pools.get(pool).map_or((0, 0), |pool| (pool.vega, pool.vega_limit))
    }

    /// Net Greeks of an underlying's positions; `None` without options or where they do not fit.
    pub fn net(&self, pool: usize) -> Option<GreekVector> {
        let mut sums = [0i128; GREEKS];
        self.lines.iter().find(|line| line.pool == pool)?;
        for line in self.lines.iter().filter(|line| line.pool == pool) {
            for (sum, part) in sums.iter_mut().zip(line.per_lot.taken.parts()) {
                *sum = sum.checked_add(i128::from(part) * i128::from(line.reach.lots.0))?;
            }
        }
        let mut parts = [0; GREEKS];
        for (part, sum) in parts.iter_mut().zip(sums) {
            *part = i64::try_from(sum).ok()?;
        }
        Some(GreekVector::of(parts))
    }

    /// Limits of an underlying's whole book.
    pub fn limits(&self, pool: usize) -> Option<&GreekLimits> {
        let line = self.lines.iter().find(|line| line.pool == pool)?;
        let [total, _] = line.buckets;
        self.buckets.get(total).map(|bucket| &bucket.limits)
    }

    /// What an underlying's book could come to, by Greek.
    pub fn ranges(&self, pool: usize) -> Option<Ranges> {
        let line = self.lines.iter().find(|line| line.pool == pool)?;
        let [total, _] = line.buckets;
        self.buckets.get(total).map(|bucket| bucket.ranges)
    }

    /// How far the Greeks of a refresh that comes next may move; false where it is of no option or below
    /// zero.
    pub fn expect(&mut self, instrument: InstrumentId, at: Nanos, span: GreekVector) -> bool {
        let line = self.place(instrument).and_then(|place| self.lines.get_mut(place));
        let Some(line) = line.filter(|_| span.parts().iter().all(|part| *part >= 0)) else {
            return false;
        };
        line.expected = Some((at, span));
        true
    }

    /// A refresh; false where it is of no option, older than the last, does not fit, or where nobody
    /// said how far its Greeks may move.
    pub fn refresh(&mut self, instrument: InstrumentId, greeks: &OptionGreeks) -> bool {
        let Some(line) = self.place(instrument).and_then(|place| self.lines.get_mut(place)) else {
            return false;
        };
        let is_newer = line.greeks.is_none_or(|last| greeks.taken.at >= last.taken.at);
        let taken = per_lot(greeks, line.nano_per_tick_lot);
        let span = line.expected.filter(|(at, _)| *at == greeks.taken.at).map(|(_, span)| span);
        let is_good = is_newer && greeks.taken.value.0 >= 0;
        let (true, Some(taken), Some(span)) = (is_good, taken, span) else {
            return false;
        };
        line.greeks = Some(*greeks);
        line.per_lot = PerLot { taken, span };
        line.expected = None;
        self.count(instrument);
        true
    }

    /// An option's position and open orders are these now.
    pub fn set_reach(&mut self, instrument: InstrumentId, reach: Reach) {
        let line = self.place(instrument).and_then(|place| self.lines.get_mut(place));
        if let Some(line) = line
            && line.reach != reach
        {
            line.reach = reach;
            self.count(instrument);
            let pool = self.get(instrument).map(|line| line.pool);
            self.sum(pool.unwrap_or(usize::MAX));
        }
    }

    /// Values every option on `reference` anew; `None` where its price is not to be believed.
    pub fn reprice(&mut self, reference: InstrumentId, now: Nanos, price: Option<SubTicks>) {
        let mut pool = usize::MAX;
        for line in self.lines.iter_mut().filter(|line| line.settings.reference == reference) {
            line.value = line.valued(now, price);
            pool = line.pool;
        }
        self.sum(pool);
    }

    /// Values one option anew: its Greeks have changed.
    pub fn reprice_one(&mut self, instrument: InstrumentId, now: Nanos, price: Option<SubTicks>) {
        let Some(line) = self.place(instrument).and_then(|place| self.lines.get_mut(place)) else {
            return;
        };
        line.value = line.valued(now, price);
        let pool = line.pool;
        self.sum(pool);
    }

    /// May an option's orders on a side come to `added` more?
    pub fn check(&self, instrument: InstrumentId, side: Side, added: Lots) -> GreekVerdict {
        let Some(line) = self.get(instrument) else { return GreekVerdict::Pass };
        let after = line.per_lot.ranges(line.reach.plus(side, added));
        for bucket in line.buckets.iter().filter_map(|bucket| self.buckets.get(*bucket)) {
            let mut ranges = bucket.ranges;
            for ((all, own), new) in ranges.iter_mut().zip(line.ranges).zip(after) {
                *all = all.less(own).plus(new);
            }
            let verdict = bucket.limits.check(&bucket.ranges, &ranges);
            if verdict != GreekVerdict::Pass {
                return verdict;
            }
        }
        GreekVerdict::Pass
    }

    /// Is something held, or may it come to be, whose Greeks nobody knows?
    pub fn has_unknown(&self, instrument: InstrumentId) -> bool {
        let buckets = self.get(instrument).map_or([usize::MAX; 2], |line| line.buckets);
        buckets.iter().filter_map(|bucket| self.buckets.get(*bucket)).any(|b| b.unknown > 0)
    }

    /// How much may be quoted on a side of an option within every Greek's limit.
    pub fn room(&self, instrument: InstrumentId, side: Side) -> Lots {
        let Some(line) = self.get(instrument) else { return Lots(i64::MAX) };
        let mut end = i64::MAX;
        for bucket in line.buckets.iter().filter_map(|bucket| self.buckets.get(*bucket)) {
            let mut others = bucket.ranges;
            for (all, own) in others.iter_mut().zip(line.ranges) {
                *all = all.less(own);
            }
            end = end.min(bucket.limits.end_max(&line.per_lot, &others, side));
        }
        let held = line.reach.lots.0.saturating_mul(side.sign());
        Lots(end.saturating_sub(held).max(0))
    }

    /// Counts an option's ranges anew in its buckets.
    fn count(&mut self, instrument: InstrumentId) {
        let Some(line) = self.place(instrument).and_then(|place| self.lines.get_mut(place)) else {
            return;
        };
        let old = line.ranges;
        let was_unknown = line.is_unknown;
        line.is_unknown = line.greeks.is_none() && line.reach != Reach::default();
        line.ranges = line.per_lot.ranges(line.reach);
        let (new, is_unknown) = (line.ranges, line.is_unknown);
        for place in line.buckets {
            let Some(bucket) = self.buckets.get_mut(place) else { continue };
            for ((all, old), new) in bucket.ranges.iter_mut().zip(old).zip(new) {
                *all = all.less(old).plus(new);
            }
            let unknown = bucket.unknown + usize::from(is_unknown);
            bucket.unknown = unknown.saturating_sub(usize::from(was_unknown));
        }
    }

    /// Sums an underlying's exposures anew.
    fn sum(&mut self, pool: usize) {
        let Some(sums) = self.pools.get_mut(pool) else { return };
        let (mut exposure, mut open, mut vega) = (Some(0i128), [0i128; 2], 0i128);
        let mut bounds = Some([0i128; 2]);
        for line in self.lines.iter().filter(|line| line.pool == pool) {
            let Reach { lots, buys, sells } = line.reach;
            vega = vega.saturating_add(i128::from(lots.0) * i128::from(line.per_lot.taken.vega));
            match line.value {
                Ok(value) => {
                    let each = i128::from(value.exposure.0);
                    exposure = exposure.map(|sum| sum.saturating_add(each * i128::from(lots.0)));
                }
                Err(_) if lots.0 == 0 => {}
                Err(_) => exposure = None,
            }
            bounds = bounds.zip(line.exposure_bounds()).map(|([least, most], [low, high])| {
                [least.saturating_add(low), most.saturating_add(high)]
            });
            let each = line.open_exposure();
            let [up, down] = &mut open;
            let (more, less) = if each >= 0 { (buys, sells) } else { (sells, buys) };
            *up = up.saturating_add(each.abs() * i128::from(more.0));
            *down = down.saturating_add(each.abs() * i128::from(less.0));
        }
        *sums = Pool { exposure, bounds, open, vega, ..*sums };
    }
}

impl OptionLine {
    fn new(
        settings: &OptionSettings,
        instrument: &Instrument,
        terms: &OptionTerms,
        buckets: [usize; 2],
    ) -> OptionLine {
        let (nano_per_tick_lot, nano_underlying_per_lot) = match instrument.value() {
            ContractValue::Option { nano_per_tick_lot, nano_underlying_per_lot, .. }
            | ContractValue::Linear { nano_per_tick_lot, nano_underlying_per_lot, .. } => {
                (nano_per_tick_lot, nano_underlying_per_lot)
            }
            ContractValue::Inverse { .. } => (0, 0),
        };
        OptionLine {
            id: settings.instrument,
            settings: *settings,
            terms: *terms,
            greeks: None,
            value: Err(Unvalued::NoGreeks),
            reach: Reach::default(),
            pool: usize::from(instrument.spec().underlying.0),
            buckets,
            nano_per_tick_lot,
            nano_underlying_per_lot,
            per_lot: PerLot::default(),
            expected: None,
            ranges: [Range::default(); GREEKS],
            is_unknown: false,
            seen: None,
            fixed: None,
        }
    }

    /// 1e-9 of what it settles in that one tick of one lot is worth.
    pub fn nano_per_tick_lot(&self) -> i64 {
        self.nano_per_tick_lot
    }

    /// Its Greeks a lot, as they were refreshed.
    pub fn per_lot(&self) -> &GreekVector {
        &self.per_lot.taken
    }

    /// Its underlying, by its place in the config.
    pub fn pool(&self) -> usize {
        self.pool
    }

    /// The least and the most that the position exposes to: without a value anything from nothing to what
    /// it is on, and a quarter, for a forward that stands off what it is on.
    fn exposure_bounds(&self) -> Option<[i128; 2]> {
        let lots = i128::from(self.reach.lots.0);
        match self.value {
            Ok(value) => Some([i128::from(value.exposure.0) * lots; 2]),
            Err(_) if lots == 0 => Some([0; 2]),
            Err(Unvalued::NotFixed) => None,
            Err(Unvalued::NoGreeks | Unvalued::NoReference | Unvalued::Outside(_)) => {
                let most = self.open_exposure() * 5 / 4 * lots;
                Some([most.min(0), most.max(0)])
            }
        }
    }

    /// What a lot that may still trade counts as. Without a value it is what a lot is on, or its last
    /// refresh where that is more: an order in doubt does not leave the limits with its Greeks.
    fn open_exposure(&self) -> i128 {
        match self.value {
            Ok(value) => i128::from(value.exposure.0),
            Err(_) => {
                let most =
                    self.nano_underlying_per_lot.max(self.per_lot.taken.delta.saturating_abs());
                i128::from(most) * i128::from(self.terms.option_type.direction())
            }
        }
    }

    /// An option that has expired counts until it is settled: as its future where it delivers one.
    fn valued(&mut self, now: Nanos, price: Option<SubTicks>) -> Result<OptionValue, Unvalued> {
        if self.terms.is_expired(now) {
            return self.fix(now, price);
        }
        let price = price.ok_or(Unvalued::NoReference)?;
        self.seen = Some((now, price));
        let greeks = self.greeks.ok_or(Unvalued::NoGreeks)?;
        greeks.taken.expand(now, price, &self.settings.bounds).map_err(Unvalued::Outside)
    }

    /// What is delivered was decided at the expiry: by the price that was seen last before it or, where
    /// that is older than Greeks are believed for, first after it. A run that began after the expiry saw
    /// neither and guesses nothing. What pays delivers nothing.
    fn fix(&mut self, now: Nanos, price: Option<SubTicks>) -> Result<OptionValue, Unvalued> {
        if self.settings.nano_delivered == 0 {
            return Ok(self.at_expiry(self.settings.strike));
        }
        let (expiry, age_max_ns) = (self.terms.expiry, self.settings.bounds.age_max_ns);
        let before = self.seen.filter(|(at, _)| expiry.since(*at) <= age_max_ns);
        let after = price.filter(|_| self.seen.is_some() && now.since(expiry) <= age_max_ns);
        let fixed = self.fixed.or(before.map(|(_, price)| price)).or(after);
        self.fixed = fixed;
        fixed.map(|price| self.at_expiry(price)).ok_or(Unvalued::NotFixed)
    }

    fn at_expiry(&self, price: SubTicks) -> OptionValue {
        let direction = self.terms.option_type.direction();
        let inside = (price.0.saturating_sub(self.settings.strike.0)).saturating_mul(direction);
        let is_delivered = inside > 0 && self.settings.nano_delivered != 0;
        let exposure = if is_delivered { self.settings.nano_delivered * direction } else { 0 };
        OptionValue { value: SubTicks(0), price_delta: 0, exposure: Exposure(exposure) }
    }
}

impl Bucket {
    fn new(limits: GreekLimits) -> Bucket {
        Bucket { limits, ranges: [Range::default(); GREEKS], unknown: 0 }
    }
}

/// The first bucket that an expiry falls into; the last one has no end.
fn bucket_of(limits: &OptionLimits, expiry: Nanos) -> usize {
    let place = limits.buckets.iter().position(|(until, _)| expiry <= *until);
    place.unwrap_or(limits.buckets.len().saturating_sub(1))
}

/// A lot's Greeks as limits count them; `None` where they do not fit.
pub fn per_lot(greeks: &OptionGreeks, nano_per_tick_lot: i64) -> Option<GreekVector> {
    let taken = &greeks.taken;
    let money = |sub_ticks: i128| {
        let nano = sub_ticks.checked_mul(i128::from(nano_per_tick_lot))?;
        i64::try_from(nano >> SubTicks::FRACTION_BITS).ok()
    };
    let one_percent = i128::from(taken.underlying.0) / 100;
    let gamma = i128::from(taken.exposure_gamma).checked_mul(one_percent)?;
    Some(GreekVector {
        delta: taken.exposure.0,
        gamma: i64::try_from(gamma >> (2 * SubTicks::FRACTION_BITS)).ok()?,
        vega: money(i128::from(greeks.vega))?,
        theta: money(i128::from(taken.theta).checked_mul(86_400)?)?,
        rho: money(i128::from(greeks.rho))?,
        vanna: greeks.vanna.0,
        volga: money(i128::from(greeks.volga))?,
    })
}
