//! Binance's drop copy beside its order entry: two sessions of one account at two peers that keep the
//! venue's rules for a Logon, and an execution that only the drop copy tells.

use crate::venue_peer;
use crate::venue_peer::{Fields, Peer, Venue, World, desk, dial, tls};
use crate::wire;
use ballast_engine::event::{OrderAction, OrderUpdate};
use ballast_engine::units::{Lots, Ticks};
use ballast_gateway::session::{ReconnectConfig, Role, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::binance::{Binance, BinanceSession, RULES};
use ballast_gateway::venue::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

const API_KEY: &str = "an-api-key";

/// One of the venue's ends: it signs us on, answers orders, and refuses what its session does not take.
struct End {
    public_key: Vec<u8>,
    is_copy: bool,
}

impl End {
    fn logon(&self, peer: &mut Peer, logon: &Fields) {
        peer.names.1 = logon.need(49).to_owned();
        let own = if self.is_copy { 9406 } else { 25036 };
        peer.know_only(logon, &[98, 108, 95, 96, 141, 553, 25035, own]);
        peer.demand(logon, &[98, 108, 95, 96, 141, 553, 25035]);
        let signed = [35, 49, 56, 34, 52].map(|tag| logon.need(tag)).join("\x01");
        let signature = STANDARD.decode(logon.need(96)).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, &self.public_key);
        let is_signed = key.verify(signed.as_bytes(), &signature).is_ok();
        for (is_so, rule) in [
            (is_signed, "Signature for this request is not valid"),
            (logon.need(141) == "Y" && logon.need(34) == "1", "numbers from 1"),
            (logon.need(553) == API_KEY, "Username(553)"),
            (!self.is_copy || logon.get(9406) == Some("Y"), "DropCopyFlag(9406) is Y"),
        ] {
            if !is_so {
                peer.refuse(rule);
            }
        }
        peer.say("A|98=0|108=30|25037=4392a152-3481-4499-921a-6d42c50702e2");
    }
}

impl Venue for End {
    fn hear(&mut self, peer: &mut Peer, message: &Fields) {
        match message.msg_type() {
            "A" => self.logon(peer, message),
            "D" if !self.is_copy => peer.say(&report(message.need(11), "0", "0", ("0", "1"), "")),
            "0" | "5" => {}
            other => peer.refuse(&format!("MsgType(35) {other} is not taken here")),
        }
    }
}

/// A report as the venue's samples have it.
fn report(
    id: &str,
    exec_type: &str,
    status: &str,
    (cum, leaves): (&str, &str),
    more: &str,
) -> String {
    format!(
        "8|11={id}|14={cum}|17=E{exec_type}{cum}|{more}37=7|38=1.000|39={status}|40=2|44=10.00|54=1|55=BTC|\
         60=20240808-23:59:59.000000|150={exec_type}|151={leaves}"
    )
}

fn session(secret: &Secret, name: &str, kind: BinanceSession) -> SessionConfig {
    let mut config = SessionConfig::new(Role::Initiator, name, "SPOT");
    Binance::demand(&mut config);
    config.dialect = Box::new(Binance::new(API_KEY, secret, kind).unwrap());
    config
}

/// Order entry with a drop copy, each at its own end of the venue.
struct Rig {
    desk: venue_peer::Desk,
    orders: World<End>,
    copies: World<End>,
}

impl Rig {
    fn new() -> Rig {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
        let body = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let secret = Secret::from_bytes(pem.as_bytes());
        let end = |is_copy| End { public_key: pair.public_key().as_ref().to_vec(), is_copy };
        let (peer, client, folder) = tls("SPOT");
        let (copy_peer, copy_client, copy_folder) = tls("SPOT");
        let order_entry = session(&secret, "DESK-1", BinanceSession::OrderEntry);
        let mut desk = desk(&peer, client, order_entry, (&wire::instrument(0, "BTC"), RULES));
        let config = session(&secret, "DESK-2", BinanceSession::DropCopy);
        let line = (dial(&copy_peer, copy_client), Session::new(config, MemoryStore::new()));
        desk.stage = desk.stage.with_drop_copy(line, ReconnectConfig::default());
        Rig {
            desk,
            orders: World::new(peer, end(false), folder),
            copies: World::new(copy_peer, end(true), copy_folder),
        }
    }

    /// All three go on, and so much time passes.
    fn pass(&mut self, ns: u64) {
        for _ in 0..4 {
            self.orders.now = self.orders.now.plus(ns / 4);
            self.orders.settle(&mut self.desk.stage);
            self.copies.now = self.orders.now;
            self.copies.settle(&mut self.desk.stage);
            self.orders.now = self.copies.now;
        }
        self.orders.peer.check();
        self.copies.peer.check();
    }
}

#[test]
fn a_trade_that_only_the_drop_copy_tells_is_booked_and_one_that_both_tell_is_booked_once() {
    let mut rig = Rig::new();
    rig.pass(400_000_000);
    assert!(rig.desk.stage.drop_copy().unwrap().1, "the drop copy is logged on");
    assert_eq!(rig.copies.peer.names.1, "DESK-2");
    assert_eq!(rig.desk.names(), ["SessionReconciling", "SessionUp"]);
    rig.desk.order(OrderAction::New, 11, 0, (1000, 1000));
    rig.pass(10_000_000);
    assert_eq!(rig.desk.names(), ["New"]);
    let both = report("11", "F", "1", ("0.400", "0.600"), "31=10.00|32=0.4|1057=N|");
    rig.orders.peer.say(&both);
    rig.copies.peer.say(&both);
    rig.pass(2_000_000_000);
    assert_eq!(rig.desk.names(), ["Fill"]);
    rig.copies.peer.say(&report("11", "F", "2", ("1.000", "0"), "31=9.99|32=0.6|1057=N|"));
    rig.pass(2_000_000_000);
    let events = rig.desk.events();
    let [event] = &events[..] else { panic!("{events:?}") };
    let OrderUpdate::Fill { last_px, last_qty, cum_qty, .. } = event.update else {
        panic!("{event:?}")
    };
    assert_eq!((last_px, last_qty, cum_qty), (Ticks(999), Lots(600), Lots(1000)));
    assert_eq!(event.msg_seq_num, 0, "no number of the order session's");
    assert_eq!(rig.desk.stage.desk().live().live_count(), 0);
    let counts = rig.desk.stage.drop_copy().unwrap().0;
    assert_eq!((counts.executions, counts.confirmed, counts.missed), (2, 1, 1));
}
