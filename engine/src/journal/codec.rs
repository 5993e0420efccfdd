//! The bytes of a record's fields: little-endian integers, a tag byte an enum, nothing between.
//!
//! Fed by `record`, which frames what is written here. Any thread. Each type's two directions come
//! from one list, so that they cannot disagree, and a variant added to an event does not compile until
//! it has a tag. Tags are never given a second meaning: a removed variant's tag stays unused. Absent:
//! memory layout (nothing is transmuted), lengths and checksums (those are the frame's).

use crate::estimate::option_value::{OptionGreeks, QuantisedGreeks};
use crate::event::{
    ClOrdId, ExecId, InstrumentId, Liquidity, MarketEvent, MarketUpdate, OrderAction, OrderEvent,
    OrderIntent, OrderUpdate, SessionFault, TimeInForce, VenueId,
};
use crate::fixed::Scaled;
use crate::instrument::Currency;
use crate::inventory::derived::{Row, RowUpdate};
use crate::inventory::hedge_mix::{Mix, MixUpdate};
use crate::inventory::transfer::TransferId;
use crate::maker::control::{Act, KillCause, Knob, NAME_BYTES, Scope, User, UserName};
use crate::maker::input::Control;
use crate::maker::options::{GreekSpan, RefreshedGreeks};
use crate::maker::parameters::{MicroPriceUpdate, Parameters};
use crate::market::trust::Distrust;
use crate::pnl::ledger::Holding;
use crate::quote::multi_asset::SkewRow;
use crate::quote::{Quoter, encoding};
use crate::risk::collateral::CollateralView;
use crate::risk::firm::FirmView;
use crate::risk::greek_limits::GreekVector;
use crate::risk::state::{Reason, State};
use crate::units::{Exposure, FeeRate, Lots, Nanos, Side, Stamp, SubTicks, Ticks};

/// A value that can be written into a record and read back.
pub trait Field: Sized {
    /// Appends the value's bytes.
    fn put(&self, to: &mut Vec<u8>);

    /// Takes the value off the front; `None` where the bytes end early or mean nothing.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

/// Little-endian integers.
macro_rules! integers {
    ($($integer:ty),+) => {$(
        impl Field for $integer {
            fn put(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(<$integer>::from_le_bytes(*bytes))
            }
        }
    )+};
}

/// Types around one field.
macro_rules! wrappers {
    ($($wrapper:ident),+ $(,)?) => {$(
        impl Field for $wrapper {
            fn put(&self, to: &mut Vec<u8>) {
                self.0.put(to);
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Field::take(from).map($wrapper)
            }
        }
    )+};
}

/// Structs, field by field in the order given.
macro_rules! structs {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {$(
        impl $crate::journal::codec::Field for $name {
            fn put(&self, to: &mut Vec<u8>) {
                $(self.$field.put(to);)+
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                $(let $field = $crate::journal::codec::Field::take(from)?;)+
                Some($name { $($field),+ })
            }
        }
    )+};
}

/// Enums: a tag byte, then the variant's fields in the order given.
macro_rules! enums {
    ($($name:ident { $($tag:literal = $variant:ident $({ $($field:ident),+ })? $(($inner:ident))?),+ $(,)? })+) => {$(
        impl $crate::journal::codec::Field for $name {
            fn put(&self, to: &mut Vec<u8>) {
                match self {
                    $($name::$variant $({ $($field),+ })? $(($inner))? => {
                        to.push($tag);
                        $($($field.put(to);)+)?
                        $($inner.put(to);)?
                    })+
                }
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                match <u8 as $crate::journal::codec::Field>::take(from)? {
                    $($tag => {
                        $($(let $field = $crate::journal::codec::Field::take(from)?;)+)?
                        $(let $inner = $crate::journal::codec::Field::take(from)?;)?
                        Some($name::$variant $({ $($field),+ })? $(($inner))?)
                    })+
                    _ => None,
                }
            }
        }
    )+};
}

pub(super) use {enums, structs};

integers!(u8, u16, u32, u64, i16, i32, i64);

wrappers!(
    Exposure,
    SubTicks,
    Ticks,
    Lots,
    Nanos,
    Stamp,
    InstrumentId,
    VenueId,
    ClOrdId,
    ExecId,
    Currency,
    FeeRate
);

impl Field for UserName {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let (name, rest) = from.split_first_chunk::<NAME_BYTES>()?;
        *from = rest;
        Some(UserName(*name))
    }
}

/// The instrument, then the quoter's own bytes behind their count.
impl Field for Parameters {
    fn put(&self, to: &mut Vec<u8>) {
        self.instrument.put(to);
        let mut bytes = [0; encoding::CLOSED_FORM_BYTES_MAX];
        let count = self.coefficients.quoter().encode(&mut bytes).unwrap_or(0);
        u8::try_from(count).unwrap_or(0).put(to);
        to.extend(bytes.iter().take(count));
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let instrument = InstrumentId::take(from)?;
        let count = usize::from(u8::take(from)?);
        let (bytes, rest) = from.split_at_checked(count)?;
        *from = rest;
        Parameters::of(instrument, &Quoter::decode(bytes)?)
    }
}

impl Field for bool {
    fn put(&self, to: &mut Vec<u8>) {
        u8::from(*self).put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Field for Scaled {
    fn put(&self, to: &mut Vec<u8>) {
        let (mantissa, shift) = self.parts();
        mantissa.put(to);
        shift.put(to);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Scaled::from_parts(i64::take(from)?, i32::take(from)?)
    }
}

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    fn put(&self, to: &mut Vec<u8>) {
        for item in self {
            item.put(to);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = T::take(from)?;
        }
        Some(items)
    }
}

structs! {
    User { uid, name }
    SkewRow { instrument, mantissas, shifts }
    CollateralView { at, utilisation_ppm, distance_ppm, stressed_loss, addable_ppm }
    FirmView { at, longs, shorts, underlying }
    QuantisedGreeks {
        at, underlying, value, price_delta, price_gamma, theta, exposure, exposure_gamma,
    }
    OptionGreeks { taken, vega, rho, vanna, volga, volatility }
    GreekVector { delta, gamma, vega, theta, rho, vanna, volga }
    GreekSpan { instrument, at, span }
    RefreshedGreeks { instrument, greeks }
    RowUpdate { quoted, place, row }
    MicroPriceUpdate { instrument, leans }
    TransferId { epoch, number }
    Row { band, excess, unit, slope }
    MixUpdate { made, underlying, mix }
    Mix { ratios, weights, residual }
    MarketEvent { at, venue_at, stamp, update, instrument, last_in_message }
    OrderIntent {
        cl_ord_id, orig_cl_ord_id, price, size, stamp, at, instrument, action, side, time_in_force,
    }
    OrderEvent {
        at, venue_at, stamp, msg_seq_num, cl_ord_id, orig_cl_ord_id, update, instrument, venue,
    }
}

enums! {
    Control {
        1 = Pause(instrument),
        2 = Resume(instrument),
        3 = Kill,
        4 = Shutdown,
        5 = By { user, second, act },
        6 = Parameters(parameters),
        8 = Greeks(greeks),
        9 = GreekSpan(span),
        20 = HedgeRow(update),
        21 = HedgeMix(update),
        22 = MicroPrice(update),
        23 = Skew(row),
        30 = Collateral(view),
        31 = Firm(view),
    }
    Act {
        1 = Pause { scope },
        2 = Resume { scope },
        3 = Flatten { scope },
        4 = Kill { cause },
        5 = Set { knob, value },
        6 = Trade { instrument, side, price, size },
        7 = Transfer { holding, amount },
        8 = Adjust { holding, amount },
        9 = Expire { instrument, price },
        10 = Exercise { instrument, lots, price },
        20 = Funding { instrument, received },
        21 = FundingRate { instrument, rate },
        30 = TransferSent { id, leaves },
        31 = TransferArrived { id, came },
        32 = TransferRefused { id, came },
    }
    Scope { 1 = All, 2 = Underlying(place), 3 = Instrument(instrument) }
    KillCause { 1 = Operator, 2 = File, 3 = Signal, 4 = Watchdog, 5 = SessionLost, 6 = Journal }
    Holding { 1 = Position(instrument), 2 = Cash(currency), 3 = CashAt { venue, currency } }
    Knob {
        1 = OrderSizeMax(instrument),
        2 = OrderValueMax(instrument),
        3 = PositionMax(instrument),
        4 = Collar(instrument),
        5 = Soft(underlying),
        6 = Stop(underlying),
        7 = Hard(underlying),
        8 = QuoteSize(instrument),
        9 = EdgeMin(instrument),
        10 = ToleranceAggressive(instrument),
        11 = TolerancePassive(instrument),
    }
    Side { 1 = Buy, 2 = Sell }
    Liquidity { 1 = Maker, 2 = Taker }
    TimeInForce { 1 = PostOnly, 2 = ImmediateOrCancel }
    OrderAction { 1 = New, 2 = Replace, 3 = Cancel }
    SessionFault { 1 = SequenceForgotten, 2 = OutboundDiffers, 3 = OrdersUnknown }
    MarketUpdate {
        1 = Level { side, price, size },
        2 = Trade { aggressor, price, size },
        3 = Reset,
        4 = Gap,
    }
    State { 1 = Quoting, 2 = Reducing, 3 = Paused, 4 = Halted }
    Distrust { 1 = Gapped, 2 = Stale, 3 = OneSided, 4 = Crossed, 5 = Spike }
    Reason {
        1 = Normal,
        2 = Distrusted(distrust),
        3 = SoftLimit,
        4 = Concentration,
        5 = SessionDown,
        6 = Operator,
        7 = Killed,
        8 = Shutdown,
        9 = Overfill,
        10 = Inconsistent,
        11 = UnknownOrder,
        12 = HedgeFailed,
        13 = Rejects,
        14 = Overflow,
        15 = PositionDiffers,
        16 = VenueForgot,
        17 = OutboundDiffers,
        18 = DailyLoss,
        19 = Drawdown,
        20 = Protection,
        21 = RepeatedExecutions,
        22 = Breakout,
        23 = TakeProfit,
        24 = InstrumentLoss,
        25 = Hours,
        26 = PositionAge,
        27 = ConcentrationShare,
        28 = OpeningUnconfirmed,
        29 = Expired,
        30 = NoGreeks,
        31 = NoReference,
        32 = GreeksOutside,
        33 = PinRisk,
        34 = Collateral,
        35 = HoldingsDiffer,
        40 = TradeAmended,
        41 = AccountPutRight,
        42 = ContractDiffers,
        43 = OutsideHorizon,
    }
    OrderUpdate {
        1 = SessionUp,
        2 = SessionDown,
        3 = Pending,
        4 = New { leaves_qty },
        5 = Fill { exec_id, side, last_px, last_qty, cum_qty, leaves_qty, liquidity },
        6 = Replaced { price, leaves_qty },
        7 = Restated { price, leaves_qty },
        8 = Status { is_gone, cum_qty, leaves_qty },
        9 = TradeCorrected { exec_id, ref_exec_id, last_px, last_qty, cum_qty, leaves_qty },
        10 = TradeCanceled { exec_id, ref_exec_id, cum_qty, leaves_qty },
        11 = Canceled { cum_qty },
        12 = Rejected { reason },
        13 = CancelRejected { reason, is_gone },
        14 = MessageRejected { reason },
        15 = Unsent,
        16 = Position { lots },
        17 = SessionHalted { fault },
        18 = SessionReconciling,
        19 = ContractDiffers,
    }
}
