//! Guéant, Lehalle & Fernandez-Tapia (2013), exact: a table by inventory, looked up when quoting.
//!
//! Fed by `calibration::spectral` (the table) and the maker (inventory, volatility); feeds the
//! ladder. Maker's thread, hot: one division by the order size, one or two reads, two products.
//! `δ_bid(q) = u(q) + c1` and `δ_ask(q) = c1 − u(q − Δ)`, where `u(q) = ln(v(q)/v(q+Δ))/k` is the
//! table: one entry serves the bid on one side of a fill and the ask on the other.
//! Deliberately absent: the eigenvector, and quotes beyond the inventory bound (there is none).
//!
//! The table is made for one volatility. Until the next calibration u is scaled by
//! `σ / σ_calibrated`, which is what the closed form does with its skew; at the volatility of the
//! calibration the answer is the exact one.

use super::WideHalfSpreads;
use crate::fixed::{Fixed, Scaled};
use crate::units::{Lots, SubTicks};

/// Most entries: inventories from −64 to +64 order sizes have 128 steps between them.
pub const STEPS_MAX: usize = 128;

/// The table, with its grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct GlftTable {
    base: Fixed,
    order_size: Lots,
    lots_inverse: Scaled,
    sigma_inverse: Scaled,
    /// Inventory, in order sizes, at the lower end of the first step.
    first: i64,
    len: usize,
    steps: [SubTicks; STEPS_MAX],
}

impl GlftTable {
    /// A table of steps from inventory `first` (in order sizes) upward, and one over the volatility
    /// that it was made for. `None` where there is no step, more than [`STEPS_MAX`], no order size,
    /// or no volatility.
    pub fn new(
        base: Fixed,
        order_size: Lots,
        sigma_inverse: Scaled,
        first: i64,
        steps: &[SubTicks],
    ) -> Option<GlftTable> {
        if steps.is_empty() || order_size.0 <= 0 || sigma_inverse.is_zero() {
            return None;
        }
        let mut table = [SubTicks(0); STEPS_MAX];
        table.get_mut(..steps.len())?.copy_from_slice(steps);
        Some(GlftTable {
            base,
            order_size,
            lots_inverse: Scaled::ONE.over(Scaled::new(i128::from(order_size.0), 0)),
            sigma_inverse,
            first,
            len: steps.len(),
            steps: table,
        })
    }

    /// The half-spreads; see [`super::Quoter::half_spreads`]. No bid from the upper bound on, no ask
    /// from the lower; beyond the other bound, that bound's quote. Between two inventories of the
    /// grid, a straight line.
    pub fn wide(&self, inventory: Lots, sigma: Scaled) -> WideHalfSpreads {
        let scale = sigma.times(self.sigma_inverse);
        let place = inventory.0.div_euclid(self.order_size.0).saturating_sub(self.first);
        let rest = inventory.0.rem_euclid(self.order_size.0);
        let last = i64::try_from(self.len).unwrap_or(i64::MAX) - 1;
        let is_above = |place: i64| place > last || (place == last && rest > 0);
        let bid = if is_above(place) {
            None
        } else if place < 0 {
            self.between(0, 0)
        } else {
            self.between(place, rest)
        };
        let ask_place = place.saturating_sub(1);
        let ask = if ask_place < 0 {
            None
        } else if is_above(ask_place) {
            self.between(last, 0)
        } else {
            self.between(ask_place, rest)
        };
        WideHalfSpreads {
            bid: bid.map(|u| self.base.plus(scale.times(u).fixed())),
            ask: ask.map(|u| self.base.minus(scale.times(u).fixed())),
        }
    }

    /// What [`GlftTable::new`] takes, for the journal.
    pub fn parts(&self) -> (Fixed, Lots, Scaled, i64, &[SubTicks]) {
        let steps = self.steps.get(..self.len).unwrap_or(&[]);
        (self.base, self.order_size, self.sigma_inverse, self.first, steps)
    }

    /// u at step `place` and `rest` lots toward the next one.
    fn between(&self, place: i64, rest: i64) -> Option<Scaled> {
        let index = usize::try_from(place).ok()?;
        let here = i128::from(self.steps.get(index)?.0);
        if rest == 0 {
            return Some(Scaled::new(here, 32));
        }
        let there = i128::from(self.steps.get(index + 1)?.0);
        let part = Scaled::new(there - here, 32).times(self.lots_inverse).of(rest);
        Some(Scaled::new(part.0.saturating_add(here << 32), 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inventories −2 … 2 of 10 lots each; u is −6, −2, 2, 6 ticks, c1 is 20.
    fn table() -> GlftTable {
        let steps = [-6, -2, 2, 6].map(|u| SubTicks(u << 32));
        let base = Fixed::from_sub_ticks(SubTicks(20 << 32));
        GlftTable::new(base, Lots(10), Scaled::ONE.over(Scaled::new(3, 0)), -2, &steps).unwrap()
    }

    fn ticks(side: Option<Fixed>) -> Option<String> {
        side.map(|half| format!("{:.2}", half.nearest_sub_ticks().0 as f64 / 2f64.powi(32)))
    }

    fn both(lots: i64, sigma: i128) -> (Option<String>, Option<String>) {
        let wide = table().wide(Lots(lots), Scaled::new(sigma, 0));
        (ticks(wide.bid), ticks(wide.ask))
    }

    fn pair(bid: &str, ask: &str) -> (Option<String>, Option<String>) {
        (Some(bid.into()), Some(ask.into()))
    }

    #[test]
    fn a_step_is_the_bid_before_a_fill_and_the_ask_after_it() {
        assert_eq!(both(0, 3), pair("22.00", "22.00"));
        assert_eq!(both(10, 3), pair("26.00", "18.00"));
        assert_eq!(both(-10, 3), pair("18.00", "26.00"));
    }

    #[test]
    fn an_inventory_off_the_grid_lies_on_the_line_between() {
        assert_eq!(both(5, 3), pair("24.00", "20.00"));
        assert_eq!(both(-5, 3), pair("20.00", "24.00"));
    }

    #[test]
    fn nothing_is_quoted_that_would_pass_the_bound() {
        assert_eq!(both(20, 3), (None, Some("14.00".into())));
        assert_eq!(both(11, 3), (None, Some("17.60".into())));
        assert_eq!(both(-20, 3), (Some("14.00".into()), None));
        assert_eq!(both(1000, 3), (None, Some("14.00".into())));
        assert_eq!(both(i64::MIN, 3), (Some("14.00".into()), None));
        assert_eq!(both(i64::MAX, 3), (None, Some("14.00".into())));
    }

    #[test]
    fn the_skew_follows_the_volatility() {
        assert_eq!(both(10, 6), pair("32.00", "16.00"));
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        let steps = [SubTicks(0); STEPS_MAX + 1];
        let sigma = Scaled::ONE;
        assert!(GlftTable::new(Fixed(0), Lots(1), sigma, 0, &steps).is_none());
        assert!(GlftTable::new(Fixed(0), Lots(1), sigma, 0, &[]).is_none());
        assert!(GlftTable::new(Fixed(0), Lots(0), sigma, 0, &steps[1..]).is_none());
        assert!(GlftTable::new(Fixed(0), Lots(1), Scaled::ZERO, 0, &steps[1..]).is_none());
    }
}
