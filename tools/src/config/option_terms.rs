//! An option's terms as a config file writes them, and chains of options that share all but strike and
//! right.
//!
//! Fed by TOML, a maker's or a simulated venue's; feeds `instruments.rs` with terms and with the chains'
//! instruments, and `maker.rs` with what each option is on. Cold path.

use super::faults::Faults;
use super::file::{RawConfig, RawSettings};
use super::instruments::{RawCoarseTick, RawInstrument, time};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms, OptionType};
use ballast_engine::units::Nanos;
use serde::Deserialize;

/// `option = { … }` of an instrument.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOption {
    /// `call` or `put`.
    #[serde(rename = "type")]
    pub option_type: String,
    /// In the currency of the reference's price.
    pub strike: String,
    /// RFC 3339.
    pub expiry: String,
    /// `european` or `american`.
    pub style: String,
    /// `cash`, `coin` or `future`.
    pub delivery: String,
    /// Symbol that it is on.
    pub reference: String,
    /// How many contracts of its future one contract delivers; left out: one. Of what pays, none is said.
    pub delivers: Option<u32>,
}

/// `[[chains]]`: one instrument for every strike and right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChain {
    /// Symbol(55) with `{right}` for C or P and `{strike}`.
    pub symbol: String,
    /// Strikes of calls.
    #[serde(default)]
    pub calls: Vec<String>,
    /// Strikes of puts.
    #[serde(default)]
    pub puts: Vec<String>,
    /// RFC 3339.
    pub expiry: String,
    /// `european` or `american`.
    pub style: String,
    /// `cash`, `coin` or `future`.
    pub delivery: String,
    /// Symbol that they are on.
    pub reference: String,
    /// How many contracts of their future one contract delivers; left out: one.
    pub delivers: Option<u32>,
    /// Name of the venue.
    pub venue: String,
    /// Name of the underlying.
    pub underlying: String,
    /// Smallest step of the premium.
    pub tick: String,
    /// Where prices are further apart from a price on.
    pub coarse_tick: Option<RawCoarseTick>,
    /// Smallest step of the size.
    pub lot: String,
    /// Underlying per size unit.
    pub multiplier: String,
    /// The coin, or whatever one unit of the underlying is called.
    pub base: String,
    /// What the premium is written in.
    pub quote: String,
    /// Fee of a resting order in basis points of the premium.
    pub maker_fee_bps: String,
    /// Fee of a taking order in basis points of the premium.
    pub taker_fee_bps: String,
    /// What the maker does with each of them, `[chains.settings]`; a venue's file has none.
    pub settings: Option<RawSettings>,
}

impl RawChain {
    /// An instrument for every strike and right, calls first.
    pub fn instruments(&self) -> impl Iterator<Item = RawInstrument> {
        let calls = self.calls.iter().map(|strike| (OptionType::Call, strike));
        let puts = self.puts.iter().map(|strike| (OptionType::Put, strike));
        calls.chain(puts).map(|(option_type, strike)| self.instrument(option_type, strike))
    }

    fn instrument(&self, option_type: OptionType, strike: &str) -> RawInstrument {
        let (right, name) = match option_type {
            OptionType::Call => ("C", "call"),
            OptionType::Put => ("P", "put"),
        };
        RawInstrument {
            symbol: self.symbol.replace("{right}", right).replace("{strike}", strike),
            venue_symbol: None,
            venue: self.venue.clone(),
            underlying: self.underlying.clone(),
            kind: "option".into(),
            expiry: None,
            option: Some(RawOption {
                option_type: name.into(),
                strike: strike.into(),
                expiry: self.expiry.clone(),
                style: self.style.clone(),
                delivery: self.delivery.clone(),
                reference: self.reference.clone(),
                delivers: self.delivers,
            }),
            tick: self.tick.clone(),
            coarse_tick: self.coarse_tick.clone(),
            lot: self.lot.clone(),
            multiplier: Some(self.multiplier.clone()),
            base: self.base.clone(),
            quote: self.quote.clone(),
            settlement: None,
            maker_fee_bps: self.maker_fee_bps.clone(),
            taker_fee_bps: self.taker_fee_bps.clone(),
        }
    }
}

/// Puts every chain's instruments behind those that are written out, with their settings.
pub fn expand(raw: &mut RawConfig) {
    for chain in std::mem::take(&mut raw.chains) {
        for instrument in chain.instruments() {
            // One without settings of its own or its chain's is told as any other is.
            if let Some(settings) = chain.settings.clone() {
                raw.instrument.entry(instrument.symbol.clone()).or_insert(settings);
            }
            raw.instruments.push(instrument);
        }
    }
}

/// The terms of an option.
pub(super) fn terms(raw: &RawInstrument, key: &str, faults: &mut Faults) -> Option<OptionTerms> {
    let table = format!("{key}.option");
    let Some(option) = &raw.option else {
        faults.add(
            table,
            "missing",
            "an option needs its type, strike, expiry, style, delivery and reference",
        );
        return None;
    };
    let at = |name: &str| format!("{table}.{name}");
    let option_type = one_of(
        &at("type"),
        &option.option_type,
        &[("call", OptionType::Call), ("put", OptionType::Put)],
        faults,
    );
    let style = one_of(
        &at("style"),
        &option.style,
        &[("european", ExerciseStyle::European), ("american", ExerciseStyle::American)],
        faults,
    );
    let delivery = one_of(
        &at("delivery"),
        &option.delivery,
        &[("cash", Delivery::Cash), ("coin", Delivery::Coin), ("future", Delivery::Future)],
        faults,
    );
    let strike = faults.decimal(&at("strike"), &option.strike);
    let expiry = time(&at("expiry"), &option.expiry, faults);
    Some(OptionTerms {
        option_type: option_type?,
        strike: strike?,
        expiry: expiry?,
        style: style?,
        delivery: delivery?,
    })
}

fn one_of<T: Copy>(key: &str, text: &str, allowed: &[(&str, T)], faults: &mut Faults) -> Option<T> {
    let found = allowed.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<_> = allowed.iter().map(|(name, _)| *name).collect();
        faults.add(key, format!("{text:?}"), format!("one of {}", names.join(", ")));
    }
    found
}

/// The options that were over at `now` with nothing held or open in them: faults; and those with
/// something, which stay until somebody says how they ended.
pub fn expired(config: &MakerConfig, now: Nanos) -> (Faults, Vec<&str>) {
    let (mut faults, mut held) = (Faults::default(), Vec::new());
    let orders = config.resumption.iter().flat_map(|left| &left.orders);
    for (instrument, settings) in config.instruments.iter().zip(&config.settings) {
        let Some(terms) = instrument.option().filter(|terms| terms.is_expired(now)) else {
            continue;
        };
        let is_open = orders.clone().any(|order| order.instrument == instrument.id());
        if settings.opening.0 != 0 || is_open {
            held.push(instrument.symbol());
            continue;
        }
        let at = jiff::Timestamp::from_nanosecond(terms.expiry.0.into());
        let at = at.map_or_else(|_| terms.expiry.0.to_string(), |at| at.to_string());
        let key = format!("instruments.{}.option.expiry", instrument.symbol());
        let allowed =
            "this option has expired and nothing of it is held: take it out of the config";
        faults.add(key, at, allowed);
    }
    (faults, held)
}
