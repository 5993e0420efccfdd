//! Loom models of both rings at capacities 2 and 4: every interleaving and every reordering that the
//! memory model allows (two models at 4 with at most two preemptions: all would take minutes). Run by
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --release -p ballast-engine --test ring_models`;
//! without the flag this file is empty.
#![cfg(loom)]

use ballast_engine::ring;
use loom::thread;

/// Pushes 0..count from a second thread (giving way when full) and pops them here.
fn slots_carry(capacity: usize, count: u64) {
    loom::model(move || {
        let (mut producer, mut consumer) = ring::slots::<[u64; 2]>(capacity);
        let pusher = thread::spawn(move || {
            for n in 0..count {
                while producer.push([n, !n]).is_err() {
                    thread::yield_now();
                }
            }
        });
        for n in 0..count {
            let message = loop {
                match consumer.pop() {
                    Some(message) => break message,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(message, [n, !n], "in order and whole");
        }
        pusher.join().unwrap();
        assert!(consumer.pop().is_none() && consumer.is_disconnected());
    });
}

/// The same in batches of two, each message looked at twice where it lies before it goes. `bound`: at most so
/// many preemptions.
fn slots_show(capacity: usize, count: u64, bound: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = bound.or(model.preemption_bound);
    model.check(move || {
        let (mut producer, mut consumer) = ring::slots::<[u64; 2]>(capacity);
        let pusher = thread::spawn(move || {
            let all: Vec<[u64; 2]> = (0..count).map(|n| [n, !n]).collect();
            let mut sent = 0;
            while sent < all.len() {
                let taken = producer.push_slice(&all[sent..all.len().min(sent + 2)]);
                if taken == 0 {
                    thread::yield_now();
                }
                sent += taken;
            }
        });
        for n in 0..count {
            for is_taken in [false, true] {
                let mut look = |message: &[u64; 2]| {
                    assert_eq!(*message, [n, !n], "in order and whole");
                    is_taken
                };
                while consumer.take_if(&mut look).is_none() {
                    thread::yield_now();
                }
            }
        }
        pusher.join().unwrap();
        assert!(consumer.is_disconnected());
    });
}

/// The same through the record ring, in batches of two.
fn records_carry(capacity: usize, count: u64) {
    loom::model(move || {
        let (mut producer, mut consumer) = ring::records::<u64>(capacity);
        let pusher = thread::spawn(move || {
            let all: Vec<u64> = (0..count).collect();
            let mut sent = 0;
            while sent < all.len() {
                let end = all.len().min(sent + 2);
                let taken = producer.push_slice(&all[sent..end]);
                if taken == 0 {
                    thread::yield_now();
                }
                sent += taken;
            }
        });
        let mut expected = 0;
        let mut batch = [0; 2];
        while expected < count {
            let got = consumer.pop_slice(&mut batch);
            if got == 0 {
                thread::yield_now();
            }
            for &n in &batch[..got] {
                assert_eq!(n, expected, "in order and whole");
                expected += 1;
            }
        }
        pusher.join().unwrap();
        assert!(consumer.is_disconnected());
    });
}

/// The same, one record at a time at both ends; the end is seen while the producer may be going. `bound`: at
/// most so many preemptions, where all of them would take minutes.
fn single_records_carry(capacity: usize, count: u64, bound: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = bound.or(model.preemption_bound);
    model.check(move || {
        let (mut producer, mut consumer) = ring::records::<[u64; 2]>(capacity);
        let pusher = thread::spawn(move || {
            for n in 0..count {
                while producer.push([n, !n]).is_err() {
                    thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while !consumer.is_disconnected() {
            match consumer.pop() {
                Some(record) => {
                    assert_eq!(record, [expected, !expected], "in order and whole");
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        assert_eq!(expected, count, "who sees the producer gone has seen its last record");
        pusher.join().unwrap();
    });
}

#[test]
fn single_records_of_two_are_whole_in_order_and_all_seen_before_the_end() {
    single_records_carry(2, 3, None);
}

#[test]
fn single_records_of_four_are_whole_in_order_and_all_seen_before_the_end() {
    single_records_carry(4, 5, Some(2));
}

#[test]
fn a_consumer_at_a_cut_has_seen_every_record_before_it() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring::records::<[u64; 2]>(2);
        let pusher = thread::spawn(move || {
            for n in 0..3 {
                while producer.push([n, !n]).is_err() {
                    thread::yield_now();
                }
            }
            producer.cut();
            producer
        });
        let mut expected = 0;
        while !consumer.is_at_cut() {
            match consumer.pop() {
                Some(record) => {
                    assert_eq!(record, [expected, !expected], "in order and whole");
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        assert_eq!(expected, 3, "who is at the cut has seen the last record before it");
        let producer = pusher.join().unwrap();
        assert!(!consumer.is_disconnected(), "a cut is no end: the producer is still there");
        drop(producer);
    });
}

#[test]
fn a_producer_of_records_that_sees_its_consumer_gone_never_touches_what_it_reads() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring::records::<[u64; 2]>(2);
        let popper = thread::spawn(move || consumer.pop());
        let mut pushed = 0;
        while pushed < 3 && !producer.is_disconnected() {
            match producer.push([pushed, !pushed]) {
                Ok(()) => pushed += 1,
                Err(_) => thread::yield_now(),
            }
        }
        let popped = popper.join().unwrap();
        assert!(popped.is_none() || popped == Some([0, !0]));
    });
}

#[test]
fn slots_of_two_carry_every_message_whole_and_in_order() {
    slots_carry(2, 3);
}

#[test]
fn slots_of_four_carry_every_message_whole_and_in_order() {
    slots_carry(4, 5);
}

#[test]
fn slots_of_two_show_every_message_whole_until_it_is_taken() {
    slots_show(2, 3, None);
}

#[test]
fn slots_of_four_show_every_message_whole_until_it_is_taken() {
    slots_show(4, 5, Some(2));
}

#[test]
fn records_of_two_carry_every_batch_whole_and_in_order() {
    records_carry(2, 3);
}

#[test]
fn records_of_four_carry_every_batch_whole_and_in_order() {
    records_carry(4, 5);
}

#[test]
fn a_consumer_that_sees_its_producer_gone_has_seen_its_last_message() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring::slots::<u64>(2);
        let pusher = thread::spawn(move || {
            producer.push(1).unwrap();
        });
        let mut seen = 0;
        while !consumer.is_disconnected() {
            match consumer.pop() {
                Some(n) => seen += n,
                None => thread::yield_now(),
            }
        }
        assert_eq!(seen, 1);
        pusher.join().unwrap();
    });
}

#[test]
fn a_producer_that_sees_its_consumer_gone_never_touches_what_it_reads() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring::slots::<u64>(2);
        let popper = thread::spawn(move || consumer.pop());
        let mut pushed = 0;
        while pushed < 3 && !producer.is_disconnected() {
            match producer.push(pushed) {
                Ok(()) => pushed += 1,
                Err(_) => thread::yield_now(),
            }
        }
        let popped = popper.join().unwrap();
        assert!(popped.is_none() || popped == Some(0));
    });
}
