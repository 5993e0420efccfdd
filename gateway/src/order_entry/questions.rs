//! The questions of a reconciliation as messages: q, AF, of all or of one order, H and AN.
//!
//! Fed by the stage with a [`Question`]; feeds the session. Order-entry thread, cold. Fields go out
//! ascending by tag. Deliberately absent: header and trailer, which are the session's.

use super::live_orders::LiveOrder;
use super::reconcile::Question;
use crate::fix::encode::Encoder;
use crate::fix::timestamp::{Precision, TimestampText};
use crate::fix::{msg_type, tag};
use crate::venue::dialect::Rules;
use crate::venue::mass_quote;
use crate::venue::symbols::Symbol;
use ballast_engine::event::ClOrdId;
use ballast_engine::units::{Nanos, Side};

/// Deribit's MassStatusReqIDType: what MassStatusReqID(584) names.
const MASS_STATUS_REQ_ID_TYPE: u32 = 9014;
/// Bytes of a date: YYYYMMDD.
const DATE_BYTES: usize = 8;

/// What a question is made of.
pub(super) struct Asked<'a> {
    /// Its own id.
    pub id: ClOrdId,
    /// The order that it is about.
    pub order: Option<&'a LiveOrder>,
    /// What that trades, or what is asked about.
    pub symbol: Option<&'a Symbol>,
    /// Whose holdings.
    pub account: &'a str,
    /// TransactTime(60).
    pub now: Nanos,
}

/// MsgType(35) of a question.
pub(super) fn msg_type_of(question: Question) -> &'static [u8] {
    match question {
        Question::MassCancel(_) => msg_type::ORDER_MASS_CANCEL_REQUEST,
        Question::QuoteCancel => msg_type::QUOTE_CANCEL,
        Question::MassStatus | Question::Fate(_) => msg_type::ORDER_MASS_STATUS_REQUEST,
        Question::Status(_) => msg_type::ORDER_STATUS_REQUEST,
        Question::Positions => msg_type::REQUEST_FOR_POSITIONS,
    }
}

/// The body of a question.
pub(super) fn write(
    encoder: &mut Encoder<'_>,
    question: Question,
    asked: &Asked<'_>,
    rules: &Rules,
) {
    match question {
        Question::MassCancel(_) => {
            encoder.uint(tag::CL_ORD_ID, asked.id.0);
            if let Some(symbol) = asked.symbol {
                encoder.bytes(rules.report_tags.symbol, symbol.text());
            }
            if rules.has_transact_time {
                encoder.timestamp(tag::TRANSACT_TIME, asked.now, Precision::Millis);
            }
            let scope = if asked.symbol.is_some() { b'1' } else { b'7' };
            encoder.char(tag::MASS_CANCEL_REQUEST_TYPE, scope);
        }
        Question::QuoteCancel => mass_quote::write_cancel_all(encoder, asked.id),
        Question::MassStatus => {
            encoder.uint(tag::MASS_STATUS_REQ_ID, asked.id.0).uint(tag::MASS_STATUS_REQ_TYPE, 7);
        }
        Question::Fate(_) => write_fate(encoder, asked, rules),
        Question::Status(_) => {
            let (Some(order), Some(symbol)) = (asked.order, asked.symbol) else { return };
            encoder.uint(tag::CL_ORD_ID, order.cl_ord_id.0);
            if rules.report_tags.symbol < tag::SIDE {
                encoder.bytes(rules.report_tags.symbol, symbol.text());
            }
            encoder.char(tag::SIDE, if order.side == Side::Buy { b'1' } else { b'2' });
            if rules.report_tags.symbol > tag::SIDE {
                encoder.bytes(rules.report_tags.symbol, symbol.text());
            }
            encoder.uint(tag::ORD_STATUS_REQ_ID, asked.id.0);
        }
        Question::Positions if rules.positions_are_whole => {
            encoder.uint(tag::POS_REQ_ID, asked.id.0).uint(tag::POS_REQ_TYPE, 0);
        }
        Question::Positions => {
            let mut clock = TimestampText::new(Precision::Millis);
            let date = clock.write(asked.now).get(..DATE_BYTES).unwrap_or_default();
            encoder
                .str(tag::ACCOUNT, asked.account)
                .timestamp(tag::TRANSACT_TIME, asked.now, Precision::Millis)
                .uint(tag::ACCOUNT_TYPE, 1)
                .uint(tag::POS_REQ_ID, asked.id.0)
                .bytes(tag::CLEARING_BUSINESS_DATE, date)
                .uint(tag::POS_REQ_TYPE, 0);
        }
    }
}

/// What became of one order: by the name that it was sent under. A quote has none: it is asked about by
/// OrderID(37).
fn write_fate(encoder: &mut Encoder<'_>, asked: &Asked<'_>, rules: &Rules) {
    let (Some(order), Some(symbol)) = (asked.order, asked.symbol) else { return };
    if let Some(name) = order.quoted.venue_name() {
        encoder.bytes(tag::MASS_STATUS_REQ_ID, name).uint(tag::MASS_STATUS_REQ_TYPE, 1);
        return;
    }
    encoder
        .bytes(rules.report_tags.symbol, symbol.text())
        .uint(tag::MASS_STATUS_REQ_ID, order.first_name.0)
        .uint(tag::MASS_STATUS_REQ_TYPE, 7)
        .uint(MASS_STATUS_REQ_ID_TYPE, 1);
}
