//! What a maker must know of the options that it trades, and what is wrong with it.
//!
//! Fed by the product's TOML or a test; feeds [`Maker::new`](super::Maker::new). Plain values.

use super::config::{ConfigError, MakerConfig};
use super::settlement::lots_delivered;
use crate::estimate::option_value::ExpansionBounds;
use crate::event::InstrumentId;
use crate::instrument::Underlying;
use crate::instrument::{ContractValue, Instrument, InstrumentKind};
use crate::option_terms::{Delivery, OptionTerms, OptionType};
use crate::quote::Quoter;
use crate::quote::option_skew::OptionQuoting;
use crate::risk::greek_limits::GreekLimits;
use crate::risk::pin::PinRules;
use crate::units::{Nanos, SubTicks};
use thiserror::Error;

/// Everything that a config says of options; by default there are none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OptionsConfig {
    /// One an option.
    pub options: Vec<OptionSettings>,
    /// One an underlying that has options.
    pub limits: Vec<(Underlying, OptionLimits)>,
}

/// Limits on one underlying's options. All are mandatory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OptionLimits {
    /// On all of them.
    pub total: GreekLimits,
    /// By expiry, in order: up to and with that moment. The last covers every expiry.
    pub buckets: Vec<(Nanos, GreekLimits)>,
    /// Most net vega, 1e-9 a point, by fills of quotes in the underlying's protection window.
    pub vega_protection: i64,
}

/// One option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OptionSettings {
    /// Which.
    pub instrument: InstrumentId,
    /// What its value follows: the future or spot whose mid it is expanded in, and that it delivers
    /// where it delivers a future.
    pub reference: InstrumentId,
    /// How old and how far away its Greeks may be, in the reference's ticks.
    pub bounds: ExpansionBounds,
    /// A move of the reference, in its ticks, that reprices at once; smaller ones wait for the timer.
    pub reprice_move: SubTicks,
    /// Skew and spread beside the quoter's.
    pub quoting: OptionQuoting,
    /// Near strike and expiry at once.
    pub pin: PinRules,
    /// Its strike in the reference's ticks.
    pub strike: SubTicks,
    /// Exposure that one lot delivers when it is exercised; 0 where it pays.
    pub nano_delivered: i64,
    /// It is quoted on the model's word alone where its book has an empty side.
    pub quotes_empty: bool,
}

/// What is wrong with an option in a config.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum OptionFault {
    /// It says nothing of what it is on.
    #[error("{symbol} is an option without a reference instrument")]
    NoReference {
        /// Which.
        symbol: String,
    },
    /// What is said is of no option.
    #[error("{symbol} has option settings but is no option")]
    NoOption {
        /// Which.
        symbol: String,
    },
    /// The reference is an option, or is of another underlying.
    #[error("{symbol} is on {reference}, which is an option or of another underlying")]
    Reference {
        /// Which.
        symbol: String,
        /// On what.
        reference: String,
    },
    /// Exercise would not deliver whole lots, or at a price off the future's grid.
    #[error(
        "{symbol} delivers {reference}: its lot × multiplier must be a whole number of the future's, \
         its strike on the future's tick, and both settle in one currency"
    )]
    Delivery {
        /// Which.
        symbol: String,
        /// What.
        reference: String,
    },
    /// A strike in another unit than its neighbours'.
    #[error(
        "{symbol}: its strike is more than ten times, or less than a tenth, of the middle strike of \
         the options on {reference}; is it in the unit of the underlying's price?"
    )]
    StrikeScale {
        /// Which.
        symbol: String,
        /// On what.
        reference: String,
    },
    /// Premiums that are no one number together.
    #[error(
        "{symbol} settles in another currency than {other}, an option on the same underlying: their \
         Greeks would be added as if they were one; give it an underlying of its own"
    )]
    Settlement {
        /// Which.
        symbol: String,
        /// Beside which.
        other: String,
    },
    /// Nothing says its forward.
    #[error(
        "{symbol}: {reference} is not its forward, which takes put-call parity: a strike of its expiry \
         needs both a call and a put, or it needs a future that expires with it as its reference"
    )]
    NoPair {
        /// Which.
        symbol: String,
        /// On what.
        reference: String,
    },
    /// No limits on its Greeks.
    #[error(
        "{symbol}: limits on the Greeks of its underlying are mandatory, with an expiry range for it"
    )]
    NoLimits {
        /// Which.
        symbol: String,
    },
    /// A bound or a distance that is not above zero.
    #[error("{symbol}: {key} must be greater than zero")]
    NotPositive {
        /// Which.
        symbol: String,
        /// Which key.
        key: &'static str,
    },
    /// A model whose own skew would fight the option book's.
    #[error(
        "{symbol}: an option is quoted with model \"symmetric\"; its skew is the option book's"
    )]
    Model {
        /// Which.
        symbol: String,
    },
    /// An option would hedge.
    #[error("{symbol} is an option: hedges are made in what has no Greeks of its own")]
    Hedges {
        /// Which.
        symbol: String,
    },
}

impl OptionSettings {
    fn fault(&self, symbol: &str) -> Option<OptionFault> {
        let keys = [
            ("age_max", self.bounds.age_max_ns > 0),
            ("move_max", self.bounds.move_max.0 > 0),
            ("reprice_move", self.reprice_move.0 > 0),
            ("pin.distance", self.pin.distance.0 > 0),
        ];
        let key = keys.iter().find(|(_, is_good)| !is_good).map(|(key, _)| *key)?;
        Some(OptionFault::NotPositive { symbol: symbol.to_owned(), key })
    }
}

impl MakerConfig {
    /// Everything wrong with its options.
    pub(super) fn option_faults(&self, faults: &mut Vec<ConfigError>) {
        for instrument in self.instruments.iter().filter(|i| i.option().is_some()) {
            if !self.options.options.iter().any(|option| option.instrument == instrument.id()) {
                let symbol = instrument.symbol().to_owned();
                faults.push(OptionFault::NoReference { symbol }.into());
            }
        }
        for option in &self.options.options {
            let of = |id: InstrumentId| self.instruments.get(usize::from(id.0));
            let (Some(instrument), Some(reference)) = (of(option.instrument), of(option.reference))
            else {
                let (index, instruments) = (option.reference.0, self.instruments.len());
                let of = "option";
                faults.push(ConfigError::NoSuchInstrument { of, index, instruments });
                continue;
            };
            faults.extend(self.fault_of(instrument, reference).map(ConfigError::from));
            faults.extend(option.fault(instrument.symbol()).map(ConfigError::from));
        }
        let hedges = self.underlyings.iter().filter_map(|underlying| underlying.hedge.as_ref());
        for with in hedges.flat_map(|hedge| &hedge.instruments) {
            let instrument = self.instruments.get(usize::from(with.instrument.0));
            if let Some(instrument) = instrument.filter(|instrument| instrument.option().is_some())
            {
                let symbol = instrument.symbol().to_owned();
                faults.push(OptionFault::Hedges { symbol }.into());
            }
        }
    }

    fn fault_of(&self, instrument: &Instrument, reference: &Instrument) -> Option<OptionFault> {
        let symbol = instrument.symbol().to_owned();
        let Some(terms) = instrument.option() else {
            return Some(OptionFault::NoOption { symbol });
        };
        let on = reference.symbol().to_owned();
        let is_other = reference.spec().underlying != instrument.spec().underlying;
        if reference.option().is_some() || is_other {
            return Some(OptionFault::Reference { symbol, reference: on });
        }
        let is_future = match reference.spec().kind {
            InstrumentKind::DatedFuture { .. } => true,
            InstrumentKind::Spot
            | InstrumentKind::LinearPerpetual
            | InstrumentKind::InversePerpetual
            | InstrumentKind::Option(_) => false,
        };
        let can_deliver = is_future
            && lots_delivered(instrument, reference).is_some()
            && terms.strike_ticks(reference.spec().tick).is_some()
            && reference.spec().settlement == instrument.spec().settlement;
        let limits = self.options.limits.iter();
        let mut limits = limits.filter(|(of, _)| *of == instrument.spec().underlying);
        let has_limits = limits.any(|(_, limits)| {
            limits.vega_protection > 0
                && limits.buckets.last().is_some_and(|(until, _)| terms.expiry <= *until)
        });
        if !has_limits {
            return Some(OptionFault::NoLimits { symbol });
        }
        if terms.delivery == Delivery::Future && !can_deliver {
            return Some(OptionFault::Delivery { symbol, reference: on });
        }
        let quote =
            self.settings.get(usize::from(instrument.id().0)).and_then(|s| s.quote.as_ref());
        let is_symmetric = quote.is_none_or(|quote| matches!(quote.quoter, Quoter::Symmetric(_)));
        if !is_symmetric {
            return Some(OptionFault::Model { symbol });
        }
        if !is_forward(reference, terms) && !self.has_pair(reference.id(), terms.expiry) {
            return Some(OptionFault::NoPair { symbol, reference: on });
        }
        let others = self.options.options.iter().filter_map(|other| {
            self.instruments.get(usize::from(other.instrument.0)).filter(|o| o.option().is_some())
        });
        let spec = instrument.spec();
        let mut others = others.filter(|other| other.spec().underlying == spec.underlying);
        if let Some(other) = others.find(|other| other.spec().settlement != spec.settlement) {
            let other = other.symbol().to_owned();
            return Some(OptionFault::Settlement { symbol, other });
        }
        let middle = self.middle_strike(reference.id())?;
        let strike = i128::from(terms.nano_strike()?);
        let is_far = strike > 10 * i128::from(middle) || strike * 10 < i128::from(middle);
        is_far.then_some(OptionFault::StrikeScale { symbol, reference: on })
    }

    /// Does a strike of an expiry on a reference have both rights?
    fn has_pair(&self, reference: InstrumentId, expiry: Nanos) -> bool {
        let on = self.options.options.iter().filter(|option| option.reference == reference);
        let terms = on.filter_map(|option| {
            let instrument = self.instruments.get(usize::from(option.instrument.0))?;
            instrument.option().filter(|terms| terms.expiry == expiry)
        });
        let strikes = |of: OptionType| {
            terms.clone().filter(move |terms| terms.option_type == of).map(OptionTerms::nano_strike)
        };
        let mut calls = strikes(OptionType::Call);
        calls.any(|call| strikes(OptionType::Put).any(|put| put == call))
    }

    /// The middle one of the strikes on a reference.
    fn middle_strike(&self, reference: InstrumentId) -> Option<i64> {
        let on = self.options.options.iter().filter(|option| option.reference == reference);
        let strikes = on.filter_map(|option| {
            self.instruments.get(usize::from(option.instrument.0))?.option()?.nano_strike()
        });
        let mut strikes: Vec<i64> = strikes.collect();
        strikes.sort_unstable();
        strikes.get(strikes.len() / 2).copied()
    }
}

/// Is what an option is on what its forward is? A future that it delivers, or that expires with it; any
/// other reference stands off the forward by what holding it costs.
pub fn is_forward(reference: &Instrument, terms: &OptionTerms) -> bool {
    match reference.spec().kind {
        InstrumentKind::DatedFuture { expiry } => {
            terms.delivery == Delivery::Future || expiry == terms.expiry
        }
        InstrumentKind::Spot
        | InstrumentKind::LinearPerpetual
        | InstrumentKind::InversePerpetual
        | InstrumentKind::Option(_) => false,
    }
}

/// What of the underlying a lot is on.
pub(super) fn underlying_per_lot(instrument: &Instrument) -> Option<i64> {
    match instrument.value() {
        ContractValue::Option { nano_underlying_per_lot, .. }
        | ContractValue::Linear { nano_underlying_per_lot, .. } => Some(nano_underlying_per_lot),
        ContractValue::Inverse { .. } => None,
    }
}
