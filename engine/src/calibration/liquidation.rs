//! How far liquidation is: the least move of prices after which collateral covers the margin no more.
//!
//! Fed by an [`Account`]'s assessment; feeds its distance. Calibration thread. Looked for are the move of
//! all prices together and that of each underlying alone (what hedges it may stand still), each with
//! volatilities as they are and, where there are options, at the highest of the venue's grid. Deliberately
//! absent: haircuts that move meanwhile, and moves that nobody could list.

use super::options::OptionsError;
use super::options::scenario::Shock;
use super::stress::{Account, AccountRules, Cover, Holding, VenueRules};

/// Where the search for liquidation looks: in small steps near by, in larger ones beyond.
const NEAR: f64 = 0.005;
const NEAR_STEPS: i32 = 20;
const FAR: f64 = 0.02;
const FAR_STEPS: i32 = 44;
/// Halvings of a step.
const HALVINGS: u32 = 20;

/// Prices and volatilities moved, while liquidation is looked for.
#[derive(Clone, Copy)]
struct Move {
    /// Whose price alone; `None`: all.
    underlying: Option<usize>,
    price: f64,
    /// Volatilities are at the highest of their venue's grid.
    is_wild: bool,
}

impl VenueRules {
    /// How far volatilities rise on the grid.
    fn volatility_max(&self) -> f64 {
        self.grid.iter().map(|shock| shock.volatility).fold(0.0, f64::max)
    }
}

impl Holding {
    /// The same after a move of its price and of volatilities.
    fn after(&self, shock: &Shock) -> Holding {
        let factor = 1.0 + shock.price;
        let mut moved = self.clone();
        moved.book.underlying_price *= factor;
        moved.linear *= factor;
        for position in &mut moved.book.options {
            position.option.forward *= factor;
            position.option.volatility *= 1.0 + shock.volatility;
        }
        moved
    }
}

impl Account {
    /// What is left over the margin after a move; haircuts stay what they are.
    fn free_after(
        &self,
        cover: &Cover,
        moved: Move,
        rules: &AccountRules,
    ) -> Result<f64, OptionsError> {
        let mut free = cover.collateral;
        for holding in self.of(cover.venue) {
            let Some(venue) = rules.venues.get(holding.venue) else { continue };
            let is_moved = moved.underlying.is_none_or(|only| only == holding.underlying);
            let price = if is_moved { moved.price } else { 0.0 };
            let volatility = if moved.is_wild { venue.volatility_max() } else { 0.0 };
            let shock = Shock::of(price, volatility);
            free += holding.profit(&shock)?;
            free -= holding.after(&shock).margin(venue)?;
        }
        Ok(free)
    }

    /// The nearest move after which the margin is not covered: of all prices and of each underlying's
    /// alone, with volatilities as they are and, where there are options, at their grid's highest.
    pub(super) fn distance(
        &self,
        cover: &Cover,
        rules: &AccountRules,
    ) -> Result<Option<f64>, OptionsError> {
        if cover.collateral < cover.margin && self.of(cover.venue).next().is_some() {
            return Ok(Some(0.0));
        }
        let mut alone: Vec<usize> = self.of(cover.venue).map(|held| held.underlying).collect();
        alone.sort_unstable();
        alone.dedup();
        let mut whose: Vec<Option<usize>> = Vec::new();
        whose.extend((!alone.is_empty()).then_some(None));
        // The move of the only one is that of all.
        whose.extend(alone.iter().filter(|_| alone.len() > 1).copied().map(Some));
        let has_options = self.of(cover.venue).any(|held| !held.book.options.is_empty());
        let mut distance: Option<f64> = None;
        for underlying in whose {
            for is_wild in [false, true].into_iter().filter(|is_wild| has_options || !is_wild) {
                let toward = Move { underlying, price: 0.0, is_wild };
                if let Some(found) = self.nearest(cover, toward, distance, rules)? {
                    distance = Some(distance.map_or(found, |nearest| nearest.min(found)));
                }
            }
        }
        Ok(distance)
    }

    /// The nearest price, either way, at which a move ends it; no further than what is known of others.
    fn nearest(
        &self,
        cover: &Cover,
        toward: Move,
        known: Option<f64>,
        rules: &AccountRules,
    ) -> Result<Option<f64>, OptionsError> {
        if toward.is_wild && self.free_after(cover, toward, rules)? < 0.0 {
            return Ok(Some(0.0));
        }
        let near = (1..=NEAR_STEPS).map(|n| f64::from(n) * NEAR);
        let edge_of_near = f64::from(NEAR_STEPS) * NEAR;
        let far = (1..=FAR_STEPS).map(|n| edge_of_near + f64::from(n) * FAR);
        let mut survived = 0.0;
        for beyond in near.chain(far) {
            if known.is_some_and(|known| known <= survived) {
                return Ok(None);
            }
            let mut nearest: Option<f64> = None;
            for way in [1.0, -1.0] {
                let moved = Move { price: way * beyond, ..toward };
                if self.free_after(cover, moved, rules)? < 0.0 {
                    let found = self.edge(cover, moved, survived, rules)?;
                    nearest = Some(nearest.map_or(found, |nearest| nearest.min(found)));
                }
            }
            if nearest.is_some() {
                return Ok(nearest);
            }
            survived = beyond;
        }
        Ok(None)
    }

    /// Between what is survived and a move that is not: the last that is.
    fn edge(
        &self,
        cover: &Cover,
        ended: Move,
        survived: f64,
        rules: &AccountRules,
    ) -> Result<f64, OptionsError> {
        let (mut low, mut high) = (survived, ended.price.abs());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            let moved = Move { price: middle.copysign(ended.price), ..ended };
            if self.free_after(cover, moved, rules)? < 0.0 {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::scenario::{Book, OptionPosition};
    use super::super::options::{Black76, OptionType};
    use super::super::stress::tests::{assess, dollars, futures, rules};
    use super::*;

    #[test]
    fn a_short_option_is_margined_by_the_worst_node_of_its_grid() {
        let option = Black76 {
            forward: 100.0,
            strike: 100.0,
            years: 0.1,
            volatility: 0.3,
            rate: 0.0,
            option_type: OptionType::Call,
        };
        let book = Book {
            options: vec![OptionPosition { option, units: -10.0, has_basis: true }],
            underlying_units: 0.0,
            underlying_price: 100.0,
        };
        let worst = book.worst(&rules().venues[0].grid).unwrap().unwrap();
        let short = Holding { book, ..Holding::default() };
        let found = assess(vec![short.clone()], vec![dollars(1_000.0)]);
        assert_eq!(worst.shock.price, 0.1);
        assert_eq!(found.margins, vec![-worst.profit]);
        // Where it is liquidated, the margin of that moment is just covered.
        let distance = found.distance.unwrap();
        let account = Account {
            holdings: vec![short],
            collateral: vec![dollars(1_000.0)],
            ..Account::default()
        };
        let cover = Cover { venue: None, collateral: 1_000.0, margin: 0.0 };
        let free = |price: f64| {
            let moved = Move { underlying: None, price, is_wild: true };
            account.free_after(&cover, moved, &rules()).unwrap()
        };
        assert!(free(distance) >= 0.0 && free(distance) < 0.01, "{distance}");
        assert!(free(distance + 1e-6) < 0.0 && free(-distance) > 0.0);
    }

    #[test]
    fn nothing_held_is_never_liquidated_and_a_hedged_pair_by_its_margin_alone() {
        let none = assess(vec![], vec![dollars(1.0)]);
        assert_eq!((none.utilisation, none.distance), (0.0, None));
        let pair = assess(vec![futures(10.0), futures(-10.0)], vec![dollars(250.0)]);
        // 100 of margin at 100, 250 at 250.
        assert_eq!((pair.utilisation, pair.distance), (0.4, None));
        let thin = assess(vec![futures(10.0), futures(-10.0)], vec![dollars(110.0)]);
        assert!((thin.distance.unwrap() - 0.1).abs() < 1e-7, "{thin:?}");
    }

    #[test]
    fn one_underlying_that_moves_against_the_other_is_the_nearest_end() {
        let other = Holding { underlying: 1, ..futures(-10.0) };
        // Both together move nothing but the margin; 5 % of one alone takes what is over it.
        let mut rules = rules();
        for scenario in &mut rules.scenarios {
            scenario.prices.push(0.0);
        }
        let (holdings, collateral) = (vec![futures(10.0), other], vec![dollars(152.5)]);
        let account = Account { holdings, collateral, ..Account::default() };
        let found = account.assess(&rules).unwrap();
        assert!((found.distance.unwrap() - 0.05).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn volatility_alone_may_end_a_book() {
        let option = Black76 {
            forward: 100.0,
            strike: 100.0,
            years: 1.0,
            volatility: 0.3,
            rate: 0.0,
            option_type: OptionType::Call,
        };
        let short = OptionPosition { option, units: -10.0, has_basis: true };
        let book = Book { options: vec![short], underlying_price: 100.0, ..Book::default() };
        let held = vec![Holding { book, ..Holding::default() }];
        let margin = assess(held.clone(), vec![dollars(1_000.0)]).margins[0];
        let found = assess(held, vec![dollars(margin + 1.0)]);
        assert_eq!(found.distance, Some(0.0), "a fifth more volatility is more than 1: {found:?}");
    }
}
