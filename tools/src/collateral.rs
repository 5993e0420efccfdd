//! The account as venues and scenarios see it: positions and marks of a maker, assessed off its hot path.
//!
//! Fed by a maker (the backtest's own, or live its shadow: the same inputs, stepped again on a cold
//! thread); feeds the maker with journaled views and people with a short list. Deliberately absent: any
//! formula (calibration's), and limits (the maker's).

use crate::config::ConfigFile;
use crate::config::collateral;
use crate::config::faults::Faults;
use ballast_engine::calibration::options::Black76;
use ballast_engine::calibration::options::scenario::{Book, OptionPosition};
use ballast_engine::calibration::stress::{Account, AccountRules, Assessment, Collateral, Holding};
use ballast_engine::event::VenueId;
use ballast_engine::instrument::{ContractValue, Currency, Instrument, InstrumentKind};
use ballast_engine::maker::Maker;
use ballast_engine::option_terms::Delivery;
use ballast_engine::pnl::valuation::position_value;
use ballast_engine::risk::collateral::{CollateralView, PPM};
use ballast_engine::units::{Decimal, Lots, Nanos};
use serde_json::{Value, json};

const NS_PER_YEAR: f64 = 365.0 * 86_400.0 * 1e9;
const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;
/// After fills, and where the last look found no marks, the next one comes so soon.
const SOON_NS: u64 = 1_000_000_000;

/// Assesses a maker's account by its config.
pub struct Assessor {
    rules: AccountRules,
    instruments: Vec<Instrument>,
    venues: Vec<String>,
    /// Whose mid converts a currency, and so whose volatility is that of the collateral.
    conversions: Vec<(Currency, Instrument)>,
    /// What inverse contracts and coin options settle in, and one of them.
    coins: Vec<(Currency, Instrument)>,
    every_ns: u64,
    due: Nanos,
    /// No look before this time, whatever traded.
    soonest: Nanos,
    fills: u64,
    /// How many quotes the last look could value.
    valued: usize,
    last: Option<Assessment>,
}

impl Assessor {
    /// `None` where the config watches no collateral.
    pub fn new(file: &ConfigFile) -> Option<Assessor> {
        let raw = file.raw.collateral.as_ref()?;
        let rules = collateral::rules(&file.raw, &file.table, &mut Faults::default())?;
        let currency = |name: &str| {
            file.table.currencies.find(name).and_then(|n| u8::try_from(n).ok()).map(Currency)
        };
        let conversions =
            file.raw.conversion.iter().filter_map(|(name, symbol)| {
                Some((currency(name)?, file.table.find(symbol)?.clone()))
            });
        let mut coins: Vec<(Currency, Instrument)> = Vec::new();
        for instrument in &file.table.instruments {
            let (base, settlement) = (instrument.spec().base, instrument.spec().settlement);
            if base == settlement && !coins.iter().any(|(coin, _)| *coin == base) {
                coins.push((base, instrument.clone()));
            }
        }
        Some(Assessor {
            rules,
            instruments: file.table.instruments.clone(),
            venues: file.table.venues.iter().map(str::to_owned).collect(),
            conversions: conversions.collect(),
            coins,
            every_ns: raw.every_s.saturating_mul(1_000_000_000),
            due: Nanos(0),
            soonest: Nanos(0),
            fills: 0,
            valued: 0,
            last: None,
        })
    }

    /// A view, where one is due by the maker's time: by its distance, or soon after a fill. What
    /// cannot be assessed gives none: the maker's last one ages until it is none.
    pub fn look(&mut self, maker: &Maker) -> Option<CollateralView> {
        let (now, fills) = (maker.now(), maker.counters().fills);
        let is_due = now >= self.due || fills != self.fills;
        if !is_due || now < self.soonest {
            return None;
        }
        self.soonest = now.plus(SOON_NS.min(self.every_ns));
        let account = self.account(maker);
        let valued = account.as_ref().map_or(0, |account| account.quotes.len());
        let found = account.and_then(|account| account.assess(&self.rules).ok());
        let Some(found) = found else {
            self.due = self.soonest;
            return None;
        };
        // What has a value since the last look is quoted only after one that saw it.
        let is_new = std::mem::replace(&mut self.valued, valued) != valued;
        self.due = if is_new { self.soonest } else { now.plus(self.every_ns) };
        self.fills = fills;
        let loss_max = maker.collateral_limits()?.stressed_loss_max;
        let view = view(now, &found, loss_max);
        self.last = Some(found);
        Some(view)
    }

    /// Everything held; `None` where something has no mark or no rate yet.
    fn account(&self, maker: &Maker) -> Option<Account> {
        let is_apart = maker.places().next().is_some();
        let mut account = Account { is_apart, ..Account::default() };
        for instrument in &self.instruments {
            let (ledger, id) = (maker.ledger(), instrument.id());
            self.hold(maker, instrument, ledger.position(id)?, &mut account)?;
            let here = account.collateral.len();
            self.hold(maker, instrument, ledger.away(id)?, &mut account)?;
            // On its way: ours, and no venue's to cover its margin.
            account.collateral.iter_mut().skip(here).for_each(|held| held.venue = None);
        }
        for instrument in &self.instruments {
            let size = maker.quote_size(instrument.id());
            let mut filled = Account::default();
            // What has no value is not quoted.
            if self.hold(maker, instrument, size, &mut filled).is_some() {
                account.quotes.append(&mut filled.holdings);
            }
        }
        for place in 0..=u8::MAX {
            let currency = Currency(place);
            let Some(equity) = maker.ledger().equity(currency) else { break };
            self.bank(maker, currency, equity.0, &mut account)?;
        }
        Some(account)
    }

    /// Adds a currency: what of its equity is not spot, which stands beside it.
    fn bank(
        &self,
        maker: &Maker,
        currency: Currency,
        equity: i128,
        account: &mut Account,
    ) -> Option<()> {
        let cash = maker.ledger().cash(currency)?.0;
        let Some(rate) = rate(maker, currency) else {
            // What is held nowhere needs no rate.
            return (equity == 0 && cash == 0).then_some(());
        };
        let value = (equity as f64 * 1e-9 - self.spot_of(maker, currency)) * rate;
        let source = self.conversions.iter().find(|(of, _)| *of == currency);
        let volatility = source.map_or(0.0, |(_, instrument)| volatility(maker, instrument));
        let coin = self.coins.iter().find(|(coin, _)| *coin == currency);
        let held = |venue: Option<usize>, value: f64| Collateral {
            venue,
            value,
            volatility,
            is_reporting: currency == maker.ledger().reporting(),
            is_owned: coin.is_some(),
        };
        let mut elsewhere = value;
        for place in maker.places().filter(|place| place.currency == currency) {
            let coins = self.coins_at(maker, place.venue, currency)?;
            let value = (place.held?.total as f64 * 1e-9 - coins) * rate;
            elsewhere -= value;
            account.collateral.push(held(Some(usize::from(place.venue.0)), value));
        }
        account.collateral.push(held(None, elsewhere));
        if let Some((_, instrument)) = coin {
            // Cash holds what the contracts were opened at: with them it is what moves (DESIGN §4).
            let contracts = self.inverse_units(maker, currency)?;
            let holding = self.holding(account, instrument, rate);
            holding.owned += cash as f64 * 1e-9 - contracts;
        }
        Some(())
    }

    /// Units of a coin that a venue's spot positions are: they are collateral of their own.
    fn coins_at(&self, maker: &Maker, venue: VenueId, coin: Currency) -> Option<f64> {
        let mut units = 0.0;
        for instrument in &self.instruments {
            let spec = instrument.spec();
            let is_spot = spec.kind == InstrumentKind::Spot;
            if let ContractValue::Linear { nano_underlying_per_lot, .. } = instrument.value()
                && is_spot
                && (spec.venue, spec.base) == (venue, coin)
            {
                let lots = maker.ledger().position(instrument.id())?.0;
                units += lots as f64 * nano_underlying_per_lot as f64 * 1e-9;
            }
        }
        Some(units)
    }

    /// Value of the spot positions that are paid for in a currency, those on their way as well.
    fn spot_of(&self, maker: &Maker, currency: Currency) -> f64 {
        let spot = self.instruments.iter().filter(|instrument| {
            instrument.spec().kind == InstrumentKind::Spot
                && instrument.spec().settlement == currency
        });
        spot.filter_map(|instrument| value_of(maker, instrument)).sum()
    }

    /// Units of the coin in inverse contracts, `N/mark` each; `None` where one held has no mark.
    fn inverse_units(&self, maker: &Maker, coin: Currency) -> Option<f64> {
        let mut units = 0.0;
        for instrument in self.instruments.iter().filter(|i| i.spec().settlement == coin) {
            let lots = maker.ledger().position(instrument.id())?.0 as f64;
            if let ContractValue::Inverse { nano_quote_per_lot, .. } = instrument.value()
                && lots != 0.0
            {
                units += lots * nano_quote_per_lot as f64 * 1e-9 / price_of(maker, instrument)?;
            }
        }
        Some(units)
    }

    /// Adds so many lots of an instrument; `None` where they cannot be valued.
    fn hold(
        &self,
        maker: &Maker,
        instrument: &Instrument,
        lots: Lots,
        account: &mut Account,
    ) -> Option<()> {
        if lots.0 == 0 {
            return Some(());
        }
        let lots = lots.0 as f64;
        let rate = rate(maker, instrument.spec().settlement)?;
        match instrument.value() {
            ContractValue::Linear { nano_underlying_per_lot, .. } => {
                let units = lots * nano_underlying_per_lot as f64 * 1e-9;
                let price = price_of(maker, instrument)? * rate;
                let is_spot = instrument.spec().kind == InstrumentKind::Spot;
                let holding = self.holding(account, instrument, price);
                if is_spot {
                    holding.owned += units;
                    account.collateral.push(Collateral {
                        venue: Some(usize::from(instrument.spec().venue.0)),
                        value: units * price,
                        volatility: volatility(maker, instrument),
                        is_reporting: false,
                        is_owned: true,
                    });
                } else {
                    holding.book.underlying_units += units;
                    holding.linear += (units * price).abs();
                }
            }
            ContractValue::Inverse { nano_quote_per_lot, .. } => {
                let nominal = lots * nano_quote_per_lot as f64 * 1e-9;
                let units = nominal / price_of(maker, instrument)?;
                let holding = self.holding(account, instrument, rate);
                holding.book.underlying_units += units;
                holding.inverse += (units * rate).abs();
            }
            ContractValue::Option { nano_underlying_per_lot, .. } => {
                let units = lots * nano_underlying_per_lot as f64 * 1e-9;
                let option = european(maker, instrument)?;
                let is_coin = instrument.option()?.delivery == Delivery::Coin;
                // A coin option is worth coin, and a coin what its rate says.
                let scale = if is_coin { rate / option.forward } else { rate };
                let (forward, strike) = (option.forward * scale, option.strike * scale);
                let option = Black76 { forward, strike, ..option };
                let holding = self.holding(account, instrument, forward);
                // Its forward is a future's, or by parity what a future's would be.
                holding.book.options.push(OptionPosition { option, units, has_basis: true });
            }
        }
        Some(())
    }

    /// The venue's book in an underlying, made where there is none.
    fn holding<'a>(
        &self,
        account: &'a mut Account,
        instrument: &Instrument,
        price: f64,
    ) -> &'a mut Holding {
        let venue = usize::from(instrument.spec().venue.0);
        let underlying = usize::from(instrument.spec().underlying.0);
        let holdings = &mut account.holdings;
        let is_it = |held: &Holding| (held.venue, held.underlying) == (venue, underlying);
        let place = holdings.iter().position(is_it).unwrap_or_else(|| {
            let book = Book { underlying_price: price, ..Book::default() };
            holdings.push(Holding { venue, underlying, book, ..Holding::default() });
            holdings.len() - 1
        });
        &mut holdings[place]
    }

    /// The short list that an operator reads; null before the first assessment.
    pub fn document(&self) -> Value {
        let Some(found) = &self.last else { return Value::Null };
        let money = |value: f64| json!(format!("{value:.2}"));
        let margins = self.venues.iter().zip(&found.margins);
        let ends: Vec<_> = found.ends().collect();
        let scenarios = self.rules.scenarios.iter().zip(&ends);
        json!({
            "equity": money(found.equity),
            "collateral": money(found.collateral),
            "margin": margins.map(|(name, margin)| (name.clone(), money(*margin)))
                .collect::<serde_json::Map<_, _>>(),
            "utilisation": format!("{:.4}", found.utilisation),
            "utilisation_by_venue": self.venues.iter().zip(&found.venues)
                .map(|(name, used)| (name.clone(), json!(format!("{used:.4}"))))
                .collect::<serde_json::Map<_, _>>(),
            "liquidation_distance": found.distance.map(|distance| format!("{distance:.4}")),
            "scenarios": scenarios.clone()
                .map(|(scenario, (end, _))| (scenario.name.clone(), money(*end)))
                .collect::<serde_json::Map<_, _>>(),
            "worst_on_the_way": scenarios
                .map(|(scenario, (_, worst))| (scenario.name.clone(), money(worst.profit)))
                .collect::<serde_json::Map<_, _>>(),
            "stressed_loss": found.stressed().map(|(_, loss)| money(loss)),
        })
    }
}

/// The list in lines; none where there is none.
pub fn for_people(document: &Value) -> Vec<String> {
    if !document.is_object() {
        return Vec::new();
    }
    let text = |key: &str| document[key].as_str().unwrap_or("none").to_owned();
    let list = |key: &str| {
        let of = document[key].as_object().into_iter().flatten();
        of.map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or("-")))
            .collect::<Vec<_>>()
            .join(", ")
    };
    vec![
        format!(
            "collateral {} of {} after haircuts, {} in use{}; margin {}",
            text("collateral"),
            text("equity"),
            text("utilisation"),
            match list("utilisation_by_venue") {
                none if none.is_empty() => none,
                venues => format!(" ({venues})"),
            },
            list("margin")
        ),
        format!(
            "liquidation at a move of {}; stressed loss {} (at their ends {}; on the way {})",
            text("liquidation_distance"),
            text("stressed_loss"),
            list("scenarios"),
            list("worst_on_the_way")
        ),
    ]
}

fn number(decimal: Decimal) -> f64 {
    decimal.mantissa as f64 / libm::pow(10.0, f64::from(decimal.scale))
}

/// A position at its mark, with what is on its way there, in its settlement currency.
fn value_of(maker: &Maker, instrument: &Instrument) -> Option<f64> {
    let (ledger, id) = (maker.ledger(), instrument.id());
    let lots = Lots(ledger.position(id)?.0.checked_add(ledger.away(id)?.0)?);
    let value = position_value(instrument.value(), lots, ledger.mark(id)?)?;
    Some(value as f64 * 1e-9)
}

/// What a unit of a currency is worth in the reporting one.
fn rate(maker: &Maker, currency: Currency) -> Option<f64> {
    maker.ledger().rate(currency).map(|rate| rate.0 as f64 * 1e-9)
}

/// An instrument's mark in its quote currency.
fn price_of(maker: &Maker, instrument: &Instrument) -> Option<f64> {
    let mark = maker.ledger().mark(instrument.id())?;
    Some(mark.0 as f64 * 0.5 * number(instrument.spec().tick))
}

/// Annual volatility of an instrument's price, by the maker's own estimate.
fn volatility(maker: &Maker, instrument: &Instrument) -> f64 {
    let snapshot = maker.snapshot(instrument.id());
    let ticks = snapshot.map_or(0.0, |snapshot| snapshot.sigma.0 as f64 / 4_294_967_296.0);
    let mark = maker.ledger().mark(instrument.id()).map_or(0.0, |mark| mark.0 as f64 * 0.5);
    if mark > 0.0 { ticks / mark * libm::sqrt(SECONDS_PER_YEAR) } else { 0.0 }
}

/// An option as a European one at the volatility of its last refresh, on its reference's mark.
fn european(maker: &Maker, instrument: &Instrument) -> Option<Black76> {
    let (line, terms) = (maker.option(instrument.id())?, instrument.option()?);
    let greeks = line.greeks?;
    let reference = maker.instruments().find(|i| i.id() == line.settings.reference)?;
    let years = terms.expiry.since(maker.now()) as f64 / NS_PER_YEAR;
    Some(Black76 {
        forward: price_of(maker, reference)?,
        strike: number(terms.strike),
        // An expired one is worth what exercise gives until it is settled.
        years: years.max(1.0 / SECONDS_PER_YEAR),
        volatility: greeks.volatility as f64 * 1e-9,
        rate: 0.0,
        option_type: terms.option_type,
    })
}

/// What the maker is told: use and loss rounded up, distance and what may be added rounded down.
fn view(at: Nanos, found: &Assessment, loss_max: i64) -> CollateralView {
    let ppm = f64::from(PPM);
    let up = libm::ceil(found.utilisation * ppm);
    let utilisation_ppm = if up < f64::from(u32::MAX) { up as u32 } else { u32::MAX };
    let distance = found.distance.map_or(ppm, |distance| libm::floor(distance * ppm).max(0.0));
    let loss = found.stressed().map_or(0.0, |(_, loss)| libm::ceil(loss * 1e9));
    let stressed_loss = if loss < 9.0e18 { loss as i64 } else { i64::MAX };
    let distance_ppm = if distance < ppm { distance as u32 } else { PPM };
    let addable = libm::floor(found.addable(loss_max as f64 * 1e-9) * ppm);
    let addable_ppm = if addable < f64::from(u32::MAX) { addable as u32 } else { u32::MAX };
    CollateralView { at, utilisation_ppm, distance_ppm, stressed_loss, addable_ppm }
}
