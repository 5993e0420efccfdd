//! Margin, collateral after haircuts, distance to liquidation and stressed loss of a whole account.
//!
//! Fed by whoever holds positions and marks, off the hot path; feeds the maker's collateral limits and
//! people. Calibration thread. Every option is repriced, not expanded. Deliberately absent: a venue's own
//! margin formula: rates and grids are arguments, and what comes out is an estimate of what it will ask.
//!
//! How far liquidation is, `liquidation.rs` finds. A venue's margin is covered by what is held there, where
//! that is known; else by one heap of all.

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

/// A point of a scenario's way: what the account earns there, and what quotes would take beyond that.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Node {
    /// Which part of the scenario has happened, above 0 and at most 1.
    pub part: f64,
    /// What the account earns (negative: loses).
    pub profit: f64,
    /// What it would lose beyond that, ≥ 0, were every quote filled in full on its worse side.
    pub quoted: f64,
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
pub(super) struct Cover {
    /// Whose margin; `None`: all venues'.
    pub(super) venue: Option<usize>,
    /// After haircuts.
    pub(super) collateral: f64,
    pub(super) margin: f64,
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
    /// The least move of all prices, or of one underlying's alone, either way and with volatilities as
    /// they are or at the grid's highest, at which the collateral covers the margin no more, somewhere;
    /// `None` where none up to all of the price does.
    pub distance: Option<f64>,
    /// The way of each scenario, in the order of the rules: a book may lose most before its end. The last
    /// node of each is the scenario itself.
    pub scenarios: Vec<Vec<Node>>,
}

/// Even steps of a scenario's way; every strike that a forward passes is a node besides.
const STEPS: u32 = 16;

impl Scenario {
    /// The same, as far as a part of it has happened.
    fn partly(&self, part: f64) -> Scenario {
        Scenario {
            name: String::new(),
            prices: self.prices.iter().map(|price| part * price).collect(),
            volatility: part * self.volatility,
            basis: part * self.basis,
            collateral: part * self.collateral,
        }
    }
}

impl Holding {
    /// What a shock earns, with what is owned.
    pub(super) fn profit(&self, shock: &Shock) -> Result<f64, OptionsError> {
        Ok(self.book.profit(shock)? + self.owned * self.book.underlying_price * shock.price)
    }

    /// What a scenario earns on it; `value` is what its options are worth now.
    fn under(&self, value: f64, scenario: &Scenario) -> Result<f64, OptionsError> {
        let price = scenario.prices.get(self.underlying);
        let price = *price.ok_or(OptionsError::OutOfRange { name: "underlying" })?;
        let (volatility, basis) = (scenario.volatility, scenario.basis);
        let shock = Shock { basis, ..Shock::of(price, volatility) };
        Ok(self.book.profit_from(value, &shock)? + self.owned * self.book.underlying_price * price)
    }

    /// The parts of a scenario at which its forwards pass the strikes that are held.
    fn strikes_on_the_way(&self, scenario: &Scenario, parts: &mut Vec<f64>) {
        let price = scenario.prices.get(self.underlying).copied().unwrap_or(0.0);
        for position in &self.book.options {
            // (1 + pλ)(1 + bλ) is the line of its ends to within pb/4 of the price.
            let basis = if position.has_basis { scenario.basis } else { 0.0 };
            let whole = (1.0 + price) * (1.0 + basis) - 1.0;
            let part = (position.option.strike / position.option.forward - 1.0) / whole;
            if part > 0.0 && part < 1.0 {
                parts.push(part);
            }
        }
    }

    /// A book with options by its worst node, anything else by its rate.
    pub(super) fn margin(&self, venue: &VenueRules) -> Result<f64, OptionsError> {
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
        let scenarios = rules.scenarios.iter().map(|scenario| self.way(scenario));
        let scenarios = scenarios.collect::<Result<Vec<_>, _>>()?;
        Ok(Assessment { margins, equity, collateral, utilisation, venues, distance, scenarios })
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
    pub(super) fn of(&self, venue: Option<usize>) -> impl Iterator<Item = &Holding> {
        self.holdings.iter().filter(move |held| venue.is_none_or(|venue| held.venue == venue))
    }

    /// A scenario in even steps and at every strike, nearest first.
    fn way(&self, scenario: &Scenario) -> Result<Vec<Node>, OptionsError> {
        let mut parts: Vec<f64> =
            (1..=STEPS).map(|step| f64::from(step) / f64::from(STEPS)).collect();
        for holding in &self.holdings {
            holding.strikes_on_the_way(scenario, &mut parts);
        }
        parts.sort_by(f64::total_cmp);
        parts.dedup();
        let (held, quotes) = (values(&self.holdings)?, values(&self.quotes)?);
        let node = |part: f64| {
            let scenario = scenario.partly(part);
            let mut quoted = 0.0;
            for (quote, value) in self.quotes.iter().zip(&quotes) {
                quoted += quote.under(*value, &scenario)?.abs();
            }
            Ok(Node { part, profit: self.under(&held, &scenario)?, quoted })
        };
        parts.into_iter().map(node).collect()
    }

    /// What a scenario earns, collateral included; `values` are those of the holdings now.
    fn under(&self, values: &[f64], scenario: &Scenario) -> Result<f64, OptionsError> {
        let mut profit = 0.0;
        for (holding, value) in self.holdings.iter().zip(values) {
            profit += holding.under(*value, scenario)?;
        }
        let moving = |held: &&Collateral| !held.is_reporting && !held.is_owned;
        for held in self.collateral.iter().filter(moving) {
            profit += held.value * scenario.collateral;
        }
        Ok(profit)
    }
}

/// What the options of each are worth now.
fn values(of: &[Holding]) -> Result<Vec<f64>, OptionsError> {
    of.iter().map(|holding| holding.book.value()).collect()
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
    /// What each scenario earns at its end (negative: loses), and where on its way it earns least.
    pub fn ends(&self) -> impl Iterator<Item = (f64, Node)> {
        self.scenarios.iter().filter_map(|way| {
            let worst = way.iter().min_by(|a, b| a.profit.total_cmp(&b.profit))?;
            Some((way.last()?.profit, *worst))
        })
    }

    /// What the worst scenario loses where on its way that is most, ≥ 0, and its place; `None` without
    /// scenarios.
    pub fn stressed(&self) -> Option<(usize, f64)> {
        let worst = self.ends().map(|(_, worst)| worst.profit).enumerate();
        let (place, profit) = worst.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some((place, (-profit).max(0.0)))
    }

    /// How often all quotes may be filled, each on its worse side, before a scenario loses more than
    /// `limit`: 0.5 where half of each may; infinite where nothing is quoted.
    pub fn addable(&self, limit: f64) -> f64 {
        let nodes = self.scenarios.iter().flatten().filter(|node| node.quoted > 0.0);
        let often = nodes.map(|node| (limit + node.profit).max(0.0) / node.quoted);
        often.fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::options::scenario::{OptionPosition, grid};
    use super::super::options::{Black76, OptionType};
    use super::*;

    fn scenario(price: f64, volatility: f64, basis: f64, collateral: f64) -> Scenario {
        Scenario { name: "all".into(), prices: vec![price], volatility, basis, collateral }
    }

    pub(in super::super) fn rules() -> AccountRules {
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

    pub(in super::super) fn futures(units: f64) -> Holding {
        Holding {
            book: Book { options: vec![], underlying_units: units, underlying_price: 100.0 },
            linear: units.abs() * 100.0,
            ..Holding::default()
        }
    }

    pub(in super::super) fn dollars(value: f64) -> Collateral {
        Collateral { venue: None, value, volatility: 0.0, is_reporting: true, is_owned: false }
    }

    fn coins(value: f64, volatility: f64) -> Collateral {
        Collateral { venue: None, value, volatility, is_reporting: false, is_owned: false }
    }

    /// What a scenario earns at its end.
    fn end(found: &Assessment, place: usize) -> f64 {
        found.ends().nth(place).unwrap().0
    }

    pub(in super::super) fn assess(
        holdings: Vec<Holding>,
        collateral: Vec<Collateral>,
    ) -> Assessment {
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
        assert!((end(&found, 0) + 208.0).abs() < 1e-9);
        assert_eq!(found.stressed().map(|(place, _)| place), Some(0));
        // A short one is liquidated sooner: what margin is asked grows with the price.
        let short = assess(vec![futures(-10.0)], vec![dollars(250.0)]);
        assert!((short.distance.unwrap() - 200.0 / 1050.0).abs() < 1e-7, "{short:?}");
        assert_eq!(short.stressed().map(|(place, _)| place), Some(1));
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
        assert!((end(&found, 0) - 8.0).abs() < 1e-9, "{found:?}");
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
        assert!((end(&both.assess(&rules).unwrap(), 0) + 180.0).abs() < 1e-9);
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

    /// Long 60 of a strike, short 30 of the next and 3 futures: the ends of the scenarios are tame, what
    /// is lost between them is not.
    #[test]
    fn a_scenario_is_looked_at_on_its_way_and_at_every_strike() {
        let put = |strike, units: f64| {
            let (forward, years, volatility, rate) = (3_234.0, 0.02, 0.14, 0.0);
            let option_type = OptionType::Put;
            let option = Black76 { forward, strike, years, volatility, rate, option_type };
            OptionPosition { option, units: units * 50.0, has_basis: true }
        };
        let book = Book {
            options: vec![put(3_000.0, 60.0), put(3_150.0, -30.0)],
            underlying_units: -150.0,
            underlying_price: 3_234.0,
        };
        let held = Holding { book, ..Holding::default() };
        let account = Account { holdings: vec![held], ..Account::default() };
        let crash = scenario(-0.10, 0.60, -0.005, 0.0);
        let rally = scenario(0.06, -0.20, 0.003, 0.0);
        let rules = AccountRules { scenarios: vec![crash, rally], ..rules() };
        let found = account.assess(&rules).unwrap();
        let ends: Vec<_> = found.ends().collect();
        let (place, loss) = found.stressed().unwrap();
        assert_eq!(place, 0);
        assert!(ends.iter().all(|(end, _)| *end > -0.5 * loss), "{ends:?} {loss}");
        assert!(loss > 80_000.0 && (0.5..0.9).contains(&ends[0].1.part), "{ends:?}");
        // No finer look finds more than a twentieth beyond it.
        let finer = (1..1000).map(|n| rules.scenarios[0].partly(f64::from(n) / 1000.0));
        let held = values(&account.holdings).unwrap();
        let least = finer.map(|part| account.under(&held, &part).unwrap()).fold(0.0, f64::min);
        assert!(-least < 1.05 * loss, "{least} {loss}");
        // What quotes may add ends at that node too.
        let quoted = Account { quotes: vec![futures(1.0)], ..account };
        assert_eq!(quoted.assess(&rules).unwrap().addable(loss), 0.0);
    }

    #[test]
    fn quotes_may_add_what_no_scenario_loses_beyond_the_limit() {
        let quotes = vec![futures(5.0), futures(-3.0)];
        let account = Account { holdings: vec![futures(10.0)], quotes, ..Account::default() };
        let found = account.assess(&rules()).unwrap();
        // 208 by the fall, and as much a unit by the quotes, whichever side is filled.
        assert!((found.scenarios[0][15].quoted - 8.0 * 20.8).abs() < 1e-9, "{found:?}");
        assert!((found.addable(208.0 + 2.0 * 8.0 * 20.8) - 2.0).abs() < 1e-9);
        // A rise earns on what is held and still costs as much on the worse sides.
        assert!((found.addable(208.0 + 0.5 * 8.0 * 20.8) - 0.5).abs() < 1e-9);
        assert!(found.addable(208.0) < 1e-12 && found.addable(100.0) == 0.0);
        let flat = Account::default().assess(&rules()).unwrap();
        assert_eq!(flat.addable(0.0), f64::INFINITY, "nothing is quoted");
    }
}
