//! What is traded: an instrument's grid, contract and fees, validated once.
//!
//! Fed by the config; feeds every stage that turns text into counts or counts into money. Any
//! thread; immutable after start. Deliberately absent: market state.

use crate::coarse_step::CoarseStep;
use crate::event::{InstrumentId, VenueId};
use crate::option_terms::{Delivery, OptionTerms};
use crate::units::{Decimal, DecimalError, FeeRate, Lots, Nanos, Ticks};
use thiserror::Error;

/// A currency, as an index into the config's list of currency codes. A coin that is traded spot is
/// a currency too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Currency(pub u8);

/// What exposure is counted in: an index into the config's list of underlyings (BTC).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Underlying(pub u8);

/// How a trade settles and what one contract is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum InstrumentKind {
    /// The coin itself changes hands against the quote currency. Cannot be sold short.
    Spot,
    /// PnL in the quote currency: `size × multiplier × (exit − entry)`.
    LinearPerpetual,
    /// A contract of a fixed amount of quote currency that settles in the underlying:
    /// PnL `= contracts × multiplier × (1/entry − 1/exit)`.
    InversePerpetual,
    /// A linear future that ends.
    DatedFuture {
        /// Last moment of trading.
        expiry: Nanos,
    },
    /// A right whose price is paid when it trades.
    Option(OptionTerms),
}

/// An instrument as the config states it, before it is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct InstrumentSpec {
    /// Its name; Symbol(55) too, unless the venue has another.
    pub symbol: String,
    /// Where it trades.
    pub venue: VenueId,
    /// What its exposure is counted in.
    pub underlying: Underlying,
    /// How it settles.
    pub kind: InstrumentKind,
    /// Smallest step of the price, in quote currency.
    pub tick: Decimal,
    /// Smallest step of the size: base units (spot, linear) or contracts (inverse).
    pub lot: Decimal,
    /// Underlying per size unit (linear; 1 for spot) or quote currency per contract (inverse).
    pub multiplier: Decimal,
    /// The coin (spot: what a buy delivers).
    pub base: Currency,
    /// What prices are written in.
    pub quote: Currency,
    /// What PnL and fees are paid in.
    pub settlement: Currency,
    /// Fee of a resting order.
    pub maker_fee: FeeRate,
    /// Fee of a taking order.
    pub taker_fee: FeeRate,
}

/// What is wrong with an instrument's spec.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InstrumentError {
    /// A grid step or multiplier is zero or negative.
    #[error("{symbol}: {key} must be greater than zero")]
    NotPositive {
        /// Which instrument.
        symbol: String,
        /// Which key.
        key: &'static str,
    },
    /// Spot that is counted in more or less than the coin or share itself: every hedge would be sized wrong.
    #[error("{symbol}: multiplier is {multiplier}; spot has 1, its size is in the base currency")]
    SpotMultiplier {
        /// Which instrument.
        symbol: String,
        /// What it was.
        multiplier: Decimal,
    },
    /// One tick of one lot is not a whole number of 1e-9 of the settlement currency.
    #[error(
        "{symbol}: tick × lot × multiplier is not a whole multiple of 1e-9 of the settlement currency; \
         money could not be exact"
    )]
    ValueOffGrid {
        /// Which instrument.
        symbol: String,
    },
    /// The settlement currency does not fit the kind.
    #[error("{symbol}: {kind} settles in its {must} currency")]
    Settlement {
        /// Which instrument.
        symbol: String,
        /// The kind's name.
        kind: &'static str,
        /// "quote" or "base".
        must: &'static str,
    },
    /// A strike that is no price.
    #[error("{symbol}: the strike {strike} must be above zero, with at most nine decimals")]
    Strike {
        /// Which instrument.
        symbol: String,
        /// What it was.
        strike: Decimal,
    },
    /// A coin-settled option whose premium is not in its coin, or another one whose is.
    #[error("{symbol}: {why}")]
    Premium {
        /// Which instrument.
        symbol: String,
        /// What must be.
        why: &'static str,
    },
}

/// A validated instrument. Its fields cannot be wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Instrument {
    id: InstrumentId,
    spec: InstrumentSpec,
    value: ContractValue,
    venue_symbol: Option<String>,
    coarse_step: CoarseStep,
    nano_quote_per_tick: i64,
}

/// What one lot is worth, precomputed in the units that the ledger and the gate count in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum ContractValue {
    /// Spot and linear: the value is `ticks × lots × nano_per_tick_lot` of 1e-9 quote currency, the
    /// exposure `lots × nano_underlying_per_lot`.
    Linear {
        /// 1e-9 of the quote currency that one tick of one lot is worth.
        nano_per_tick_lot: i64,
        /// 1e-9 of the underlying in one lot.
        nano_underlying_per_lot: i64,
    },
    /// Inverse: `lots × nano_quote_per_lot` of quote currency whatever the price; in coin that over
    /// the price.
    Inverse {
        /// 1e-9 of the quote currency that one lot is worth.
        nano_quote_per_lot: i64,
        /// 1e-9 of the quote currency in one tick of price.
        nano_quote_per_tick: i64,
    },
    /// Option: the premium is `ticks × lots × nano_per_tick_lot` of 1e-9 of the currency that it is
    /// written in. What a lot exposes to is its Greeks' business; `nano_underlying_per_lot` is what
    /// the right is on.
    Option {
        /// 1e-9 of the premium's currency that one tick of one lot is worth.
        nano_per_tick_lot: i64,
        /// 1e-9 of the underlying that one lot is on.
        nano_underlying_per_lot: i64,
    },
}

impl Instrument {
    /// Validates a spec. `id` is its place in the config.
    pub fn new(id: InstrumentId, spec: InstrumentSpec) -> Result<Instrument, InstrumentError> {
        let steps = [("tick", spec.tick), ("lot", spec.lot), ("multiplier", spec.multiplier)];
        for (key, step) in steps {
            if step.mantissa <= 0 {
                return Err(InstrumentError::NotPositive { symbol: spec.symbol.clone(), key });
            }
        }
        let settles_in = |must: &'static str, kind: &'static str, currency: Currency| {
            if spec.settlement == currency {
                Ok(())
            } else {
                Err(InstrumentError::Settlement { symbol: spec.symbol.clone(), kind, must })
            }
        };
        let is_one = nano_product(&[spec.multiplier]) == nano_product(&[]);
        if spec.kind == InstrumentKind::Spot && !is_one {
            let (symbol, multiplier) = (spec.symbol.clone(), spec.multiplier);
            return Err(InstrumentError::SpotMultiplier { symbol, multiplier });
        }
        let off_grid = || InstrumentError::ValueOffGrid { symbol: spec.symbol.clone() };
        let value = match spec.kind {
            InstrumentKind::Spot
            | InstrumentKind::LinearPerpetual
            | InstrumentKind::DatedFuture { .. } => {
                settles_in("quote", "a spot or linear instrument", spec.quote)?;
                ContractValue::Linear {
                    nano_per_tick_lot: nano_product(&[spec.tick, spec.lot, spec.multiplier])
                        .ok_or_else(off_grid)?,
                    nano_underlying_per_lot: nano_product(&[spec.lot, spec.multiplier])
                        .ok_or_else(off_grid)?,
                }
            }
            InstrumentKind::InversePerpetual => {
                settles_in("base", "an inverse perpetual", spec.base)?;
                ContractValue::Inverse {
                    nano_quote_per_lot: nano_product(&[spec.lot, spec.multiplier])
                        .ok_or_else(off_grid)?,
                    nano_quote_per_tick: nano_product(&[spec.tick]).ok_or_else(off_grid)?,
                }
            }
            InstrumentKind::Option(terms) => {
                settles_in("quote", "an option", spec.quote)?;
                check_option(&spec, &terms)?;
                ContractValue::Option {
                    nano_per_tick_lot: nano_product(&[spec.tick, spec.lot, spec.multiplier])
                        .ok_or_else(off_grid)?,
                    nano_underlying_per_lot: nano_product(&[spec.lot, spec.multiplier])
                        .ok_or_else(off_grid)?,
                }
            }
        };
        let nano_quote_per_tick = match value {
            ContractValue::Inverse { nano_quote_per_tick, .. } => nano_quote_per_tick,
            ContractValue::Linear { .. } | ContractValue::Option { .. } => {
                nano_product(&[spec.tick]).unwrap_or(0)
            }
        };
        let coarse_step = CoarseStep::NONE;
        Ok(Instrument { id, spec, value, venue_symbol: None, coarse_step, nano_quote_per_tick })
    }

    /// The same under another name at its venue: one contract over two sessions has one name there.
    pub fn named_at_venue(self, symbol: String) -> Instrument {
        Instrument { venue_symbol: Some(symbol), ..self }
    }

    /// The same with a coarser grid of prices from a price on.
    pub fn with_coarse_step(self, coarse_step: CoarseStep) -> Instrument {
        Instrument { coarse_step, ..self }
    }

    /// Where its prices are further apart than its tick.
    #[inline]
    pub fn coarse_step(&self) -> CoarseStep {
        self.coarse_step
    }

    /// Its place in the tables.
    pub fn id(&self) -> InstrumentId {
        self.id
    }

    /// Everything that the config said of it.
    pub fn spec(&self) -> &InstrumentSpec {
        &self.spec
    }

    /// The terms, where it is an option.
    pub fn option(&self) -> Option<&OptionTerms> {
        match &self.spec.kind {
            InstrumentKind::Option(terms) => Some(terms),
            InstrumentKind::Spot
            | InstrumentKind::LinearPerpetual
            | InstrumentKind::InversePerpetual
            | InstrumentKind::DatedFuture { .. } => None,
        }
    }

    /// Symbol(55).
    pub fn venue_symbol(&self) -> &str {
        self.venue_symbol.as_deref().unwrap_or(&self.spec.symbol)
    }

    /// Its name in the config and in reports.
    pub fn symbol(&self) -> &str {
        &self.spec.symbol
    }

    /// What one lot is worth.
    pub fn value(&self) -> ContractValue {
        self.value
    }

    /// 1e-9 of the quote currency in one tick of price. Rounded down for a tick finer than 1e-9.
    pub fn nano_quote_per_tick(&self) -> i64 {
        self.nano_quote_per_tick
    }

    /// A decimal price as a count of ticks; an error off the grid.
    pub fn ticks(&self, price: Decimal) -> Result<Ticks, DecimalError> {
        let price = price.count_of(self.spec.tick).map(Ticks)?;
        if self.coarse_step.has(price) { Ok(price) } else { Err(DecimalError::OffGrid) }
    }

    /// A decimal size as a count of lots; an error off the grid.
    pub fn lots(&self, size: Decimal) -> Result<Lots, DecimalError> {
        size.count_of(self.spec.lot).map(Lots)
    }

    /// A price as the venue writes it.
    pub fn price_text(&self, price: Ticks) -> String {
        Decimal::text_of(price.0, self.spec.tick)
    }

    /// A size as the venue writes it.
    pub fn size_text(&self, size: Lots) -> String {
        Decimal::text_of(size.0, self.spec.lot)
    }
}

/// A strike above zero, and a premium in the currency that the option pays.
fn check_option(spec: &InstrumentSpec, terms: &OptionTerms) -> Result<(), InstrumentError> {
    let symbol = || spec.symbol.clone();
    if terms.strike.mantissa <= 0 || terms.nano_strike().is_none() {
        return Err(InstrumentError::Strike { symbol: symbol(), strike: terms.strike });
    }
    let is_in_coin = spec.quote == spec.base;
    let why = match terms.delivery {
        Delivery::Coin if !is_in_coin => {
            "an option that pays coin is written in its coin: quote must be the base"
        }
        Delivery::Cash | Delivery::Future if is_in_coin => {
            "quote is the coin itself: such an option delivers coin"
        }
        Delivery::Coin | Delivery::Cash | Delivery::Future => return Ok(()),
    };
    Err(InstrumentError::Premium { symbol: symbol(), why })
}

/// The product of the factors in units of 1e-9, or `None` where it is not whole or does not fit.
fn nano_product(factors: &[Decimal]) -> Option<i64> {
    let mut mantissa = 1_000_000_000i128;
    let mut scale = 0u32;
    for factor in factors {
        mantissa = mantissa.checked_mul(i128::from(factor.mantissa))?;
        scale += u32::from(factor.scale);
    }
    let divisor = 10i128.checked_pow(scale)?;
    if mantissa % divisor != 0 {
        return None;
    }
    i64::try_from(mantissa / divisor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: InstrumentKind, tick: &str, lot: &str, multiplier: &str) -> InstrumentSpec {
        let settlement =
            if kind == InstrumentKind::InversePerpetual { Currency(0) } else { Currency(1) };
        InstrumentSpec {
            symbol: "BTC".into(),
            venue: VenueId(0),
            underlying: Underlying(0),
            kind,
            tick: tick.parse().unwrap(),
            lot: lot.parse().unwrap(),
            multiplier: multiplier.parse().unwrap(),
            base: Currency(0),
            quote: Currency(1),
            settlement,
            maker_fee: FeeRate(0),
            taker_fee: FeeRate(0),
        }
    }

    #[test]
    fn one_tick_of_one_lot_is_a_whole_number_of_nano_units() {
        let spot = spec(InstrumentKind::Spot, "0.01", "0.00001", "1");
        let spot = Instrument::new(InstrumentId(0), spot).unwrap();
        assert_eq!(
            spot.value(),
            ContractValue::Linear { nano_per_tick_lot: 100, nano_underlying_per_lot: 10_000 }
        );
        let inverse = spec(InstrumentKind::InversePerpetual, "0.1", "1", "100");
        let inverse = Instrument::new(InstrumentId(1), inverse).unwrap();
        assert_eq!(
            inverse.value(),
            ContractValue::Inverse {
                nano_quote_per_lot: 100_000_000_000,
                nano_quote_per_tick: 100_000_000
            }
        );
    }

    #[test]
    fn a_grid_whose_money_would_round_is_refused() {
        let fine = spec(InstrumentKind::Spot, "0.00001", "0.00001", "1");
        assert!(matches!(
            Instrument::new(InstrumentId(0), fine),
            Err(InstrumentError::ValueOffGrid { .. })
        ));
    }

    #[test]
    fn spot_is_counted_in_what_changes_hands() {
        let spot = |multiplier| {
            let spec = spec(InstrumentKind::Spot, "0.01", "0.001", multiplier);
            Instrument::new(InstrumentId(0), spec).map(|made| made.value())
        };
        assert_eq!(spot("1.00"), spot("1"));
        assert!(spot("1").is_ok());
        for wrong in ["10", "0.1"] {
            assert!(matches!(spot(wrong), Err(InstrumentError::SpotMultiplier { .. })), "{wrong}");
        }
    }

    #[test]
    fn an_inverse_contract_that_settles_in_dollars_is_refused() {
        let mut wrong = spec(InstrumentKind::InversePerpetual, "0.1", "1", "100");
        wrong.settlement = Currency(1);
        assert!(matches!(
            Instrument::new(InstrumentId(0), wrong),
            Err(InstrumentError::Settlement { .. })
        ));
    }

    #[test]
    fn an_option_pays_in_the_currency_of_its_premium_and_has_a_strike() {
        use crate::option_terms::{ExerciseStyle, OptionType};
        let terms = |strike: &str, delivery| OptionTerms {
            option_type: OptionType::Call,
            strike: strike.parse().unwrap(),
            expiry: Nanos(1),
            style: ExerciseStyle::European,
            delivery,
        };
        let option = |strike, delivery| {
            spec(InstrumentKind::Option(terms(strike, delivery)), "0.05", "1", "50")
        };
        let made = Instrument::new(InstrumentId(0), option("3300", Delivery::Cash)).unwrap();
        let value = ContractValue::Option {
            nano_per_tick_lot: 2_500_000_000,
            nano_underlying_per_lot: 50_000_000_000,
        };
        assert_eq!(made.value(), value);
        assert_eq!(made.option().map(|terms| terms.strike.mantissa), Some(3300));
        for strike in ["0", "-3300"] {
            let refused = Instrument::new(InstrumentId(0), option(strike, Delivery::Cash));
            assert!(matches!(refused, Err(InstrumentError::Strike { .. })));
        }
        let coin = Instrument::new(InstrumentId(0), option("3300", Delivery::Coin));
        assert!(matches!(coin, Err(InstrumentError::Premium { .. })));
    }
}
