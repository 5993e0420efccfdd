//! Two venues that Ballast does not ship, written as a user would write them: nothing of the session,
//! the codec or the stages is touched. One signs its Logon with HMAC-SHA512 over a nonce, as Kraken
//! does; one names instruments by SecurityID(48), resets once a week and logs out who sends too much,
//! as LMAX does.

use crate::peer::{Door, PipeDial, Venue};
use crate::wire;
use ballast_engine::clock::Counter;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderIntent, OrderUpdate, TimeInForce, VenueId,
};
use ballast_engine::latency::probe;
use ballast_engine::ring::slots;
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::tag;
use ballast_gateway::market_data::subscription::{Half, Question};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::report::{FIX_44, ReportTags};
use ballast_gateway::order_entry::throttle::MessageLimit;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{
    Dialect, LogonFields, LogonParts, LogonVerdict, Output, ReconnectConfig, Role, Session,
    SessionConfig,
};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::dialect::Rules;
use ballast_gateway::venue::plain;
use ballast_gateway::venue::secret::Secret;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

const NOW: Nanos = Nanos(1_723_161_599_000_000_000);
/// The venue's own field for the nonce.
const NONCE: u32 = 5025;

/// Kraken's way: Password(554) is an HMAC-SHA512 over the Logon's header, the key and a nonce that
/// must grow.
struct HmacLogon {
    api_key: String,
    secret: Secret,
    last_nonce: u64,
}

impl Dialect for HmacLogon {
    fn decorate_logon(&mut self, logon: LogonParts<'_>, fields: &mut LogonFields) {
        self.last_nonce = (logon.now.0 / 1_000_000).max(self.last_nonce + 1);
        let text = signed_text(
            logon.sender_comp_id,
            logon.target_comp_id,
            logon.msg_seq_num,
            &self.api_key,
            self.last_nonce,
        );
        let key = hmac::Key::new(hmac::HMAC_SHA512, self.secret.expose());
        let password = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        fields.add(tag::USERNAME, self.api_key.as_bytes());
        fields.add(tag::PASSWORD, password.as_bytes());
        fields.add(NONCE, self.last_nonce.to_string().as_bytes());
    }

    fn judge_logon(&mut self, _logon: &Message<'_>) -> LogonVerdict {
        LogonVerdict::Refuse("this is the client's side".into())
    }
}

fn signed_text(sender: &str, target: &str, number: u64, api_key: &str, nonce: u64) -> String {
    format!("35=A|34={number}|49={sender}|56={target}|553={api_key}|{nonce}")
}

/// The Logon as the venue reads it.
fn fields_of(bytes: &[u8]) -> Vec<(u32, String)> {
    wire::decoded(bytes, |message| {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        message.fields().map(|field| (field.tag, text(field.value))).collect()
    })
}

#[test]
fn an_hmac_logon_with_a_growing_nonce_is_one_small_file() {
    let secret = Secret::from_bytes(b"a secret of the venue");
    let mut config = SessionConfig::new(Role::Initiator, "DESK", "KRAKEN");
    config.reset_on_logon = true;
    let dialect = HmacLogon { api_key: "api-key".into(), secret: secret.clone(), last_nonce: 0 };
    config.dialect = Box::new(dialect);
    let mut session = Session::new(config, MemoryStore::new());
    let mut nonces = Vec::new();
    for _ in 0..3 {
        // The clock stands still, the nonce does not.
        session.on_connected(NOW);
        let Some(Output::Send(logon)) = session.poll_output() else { panic!("no Logon") };
        let fields = fields_of(logon);
        let get = |tag| &fields.iter().find(|(t, _)| *t == tag).unwrap().1;
        let nonce: u64 = get(NONCE).parse().unwrap();
        let text =
            signed_text(get(49), get(56), get(34).parse().unwrap(), get(tag::USERNAME), nonce);
        // As the venue does it: it verifies, it does not compare.
        let key = hmac::Key::new(hmac::HMAC_SHA512, secret.expose());
        let tag = STANDARD.decode(get(tag::PASSWORD)).unwrap();
        hmac::verify(&key, text.as_bytes(), &tag).unwrap();
        nonces.push(nonce);
        session.on_disconnected(NOW);
    }
    assert!(nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
}

/// LMAX's way: SecurityID(48) with its source, and 100 messages a second or a Logout.
fn by_security_id() -> Rules {
    let tags = ReportTags { symbol: tag::SECURITY_ID, ..FIX_44 };
    Rules {
        report_tags: tags,
        refusal_tags: tags,
        security_id_source: Some(b"8"),
        order_limits: MessageLimit { messages: 100, window_ns: 1_000_000_000, cancel_reserve: 20 }
            .into(),
        ..plain::RULES
    }
}

fn order(id: u64) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId(id),
        orig_cl_ord_id: ClOrdId::NONE,
        price: Ticks(100),
        size: Lots(1000),
        stamp: Stamp(0),
        at: NOW,
        instrument: InstrumentId(0),
        action: OrderAction::New,
        side: Side::Buy,
        time_in_force: TimeInForce::PostOnly,
    }
}

#[test]
fn an_instrument_named_by_security_id_is_a_row_of_the_table() {
    let door = Door::open();
    let (mut intents, intents_out) = slots(256);
    let (events_in, mut events) = slots(256);
    let (probe, _samples) = probe(Counter::monotonic(), 1024);
    let config = OrderEntryConfig {
        epoch: 1,
        orders_max: 256,
        time_base: TimeBase::Arrival,
        account: None,
        redial: ReconnectConfig::default(),
        wind_down_ns: 1,
    };
    let symbols = Symbols::new(VenueId(0), &[wire::instrument(0, "4001")]).unwrap();
    // Sequence numbers live through the week: nothing is reset at a Logon. The weekly reset is the
    // session's schedule, not the dialect's.
    let session = SessionConfig::new(Role::Initiator, "BALLAST", "VENUE");
    let mut stage = OrderEntry::new(
        config,
        (PipeDial(door.clone()), Session::new(session, MemoryStore::new())),
        (symbols, by_security_id()),
        ExecIds::new(64),
        (intents_out, events_in),
        Some(probe),
    )
    .unwrap();
    let mut venue = Venue::new(&door);
    let mut now = NOW;
    let mut settle = |stage: &mut OrderEntry<PipeDial, MemoryStore>, venue: &mut Venue| {
        for _ in 0..20 {
            now = now.plus(1000);
            stage.turn(now);
            venue.turn(now);
        }
        now
    };
    settle(&mut stage, &mut venue);
    for id in 1..=90 {
        intents.push(order(id)).unwrap();
    }
    let now = settle(&mut stage, &mut venue);
    let sent = venue.take_inbox();
    assert!(sent[0].starts_with("35=D|11=1|21=1|48=4001|22=8|18=6|"), "{}", sent[0]);
    assert_eq!(
        sent.len(),
        79,
        "the venue logs out who sends more: a Logon counts, the rest is for cancels"
    );
    venue.say(now, "35=8|37=O|11=1|17=E|150=F|39=2|48=4001|22=8|54=1|31=1|32=1|151=0|14=1|6=1");
    settle(&mut stage, &mut venue);
    let events: Vec<_> = std::iter::from_fn(|| events.pop()).map(|event| event.update).collect();
    assert_eq!(events.iter().filter(|update| **update == OrderUpdate::Unsent).count(), 11);
    assert!(matches!(events.last(), Some(OrderUpdate::Fill { last_qty: Lots(1000), .. })));
}

#[test]
fn market_data_is_asked_for_by_security_id_too() {
    let question = Question {
        md_req_id: 7,
        is_subscribe: true,
        market_depth: 0,
        half: Half::Book,
        symbol: b"4001",
    };
    let mut room = [0; 512];
    let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", b"V");
    question.write(&mut encoder, &by_security_id());
    let count = encoder.finish().unwrap();
    let text = String::from_utf8(room[..count].to_vec()).unwrap();
    assert!(text.replace('\x01', "|").contains("|146=1|48=4001|22=8|"), "{text}");
}
