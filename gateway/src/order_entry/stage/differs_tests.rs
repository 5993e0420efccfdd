//! A planted difference: an order reaches the session that no intent asked for.

use super::*;
use crate::session::{Connection, Event, Role, SessionConfig};
use crate::store::MemoryStore;
use crate::transport::{PipeEnd, pipe};
use crate::venue::line::Dialled;
use crate::venue::plain::RULES;
use crate::venue::symbols::tests::instrument;
use ballast_engine::event::{InstrumentId, OrderUpdate, TimeInForce, VenueId};
use ballast_engine::ring;
use ballast_engine::units::{Lots, Side, Ticks};
use std::sync::Mutex;

/// Each dial makes a pipe; its other end waits here.
#[derive(Clone, Default)]
struct Pipes(Arc<Mutex<Option<PipeEnd>>>);

impl Dial for Pipes {
    type Link = PipeEnd;

    fn dial(&mut self, _: Nanos) -> Dialled<PipeEnd> {
        let (ours, theirs) = pipe(1 << 16);
        *self.0.lock().unwrap() = Some(theirs);
        Dialled::Connected(ours)
    }
}

struct Rig {
    now: Nanos,
    entry: OrderEntry<Pipes, MemoryStore>,
    intents: Producer<OrderIntent>,
    events: Consumer<OrderEvent>,
    pipes: Pipes,
    venue: Session<MemoryStore>,
    connection: Option<Connection<PipeEnd>>,
    /// Types of the application messages that the venue heard.
    heard: Vec<Vec<u8>>,
}

fn intent(counter: u64) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId::new(1, counter),
        orig_cl_ord_id: ClOrdId::NONE,
        price: Ticks(122_000),
        size: Lots(40),
        stamp: Stamp(0),
        at: Nanos(0),
        instrument: InstrumentId(0),
        action: OrderAction::New,
        side: Side::Buy,
        time_in_force: TimeInForce::PostOnly,
    }
}

impl Rig {
    fn new() -> Rig {
        let (intents, intents_out) = ring::slots(16);
        let (events_in, events) = ring::slots(64);
        let pipes = Pipes::default();
        let config = OrderEntryConfig {
            epoch: 1,
            orders_max: 16,
            time_base: TimeBase::Arrival,
            account: None,
            redial: ReconnectConfig { pause_min_ns: 1_000, pause_max_ns: 8_000 },
            wind_down_ns: 1_000,
        };
        let mut ours = SessionConfig::new(Role::Initiator, "BALLAST", "VENUE");
        // As live: no order goes out twice.
        ours.resends_messages = false;
        let session = Session::new(ours, MemoryStore::new());
        let symbols = Symbols::new(VenueId(0), &[instrument(0, "BTC")]).unwrap();
        let rings = (intents_out, events_in);
        let ids = ExecIds::new(16);
        let line = (pipes.clone(), session);
        let entry = OrderEntry::new(config, line, (symbols, RULES), ids, rings, None).unwrap();
        let theirs = SessionConfig::new(Role::Acceptor, "VENUE", "BALLAST");
        let venue = Session::new(theirs, MemoryStore::new());
        let (connection, heard) = (None, Vec::new());
        Rig { now: Nanos(1_000), entry, intents, events, pipes, venue, connection, heard }
    }

    /// Lets both ends turn until nothing more is to be done; what the maker was told.
    fn settle(&mut self) -> Vec<OrderUpdate> {
        for _ in 0..64 {
            self.now = self.now.plus(1_000);
            self.entry.turn(self.now);
            if let Some(end) = self.pipes.0.lock().unwrap().take() {
                self.venue.on_disconnected(self.now);
                self.venue.on_connected(self.now);
                self.connection = Some(Connection::new(end, self.venue.config()));
            }
            let Some(connection) = &mut self.connection else { continue };
            let heard = &mut self.heard;
            let turn = connection.turn(&mut self.venue, self.now, |event| {
                if let Event::Message(message) = event {
                    heard.push(message.msg_type().to_vec());
                }
                ControlFlow::Continue(())
            });
            if matches!(turn, crate::session::Turn::Ended(_)) {
                self.connection = None;
            }
        }
        std::iter::from_fn(|| self.events.pop()).map(|event| event.update).collect()
    }
}

const DIFFERS: OrderUpdate = OrderUpdate::SessionHalted { fault: SessionFault::OutboundDiffers };

#[test]
fn an_order_that_nobody_intended_never_reaches_the_socket_and_stops_order_entry() {
    let mut rig = Rig::new();
    assert!(rig.settle().contains(&OrderUpdate::SessionUp));
    rig.intents.push(intent(1)).unwrap();
    assert!(!rig.settle().contains(&DIFFERS), "what was intended goes out");
    assert_eq!(rig.heard, [b"D"]);
    // The plant: as if a bug below the gate made a message of its own.
    let forged = OrderIntent { size: Lots(4_000), ..intent(2) };
    let requests = &mut rig.entry.requests;
    let session = rig.entry.line.session_mut();
    let sent: Result<u64, RequestError> =
        session.send_prepared(rig.now, |envelope| requests.encode(0, &forged, &envelope));
    assert!(sent.is_ok());
    let told = rig.settle();
    assert_eq!(told.iter().filter(|update| **update == DIFFERS).count(), 1, "{told:?}");
    assert!(told.contains(&OrderUpdate::SessionDown), "{told:?}");
    let orders = |rig: &Rig| rig.heard.iter().filter(|msg_type| *msg_type == b"D").count();
    assert_eq!(orders(&rig), 1, "the forged order did not go out");
    // The session comes back, for cancels alone.
    rig.intents.push(intent(3)).unwrap();
    assert!(rig.settle().contains(&OrderUpdate::Unsent));
    let cancel = OrderIntent {
        orig_cl_ord_id: intent(1).cl_ord_id,
        action: OrderAction::Cancel,
        ..intent(4)
    };
    rig.intents.push(cancel).unwrap();
    rig.settle();
    assert_eq!(orders(&rig), 1);
    assert!(rig.heard.iter().any(|msg_type| msg_type == b"F"), "{:?}", rig.heard);
}
