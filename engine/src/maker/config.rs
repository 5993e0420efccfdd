//! Everything that a maker is built from, validated together.
//!
//! Fed by the product's TOML (tools) or a test; feeds [`Maker::new`](crate::maker::Maker::new).
//! Plain values: nothing here is read from a file, a clock or the environment.

use crate::estimate::fair_value::FairValue;
use crate::estimate::markout::Widening;
use crate::estimate::volatility::{Sigma, VolatilityKind};
use crate::event::{ClOrdId, InstrumentId};
use crate::instrument::{Currency, Instrument};
use crate::inventory::hedge::BandRule;
use crate::inventory::hedge_mix::BasisTerms;
use crate::inventory::rebalance::RebalanceConfig;
use crate::maker::guards::Guards;
use crate::maker::option_config::{OptionFault, OptionsConfig};
use crate::maker::portfolio::{PortfolioFault, PortfolioMember};
use crate::maker::rebalance_config::RebalanceFault;
use crate::maker::resumption::Resumption;
use crate::market::spike::SpikeLimit;
use crate::pnl::ledger::LedgerError;
use crate::pnl::standing::StandingTerms;
use crate::quote::holdings::HoldingsSkew;
use crate::quote::requote::Tolerance;
use crate::quote::{LadderShape, Quoter};
use crate::risk::carried::CarriedRisk;
use crate::risk::collateral::{CollateralFault, CollateralLimits};
use crate::risk::firm::FirmTerms;
use crate::risk::limits::{ExposureLimits, InstrumentLimits, PortfolioLimits};
use crate::risk::order_to_trade::OrderToTradeLimit;
use crate::risk::protection::ProtectionLimits;
use crate::risk::self_trade::SelfTrade;
use crate::risk::throttle::MessageRate;
use crate::units::{Exposure, Lots, Notional, Ticks};
use thiserror::Error;

/// How an instrument's volatility is estimated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct VolatilitySettings {
    /// Sampling interval.
    pub interval_ns: u64,
    /// A sample weighs 2^-this.
    pub weight_shift: u32,
    /// σ before the first sample, and its floor.
    pub floor: Sigma,
    /// What is averaged.
    pub kind: VolatilityKind,
}

/// How an instrument is quoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct QuoteSettings {
    /// The model with its coefficients.
    pub quoter: Quoter,
    /// Levels, sizes, spacing, floor.
    pub ladder: LadderShape,
    /// What is quoted around.
    pub fair_value: FairValue,
    /// When a working quote is worth moving.
    pub tolerance: Tolerance,
    /// How long a level rests after the venue refused an order there.
    pub reject_holdoff_ns: u64,
    /// How markouts of our own fills widen the spread; `None`: not at all.
    pub markout: Option<Widening>,
    /// How the venue's own holdings skew the quotes; `None`: not at all.
    pub holdings: Option<HoldingsSkew>,
}

/// What the maker does with one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct InstrumentSettings {
    /// Limits, all mandatory.
    pub limits: InstrumentLimits,
    /// Market data older than this is not believed.
    pub stale_after_ns: u64,
    /// Volatility estimate.
    pub volatility: VolatilitySettings,
    /// Quoted, or only watched and hedged with.
    pub quote: Option<QuoteSettings>,
    /// Position at the start.
    pub opening: Lots,
    /// Jumps of the touch that are not believed at once; `None`: every touch is.
    pub spike: Option<SpikeLimit>,
    /// What becomes of an order that would meet one of our own.
    pub self_trade: SelfTrade,
    /// What holding it costs.
    pub standing: StandingTerms,
}

/// How an underlying's exposure is hedged.
#[derive(Clone, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct HedgeSettings {
    /// The no-trade band.
    pub band: BandRule,
    /// What may be used.
    pub instruments: Vec<HedgeInstrument>,
    /// After this many hedges in a row that traded nothing, everything of the underlying halts.
    pub failures_max: u32,
    /// How long no hedge is tried after one that traded nothing.
    pub retry_holdoff_ns: u64,
    /// How long a hedge is held, as far as anybody knows: what its funding and capital are counted for
    /// when the cheapest instrument is chosen. 0: not at all.
    pub holding_ns: u64,
    /// Which part of the hedge's cost, in parts of a million, a quote is credited that unwinds what is
    /// hedged; 0: none.
    pub unwind_credit_ppm: u32,
    /// Minimum-variance ratios and what basis risk costs; `None`: contracts count one for one, and it
    /// costs nothing.
    pub basis: Option<BasisTerms>,
}

/// One instrument to hedge with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct HedgeInstrument {
    /// Which.
    pub instrument: InstrumentId,
    /// How far beyond the touch an order may pay.
    pub collar: Ticks,
}

/// Limits and hedging of one underlying.
#[derive(Clone, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct UnderlyingSettings {
    /// The exposure that is wanted; net delta is counted from it.
    pub target: Exposure,
    /// Limits around the target.
    pub limits: ExposureLimits,
    /// Fills in a window that pull every quote of it.
    pub protection: ProtectionLimits,
    /// How to hedge; `None` for a maker that only quotes.
    pub hedge: Option<HedgeSettings>,
    /// Its part of a firm's limit, where other engines trade it too.
    pub firm: Option<FirmTerms>,
}

/// A maker's whole config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MakerConfig {
    /// The instruments; `InstrumentId` is the place here.
    pub instruments: Vec<Instrument>,
    /// One a instrument.
    pub settings: Vec<InstrumentSettings>,
    /// One an underlying.
    pub underlyings: Vec<UnderlyingSettings>,
    /// Message budget, one a venue.
    pub message_rates: Vec<MessageRate>,
    /// Messages a trade, one a venue.
    pub order_to_trade: Vec<OrderToTradeLimit>,
    /// Limits on everything together.
    pub portfolio: PortfolioLimits,
    /// What restrains quoting beyond the limits; where a list is short, nothing does.
    pub guards: Guards,
    /// Where the controls stood when the last run ended.
    pub carried: CarriedRisk,
    /// Where an earlier run ended, to go on from there; `opening`, `opening_cash` and `carried` are its.
    pub resumption: Option<Resumption>,
    /// What PnL is reported in.
    pub reporting: Currency,
    /// For every other settlement currency: the instrument whose mid converts it.
    pub conversions: Vec<(Currency, InstrumentId)>,
    /// Options: what they are on.
    pub options: OptionsConfig,
    /// Quotes that share one risk; none where it is empty.
    pub portfolio_members: Vec<PortfolioMember>,
    /// Limits on the collateral; `None`: it is not watched.
    pub collateral: Option<CollateralLimits>,
    /// What should be held where, and what moving it takes.
    pub rebalance: RebalanceConfig,
    /// Cash at the start.
    pub opening_cash: Vec<(Currency, Notional)>,
    /// Most orders alive at once.
    pub orders_max: usize,
    /// Most levels a side of a book.
    pub book_levels_max: usize,
    /// An answer that takes longer leaves the request in doubt.
    pub ack_timeout_ns: u64,
    /// After this many refusals in a row an instrument halts.
    pub rejects_max: u32,
    /// In what time the maker's own timers look after everything once.
    pub timer_interval_ns: u64,
    /// Number of this run, greater than that of every earlier one.
    pub epoch: u32,
}

/// What is wrong with a config as a whole; single keys are refused where they are read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// A table does not have one row for each.
    #[error("{rows} rows of {table} for {expected} {of}; give one each")]
    Rows {
        /// Which table.
        table: &'static str,
        /// How many it has.
        rows: usize,
        /// How many it needs.
        expected: usize,
        /// Of what.
        of: &'static str,
    },
    /// Something refers to an instrument that is not there.
    #[error("{of} names instrument {index}, but there are only {instruments}")]
    NoSuchInstrument {
        /// What refers.
        of: &'static str,
        /// To which.
        index: u16,
        /// How many there are.
        instruments: usize,
    },
    /// A hedge instrument is exposed to something else.
    #[error("underlying {underlying} is hedged with instrument {index}, which is of another one")]
    HedgeOfAnother {
        /// Whose hedge, by its place.
        underlying: usize,
        /// With which instrument.
        index: u16,
    },
    /// Two instruments cannot be one book.
    #[error(
        "instrument {index} shares its book with {with}, which must be another instrument of the same \
         underlying, kind, tick, lot and currencies at another venue, and name no further one"
    )]
    NotTheSameBook {
        /// Which.
        index: u16,
        /// With which.
        with: u16,
    },
    /// The run's number does not fit into a ClOrdID(11): ids would be used twice.
    #[error("epoch {0} is beyond 16777215, the last run that ClOrdID(11) has room for")]
    Epoch(u32),
    /// A number that must be greater than zero is not.
    #[error("{key} must be greater than zero")]
    NotPositive {
        /// Which.
        key: &'static str,
    },
    /// The hedging band is not inside the soft limit, or is empty.
    #[error("the hedge band must satisfy 0 <= inner < outer <= soft limit")]
    Band,
    /// An earlier run left more orders than there is room for.
    #[error("the last run left {orders} orders in doubt, but orders_max is {orders_max}; raise it")]
    OrdersInDoubt {
        /// How many it left.
        orders: usize,
        /// How many there is room for.
        orders_max: usize,
    },
    /// A derived band rests on quotes that its underlying does not have.
    #[error("the derived band rests on instrument {index}, which is not quoted for its underlying")]
    BandOfAnother {
        /// Which.
        index: u16,
    },
    /// A settlement currency has no conversion to the reporting currency.
    #[error("currency {0:?} is settled in but has no conversion into the reporting currency")]
    NoConversion(Currency),
    /// Quotes that share one risk.
    #[error(transparent)]
    Portfolio(#[from] PortfolioFault),
    /// Terms of a firm that do not narrow, or that this engine's limit is beyond.
    #[error(
        "underlying {underlying}: its hard limit must be within its part of the firm's, and without word \
         from the other engines less than all of it must be left"
    )]
    Firm {
        /// Which, by its place.
        underlying: usize,
    },
    /// Its model counts down to an end that nobody has said.
    #[error("instrument {index} is quoted by a model whose horizon ends: say when")]
    NoHorizonEnd {
        /// Of the instrument.
        index: u16,
    },
    /// Limits on the collateral.
    #[error("collateral: {0}")]
    Collateral(#[from] CollateralFault),
    /// What should be held where.
    #[error(transparent)]
    Rebalance(#[from] RebalanceFault),
    /// An option.
    #[error(transparent)]
    Option(#[from] OptionFault),
    /// The ledger refused the opening.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl MakerConfig {
    /// All faults of the config as a whole.
    pub fn faults(&self) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        self.table_faults(&mut faults);
        self.horizon_faults(&mut faults);
        self.reference_faults(&mut faults);
        self.option_faults(&mut faults);
        faults.extend(self.portfolio_faults().into_iter().map(ConfigError::from));
        let collateral = self.collateral.and_then(|limits| limits.fault());
        faults.extend(collateral.map(ConfigError::from));
        self.book_faults(&mut faults);
        faults.extend(self.rebalance_faults().into_iter().map(ConfigError::from));
        let positive = [
            ("orders_max", self.orders_max > 0),
            ("book_levels_max", self.book_levels_max > 0),
            ("ack_timeout", self.ack_timeout_ns > 0),
            ("rejects_max", self.rejects_max > 0),
            ("timer_interval", self.timer_interval_ns > 0),
        ];
        faults.extend(
            positive.iter().filter(|(_, ok)| !ok).map(|(key, _)| ConfigError::NotPositive { key }),
        );
        let orders = self.resumption.as_ref().map_or(0, |resumption| resumption.orders.len());
        if orders > self.orders_max {
            let orders_max = self.orders_max;
            faults.push(ConfigError::OrdersInDoubt { orders, orders_max });
        }
        if u64::from(self.epoch) >= 1 << (64 - ClOrdId::COUNTER_BITS) {
            faults.push(ConfigError::Epoch(self.epoch));
        }
        for (place, underlying) in self.underlyings.iter().enumerate() {
            if underlying.firm.is_some_and(|firm| !firm.are_sound(&underlying.limits)) {
                faults.push(ConfigError::Firm { underlying: place });
            }
            if let Some(hedge) = &underlying.hedge {
                let others = hedge.instruments.iter().filter(|with| {
                    let instrument = self.instruments.get(usize::from(with.instrument.0));
                    instrument.is_some_and(|i| usize::from(i.spec().underlying.0) != place)
                });
                faults.extend(others.map(|with| ConfigError::HedgeOfAnother {
                    underlying: place,
                    index: with.instrument.0,
                }));
                faults.extend(self.band_fault(place, &hedge.band));
            }
        }
        for instrument in &self.instruments {
            let currency = instrument.spec().settlement;
            let is_known = currency == self.reporting
                || self.conversions.iter().any(|(from, _)| *from == currency);
            if !is_known && !faults.contains(&ConfigError::NoConversion(currency)) {
                faults.push(ConfigError::NoConversion(currency));
            }
        }
        faults
    }

    fn band_fault(&self, place: usize, band: &BandRule) -> Option<ConfigError> {
        match band {
            BandRule::Fixed(band) => {
                let soft = self.underlyings.get(place)?.limits.soft();
                let is_inside = band.inner.0 >= 0 && band.inner < band.outer && band.outer <= soft;
                (!is_inside).then_some(ConfigError::Band)
            }
            BandRule::Derived(derived) => {
                let quoted = usize::from(derived.quoted.0);
                let underlying = self.instruments.get(quoted).map(|i| i.spec().underlying.0);
                let is_quoted = self.settings.get(quoted).is_some_and(|s| s.quote.is_some());
                let is_of_it = underlying.is_some_and(|of| usize::from(of) == place);
                (!is_quoted || !is_of_it)
                    .then_some(ConfigError::BandOfAnother { index: derived.quoted.0 })
            }
        }
    }

    fn table_faults(&self, faults: &mut Vec<ConfigError>) {
        let instruments = self.instruments.len();
        let mut rows = |table, rows, expected, of| {
            if rows < expected || (table == "settings" && rows != expected) {
                faults.push(ConfigError::Rows { table, rows, expected, of });
            }
        };
        rows("instruments", instruments, 1, "maker");
        rows("settings", self.settings.len(), instruments, "instruments");
        let specs = || self.instruments.iter().map(Instrument::spec);
        let underlyings = specs().map(|s| usize::from(s.underlying.0) + 1).max().unwrap_or(0);
        rows("underlyings", self.underlyings.len(), underlyings, "underlyings");
        let venues = specs().map(|s| usize::from(s.venue.0) + 1).max().unwrap_or(0);
        rows("message_rates", self.message_rates.len(), venues, "venues");
        rows("order_to_trade", self.order_to_trade.len(), venues, "venues");
    }

    fn horizon_faults(&self, faults: &mut Vec<ConfigError>) {
        for (instrument, settings) in self.instruments.iter().zip(&self.settings) {
            let counts_down = settings.quote.as_ref().is_some_and(|quote| quote.quoter.has_end());
            let guards = self.guards.instruments.get(usize::from(instrument.id().0));
            if counts_down && guards.is_none_or(|guards| guards.sessions.is_none()) {
                faults.push(ConfigError::NoHorizonEnd { index: instrument.id().0 });
            }
        }
    }

    fn reference_faults(&self, faults: &mut Vec<ConfigError>) {
        let hedges = self
            .underlyings
            .iter()
            .filter_map(|u| u.hedge.as_ref())
            .flat_map(|h| h.instruments.iter().map(|i| ("hedge", i.instrument)));
        let conversions = self.conversions.iter().map(|(_, i)| ("conversion", *i));
        let books = self.settings.iter().filter_map(|s| s.self_trade.same_book_as);
        let books = books.map(|id| ("same_book_as", id));
        for (of, id) in hedges.chain(conversions).chain(books) {
            if usize::from(id.0) >= self.instruments.len() {
                let instruments = self.instruments.len();
                faults.push(ConfigError::NoSuchInstrument { of, index: id.0, instruments });
            }
        }
    }

    /// The instruments whose book is that of `of` too.
    pub(crate) fn twins(&self, of: InstrumentId) -> impl Iterator<Item = InstrumentId> + '_ {
        let book = |id: InstrumentId| {
            let settings = self.settings.get(usize::from(id.0));
            settings.and_then(|s| s.self_trade.same_book_as).unwrap_or(id)
        };
        let ids = self.instruments.iter().map(Instrument::id);
        ids.filter(move |id| *id != of && book(*id) == book(of))
    }

    fn book_faults(&self, faults: &mut Vec<ConfigError>) {
        for (instrument, settings) in self.instruments.iter().zip(&self.settings) {
            let Some(with) = settings.self_trade.same_book_as else { continue };
            let place = usize::from(with.0);
            let (Some(other), Some(others)) =
                (self.instruments.get(place), self.settings.get(place))
            else {
                continue;
            };
            let (one, two) = (instrument.spec(), other.spec());
            let is_same = (one.underlying, one.kind, one.tick, one.lot, one.multiplier)
                == (two.underlying, two.kind, two.tick, two.lot, two.multiplier)
                && (one.base, one.quote, one.settlement) == (two.base, two.quote, two.settlement)
                && one.venue != two.venue
                && others.self_trade.same_book_as.is_none();
            if !is_same {
                faults.push(ConfigError::NotTheSameBook { index: instrument.id().0, with: with.0 });
            }
        }
    }
}
