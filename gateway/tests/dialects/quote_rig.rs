//! Order entry that quotes by MassQuote(i) against a peer over TLS that keeps Deribit's rules for quotes.

use crate::quote_venue::QuoteVenue;
use crate::venue_peer::{Desk, Fields, Peer, Venue, World, desk_over, tls};
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce, VenueId,
};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms, OptionType};
use ballast_engine::units::{FeeRate, Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::session::{Role, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::deribit::{Deribit, RULES};
use ballast_gateway::venue::dialect::Rules;
use ballast_gateway::venue::secret::Secret;

pub const CALL: &str = "BTC-27MAR26-90000-C";
pub const PUT: &str = "BTC-27MAR26-90000-P";
pub const GROUP: &str = "options";

fn option(id: u16, symbol: &str, option_type: OptionType) -> Instrument {
    let terms = OptionTerms {
        option_type,
        strike: "90000".parse().unwrap(),
        expiry: Nanos(1_774_598_400_000_000_000),
        style: ExerciseStyle::European,
        delivery: Delivery::Coin,
    };
    let spec = InstrumentSpec {
        symbol: symbol.into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind: InstrumentKind::Option(terms),
        tick: "0.0001".parse().unwrap(),
        lot: "0.1".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(0),
        settlement: Currency(0),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(InstrumentId(id), spec).unwrap()
}

/// The venue: its Logon is another test's; its quotes are here.
#[derive(Default)]
pub struct Exchange {
    pub quotes: QuoteVenue,
    /// Types of what came.
    pub heard: Vec<String>,
    pub positions: String,
    /// q is not answered.
    pub hides_q: bool,
    /// BusinessMessageReject(j) to the next MassQuote(i).
    pub rejects_next: bool,
}

impl Exchange {
    fn told(&mut self, peer: &mut Peer, said: Vec<String>) {
        said.iter().for_each(|text| peer.say(text));
        peer.refusals.append(&mut self.quotes.faults);
    }
}

impl Venue for Exchange {
    fn hear(&mut self, peer: &mut Peer, message: &Fields) {
        if !["0", "5"].contains(&message.msg_type()) {
            self.heard.push(message.msg_type().to_owned());
        }
        let fields = &message.0;
        let said = match message.msg_type() {
            "A" => {
                peer.names.1 = message.need(49).to_owned();
                if message.need(9001) != "Y" {
                    peer.refuse("mass quotes demand CancelOnDisconnect(9001)");
                }
                self.quotes.session_over();
                vec![format!("A|98=0|108={}|141=Y|553=client-id|9001=Y", message.need(108))]
            }
            "i" if std::mem::take(&mut self.rejects_next) => {
                vec![format!("j|45={}|372=i|380=4|58=no", message.need(34))]
            }
            "i" => self.quotes.mass_quote(fields),
            "Z" => self.quotes.quote_cancel(fields),
            "AF" => self.quotes.status(fields),
            "q" if self.hides_q => Vec::new(),
            "q" => vec![format!("r|11={}|530=7|531=7|58=success|533=0", message.need(11))],
            "AN" => {
                let id = message.need(710);
                vec![format!("AP|721=r1|710={id}|724=0|728=0|{}", self.positions)]
            }
            "0" | "2" | "5" => Vec::new(),
            other => {
                peer.refuse(&format!("{other}: a quote is asked for by i and Z alone"));
                Vec::new()
            }
        };
        self.told(peer, said);
    }
}

pub struct Rig {
    pub world: World<Exchange>,
    pub desk: Desk,
    pub last: u64,
}

pub fn rig() -> Rig {
    rig_of(RULES, |_| {})
}

pub fn rig_of(rules: Rules, set: impl FnOnce(&mut QuoteVenue)) -> Rig {
    rig_with(rules, [GROUP; 2], set)
}

/// The groups are the call's and the put's.
pub fn rig_with(rules: Rules, in_groups: [&str; 2], set: impl FnOnce(&mut QuoteVenue)) -> Rig {
    let mut rig = rig_over(MemoryStore::new(), (rules, in_groups), set);
    assert_eq!(rig.settle().last().map(|e| e.update), Some(OrderUpdate::SessionUp));
    rig.world.venue.heard.clear();
    rig
}

/// Over a store that an earlier run left, and not logged on.
pub fn rig_over(
    store: MemoryStore,
    (rules, in_groups): (Rules, [&str; 2]),
    set: impl FnOnce(&mut QuoteVenue),
) -> Rig {
    let (peer, client, folder) = tls("DERIBITSERVER");
    let mut config = SessionConfig::new(Role::Initiator, "DESK", "DERIBITSERVER");
    Deribit::demand(&mut config);
    config.dialect = Box::new(Deribit::new("client-id", Secret::from_bytes(b"secret")));
    let traded = [option(0, CALL, OptionType::Call), option(1, PUT, OptionType::Put)];
    let Desk { stage, intents, events } = desk_over(store, &peer, client, config, (&traded, rules));
    let groups = [0, 1].map(|n| (InstrumentId(n), in_groups[usize::from(n)].to_owned()));
    let desk = Desk { stage: stage.with_mass_quotes(&groups), intents, events };
    let mut exchange = Exchange { positions: "702=0|".into(), ..Exchange::default() };
    let quotes = &mut exchange.quotes;
    quotes.groups.extend(in_groups.map(|group| (group.into(), false)));
    for symbol in [CALL, PUT] {
        quotes.symbols.insert(symbol.into(), 0.0001);
        quotes.market.insert(symbol.into(), (0.0010, 0.0990));
    }
    set(quotes);
    let world = World::new(peer, exchange, folder);
    Rig { world, desk, last: 0 }
}

pub const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

impl Rig {
    pub fn ask(
        &mut self,
        action: OrderAction,
        orig: u64,
        of: (u16, Side),
        terms: (i64, i64),
    ) -> u64 {
        self.last += 1;
        let cl_ord_id = ClOrdId::new(1, self.last);
        let orig_cl_ord_id = if orig == 0 { ClOrdId::NONE } else { ClOrdId::new(1, orig) };
        let intent = OrderIntent {
            cl_ord_id,
            orig_cl_ord_id,
            price: Ticks(terms.0),
            size: Lots(terms.1),
            stamp: Stamp(0),
            at: self.world.now,
            instrument: InstrumentId(of.0),
            action,
            side: of.1,
            time_in_force: TimeInForce::PostOnly,
        };
        self.desk.intents.push(intent).unwrap();
        self.last
    }

    pub fn new_quote(&mut self, of: (u16, Side), terms: (i64, i64)) -> u64 {
        self.ask(OrderAction::New, 0, of, terms)
    }

    pub fn settle(&mut self) -> Vec<OrderEvent> {
        self.world.settle(&mut self.desk.stage);
        self.world.peer.check();
        self.desk.events()
    }

    /// What came of the request or order of this number.
    pub fn told(events: &[OrderEvent], id: u64) -> Vec<OrderUpdate> {
        let of = |e: &&OrderEvent| e.cl_ord_id == ClOrdId::new(1, id);
        events.iter().filter(of).map(|e| e.update).collect()
    }

    pub fn say(&mut self, said: Vec<String>) -> Vec<OrderEvent> {
        let World { venue, peer, .. } = &mut self.world;
        venue.told(peer, said);
        self.settle()
    }

    pub fn wait(&mut self, ns: u64) {
        self.world.now = self.world.now.plus(ns);
    }

    /// Both sides of both options, in one message.
    pub fn quoted(&mut self) -> [u64; 4] {
        let ids = [(0, 50, 60), (1, 30, 40)].map(|(instrument, bid, offer)| {
            SIDES.map(|side| {
                let price = if side == Side::Buy { bid } else { offer };
                self.new_quote((instrument, side), (price, 3))
            })
        });
        let events = self.settle();
        let ids = [ids[0][0], ids[0][1], ids[1][0], ids[1][1]];
        for id in ids {
            let first = Self::told(&events, id)[0];
            assert_eq!(first, OrderUpdate::New { leaves_qty: Lots(3) });
        }
        ids
    }

    pub fn live(&self) -> usize {
        self.desk.stage.desk().live().live_count()
    }
}

pub const GONE: OrderUpdate = OrderUpdate::Canceled { cum_qty: Lots(0) };

pub fn refused(reason: u16) -> OrderUpdate {
    OrderUpdate::CancelRejected { reason, is_gone: false }
}

pub fn fills(events: &[OrderEvent]) -> Vec<(i64, i64)> {
    let fill = |event: &OrderEvent| match event.update {
        OrderUpdate::Fill { last_px, last_qty, .. } => Some((last_px.0, last_qty.0)),
        _ => None,
    };
    events.iter().filter_map(fill).collect()
}
