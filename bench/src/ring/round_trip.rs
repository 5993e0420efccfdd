//! One message there and back between two pinned, spinning threads; and many messages one way.
//!
//! A round trip below 100 ns is timed in batches, because the counter steps in 10 ns on some hosts;
//! single round trips are timed too, for the tail. Both threads wait by PAUSE.

use super::link::{Bulk, Link, Message};
use crate::histogram::Latencies;
use ballast_engine::clock::Counter;
use ballast_engine::pin;
use std::thread;

/// Round trips timed as one.
const BATCH: u64 = 32;
/// Messages that a ring under test holds: larger than what is ever under way.
const CAPACITY: usize = 1024;
/// Told to the echoing thread instead of a message.
const END: u64 = u64::MAX - 1;
/// Messages moved at once in a bulk run.
const BULK: usize = 64;

/// What one run saw.
pub struct Run {
    /// Means of batches of round trips.
    pub batches: Latencies,
    /// Single round trips: for the tail; each holds one counter read more.
    pub singles: Latencies,
}

impl Run {
    /// What the run is judged by: the median batch's mean round trip, in ns.
    pub fn typical(&self) -> f64 {
        self.batches.at(0.5)
    }
}

/// Two cores to measure between, and what to time with.
#[derive(Clone, Copy)]
pub struct Bench {
    /// Times everything.
    pub counter: Counter,
    /// The measuring thread's core.
    pub near: usize,
    /// The other thread's core.
    pub far: usize,
}

impl Bench {
    /// Round trips through two links of kind `L` for `duration_ns`, three quarters of it in batches.
    pub fn round_trips<L: Link>(&self, duration_ns: u64) -> Run {
        let (mut there, mut incoming) = L::make(CAPACITY);
        let (mut outgoing, mut back) = L::make(CAPACITY);
        let Bench { counter, near, far } = *self;
        thread::scope(|scope| {
            scope.spawn(move || {
                pin::pin_current_thread(far);
                loop {
                    let message = wait::<L>(&mut incoming);
                    send::<L>(&mut outgoing, message);
                    if message[0] == END {
                        return;
                    }
                }
            });
            let measuring = scope.spawn(move || {
                pin::pin_current_thread(near);
                let mut number = 0;
                let mut trip = || {
                    send::<L>(&mut there, [number; 7]);
                    let message = wait::<L>(&mut back);
                    assert_eq!(message[0], number, "the echo of what was sent");
                    number += 1;
                };
                // Warm-up: both threads are up, both rings were walked once.
                (0..2 * CAPACITY).for_each(|_| trip());
                let mut run = Run { batches: Latencies::new(), singles: Latencies::new() };
                let start = counter.stamp();
                loop {
                    let from = counter.stamp();
                    (0..BATCH).for_each(|_| trip());
                    let to = counter.stamp();
                    run.batches.record_batch(counter.nanos_between(from, to), BATCH);
                    if counter.nanos_between(start, to) >= duration_ns * 3 / 4 {
                        break;
                    }
                }
                loop {
                    let from = counter.stamp();
                    trip();
                    let to = counter.stamp();
                    run.singles.record_ns(counter.nanos_between(from, to));
                    if counter.nanos_between(start, to) >= duration_ns {
                        break;
                    }
                }
                send::<L>(&mut there, [END; 7]);
                wait::<L>(&mut back);
                run
            });
            measuring.join().expect("a lost or changed message is a bug of the ring under test")
        })
    }

    /// Nanoseconds a message for `count` messages one way, in batches of 64, received in order.
    pub fn bulk<L: Bulk>(&self, count: u64) -> f64 {
        let (mut sender, mut receiver) = L::make(CAPACITY);
        let Bench { counter, near, far } = *self;
        thread::scope(|scope| {
            scope.spawn(move || {
                pin::pin_current_thread(far);
                let mut next = 0;
                while next < count {
                    let batch: [Message; BULK] = std::array::from_fn(|i| [next + i as u64; 7]);
                    let wanted = BULK.min((count - next) as usize);
                    let mut sent = 0;
                    while sent < wanted {
                        match L::send_many(&mut sender, &batch[sent..wanted]) {
                            0 => std::hint::spin_loop(),
                            taken => sent += taken,
                        }
                    }
                    next += wanted as u64;
                }
            });
            let receiving = scope.spawn(move || {
                pin::pin_current_thread(near);
                let mut batch = [[0; 7]; BULK];
                let mut expected = 0;
                let mut start = None;
                while expected < count {
                    let got = L::receive_many(&mut receiver, &mut batch);
                    if got == 0 {
                        std::hint::spin_loop();
                    }
                    for message in &batch[..got] {
                        assert_eq!(message[0], expected, "in order");
                        expected += 1;
                    }
                    // The clock starts at the first message: a thread's start is not the ring's.
                    start.get_or_insert_with(|| counter.stamp());
                }
                let start = start.expect("count is not zero");
                counter.nanos_between(start, counter.stamp()) as f64 / count as f64
            });
            receiving.join().expect("a lost or changed message is a bug of the ring under test")
        })
    }

    /// Nanoseconds for a push and a pop on one thread: what a link costs in the fused runner.
    pub fn same_thread<L: Link>(&self, count: u64) -> f64 {
        let (mut sender, mut receiver) = L::make(CAPACITY);
        let Bench { counter, near, .. } = *self;
        thread::scope(|scope| {
            let body = move || {
                pin::pin_current_thread(near);
                let start = counter.stamp();
                for number in 0..count {
                    send::<L>(&mut sender, [number; 7]);
                    let message = std::hint::black_box(wait::<L>(&mut receiver));
                    assert_eq!(message[0], number);
                }
                counter.nanos_between(start, counter.stamp()) as f64 / count as f64
            };
            scope.spawn(body).join().expect("what was pushed is popped")
        })
    }
}

#[inline]
fn send<L: Link>(sender: &mut L::Sender, message: Message) {
    while !L::send(sender, message) {
        std::hint::spin_loop();
    }
}

#[inline]
fn wait<L: Link>(receiver: &mut L::Receiver) -> Message {
    loop {
        match L::receive(receiver) {
            Some(message) => return message,
            None => std::hint::spin_loop(),
        }
    }
}
