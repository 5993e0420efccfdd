//! ExecutionReport(8), OrderCancelReject(9), Reject(3) and BusinessMessageReject(j), read in one pass.
//!
//! Fed by the session with decoded messages; feeds [`super::desk`] with the fields that matter, as
//! text and numbers. Order-entry thread, borrowing the received bytes. Deliberately absent: any
//! judgement; what the fields mean for an order is the desk's business.

use crate::fix::message::{Field, Message};
use crate::fix::{tag, timestamp, value};
use crate::venue::mass_quote::{self, MMP_GROUP};
use ballast_engine::event::{ClOrdId, Liquidity};
use ballast_engine::units::{Lots, Nanos, Side};

/// ExecTransType of FIX 4.2, which FIX 4.4 no longer has.
const EXEC_TRANS_TYPE: u32 = 20;

/// Which fields carry what; what venues differ in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportTags {
    /// Ours: ClOrdID(11).
    pub cl_ord_id: u32,
    /// The order before it: OrigClOrdID(41); 0 where the venue has none.
    pub orig_cl_ord_id: u32,
    /// What is traded: Symbol(55), or SecurityID(48).
    pub symbol: u32,
    /// What makes a report unique: ExecID(17).
    pub exec_id: u32,
    /// The price of a fill: LastPx(31). The last one in the message counts.
    pub last_px: u32,
    /// What a contract is worth: ContractMultiplier(231); 0 where the venue counts it otherwise.
    pub contract_multiplier: u32,
    /// What all that traded is worth: GrossTradeAmt(381); 0 where the venue leaves the multiplier out.
    pub gross_trade_amt: u32,
    /// A ClOrdID(11) with a minus before our number names the cancel within the request of that number.
    pub names_cancels: bool,
    /// Reports are statuses; what happened is read off OrdStatus(39) and CumQty(14).
    pub is_status_led: bool,
    /// Reports name an order as it was sent first, whatever it was amended to (`kept_name.rs`).
    pub names_first: bool,
    /// Reports of mass quotes name our request in QuoteEntryID(299) (`quotes.rs`).
    pub names_quotes: bool,
}

/// The fields of FIX 4.4.
pub const FIX_44: ReportTags = ReportTags {
    cl_ord_id: tag::CL_ORD_ID,
    orig_cl_ord_id: tag::ORIG_CL_ORD_ID,
    symbol: tag::SYMBOL,
    exec_id: tag::EXEC_ID,
    last_px: tag::LAST_PX,
    contract_multiplier: tag::CONTRACT_MULTIPLIER,
    gross_trade_amt: tag::GROSS_TRADE_AMT,
    names_cancels: false,
    is_status_led: false,
    names_first: false,
    names_quotes: false,
};

/// The fields of an answer to our orders. Absent fields are `None`; texts borrow the message.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// ClOrdID(11), where it is one of the numbers that we give.
    pub cl_ord_id: ClOrdId,
    /// It names the cancel within the request of that number ([`ReportTags::names_cancels`]).
    pub is_of_cancel: bool,
    /// OrigClOrdID(41), likewise.
    pub orig_cl_ord_id: ClOrdId,
    /// What QuoteEntryID(299) names: our request, where the report is of a quote and says so.
    pub quote_entry: ClOrdId,
    /// The order that QuoteEntryID(299) names behind it.
    pub quote_order: ClOrdId,
    /// OrderID(37).
    pub order_id: Option<&'a [u8]>,
    /// It is of a mass quote: it has a QuoteID(117), a QuoteEntryID(299) or an MMPGroup(9019).
    pub is_of_quote: bool,
    /// ExecType(150).
    pub exec_type: Option<&'a [u8]>,
    /// ExecTransType(20) of FIX 4.2: 1 cancels, 2 corrects, 3 is a status.
    pub exec_trans_type: Option<&'a [u8]>,
    /// OrdStatus(39).
    pub ord_status: Option<&'a [u8]>,
    /// ExecID(17).
    pub exec_id: Option<&'a [u8]>,
    /// ExecRefID(19).
    pub exec_ref_id: Option<&'a [u8]>,
    /// Symbol(55).
    pub symbol: Option<&'a [u8]>,
    /// Side(54), where it is a buy or a sell.
    pub side: Option<Side>,
    /// Price(44).
    pub price: Option<&'a [u8]>,
    /// LastPx(31).
    pub last_px: Option<&'a [u8]>,
    /// LastQty(32).
    pub last_qty: Option<&'a [u8]>,
    /// CumQty(14).
    pub cum_qty: Option<&'a [u8]>,
    /// AvgPx(6).
    pub avg_px: Option<&'a [u8]>,
    /// ContractMultiplier(231).
    pub contract_multiplier: Option<&'a [u8]>,
    /// GrossTradeAmt(381).
    pub gross_trade_amt: Option<&'a [u8]>,
    /// LeavesQty(151).
    pub leaves_qty: Option<&'a [u8]>,
    /// OrderQty(38).
    pub order_qty: Option<&'a [u8]>,
    /// LastLiquidityInd(851). A venue that does not say is taken to have charged the taker's fee:
    /// an error that way shows as money found, the other way as money missing.
    pub liquidity: Liquidity,
    /// TransactTime(60); 0 where absent.
    pub transact_time: Nanos,
    /// OrdRejReason(103), CxlRejReason(102), SessionRejectReason(373) or BusinessRejectReason(380).
    pub reason: Option<u16>,
    /// RefSeqNum(45): which of our messages a Reject(3) or BusinessMessageReject(j) is about.
    pub ref_seq_num: Option<u64>,
    /// RefMsgType(372): what sort of message was refused.
    pub ref_msg_type: Option<&'a [u8]>,
    /// BusinessRejectRefID(379), where it is one of our ClOrdIDs.
    pub business_reject_ref_id: ClOrdId,
    /// OrdStatusReqID(790), where it is one of our numbers: the answer to an OrderStatusRequest(H).
    pub ord_status_req_id: ClOrdId,
    /// PossDupFlag(43) or PossResend(97): we may have seen it.
    pub is_poss_dup: bool,
    /// [`ReportTags::is_status_led`].
    pub is_status_led: bool,
    /// [`ReportTags::names_first`].
    pub names_first: bool,
    /// CumQty and LeavesQty in lots as they are after this fill, where the report tells several fills
    /// and this is one of them.
    pub running: Option<(Lots, Lots)>,
}

impl<'a> Report<'a> {
    /// One that says nothing.
    pub(super) fn empty(tags: ReportTags) -> Report<'a> {
        Report {
            cl_ord_id: ClOrdId::NONE,
            is_of_cancel: false,
            orig_cl_ord_id: ClOrdId::NONE,
            quote_entry: ClOrdId::NONE,
            quote_order: ClOrdId::NONE,
            order_id: None,
            is_of_quote: false,
            exec_type: None,
            exec_trans_type: None,
            ord_status: None,
            exec_id: None,
            exec_ref_id: None,
            symbol: None,
            side: None,
            price: None,
            last_px: None,
            last_qty: None,
            cum_qty: None,
            avg_px: None,
            contract_multiplier: None,
            gross_trade_amt: None,
            leaves_qty: None,
            order_qty: None,
            liquidity: Liquidity::Taker,
            transact_time: Nanos(0),
            reason: None,
            ref_seq_num: None,
            ref_msg_type: None,
            business_reject_ref_id: ClOrdId::NONE,
            ord_status_req_id: ClOrdId::NONE,
            is_poss_dup: false,
            running: None,
            is_status_led: tags.is_status_led,
            names_first: tags.names_first,
        }
    }

    /// Reads what is there.
    pub fn read(message: &Message<'a>, tags: ReportTags) -> Report<'a> {
        let mut report = Report::empty(tags);
        for field in message.fields() {
            report.take(&field, tags);
        }
        report
    }

    fn take_quote(&mut self, field: &Field<'a>) {
        self.is_of_quote = true;
        if field.tag == tag::QUOTE_ENTRY_ID {
            (self.quote_entry, self.quote_order) = mass_quote::names_of(field.value);
        }
    }

    fn take(&mut self, field: &Field<'a>, tags: ReportTags) {
        let text = field.value;
        // First, because a dialect may name any tag here, also one that means something else below.
        if field.tag == tags.cl_ord_id {
            let number = text.strip_prefix(b"-").filter(|_| tags.names_cancels);
            self.is_of_cancel = number.is_some();
            self.cl_ord_id = cl_ord_id(number.unwrap_or(text));
        }
        if field.tag == tags.orig_cl_ord_id {
            self.orig_cl_ord_id = cl_ord_id(text);
        }
        if field.tag == tags.symbol {
            self.symbol = Some(text);
        }
        if field.tag == tags.exec_id {
            self.exec_id = Some(text);
        }
        if field.tag == tags.last_px {
            self.last_px = Some(text);
        }
        if field.tag == tags.contract_multiplier {
            self.contract_multiplier = Some(text);
        }
        if field.tag == tags.gross_trade_amt {
            self.gross_trade_amt = Some(text);
        }
        match field.tag {
            tag::EXEC_TYPE => self.exec_type = Some(text),
            tag::ORDER_ID => self.order_id = Some(text),
            tag::QUOTE_ENTRY_ID | tag::QUOTE_ID | MMP_GROUP if tags.names_quotes => {
                self.take_quote(field);
            }
            EXEC_TRANS_TYPE => self.exec_trans_type = Some(text),
            tag::ORD_STATUS => self.ord_status = Some(text),
            tag::EXEC_REF_ID => self.exec_ref_id = Some(text),
            tag::SIDE => self.side = side(text),
            tag::PRICE => self.price = Some(text),
            tag::LAST_QTY => self.last_qty = Some(text),
            tag::CUM_QTY => self.cum_qty = Some(text),
            tag::AVG_PX => self.avg_px = Some(text),
            tag::LEAVES_QTY => self.leaves_qty = Some(text),
            tag::ORDER_QTY => self.order_qty = Some(text),
            tag::LAST_LIQUIDITY_IND if text == b"1" => self.liquidity = Liquidity::Maker,
            tag::TRANSACT_TIME => {
                self.transact_time = timestamp::parse(text).unwrap_or_default();
            }
            tag::ORD_REJ_REASON
            | tag::CXL_REJ_REASON
            | tag::SESSION_REJECT_REASON
            | tag::BUSINESS_REJECT_REASON => {
                self.reason = value::parse_uint(text).and_then(|r| u16::try_from(r).ok());
            }
            tag::REF_SEQ_NUM => self.ref_seq_num = value::parse_uint(text),
            tag::REF_MSG_TYPE => self.ref_msg_type = Some(text),
            tag::BUSINESS_REJECT_REF_ID => self.business_reject_ref_id = cl_ord_id(text),
            tag::ORD_STATUS_REQ_ID => self.ord_status_req_id = cl_ord_id(text),
            tag::POSS_DUP_FLAG | tag::POSS_RESEND => self.is_poss_dup |= text == b"Y",
            _ => {}
        }
    }
}

/// Our ClOrdIDs are decimal numbers without leading zeros; anything else was never ours.
fn cl_ord_id(text: &[u8]) -> ClOrdId {
    match text {
        [b'1'..=b'9', ..] => value::parse_uint(text).map_or(ClOrdId::NONE, ClOrdId),
        _ => ClOrdId::NONE,
    }
}

/// Side(54): 1 buys; 2, and 5 (sell short), sell.
fn side(text: &[u8]) -> Option<Side> {
    match text {
        b"1" => Some(Side::Buy),
        b"2" | b"5" | b"6" => Some(Side::Sell),
        _ => None,
    }
}
