//! Deribit: a timestamp and a nonce in RawData(96), their hash with the secret as Password(554).
//!
//! Fed by the session with its Logon's header; feeds it with the fields to add. Cold: once a
//! connection. Source: docs.deribit.com, FIX API, Logon(A): `RawData = timestamp.nonce`, `Password =
//! base64(sha256(RawData ++ access_secret))`, the timestamp in ms and strictly increasing, the nonce
//! at least 32 random bytes as base64; CancelOnDisconnect(9001). Sizes are contracts: an instrument's
//! lot is a count of them and its multiplier a contract's worth. After a Logon: q of everything, AF
//! for each order that we know (585=7, 9014=1: by its ClOrdID(11)), closed or not, AN, whose one AP has all
//! positions. Amending (OrderCancelReplaceRequest(G)): the order keeps its first ClOrdID(11),
//! which G names and every later report says; what answers is a report with the new terms
//! (`order_entry/kept_name.rs`). Deliberately absent: naming an order by the venue's own id, which it finds
//! faster and we would know only once it has answered.

use super::dialect::{Entries, Reconciliation, Rules};
use super::notice::OnNews;
use super::secret::Secret;
use crate::fix::message::Message;
use crate::fix::tag;
use crate::order_entry::report::{FIX_44, ReportTags};
use crate::order_entry::throttle::{Limits, MessageLimit};
use crate::session::{Dialect, LogonFields, LogonParts, LogonVerdict, SessionConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// CancelOnDisconnect.
const CANCEL_ON_DISCONNECT: u32 = 9001;
/// Bytes of randomness in a nonce.
const NONCE_LEN: usize = 32;

/// SecondaryExecID: the id of a change of an order.
const SECONDARY_EXEC_ID: u32 = 527;
/// FillPx in the group NoFills(1362).
const FILL_PX: u32 = 1364;

/// Reports are statuses (150 = I): our ClOrdID stands in OrigClOrdID(41), the venue's own in
/// ClOrdID(11), and fills in a group, each of which is told at its own price (`order_entry/fills.rs`).
/// A cancel names the order in ClOrdID(11), and so does its refusal. Post-only is `6A`: a lone 6 lets the venue move the price.
/// 5 messages a second sustained with bursts of 20 is the lowest tier of the venue's matching engine.
pub const RULES: Rules = Rules {
    report_tags: ReportTags {
        cl_ord_id: tag::ORIG_CL_ORD_ID,
        orig_cl_ord_id: 0,
        symbol: tag::SYMBOL,
        exec_id: SECONDARY_EXEC_ID,
        last_px: FILL_PX,
        // Of the security's sizes, not of ours (QtyType(854) says which): no word on our multiplier.
        contract_multiplier: 0,
        gross_trade_amt: 0,
        names_cancels: false,
        is_status_led: true,
        names_first: true,
        names_quotes: true,
    },
    refusal_tags: ReportTags { is_status_led: true, names_first: true, ..FIX_44 },
    security_id_source: None,
    post_only: b"6A",
    cancel_names_order: true,
    resting_time_in_force: Some(b"1"),
    has_transact_time: false,
    cancel_has_terms: false,
    has_handl_inst: false,
    has_replace: true,
    has_cancel_and_new: false,
    mass_cancel_by_symbol: false,
    positions_are_whole: true,
    lists_one: true,
    order_limits: Limits::on_all(MessageLimit {
        messages: 20,
        window_ns: 4_000_000_000,
        cancel_reserve: 5,
    }),
    market_depth: 0,
    entries: Entries::Levels,
    market_data_limits: Limits::on_all(MessageLimit {
        messages: 20,
        window_ns: 4_000_000_000,
        cancel_reserve: 0,
    }),
    splits_trades: false,
    has_update_type: true,
    on_news: OnNews::Tell,
    cancels_on_disconnect: true,
    reconciliation: Reconciliation { mass_cancel: true, positions: true, ..Reconciliation::NONE },
};

/// Fills a nonce with randomness; whether it could.
pub type FillNonce = Box<dyn FnMut(&mut [u8]) -> bool + Send>;

/// Signs the Logon.
pub struct Deribit {
    client_id: String,
    secret: Secret,
    fill_nonce: FillNonce,
    /// The last timestamp in ms: the next one must be greater.
    last_ms: u64,
}

impl Deribit {
    /// Nonces come from the system.
    pub fn new(client_id: &str, secret: Secret) -> Deribit {
        let random = SystemRandom::new();
        Deribit::with_nonces(client_id, secret, Box::new(move |room| random.fill(room).is_ok()))
    }

    /// What the venue demands of a session: its numbers begin at 1 in every connection.
    pub fn demand(config: &mut SessionConfig) {
        config.reset_on_logon = true;
    }

    /// Nonces come from `fill_nonce`: a simulation's.
    pub fn with_nonces(client_id: &str, secret: Secret, fill_nonce: FillNonce) -> Deribit {
        Deribit { client_id: client_id.into(), secret, fill_nonce, last_ms: 0 }
    }
}

impl Dialect for Deribit {
    fn decorate_logon(&mut self, logon: LogonParts<'_>, fields: &mut LogonFields) {
        let mut nonce = [0u8; NONCE_LEN];
        // Without randomness there is no Logon worth sending: the venue refuses one without Password.
        if !(self.fill_nonce)(&mut nonce) {
            return;
        }
        self.last_ms = (logon.now.0 / 1_000_000).max(self.last_ms.saturating_add(1));
        let raw_data = format!("{}.{}", self.last_ms, STANDARD.encode(nonce));
        let signed = [raw_data.as_bytes(), self.secret.expose()].concat();
        let password = STANDARD.encode(digest(&SHA256, &signed));
        fields.add(tag::RAW_DATA_LENGTH, raw_data.len().to_string().as_bytes());
        fields.add(tag::RAW_DATA, raw_data.as_bytes());
        fields.add(tag::USERNAME, self.client_id.as_bytes());
        fields.add(tag::PASSWORD, password.as_bytes());
        fields.add(CANCEL_ON_DISCONNECT, b"Y");
    }

    fn judge_logon(&mut self, _logon: &Message<'_>) -> LogonVerdict {
        LogonVerdict::Refuse("this is the client's side".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Output, Role, Session, SessionConfig};
    use crate::store::MemoryStore;
    use ballast_engine::units::Nanos;

    fn session() -> Session<MemoryStore> {
        let fill: FillNonce = Box::new(|room| {
            room.fill(7);
            true
        });
        let secret = Secret::from_bytes(b"access-secret");
        let mut config = SessionConfig::new(Role::Initiator, "BALLAST", "DERIBITSERVER");
        config.dialect = Box::new(Deribit::with_nonces("client-id", secret, fill));
        Session::new(config, MemoryStore::new())
    }

    fn logon(session: &mut Session<MemoryStore>, now: Nanos) -> String {
        session.on_connected(now);
        let Some(Output::Send(logon)) = session.poll_output() else { panic!("no Logon") };
        let text = String::from_utf8(logon.to_vec()).unwrap().replace('\x01', "|");
        session.on_disconnected(now);
        text
    }

    fn field<'a>(text: &'a str, tag: &str) -> &'a str {
        let start = text.find(&format!("|{tag}=")).unwrap() + tag.len() + 2;
        text[start..].split('|').next().unwrap()
    }

    #[test]
    fn the_password_is_the_hash_of_raw_data_and_secret() {
        let text = logon(&mut session(), Nanos(1_700_000_000_123_456_789));
        let raw_data = "1700000000123.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        assert_eq!(field(&text, "96"), raw_data);
        assert_eq!(field(&text, "95"), raw_data.len().to_string());
        assert_eq!(field(&text, "553"), "client-id");
        assert_eq!(field(&text, "554"), EXPECTED);
        assert_eq!(field(&text, "9001"), "Y");
    }

    #[test]
    fn the_timestamp_increases_although_the_clock_stands_still() {
        let mut session = session();
        let now = Nanos(1_700_000_000_123_000_000);
        let first = logon(&mut session, now);
        let second = logon(&mut session, now);
        let ms = |text: &str| field(text, "96").split('.').next().unwrap().parse::<u64>().unwrap();
        assert_eq!(ms(&second), ms(&first) + 1);
    }

    // base64(sha256("1700000000123.BwcH…wc=access-secret")), by Python's hashlib.
    const EXPECTED: &str = "8UMbz2SYIlPh7P9SSm4eE3dxj8La25+urEVpPKgmB1U=";
}
