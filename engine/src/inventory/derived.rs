//! The derived no-trade band: what a unit of inventory costs, by volatility and hedge cost.
//!
//! Made by `calibration` (one row a volatility and a hedge cost) from the config or a refit; feeds the
//! hedger, which hedges while a unit costs more than its hedge (φ), at the rate `(cost − φ)/2η`.
//! Maker thread: a [`Curve`] is made on the timer, when volatility or φ has moved by an eighth, and
//! kept; what looks at every event is one comparison. Deliberately absent: floating point, and the
//! solving itself.
//!
//! Each row has its own band, and what a unit costs beyond it by multiples of that band; between rows
//! the bands are mixed (in proportion to hedge cost, inversely to volatility, as they go) and so is
//! what lies beyond them. Mixing the costs themselves would put the band near that of the widest row,
//! for cost has a kink there. Volatility below the first row counts as the first row's (it never falls
//! below its floor). Beyond the last row of either the closed form of a quadratic value stands in: cost
//! `(a - k)q` with `a` proportional to volatility.

use crate::estimate::volatility::Sigma;
use crate::event::InstrumentId;
use crate::fixed::Scaled;
use crate::units::{Exposure, SubTicks};

/// Inventories of a row: `band · (1 + (j/4)²)`, so that the near ones lie close together.
pub const NODES: usize = 17;
/// Volatilities of a table, each twice the one before.
pub const SIGMAS: usize = 7;
/// Hedge costs of a table, each four times the one before.
pub const PHIS: usize = 6;
/// Binary digits behind the point of a row's numbers.
pub const ROW_FRACTION_BITS: u32 = 20;
/// Volatility or hedge cost must move by this part of itself before the curve follows.
const FOLLOW_PART: i64 = 8;

/// The band and what lies beyond, for one volatility and one hedge cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Row {
    /// Where a unit costs what its hedge does; 0: nowhere.
    pub band: Exposure,
    /// What a unit costs beyond its hedge at each node, in `unit`s, 2^-20 each; the first is 0.
    pub excess: [i32; NODES],
    /// Ticks a unit: 1/k.
    pub unit: Scaled,
    /// Of the closed form: `a/σ`, ticks a 1e-9 of exposure for each tick/√s.
    pub slope: Scaled,
}

/// A row on its way into a maker that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowUpdate {
    /// Whose intensities it was solved with.
    pub quoted: InstrumentId,
    /// Its place in the table.
    pub place: u8,
    /// The row.
    pub row: Row,
}

/// The band and rate of an underlying, solved.
#[derive(Clone, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct DerivedBand {
    /// Whose volatility, ticks and intensities these are.
    pub quoted: InstrumentId,
    /// Exposure of one quoted order: what slippage is asked for.
    pub order: Exposure,
    /// Volatility of the first rows.
    pub sigma_least: Sigma,
    /// Hedge cost of the first rows.
    pub phi_least: SubTicks,
    /// The largest inventory that was solved for.
    pub reach: Exposure,
    /// [`SIGMAS`] times [`PHIS`] rows, volatility by volatility.
    pub rows: Vec<Row>,
    /// Permanent impact k, ticks a 1e-9 of exposure.
    pub impact: Scaled,
    /// 1/(2η): 1e-9 of exposure a second and tick.
    pub pace: Scaled,
}

/// The band now, and what a unit costs beyond it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Curve {
    sigma: Sigma,
    phi: SubTicks,
    band: Option<i64>,
    excess: [i64; NODES],
}

impl DerivedBand {
    /// Takes a refitted row in; says whether it had a place.
    pub fn take(&mut self, update: &RowUpdate) -> bool {
        let row = self.rows.get_mut(usize::from(update.place));
        let row = row.filter(|_| self.quoted == update.quoted);
        row.is_some_and(|row| {
            *row = update.row;
            true
        })
    }

    /// The curve at a volatility and a hedge cost.
    pub fn curve(&self, sigma: Sigma, phi: SubTicks) -> Curve {
        let (band, excess) =
            self.between_rows(sigma, phi).unwrap_or_else(|| self.closed_form(sigma, phi));
        Curve { sigma, phi, band: (band > 0).then_some(band), excess }
    }

    /// `None` beyond the table.
    fn between_rows(&self, sigma: Sigma, phi: SubTicks) -> Option<(i64, [i64; NODES])> {
        let (low, share) = place(sigma.0, self.sigma_least.0, 2, SIGMAS)?;
        let (left, weight) = place(phi.0, self.phi_least.0, 4, PHIS)?;
        let corner = |sigma: usize, phi: usize| {
            self.rows.get(sigma.min(SIGMAS - 1) * PHIS + phi.min(PHIS - 1))
        };
        let side = |sigma: usize| -> Option<(i64, [i64; NODES])> {
            let (near, far) = (corner(sigma, left)?, corner(sigma, left + 1)?);
            // Where one has no band, neither has what lies between.
            let has_band = near.band.0 > 0 && (weight == 0 || far.band.0 > 0);
            let band = if has_band { mix(near.band.0, far.band.0, weight) } else { 0 };
            Some((band, mixed(&near.ticks(), &far.ticks(), weight)))
        };
        let ((slow, near), (fast, far)) = (side(low)?, side(low + 1)?);
        let has_band = slow > 0 && (share == 0 || fast > 0);
        let mut band = if has_band { harmonic(slow, fast, share) } else { 0 };
        if phi < self.phi_least && band > 0 {
            let part = i128::from(band) * i128::from(phi.0.max(0));
            // Never nothing: nothing would say that there is no band.
            band = i64::try_from(part / i128::from(self.phi_least.0.max(1))).ok()?.max(1);
        }
        Some((band, mixed(&near, &far, share)))
    }

    fn closed_form(&self, sigma: Sigma, phi: SubTicks) -> (i64, [i64; NODES]) {
        let slope = self.rows.first().map_or(Scaled::ZERO, |row| row.slope);
        let slope = slope.times(Scaled::new(i128::from(sigma.0), 32));
        // For many units at once, so that a small slope keeps its digits.
        let many = 1_000_000_000;
        let rise = slope.of(many).minus(self.impact.of(many));
        if rise.0 <= 0 {
            return (0, [0; NODES]);
        }
        let rise = Scaled::new(rise.0, 64).over(Scaled::new(i128::from(many), 0));
        let band = Scaled::new(i128::from(phi.0.max(1)), 32).over(rise).fixed().0 >> 64;
        let band = i64::try_from(band).unwrap_or(i64::MAX).max(1);
        let excess = std::array::from_fn(|node| rise.of(beyond(band, node)).nearest_sub_ticks().0);
        (band, excess)
    }

    /// What hedging at the rate of `excess` cost a unit takes off in a time, 1e-9 of exposure.
    pub fn paced(&self, excess: SubTicks, elapsed_ns: u64) -> Exposure {
        let per_second = Scaled::new(i128::from(excess.0), 32).times(self.pace);
        let amount = per_second.times(Scaled::from_nanos(elapsed_ns)).fixed().0 >> 64;
        Exposure(i64::try_from(amount).unwrap_or(i64::MAX).max(0))
    }
}

impl Row {
    /// What a unit costs beyond its hedge, in 2^-32 tick.
    fn ticks(&self) -> [i64; NODES] {
        let fraction = i32::try_from(ROW_FRACTION_BITS).unwrap_or(0);
        self.excess.map(|excess| {
            let ticks = self.unit.times(Scaled::new(i128::from(excess), fraction));
            ticks.fixed().nearest_sub_ticks().0
        })
    }
}

impl Curve {
    /// Whether it still serves: neither volatility nor hedge cost has moved by an eighth.
    pub fn serves(&self, sigma: Sigma, phi: SubTicks) -> bool {
        let is_near = |now: i64, then: i64| {
            now.saturating_sub(then).saturating_abs() <= then.saturating_abs() / FOLLOW_PART
        };
        is_near(sigma.0, self.sigma.0) && is_near(phi.0, self.phi.0)
    }

    /// The inventory up to which no hedge is worth its cost; `None` where none is worth one.
    pub fn band(&self) -> Option<Exposure> {
        self.band.map(Exposure)
    }

    /// By how much a unit of this inventory (≥ 0) costs more than its hedge; 0 inside the band.
    /// Beyond the last node the last segment goes on.
    pub fn excess(&self, inventory_size: Exposure) -> SubTicks {
        let Some(band) = self.band else { return SubTicks(0) };
        let over = inventory_size.0.saturating_sub(band);
        if over <= 0 {
            return SubTicks(0);
        }
        let above = (1..NODES - 1).find(|node| beyond(band, *node) >= over);
        let node = above.unwrap_or(NODES - 1);
        let (from, to) = (beyond(band, node - 1), beyond(band, node));
        let at = |node: usize| self.excess.get(node).copied().unwrap_or(0);
        let (before, here) = (at(node - 1), at(node));
        let rise = i128::from(here.saturating_sub(before));
        let run = i128::from(to.saturating_sub(from)).max(1);
        let more = rise.saturating_mul(i128::from(over.saturating_sub(from))) / run;
        let excess = i128::from(before).saturating_add(more).max(0);
        SubTicks(i64::try_from(excess).unwrap_or(i64::MAX))
    }
}

/// How far beyond the band a node lies.
fn beyond(band: i64, node: usize) -> i64 {
    let node = i128::try_from(node).unwrap_or(i128::MAX);
    i64::try_from(i128::from(band) * node * node / 16).unwrap_or(i64::MAX)
}

/// Between which two of a geometric row of numbers a value lies, and how far on, in 2^-16. `None`
/// beyond the last.
fn place(value: i64, least: i64, ratio: i64, count: usize) -> Option<(usize, i64)> {
    if value <= least {
        return Some((0, 0));
    }
    let mut from = least;
    for low in 0..count - 1 {
        let to = from.checked_mul(ratio)?;
        if value <= to {
            let share = i128::from(value - from) * (1 << 16) / i128::from(to - from).max(1);
            return Some((low, i64::try_from(share).ok()?));
        }
        from = to;
    }
    None
}

/// `near` moved toward `far` by a share in 2^-16.
fn mix(near: i64, far: i64, share: i64) -> i64 {
    let moved = (i128::from(far.saturating_sub(near)) * i128::from(share)) >> 16;
    near.saturating_add(i64::try_from(moved).unwrap_or(0))
}

/// The same, node by node.
fn mixed(near: &[i64; NODES], far: &[i64; NODES], share: i64) -> [i64; NODES] {
    let mut mixed = *near;
    for (to, far) in mixed.iter_mut().zip(far) {
        *to = mix(*to, *far, share);
    }
    mixed
}

/// The inverse of the mixed inverses, of two that are > 0; the first where the share is 0.
fn harmonic(near: i64, far: i64, share: i64) -> i64 {
    if share == 0 {
        return near;
    }
    let (near, far, share) = (i128::from(near), i128::from(far), i128::from(share));
    let whole = far * ((1 << 16) - share) + near * share;
    let product = near.checked_mul(far).and_then(|product| product.checked_mul(1 << 16));
    let mixed = product.and_then(|product| product.checked_div(whole));
    mixed.and_then(|mixed| i64::try_from(mixed).ok()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i64 = 1 << 32;

    /// A unit costs 16 ticks times its share of 256,000, times σ in floors, whatever φ: the band is
    /// `16,000 φ/σ`, and beyond it a unit costs `φ (q/band - 1)` more.
    fn straight() -> DerivedBand {
        let row = |sigma: usize, phi: usize| {
            let (sigma, phi) = (1i64 << sigma, 1i64 << (2 * phi));
            let excess = std::array::from_fn(|j| {
                i32::try_from(phi * i64::try_from(j * j).unwrap() * (1 << 20) / 1024).unwrap()
            });
            let slope = Scaled::new(16, 0).over(Scaled::new(256_000, 0));
            Row { band: Exposure(16_000 * phi / sigma), excess, unit: Scaled::new(64, 0), slope }
        };
        let places = (0..SIGMAS).flat_map(|sigma| (0..PHIS).map(move |phi| (sigma, phi)));
        DerivedBand {
            quoted: InstrumentId(0),
            order: Exposure(1_000),
            sigma_least: Sigma(ONE),
            phi_least: SubTicks(ONE),
            reach: Exposure(256_000),
            rows: places.map(|(sigma, phi)| row(sigma, phi)).collect(),
            impact: Scaled::ZERO,
            pace: Scaled::new(100, 0),
        }
    }

    fn ticks(n: i64) -> SubTicks {
        SubTicks(n * ONE)
    }

    #[test]
    fn the_band_is_where_the_cost_of_a_unit_meets_its_hedge() {
        let band = |sigma, phi| straight().curve(Sigma(sigma * ONE), ticks(phi)).band();
        assert_eq!(band(1, 4), Some(Exposure(64_000)));
        assert_eq!(band(2, 4), Some(Exposure(32_000)), "twice the volatility, half the band");
        let between = band(3, 6).unwrap().0;
        assert!((between - 32_000).abs() < 10, "between the rows: {between}");
        let curve = straight().curve(Sigma(ONE), SubTicks(ONE / 2));
        assert_eq!(curve.band(), Some(Exposure(8_000)), "below the first hedge cost");
        let mut none = straight();
        none.rows.iter_mut().for_each(|row| row.band = Exposure(0));
        let curve = none.curve(Sigma(ONE), ticks(4));
        assert_eq!((curve.band(), curve.excess(Exposure(i64::MAX))), (None, SubTicks(0)));
    }

    #[test]
    fn beyond_the_table_the_closed_form_goes_on_where_it_ends() {
        // 64 floors is the last row; at 128 the closed form answers, and agrees: the row is its own.
        let curve = straight().curve(Sigma(128 * ONE), ticks(512));
        let band = curve.band().unwrap().0;
        assert!((band - 64_000).abs() < 10, "{band}");
        let twice = curve.excess(Exposure(128_000)).0;
        assert!((twice - 512 * ONE).abs() < ONE, "{twice}");
        let moved = DerivedBand {
            impact: Scaled::new(16 * 128, 0).over(Scaled::new(256_000, 0)),
            ..straight()
        };
        assert_eq!(moved.curve(Sigma(128 * ONE), ticks(1)).band(), None, "a is not above k");
    }

    #[test]
    fn the_rate_is_what_a_unit_costs_beyond_its_hedge_and_carries_its_time() {
        let band = straight();
        let curve = band.curve(Sigma(ONE), ticks(4));
        assert_eq!(curve.excess(Exposure(64_000)), SubTicks(0));
        assert_eq!(curve.excess(Exposure(128_000)), ticks(4));
        assert_eq!(curve.excess(Exposure(64_000 * 33)), ticks(128), "the last segment goes on");
        // 4 ticks at 100 a tick and second.
        assert_eq!(band.paced(ticks(4), 1_000_000_000), Exposure(400));
        assert_eq!(band.paced(ticks(4), 0), Exposure(0));
    }

    #[test]
    fn a_curve_serves_until_something_moves_by_an_eighth() {
        let curve = straight().curve(Sigma(8 * ONE), ticks(16));
        assert!(curve.serves(Sigma(9 * ONE), ticks(18)));
        assert!(!curve.serves(Sigma(9 * ONE + 1), ticks(16)));
        assert!(!curve.serves(Sigma(8 * ONE), ticks(13)));
    }

    #[test]
    fn the_integers_edges_do_not_wrap() {
        let band = DerivedBand { reach: Exposure(i64::MAX), ..straight() };
        let curve = band.curve(Sigma(i64::MAX), SubTicks(i64::MAX));
        assert!(curve.excess(Exposure(i64::MAX)).0 >= 0);
        assert!(band.paced(SubTicks(i64::MAX), u64::MAX).0 >= 0);
    }

    #[test]
    fn a_row_of_another_instrument_or_place_is_refused() {
        let mut band = straight();
        let row = band.rows[0];
        assert!(!band.take(&RowUpdate { quoted: InstrumentId(1), place: 0, row }));
        assert!(!band.take(&RowUpdate { quoted: InstrumentId(0), place: 42, row }));
        assert!(band.take(&RowUpdate { quoted: InstrumentId(0), place: 41, row }));
    }
}
