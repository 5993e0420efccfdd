//! Binance spot: an Ed25519 signature in the Logon, numbers from 1 each time, nothing resent.
//!
//! Fed by the session with its Logon's header; feeds it with the fields to add. Cold: once a
//! connection. Source: binance-spot-api-docs, `fix-api.md` (how to sign Logon; limits), whose example
//! the test below reproduces byte for byte. A replace goes out as XCN: cancel and new order in one, the cancel
//! only of an order that has not traded (CancelRestrictions(25002) = 1) and the new order only behind it
//! (25033 = 1): XCN's new order is a whole order, so that a fill that is on its way while XCN is would
//! otherwise be bought twice. What only shrinks goes out as XAK and keeps its place. What has traded is
//! cancelled, and the maker sends a new order. A drop copy is a third
//! session (9406=Y). Deliberately absent: order lists.

use super::dialect::{Entries, Reconciliation, Rules};
use super::notice::OnNews;
use super::secret::{Secret, SecretError};
use super::symbols::Symbol;
use crate::fix::encode::Encoder;
use crate::fix::message::Message;
use crate::fix::{SOH, tag};
use crate::order_entry::report::{FIX_44, ReportTags};
use crate::order_entry::throttle::{Limits, MessageLimit};
use crate::session::{Dialect, GapPolicy, LogonFields, LogonParts, LogonVerdict, SessionConfig};
use ballast_engine::event::OrderIntent;
use ballast_engine::units::Side;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::Ed25519KeyPair;

/// MessageHandling: 1 lets the venue reorder, 2 keeps MsgSeqNum(34) order.
const MESSAGE_HANDLING: u32 = 25035;
/// ResponseMode: 1 is everything, 2 acknowledgements only.
const RESPONSE_MODE: u32 = 25036;

/// OrderCancelRequestAndNewOrderSingle.
pub const CANCEL_AND_NEW: &[u8] = b"XCN";
/// OrderAmendKeepPriorityRequest.
pub const AMEND: &[u8] = b"XAK";
/// OrderAmendReject.
pub const AMEND_REJECT: &[u8] = b"XAR";

/// DropCopyFlag.
const DROP_COPY_FLAG: u32 = 9406;
/// CancelRestrictions: 1 cancels only what has not traded at all.
const CANCEL_RESTRICTIONS: u32 = 25002;
/// OrderCancelRequestAndNewOrderSingleMode: 1 places no new order where the cancel fails.
const CANCEL_AND_NEW_MODE: u32 = 25033;
/// CancelClOrdID: the name of the cancel.
const CANCEL_CL_ORD_ID: u32 = 25034;
/// OrderRateLimitExceededMode: 2 cancels although the new order is one too many.
const RATE_LIMIT_MODE: u32 = 25038;

/// Reports of the cancel within an XCN bear its own name.
const REPORT_TAGS: ReportTags = ReportTags { names_cancels: true, ..FIX_44 };

/// The venue counts Logon, heartbeats and TestRequests too. So do the throttles, as they go out; so many are
/// kept for those that go out when all else is used up.
const ADMIN_MESSAGES: usize = 10;

/// Quotes are LIMIT_MAKER (40=2, 18=6, no TimeInForce); no HandlInst(21), no TransactTime(60), no terms
/// in a cancel, no OrderCancelReplaceRequest(G) but XCN and XAK; q by symbol; trades apart from the book. 10,000 messages in 10 s, a
/// tenth kept for cancels; orders outlive the session. Market data: 2,000 messages in 60 s.
pub const RULES: Rules = Rules {
    report_tags: REPORT_TAGS,
    refusal_tags: REPORT_TAGS,
    security_id_source: None,
    post_only: b"6",
    cancel_names_order: false,
    resting_time_in_force: None,
    has_transact_time: false,
    cancel_has_terms: false,
    has_handl_inst: false,
    has_replace: false,
    has_cancel_and_new: true,
    mass_cancel_by_symbol: true,
    positions_are_whole: false,
    lists_one: false,
    order_limits: Limits::on_all(MessageLimit {
        messages: 10_000 - ADMIN_MESSAGES,
        window_ns: 10_000_000_000,
        cancel_reserve: 1_000,
    }),
    // 2 to 5000 levels; 1 is the touch alone. fix-api.md, MarketDataRequest(V).
    market_depth: 5_000,
    entries: Entries::Levels,
    market_data_limits: Limits::on_all(MessageLimit {
        messages: 2_000 - ADMIN_MESSAGES,
        window_ns: 60_000_000_000,
        cancel_reserve: 0,
    }),
    splits_trades: true,
    has_update_type: false,
    on_news: OnNews::Move,
    cancels_on_disconnect: false,
    reconciliation: Reconciliation { mass_cancel: true, ..Reconciliation::NONE },
};

/// The body of an XCN. `None` where the name of its cancel cannot be written.
pub(crate) fn write_cancel_and_new(
    encoder: &mut Encoder<'_>,
    intent: &OrderIntent,
    symbol: &Symbol,
) -> Option<()> {
    let number = i64::try_from(intent.cl_ord_id.0).ok()?;
    encoder
        .uint(tag::CL_ORD_ID, intent.cl_ord_id.0)
        .bytes(tag::EXEC_INST, RULES.post_only)
        .decimal(tag::ORDER_QTY, intent.size.0, symbol.lot())
        .char(tag::ORD_TYPE, b'2')
        .uint(tag::ORIG_CL_ORD_ID, intent.orig_cl_ord_id.0)
        .decimal(tag::PRICE, intent.price.0, symbol.tick())
        .char(tag::SIDE, if intent.side == Side::Buy { b'1' } else { b'2' })
        .bytes(tag::SYMBOL, symbol.text())
        .char(CANCEL_RESTRICTIONS, b'1')
        .char(CANCEL_AND_NEW_MODE, b'1')
        // A name of its own: the new order's with a sign before it, which no ClOrdID of ours has.
        .int(CANCEL_CL_ORD_ID, number.checked_neg()?)
        .char(RATE_LIMIT_MODE, b'2');
    Some(())
}

/// The body of an XAK.
pub(crate) fn write_amend(encoder: &mut Encoder<'_>, intent: &OrderIntent, symbol: &Symbol) {
    encoder
        .uint(tag::CL_ORD_ID, intent.cl_ord_id.0)
        .decimal(tag::ORDER_QTY, intent.size.0, symbol.lot())
        .uint(tag::ORIG_CL_ORD_ID, intent.orig_cl_ord_id.0)
        .bytes(tag::SYMBOL, symbol.text());
}

/// Which of the venue's sessions it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinanceSession {
    /// Order entry, told of everything.
    OrderEntry,
    /// Market data.
    MarketData,
    /// Every report of the account, and nothing to send.
    DropCopy,
}

/// Signs the Logon.
pub struct Binance {
    api_key: String,
    key: Ed25519KeyPair,
    session: BinanceSession,
}

impl Binance {
    /// `key` is an Ed25519 private key as PEM (PKCS#8), as the venue's guide makes it.
    ///
    /// # Errors
    /// It is no such key.
    pub fn new(
        api_key: &str,
        key: &Secret,
        session: BinanceSession,
    ) -> Result<Binance, SecretError> {
        let wrong = |what| SecretError::NotAKey { venue: "Binance", what };
        let text = std::str::from_utf8(key.expose()).map_err(|_| wrong("not a PEM text"))?;
        let body = text
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
            .ok_or(wrong("not a PEM PRIVATE KEY; an Ed25519 key in PKCS#8 is wanted"))?;
        let compact: String = body.split_whitespace().collect();
        let der = STANDARD.decode(compact).map_err(|_| wrong("not base64 inside its PEM"))?;
        // The venue's guide makes keys of version 1, without the public half.
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map_err(|_| wrong("no Ed25519 key; the venue takes no other"))?;
        Ok(Binance { api_key: api_key.into(), key, session })
    }

    /// What the venue demands of a session: numbers from 1 at each Logon, and no ResendRequest.
    pub fn demand(config: &mut SessionConfig) {
        config.reset_on_logon = true;
        config.gap_policy = GapPolicy::Disconnect;
    }
}

impl Dialect for Binance {
    fn decorate_logon(&mut self, logon: LogonParts<'_>, fields: &mut LogonFields) {
        let number = logon.msg_seq_num.to_string();
        let payload = [
            b"A",
            logon.sender_comp_id.as_bytes(),
            logon.target_comp_id.as_bytes(),
            number.as_bytes(),
            logon.sending_time,
        ]
        .join(&SOH);
        let signature = STANDARD.encode(self.key.sign(&payload));
        fields.add(tag::RAW_DATA_LENGTH, signature.len().to_string().as_bytes());
        fields.add(tag::RAW_DATA, signature.as_bytes());
        fields.add(tag::USERNAME, self.api_key.as_bytes());
        // In order: a cancel must not overtake the order that it cancels.
        fields.add(MESSAGE_HANDLING, b"2");
        match self.session {
            BinanceSession::OrderEntry => _ = fields.add(RESPONSE_MODE, b"1"),
            BinanceSession::DropCopy => _ = fields.add(DROP_COPY_FLAG, b"Y"),
            BinanceSession::MarketData => {}
        }
    }

    fn judge_logon(&mut self, _logon: &Message<'_>) -> LogonVerdict {
        LogonVerdict::Refuse("this is the client's side".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Output, Role, Session};
    use crate::store::MemoryStore;
    use ballast_engine::units::Nanos;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u\n\
        -----END PRIVATE KEY-----\n";
    const API_KEY: &str = "sBRXrJx2DsOraMXOaUovEhgVRcjOvCtQwnWj8VxkOh1xqboS02SPGfKi2h8spZJb";
    const EXAMPLE: &str = "8=FIX.4.4|9=247|35=A|34=1|49=EXAMPLE|52=20240627-11:17:25.223|56=SPOT|\
        95=88|96=4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==|\
        98=0|108=30|141=Y|553=sBRXrJx2DsOraMXOaUovEhgVRcjOvCtQwnWj8VxkOh1xqboS02SPGfKi2h8spZJb|\
        25035=2|10=227|";

    #[test]
    fn the_published_example_comes_out_byte_for_byte() {
        let key = Secret::from_bytes(KEY.as_bytes());
        let mut config = SessionConfig::new(Role::Initiator, "EXAMPLE", "SPOT");
        Binance::demand(&mut config);
        let dialect = Binance::new(API_KEY, &key, BinanceSession::MarketData).unwrap();
        config.dialect = Box::new(dialect);
        let mut session = Session::new(config, MemoryStore::new());
        // 2024-06-27 11:17:25.223 UTC.
        session.on_connected(Nanos(1_719_487_045_223_000_000));
        let Some(Output::Send(logon)) = session.poll_output() else { panic!("no Logon") };
        let text = String::from_utf8(logon.to_vec()).unwrap().replace('\x01', "|");
        assert_eq!(text, EXAMPLE);
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused_without_showing_it() {
        let rsa_like =
            "-----BEGIN PRIVATE KEY-----\nMIIBVQIBADANBgkqhkiG\n-----END PRIVATE KEY-----";
        for text in
            ["hunter2", "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----", rsa_like]
        {
            let secret = Secret::from_bytes(text.as_bytes());
            let error = Binance::new(API_KEY, &secret, BinanceSession::OrderEntry).err().unwrap();
            assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("MII"));
        }
    }
}
