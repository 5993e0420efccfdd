//! Order entry in FIX 4.4, outbound: the exchange's answers become 8, 9, r, AP and j.
//!
//! Fed by `fix_face.rs` with answers; feeds a session with message bodies. The venue's thread.
//! Deliberately absent: header and trailer, which are the session's.
//!
//! ExecutionReport(8): 37 11 41 790 17 19 150 39 103 55 54 38 40 44 32 31 151 14 6 60 12 13 851 58.
//! Commission(12) is in the settlement currency with CommType(13) = 3, negative for a rebate;
//! TransactTime(60) is the tape's time of the matching, to the nanosecond.

use super::fix_orders::{ClientNames, Listing, Refused};
use super::order::{CancelReject, ExecType, ExecutionReport, OrdStatus, Place};
use ballast_engine::event::{ClOrdId, ExecId, InstrumentId, Liquidity};
use ballast_engine::units::{Decimal, Lots, Nanos, Side};
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use ballast_gateway::fix::{msg_type, tag};

/// Digits that AvgPx(6) has beyond the tick's; it is cut there.
const AVERAGE_DIGITS: u8 = 4;

/// The body of an ExecutionReport(8).
pub fn write_execution(
    encoder: &mut Encoder<'_>,
    report: &ExecutionReport,
    at: Nanos,
    listing: &Listing,
    names: &ClientNames,
    ord_status_req_id: Option<&[u8]>,
) {
    let Some(instrument) = listing.instrument(report.instrument) else { return };
    let (tick, lot) = (instrument.spec().tick, instrument.spec().lot);
    write_order_id(encoder, report.order_id.0);
    encoder.bytes(tag::CL_ORD_ID, names.text(report.cl_ord_id));
    if report.orig_cl_ord_id != ClOrdId::NONE {
        encoder.bytes(tag::ORIG_CL_ORD_ID, names.text(report.orig_cl_ord_id));
    }
    if let Some(req_id) = ord_status_req_id {
        encoder.bytes(tag::ORD_STATUS_REQ_ID, req_id);
    }
    encoder.uint(tag::EXEC_ID, report.exec_id.0);
    if report.exec_ref_id != ExecId(0) {
        encoder.uint(tag::EXEC_REF_ID, report.exec_ref_id.0);
    }
    encoder
        .char(tag::EXEC_TYPE, exec_type(report.exec_type))
        .char(tag::ORD_STATUS, ord_status(report.ord_status));
    if let Some(refusal) = report.refusal {
        encoder.uint(tag::ORD_REJ_REASON, u64::from(refusal.ord_rej_reason()));
    }
    encoder
        .str(tag::SYMBOL, instrument.symbol())
        .char(tag::SIDE, if report.side == Side::Buy { b'1' } else { b'2' })
        .decimal(tag::ORDER_QTY, report.order_qty.0, lot)
        .char(tag::ORD_TYPE, b'2')
        .decimal(tag::PRICE, report.price.0, tick);
    if let Some(last) = report.last {
        encoder.decimal(tag::LAST_QTY, last.size.0, lot).decimal(tag::LAST_PX, last.price.0, tick);
    }
    encoder.decimal(tag::LEAVES_QTY, report.leaves_qty.0, lot).decimal(
        tag::CUM_QTY,
        report.cum_qty.0,
        lot,
    );
    write_average(encoder, report, tick);
    encoder.timestamp(tag::TRANSACT_TIME, at, Precision::Nanos);
    if let Some(last) = report.last {
        encoder
            .str(tag::COMMISSION, &last.fee.to_string())
            .char(tag::COMM_TYPE, b'3')
            .char(tag::LAST_LIQUIDITY_IND, liquidity(last.liquidity));
    }
    if let Some(refusal) = report.refusal {
        encoder.str(tag::TEXT, refusal.text());
    }
}

/// AvgPx(6): Σ price × size over CumQty(14), 0 where nothing has traded.
fn write_average(encoder: &mut Encoder<'_>, report: &ExecutionReport, tick: Decimal) {
    let digits = AVERAGE_DIGITS.min(Decimal::SCALE_MAX.saturating_sub(tick.scale));
    let fine = 10i128.pow(u32::from(digits));
    let average = report.traded.saturating_mul(fine) / i128::from(report.cum_qty.0.max(1));
    let unit = Decimal { mantissa: tick.mantissa, scale: tick.scale + digits };
    match i64::try_from(average) {
        Ok(average) => encoder.decimal(tag::AVG_PX, average, unit),
        Err(_) => encoder.decimal(tag::AVG_PX, report.price.0, tick),
    };
}

/// The body of an OrderCancelReject(9).
pub fn write_cancel_reject(
    encoder: &mut Encoder<'_>,
    reject: &CancelReject,
    at: Nanos,
    names: &ClientNames,
) {
    write_order_id(encoder, reject.order_id.0);
    encoder
        .bytes(tag::CL_ORD_ID, names.text(reject.cl_ord_id))
        .bytes(tag::ORIG_CL_ORD_ID, names.text(reject.orig_cl_ord_id))
        .char(tag::ORD_STATUS, ord_status(reject.ord_status))
        .timestamp(tag::TRANSACT_TIME, at, Precision::Nanos)
        .char(tag::CXL_REJ_RESPONSE_TO, if reject.is_replace { b'2' } else { b'1' })
        .uint(tag::CXL_REJ_REASON, u64::from(reject.refusal.cxl_rej_reason()))
        .str(tag::TEXT, reject.refusal.text());
}

/// The body of an OrderMassCancelReport(r).
pub fn write_mass_cancel(
    encoder: &mut Encoder<'_>,
    cl_ord_id: &[u8],
    scope: u8,
    affected: u32,
    at: Nanos,
) {
    encoder
        .bytes(tag::CL_ORD_ID, cl_ord_id)
        .str(tag::ORDER_ID, "NONE")
        .char(tag::MASS_CANCEL_REQUEST_TYPE, scope)
        .char(tag::MASS_CANCEL_RESPONSE, scope)
        .uint(tag::TOTAL_AFFECTED_ORDERS, u64::from(affected))
        .timestamp(tag::TRANSACT_TIME, at, Precision::Nanos);
}

/// The body of an ExecutionReport(8) that belongs to a list: of nothing, where nothing works.
pub fn write_listed(
    encoder: &mut Encoder<'_>,
    report: Option<&ExecutionReport>,
    (place, req_id): (Place, &[u8]),
    at: Nanos,
    (listing, names): (&Listing, &ClientNames),
) {
    match report {
        Some(report) => write_execution(encoder, report, at, listing, names, None),
        None => {
            encoder
                .str(tag::ORDER_ID, "NONE")
                .uint(tag::EXEC_ID, 0)
                .char(tag::EXEC_TYPE, b'I')
                .char(tag::ORD_STATUS, b'8')
                .str(tag::SYMBOL, "NONE")
                .char(tag::SIDE, b'1')
                .uint(tag::LEAVES_QTY, 0)
                .uint(tag::CUM_QTY, 0)
                .uint(tag::AVG_PX, 0)
                .timestamp(tag::TRANSACT_TIME, at, Precision::Nanos);
        }
    }
    encoder
        .bytes(tag::MASS_STATUS_REQ_ID, req_id)
        .uint(tag::TOT_NUM_REPORTS, u64::from(place.of))
        .bool(tag::LAST_RPT_REQUESTED, place.is_last());
}

/// The body of a PositionReport(AP): one instrument, all of it as one quantity.
pub fn write_position(
    encoder: &mut Encoder<'_>,
    (instrument, lots): (InstrumentId, Lots),
    (place, req_id): (Place, &[u8]),
    at: Nanos,
    (account, listing): (&str, &Listing),
) {
    let Some(instrument) = listing.instrument(instrument) else { return };
    let lot = instrument.spec().lot;
    let mut clock = TimestampText::new(Precision::Millis);
    let date = clock.write(at).get(..8).unwrap_or_default();
    encoder
        .str(tag::ACCOUNT, account)
        .str(tag::SYMBOL, instrument.symbol())
        .uint(tag::ACCOUNT_TYPE, 1)
        .uint(tag::NO_POSITIONS, 1)
        .str(tag::POS_TYPE, "TQ")
        .decimal(tag::LONG_QTY, lots.0.max(0), lot)
        .decimal(tag::SHORT_QTY, lots.0.min(0).saturating_neg(), lot)
        .bytes(tag::POS_REQ_ID, req_id)
        .bytes(tag::CLEARING_BUSINESS_DATE, date)
        .str(tag::POS_MAINT_RPT_ID, &format!("P{}", place.number))
        .uint(tag::TOTAL_NUM_POS_REPORTS, u64::from(place.of))
        .uint(tag::POS_REQ_RESULT, 0)
        .uint(tag::SETTL_PRICE, 0)
        .uint(tag::SETTL_PRICE_TYPE, 2)
        .uint(tag::PRIOR_SETTL_PRICE, 0);
}

impl Refused {
    /// MsgType(35) of the answer.
    pub fn msg_type(&self) -> &'static [u8] {
        match self {
            Refused::Order { .. } => msg_type::EXECUTION_REPORT,
            Refused::Business { .. } => msg_type::BUSINESS_MESSAGE_REJECT,
        }
    }

    /// Its body. `number` makes the ExecID(17) unique.
    pub fn write(&self, encoder: &mut Encoder<'_>, at: Nanos, number: u64) {
        match self {
            Refused::Order { echo, reason, text } => {
                encoder.str(tag::ORDER_ID, "NONE").str(tag::EXEC_ID, &format!("R{number}"));
                for (tag, value) in echo {
                    encoder.bytes(*tag, value);
                }
                encoder
                    .char(tag::EXEC_TYPE, b'8')
                    .char(tag::ORD_STATUS, b'8')
                    .uint(tag::ORD_REJ_REASON, u64::from(*reason))
                    .uint(tag::LEAVES_QTY, 0)
                    .uint(tag::CUM_QTY, 0)
                    .uint(tag::AVG_PX, 0)
                    .timestamp(tag::TRANSACT_TIME, at, Precision::Nanos)
                    .str(tag::TEXT, text);
            }
            Refused::Business { ref_seq_num, ref_msg_type, reason, text } => {
                encoder
                    .uint(tag::REF_SEQ_NUM, *ref_seq_num)
                    .bytes(tag::REF_MSG_TYPE, ref_msg_type)
                    .uint(tag::BUSINESS_REJECT_REASON, u64::from(*reason))
                    .str(tag::TEXT, text);
            }
        }
    }
}

fn write_order_id(encoder: &mut Encoder<'_>, order_id: u64) {
    if order_id == 0 {
        encoder.str(tag::ORDER_ID, "NONE");
    } else {
        encoder.uint(tag::ORDER_ID, order_id);
    }
}

fn exec_type(exec_type: ExecType) -> u8 {
    match exec_type {
        ExecType::New => b'0',
        ExecType::Canceled => b'4',
        ExecType::Replaced => b'5',
        ExecType::Rejected => b'8',
        ExecType::Trade => b'F',
        ExecType::TradeCorrect => b'G',
        ExecType::TradeCancel => b'H',
        ExecType::OrderStatus => b'I',
    }
}

fn ord_status(status: OrdStatus) -> u8 {
    match status {
        OrdStatus::New => b'0',
        OrdStatus::PartiallyFilled => b'1',
        OrdStatus::Filled => b'2',
        OrdStatus::Canceled => b'4',
        OrdStatus::Rejected => b'8',
    }
}

fn liquidity(liquidity: Liquidity) -> u8 {
    match liquidity {
        Liquidity::Maker => b'1',
        Liquidity::Taker => b'2',
    }
}
