//! What the pipeline is promised by its rings: between two threads every message arrives whole, once
//! and in order, however the threads are scheduled.
//!
//! Each word of a message is a different mix of its number, so that a torn, lost, doubled or stale
//! message shows. `BALLAST_RING_ITEMS` says how many (a billion: `tests/sanitize/run stress`); Miri and
//! ThreadSanitizer run a few. A thread that cannot go on lets the other have the core.
#![cfg(not(loom))]

use ballast_engine::ring;
use std::thread;

fn items() -> u64 {
    let default = if cfg!(miri) { 300 } else { 200_000 };
    std::env::var("BALLAST_RING_ITEMS").map_or(default, |text| text.parse().expect("a number"))
}

/// SplitMix64's finaliser.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

fn message<const WORDS: usize>(number: u64) -> [u64; WORDS] {
    let mut words = [number; WORDS];
    for (place, word) in (0u64..).zip(&mut words).skip(1) {
        *word = mixed(number ^ (place << 60));
    }
    words
}

/// Spins a little, then yields: on one core the other side must get a turn.
struct Patience(u32);

impl Patience {
    fn wait(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(64) || cfg!(miri) {
            thread::yield_now()
        } else {
            std::hint::spin_loop()
        }
    }
}

/// Folds what arrives, so that both sides can compare what they saw.
fn folded(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17)
}

fn slots_carry(capacity: usize, count: u64) {
    let (mut producer, mut consumer) = ring::slots::<[u64; 7]>(capacity);
    let sender = thread::spawn(move || {
        let (mut sum, mut patience) = (0, Patience(0));
        for number in 0..count {
            let message = message::<7>(number);
            while producer.push(message).is_err() {
                patience.wait();
            }
            sum = message.iter().fold(sum, |sum, word| folded(sum, *word));
        }
        sum
    });
    let (mut sum, mut patience) = (0, Patience(0));
    for number in 0..count {
        let got = loop {
            match consumer.pop() {
                Some(got) => break got,
                None => patience.wait(),
            }
        };
        assert_eq!(got, message::<7>(number), "message {number} of {count}, capacity {capacity}");
        sum = got.iter().fold(sum, |sum, word| folded(sum, *word));
    }
    assert_eq!(sender.join().unwrap(), sum, "the checksums of both sides");
    assert_eq!(consumer.pop(), None);
    assert!(consumer.is_disconnected());
}

fn records_carry(capacity: usize) {
    let count = items();
    let (mut producer, mut consumer) = ring::records::<[u64; 9]>(capacity);
    let sender = thread::spawn(move || {
        let (mut next, mut patience) = (0, Patience(0));
        while next < count {
            // Batches of one to sixteen, now and then a single push.
            let size = (1 + mixed(next) % 16).min(count - next);
            let batch: Vec<[u64; 9]> = (next..next + size).map(message).collect();
            let pushed = match batch.as_slice() {
                [one] => u64::from(producer.push(*one).is_ok()),
                many => producer.push_slice(many) as u64,
            };
            next += pushed;
            if pushed == 0 {
                patience.wait();
            }
        }
    });
    let (mut next, mut patience) = (0, Patience(0));
    let mut room = [[0; 9]; 16];
    while next < count {
        // As they were pushed: batches, now and then a single pop.
        let size = 1 + (mixed(!next) % 16) as usize;
        let taken = match &mut room[..size] {
            [one] => consumer.pop().map_or(0, |record| {
                *one = record;
                1
            }),
            many => consumer.pop_slice(many),
        };
        for got in &room[..taken] {
            assert_eq!(*got, message::<9>(next), "record {next} of {count}, capacity {capacity}");
            next += 1;
        }
        if taken == 0 {
            patience.wait();
        }
    }
    sender.join().unwrap();
    assert_eq!(consumer.pop(), None);
}

#[test]
fn a_hot_ring_of_two_slots_carries_every_message_whole_once_and_in_order() {
    // Each message is a hand-over between the cores: fewer of them are as much contention.
    slots_carry(2, items() / 20 + 1);
}

#[test]
fn a_hot_ring_of_many_slots_carries_every_message_whole_once_and_in_order() {
    slots_carry(1 << 10, items());
}

#[test]
fn a_ring_of_records_carries_every_batch_whole_once_and_in_order() {
    records_carry(4);
    records_carry(1 << 10);
}
