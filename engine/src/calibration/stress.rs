//! Margin, collateral after haircuts, distance to liquidation and stressed loss of a whole account.
//!
//! Fed by whoever holds positions and marks, off the hot path; feeds the maker's collateral limits and
//! people. Calibration thread. Every option is repriced, not expanded. Deliberately absent: a venue's own
//! margin formula: rates and grids are arguments, and what comes out is an estimate of what it will ask.
//!
//! A venue's margin is covered by what is held there, where that is known; else by one heap of all.

use super::options::OptionsError;
use super::options::scenario::{Book, Shock, haircut};

/// What is held of one underlying at one venue, in units of the reporting currency.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Holding {
    /// The venue, by its place.
    pub venue: usize,
    /// The underlying, by its place.
    pub underlying: usize,
    /// Options, futures and perpetuals (an inverse contract as `N/mark`): what margin is asked for.
    pub book: Book,
    /// Units of the underlying that are owned: spot, and the coin that inverse contracts settle in.
    pub owned: f64,
    /// Value of linear contracts, longs and shorts added up.
    pub linear: f64,
    /// Value of inverse contracts, likewise.
    pub inverse: f64,
}

/// One kind of collateral.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Collateral {
    /// The venue that it is at, by its place; `None` where nobody keeps that, or on its way.
    pub venue: Option<usize>,
    /// Its value in the reporting currency; a debt is negative and gets no haircut.
    pub value: f64,
    /// Its annual volatility against the reporting currency; 0 for that currency itself.
    pub volatility: f64,
    /// It is the reporting currency: no haircut and no shock.
    pub is_reporting: bool,
    /// Its price's risk stands in a holding already, as what is owned there.
    pub is_owned: bool,
}

/// What a venue asks.
#[derive(Clone, PartialEq, Debug)]
pub struct VenueRules {
    /// Margin of linear contracts, as a part of their value.
    pub linear_rate: f64,
    /// Margin of inverse contracts, likewise.
    pub inverse_rate: f64,
    /// Grid that a book with options is margined by: its worst node.
    pub grid: Vec<Shock>,
}

/// How far collateral may fall while it is being sold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HaircutRules {
    /// Days until it is sold.
    pub days: f64,
    /// How many deviations of that time.
    pub deviations: f64,
    /// Never less than this, of anything that is not the reporting currency.
    pub floor: f64,
}

/// Everything moving at once.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// What people call it.
    pub name: String,
    /// Relative move of each underlying, by its place.
    pub prices: Vec<f64>,
    /// Relative move of every volatility.
    pub volatility: f64,
    /// Move of futures and perpetuals against spot, as a part of the price.
    pub basis: f64,
    /// Relative move of all collateral that is neither the reporting currency nor an underlying.
    pub collateral: f64,
}

/// The rules of an account.
#[derive(Clone, PartialEq, Debug)]
pub struct AccountRules {
    /// By venue.
    pub venues: Vec<VenueRules>,
    /// Haircuts.
    pub haircut: HaircutRules,
    /// Stress scenarios, at least one.
    pub scenarios: Vec<Scenario>,
}

/// An account at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Account {
    /// Positions.
    pub holdings: Vec<Holding>,
    /// Collateral.
    pub collateral: Vec<Collateral>,
    /// What each quote adds if its bid is filled in full.
    pub quotes: Vec<Holding>,
    /// A venue's margin is covered by what is there alone; else by all there is.
    pub is_apart: bool,
}

/// Collateral that covers a margin.
#[derive(Clone, Copy)]
struct Cover {
    /// Whose margin; `None`: all venues'.
    venue: Option<usize>,
    /// After haircuts.
    collateral: f64,
    margin: f64,
}

/// What was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Assessment {
    /// Margin by venue.
    pub margins: Vec<f64>,
    /// Collateral before haircuts.
    pub equity: f64,
    /// Collateral after haircuts.
    pub collateral: f64,
    /// Margin over collateral, at the venue where that is most; infinite where there is none to cover it.
    pub utilisation: f64,
    /// By venue, where each covers its own; empty where all is one heap.
    pub venues: Vec<f64>,
    /// The least move of all prices, either way, at which the collateral covers the margin no more,
    /// somewhere; `None` where none up to all of the price does.
    pub distance: Option<f64>,
    /// What each scenario earns (negative: loses), in the order of the rules.
    pub scenarios: Vec<f64>,
    /// What each scenario would take beyond that, ≥ 0, were every quote filled in full on its worse side.
    pub quoted: Vec<f64>,
}

/// Where the search for liquidation looks: in small steps near by, in larger ones beyond.
const NEAR: f64 = 0.005;
const NEAR_STEPS: i32 = 20;
const FAR: f64 = 0.02;
const FAR_STEPS: i32 = 44;
/// Halvings of a step.
const HALVINGS: u32 = 20;

impl Holding {
    /// The same after a move of every price.
    fn after(&self, price: f64) -> Holding {
        let factor = 1.0 + price;
        let mut moved = self.clone();
        moved.book.underlying_price *= factor;
        moved.linear *= factor;
        for position in &mut moved.book.options {
            position.option.forward *= factor;
        }
        moved
    }

    /// What a shock earns, with what is owned.
    fn profit(&self, shock: &Shock) -> Result<f64, OptionsError> {
        Ok(self.book.profit(shock)? + self.owned * self.book.underlying_price * shock.price)
    }

    /// What a scenario earns on it.
    fn under(&self, scenario: &Scenario) -> Result<f64, OptionsError> {
        let price = scenario.prices.get(self.underlying);
        let price = *price.ok_or(OptionsError::OutOfRange { name: "underlying" })?;
        let shock = Shock { price, volatility: scenario.volatility, weight: 1.0 };
        let after = self.book.underlying_price * (1.0 + price);
        Ok(self.profit(&shock)? + self.book.underlying_units * after * scenario.basis)
    }

    /// A book with options by its worst node, anything else by its rate.
    fn margin(&self, venue: &VenueRules) -> Result<f64, OptionsError> {
        if self.book.options.is_empty() {
            return Ok(venue.linear_rate * self.linear + venue.inverse_rate * self.inverse);
        }
        let worst = self.book.worst(&venue.grid)?;
        Ok(worst.map_or(0.0, |worst| (-worst.profit).max(0.0)))
    }
}

impl Account {
    /// Assesses it.
    ///
    /// # Errors
    /// A position or a rule that cannot be valued.
    pub fn assess(&self, rules: &AccountRules) -> Result<Assessment, OptionsError> {
        let mut margins = vec![0.0; rules.venues.len()];
        for holding in &self.holdings {
            let venue = rules.venues.get(holding.venue).zip(margins.get_mut(holding.venue));
            let (venue, margin) = venue.ok_or(OptionsError::OutOfRange { name: "venue" })?;
            *margin += holding.margin(venue)?;
        }
        let equity: f64 = self.collateral.iter().map(|held| held.value).sum();
        let all = Cover {
            venue: None,
            collateral: self.covering(None, rules)?,
            margin: margins.iter().sum(),
        };
        let mut covers = vec![all];
        if self.is_apart {
            covers.clear();
            for (venue, margin) in margins.iter().enumerate() {
                let (venue, margin) = (Some(venue), *margin);
                covers.push(Cover { venue, collateral: self.covering(venue, rules)?, margin });
            }
        }
        let used: Vec<f64> = covers.iter().map(Cover::utilisation).collect();
        let utilisation = used.iter().copied().fold(0.0, f64::max);
        let mut distance: Option<f64> = None;
        for cover in &covers {
            if let Some(found) = self.distance(cover, rules)? {
                distance = Some(distance.map_or(found, |nearest| nearest.min(found)));
            }
        }
        let venues = if self.is_apart { used } else { Vec::new() };
        let collateral = all.collateral;
        let (mut scenarios, mut quoted) = (Vec::new(), Vec::new());
        for scenario in &rules.scenarios {
            scenarios.push(self.under(scenario)?);
            let mut loss = 0.0;
            for quote in &self.quotes {
                loss += quote.under(scenario)?.abs();
            }
            quoted.push(loss);
        }
        Ok(Assessment {
            margins,
            equity,
            collateral,
            utilisation,
            venues,
            distance,
            scenarios,
            quoted,
        })
    }

    /// Collateral of a venue, or all, after haircuts.
    fn covering(&self, venue: Option<usize>, rules: &AccountRules) -> Result<f64, OptionsError> {
        let mut collateral = 0.0;
        let here = self.collateral.iter().filter(|held| venue.is_none() || held.venue == venue);
        for held in here {
            collateral += held.value * (1.0 - held.haircut(&rules.haircut)?);
        }
        Ok(collateral)
    }

    /// Positions of a venue, or all.
    fn of(&self, venue: Option<usize>) -> impl Iterator<Item = &Holding> {
        self.holdings.iter().filter(move |held| venue.is_none_or(|venue| held.venue == venue))
    }

    /// What is left over the margin after a move of every price; haircuts stay what they are.
    fn free_after(
        &self,
        cover: &Cover,
        price: f64,
        rules: &AccountRules,
    ) -> Result<f64, OptionsError> {
        let shock = Shock { price, volatility: 0.0, weight: 1.0 };
        let mut free = cover.collateral;
        for holding in self.of(cover.venue) {
            free += holding.profit(&shock)?;
            if let Some(venue) = rules.venues.get(holding.venue) {
                free -= holding.after(price).margin(venue)?;
            }
        }
        Ok(free)
    }

    /// The nearest move, either way, after which the margin is not covered.
    fn distance(&self, cover: &Cover, rules: &AccountRules) -> Result<Option<f64>, OptionsError> {
        if self.of(cover.venue).next().is_none() {
            return Ok(None);
        }
        if cover.collateral < cover.margin {
            return Ok(Some(0.0));
        }
        let near = (1..=NEAR_STEPS).map(|n| f64::from(n) * NEAR);
        let edge_of_near = f64::from(NEAR_STEPS) * NEAR;
        let far = (1..=FAR_STEPS).map(|n| edge_of_near + f64::from(n) * FAR);
        let mut survived = 0.0;
        for beyond in near.chain(far) {
            let mut nearest: Option<f64> = None;
            for way in [1.0, -1.0] {
                if self.free_after(cover, way * beyond, rules)? < 0.0 {
                    let found = self.edge(cover, way, (survived, beyond), rules)?;
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

    /// Between a move that is survived and one that is not: the last that is.
    fn edge(
        &self,
        cover: &Cover,
        way: f64,
        (mut low, mut high): (f64, f64),
        rules: &AccountRules,
    ) -> Result<f64, OptionsError> {
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if self.free_after(cover, way * middle, rules)? < 0.0 {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(low)
    }

    /// What a scenario earns, collateral included.
    fn under(&self, scenario: &Scenario) -> Result<f64, OptionsError> {
        let mut profit = 0.0;
        for holding in &self.holdings {
            profit += holding.under(scenario)?;
        }
        let moving = |held: &&Collateral| !held.is_reporting && !held.is_owned;
        for held in self.collateral.iter().filter(moving) {
            profit += held.value * scenario.collateral;
        }
        Ok(profit)
    }
}

impl Cover {
    fn utilisation(&self) -> f64 {
        match (self.margin > 0.0, self.collateral > 0.0) {
            (false, _) => 0.0,
            (true, true) => self.margin / self.collateral,
            (true, false) => f64::INFINITY,
        }
    }
}

impl Collateral {
    /// A debt counts in full, the reporting currency as well.
    fn haircut(&self, rules: &HaircutRules) -> Result<f64, OptionsError> {
        if self.value <= 0.0 || self.is_reporting {
            return Ok(0.0);
        }
        haircut(self.volatility, rules.days, rules.deviations, rules.floor)
    }
}

impl Assessment {
    /// What the worst scenario loses, ≥ 0, and its place; `None` without scenarios.
    pub fn stressed(&self) -> Option<(usize, f64)> {
        let worst = self.scenarios.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some((worst.0, (-worst.1).max(0.0)))
    }

    /// How often all quotes may be filled, each on its worse side, before a scenario loses more than
    /// `limit`: 0.5 where half of each may; infinite where nothing is quoted.
    pub fn addable(&self, limit: f64) -> f64 {
        let scenarios = self.scenarios.iter().zip(&self.quoted);
        let scenarios = scenarios.filter(|(_, quoted)| **quoted > 0.0);
        let often = scenarios.map(|(profit, quoted)| (limit + profit).max(0.0) / quoted);
        often.fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::scenario::{OptionPosition, grid};
    use super::super::options::{Black76, OptionType};
    use super::*;

    fn scenario(price: f64, volatility: f64, basis: f64, collateral: f64) -> Scenario {
        Scenario { name: "all".into(), prices: vec![price], volatility, basis, collateral }
    }

    fn rules() -> AccountRules {
        AccountRules {
            venues: vec![VenueRules {
                linear_rate: 0.05,
                inverse_rate: 0.1,
                grid: grid(&[-0.1, 0.0, 0.1], &[-0.2, 0.0, 0.2]),
            }],
            haircut: HaircutRules { days: 1.0, deviations: 3.0, floor: 0.02 },
            scenarios: vec![scenario(-0.2, 0.5, -0.01, -0.2), scenario(0.2, 0.2, 0.01, 0.2)],
        }
    }

    fn futures(units: f64) -> Holding {
        Holding {
            book: Book { options: vec![], underlying_units: units, underlying_price: 100.0 },
            linear: units.abs() * 100.0,
            ..Holding::default()
        }
    }

    fn dollars(value: f64) -> Collateral {
        Collateral { venue: None, value, volatility: 0.0, is_reporting: true, is_owned: false }
    }

    fn coins(value: f64, volatility: f64) -> Collateral {
        Collateral { venue: None, value, volatility, is_reporting: false, is_owned: false }
    }

    fn assess(holdings: Vec<Holding>, collateral: Vec<Collateral>) -> Assessment {
        Account { holdings, collateral, ..Account::default() }.assess(&rules()).unwrap()
    }

    #[test]
    fn a_future_takes_its_rate_and_is_liquidated_where_the_margin_is_covered_no_more() {
        let found = assess(vec![futures(10.0)], vec![dollars(250.0)]);
        assert_eq!((found.margins.clone(), found.collateral), (vec![50.0], 250.0));
        assert_eq!(found.utilisation, 0.2);
        // 250 − 1000 m = 50 (1 − m) at m = 200/950.
        assert!((found.distance.unwrap() - 200.0 / 950.0).abs() < 1e-7, "{found:?}");
        // 200 by the price, and 1 % of the basis on 800.
        assert!((found.scenarios[0] + 208.0).abs() < 1e-9);
        assert_eq!(found.stressed().map(|(place, _)| place), Some(0));
        // A short one is liquidated sooner: what margin is asked grows with the price.
        let short = assess(vec![futures(-10.0)], vec![dollars(250.0)]);
        assert!((short.distance.unwrap() - 200.0 / 1050.0).abs() < 1e-7, "{short:?}");
        assert_eq!(short.stressed().map(|(place, _)| place), Some(1));
    }

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
            options: vec![OptionPosition { option, units: -10.0 }],
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
        let free = |price: f64| account.free_after(&cover, price, &rules()).unwrap();
        assert!(free(distance) >= 0.0 && free(distance) < 0.01, "{distance}");
        assert!(free(distance + 1e-6) < 0.0 && free(-distance) > 0.0);
    }

    #[test]
    fn collateral_counts_for_less_the_more_it_moves_and_a_debt_in_full() {
        let with = |held| assess(vec![futures(1.0)], vec![held]);
        assert_eq!(with(dollars(100.0)).collateral, 100.0);
        // What is no reporting currency is cut by the floor at least, also where it never moved.
        assert_eq!(with(coins(100.0, 0.0)).collateral, 98.0);
        assert!(with(coins(100.0, 0.8)).collateral < with(coins(100.0, 0.4)).collateral);
        assert_eq!(with(coins(-100.0, 0.8)).collateral, -100.0);
        assert_eq!(with(dollars(-1.0)).utilisation, f64::INFINITY);
        assert_eq!(with(dollars(-1.0)).distance, Some(0.0));
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
    fn a_coin_that_its_inverse_contract_hedges_is_liquidated_by_no_move() {
        let coin = Collateral { is_owned: true, ..coins(1_000.0, 0.6) };
        let hedged = Holding {
            book: Book { options: vec![], underlying_units: -10.0, underlying_price: 100.0 },
            owned: 10.0,
            inverse: 1_000.0,
            ..Holding::default()
        };
        let found = assess(vec![hedged.clone()], vec![coin]);
        assert_eq!((found.margins.clone(), found.distance), (vec![100.0], None));
        // The coin's shock is its price's, which both legs feel; the basis hits the contract alone.
        assert!((found.scenarios[0] - 8.0).abs() < 1e-9, "{found:?}");
        let bare = Holding { owned: 0.0, ..hedged };
        assert!(assess(vec![bare], vec![dollars(1_000.0)]).distance.is_some());
    }

    #[test]
    fn each_underlying_moves_by_its_own_shock_and_a_place_without_rules_is_told() {
        let other = Holding { underlying: 1, ..futures(-10.0) };
        let both = Account {
            holdings: vec![futures(10.0), other.clone()],
            collateral: vec![dollars(1_000.0), coins(100.0, 0.5)],
            ..Account::default()
        };
        let apart = Scenario { prices: vec![-0.1, 0.05], ..scenario(0.0, 0.0, 0.0, -0.3) };
        let rules = AccountRules { scenarios: vec![apart], ..rules() };
        // 100 and 50 by the prices, 30 by the coins.
        assert!((both.assess(&rules).unwrap().scenarios[0] + 180.0).abs() < 1e-9);
        let nowhere = Holding { underlying: 2, ..other.clone() };
        for lost in [nowhere, Holding { venue: 1, ..other }] {
            let account = Account { holdings: vec![lost], ..Account::default() };
            assert!(account.assess(&rules).is_err());
        }
    }

    #[test]
    fn a_venues_margin_is_covered_by_what_is_there_where_that_is_known() {
        let at = |venue| Collateral { venue, ..dollars(250.0) };
        let rules = AccountRules {
            venues: vec![rules().venues[0].clone(), rules().venues[0].clone()],
            ..rules()
        };
        let other = Holding { venue: 1, ..futures(-40.0) };
        let heap = Account {
            holdings: vec![futures(10.0), other],
            collateral: vec![at(Some(0)), at(Some(1)), at(None)],
            ..Account::default()
        };
        let found = heap.assess(&rules).unwrap();
        assert_eq!((found.utilisation, found.venues.len()), (250.0 / 750.0, 0));
        let apart = Account { is_apart: true, ..heap };
        let found = apart.assess(&rules).unwrap();
        // 50 and 200 of 250 each; what is on its way covers neither, and is ours all the same.
        assert_eq!(found.venues, vec![0.2, 0.8]);
        assert_eq!((found.utilisation, found.collateral, found.equity), (0.8, 750.0, 750.0));
        // The short one goes first: 50 = 4000 m + 0.05 · 4000 m.
        assert!((found.distance.unwrap() - 50.0 / 4_200.0).abs() < 1e-7, "{found:?}");
        let empty = Account { collateral: vec![at(Some(0))], ..apart };
        assert_eq!(empty.assess(&rules).unwrap().utilisation, f64::INFINITY);
    }

    #[test]
    fn quotes_may_add_what_no_scenario_loses_beyond_the_limit() {
        let quotes = vec![futures(5.0), futures(-3.0)];
        let account = Account { holdings: vec![futures(10.0)], quotes, ..Account::default() };
        let found = account.assess(&rules()).unwrap();
        // 208 by the fall, and as much a unit by the quotes, whichever side is filled.
        assert!((found.quoted[0] - 8.0 * 20.8).abs() < 1e-9, "{found:?}");
        assert!((found.addable(208.0 + 2.0 * 8.0 * 20.8) - 2.0).abs() < 1e-9);
        // A rise earns on what is held and still costs as much on the worse sides.
        assert!((found.addable(208.0 + 0.5 * 8.0 * 20.8) - 0.5).abs() < 1e-9);
        assert_eq!((found.addable(208.0), found.addable(100.0)), (0.0, 0.0));
        let flat = Account::default().assess(&rules()).unwrap();
        assert_eq!(flat.addable(0.0), f64::INFINITY, "nothing is quoted");
    }
}
