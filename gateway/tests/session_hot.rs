//! What a user is promised: a logged-on session sends and receives application messages, stores them
//! and hands them over without one allocation.

use ballast_engine::units::Nanos;
use ballast_gateway::session::{Event, Output, Role, Session, SessionConfig};
use ballast_gateway::store::{FileStore, FileStoreConfig, MemoryStore, Store};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates, so that tests beside it do not disturb.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Puts what the session sends on the wire, and counts the application messages that it delivers.
fn drain<S: Store>(session: &mut Session<S>, wire: &mut Vec<u8>) -> u64 {
    let mut delivered = 0;
    while let Some(output) = session.poll_output() {
        match output {
            Output::Send(bytes) => wire.extend_from_slice(bytes),
            Output::Deliver(Event::Message(message)) => {
                assert_eq!(message.msg_type(), b"D");
                delivered += 1;
            }
            Output::Deliver(_) => {}
            Output::Close(reason) => panic!("{reason:?}"),
        }
    }
    delivered
}

/// Brings `from`'s output to `to`, whose answers go on the way back.
fn exchange<A: Store, B: Store>(
    from: &mut Session<A>,
    to: &mut Session<B>,
    wire: &mut Vec<u8>,
    back: &mut Vec<u8>,
    now: Nanos,
) -> u64 {
    drain(from, wire);
    let mut delivered = 0;
    let mut begin = 0;
    while begin < wire.len() {
        begin += to.on_bytes(now, &wire[begin..]);
        delivered += drain(to, back);
    }
    wire.clear();
    delivered
}

#[test]
fn a_warm_session_allocates_nothing() {
    let folder = std::env::temp_dir().join(format!("ballast-hot-{}", std::process::id()));
    let mut us = Session::new(
        SessionConfig::new(Role::Initiator, "US", "THEM"),
        FileStore::open(FileStoreConfig {
            segment_bytes: 8 << 20,
            ..FileStoreConfig::new(&folder)
        })
        .unwrap(),
    );
    let mut them =
        Session::new(SessionConfig::new(Role::Acceptor, "THEM", "US"), MemoryStore::new());
    let (mut out, mut back) = (Vec::with_capacity(1 << 20), Vec::with_capacity(1 << 20));
    let mut now = Nanos(1_700_000_000_000_000_000);
    us.on_connected(now);
    them.on_connected(now);
    exchange(&mut us, &mut them, &mut out, &mut back, now);
    exchange(&mut them, &mut us, &mut back, &mut out, now);
    assert!(us.is_synced() && them.is_synced());
    let mut delivered = 0;
    let mut counted = 0;
    // The first round warms the slots of the memory store.
    for round in 0..3 {
        let before = ALLOCATIONS.with(Cell::get);
        for n in 0..4_096u64 {
            now = now.plus(1_000_000);
            us.send(now, b"D", |body| _ = body.uint(11, n).str(55, "BTCUSDT")).unwrap();
            delivered += exchange(&mut us, &mut them, &mut out, &mut back, now);
            them.send(now, b"D", |body| _ = body.uint(11, n)).unwrap();
            delivered += exchange(&mut them, &mut us, &mut back, &mut out, now);
        }
        counted = ALLOCATIONS.with(Cell::get) - before;
        assert!(round == 0 || counted == 0, "{counted} allocations in round {round}");
    }
    assert_eq!((delivered, counted), (3 * 2 * 4_096, 0));
    drop(us);
    std::fs::remove_dir_all(folder).unwrap();
}
