//! Tests of the rings in one thread and between two; their loom models are in `tests/ring_models.rs`.

use super::*;

#[test]
fn a_full_slot_ring_gives_the_message_back() {
    let (mut producer, mut consumer) = slots::<u64>(3);
    assert_eq!(producer.capacity(), 4, "rounded up to a power of two");
    for n in 0..4 {
        assert_eq!(producer.push(n), Ok(()));
    }
    assert_eq!(producer.push(99), Err(Full(99)));
    assert_eq!((producer.room(), producer.len()), (0, 4));
    assert_eq!(consumer.pop(), Some(0));
    assert!(producer.has_room(1) && !producer.has_room(2));
    assert_eq!(producer.push(4), Ok(()));
    assert_eq!(
        std::iter::from_fn(|| consumer.pop()).collect::<Vec<_>>(),
        [1, 2, 3, 4],
        "first in, first out, across the wrap"
    );
}

#[test]
fn what_was_pushed_before_the_producer_went_is_still_popped() {
    let (mut producer, mut consumer) = slots::<u64>(2);
    producer.push(7).unwrap();
    drop(producer);
    assert!(!consumer.is_disconnected(), "a message still waits");
    assert_eq!(consumer.pop(), Some(7));
    assert!(consumer.is_disconnected());

    let (mut producer, mut consumer) = records::<u64>(2);
    producer.push(7).unwrap();
    drop(producer);
    assert!(!consumer.is_disconnected(), "a record still waits");
    assert_eq!(consumer.pop(), Some(7));
    assert!(consumer.is_disconnected());
}

#[test]
fn a_producer_learns_that_its_consumer_is_gone_and_fills_up_without_harm() {
    let (mut producer, consumer) = slots::<u64>(2);
    assert!(!producer.is_disconnected());
    drop(consumer);
    assert!(producer.is_disconnected());
    assert_eq!(
        [producer.push(1), producer.push(2), producer.push(3)],
        [Ok(()), Ok(()), Err(Full(3))]
    );
}

#[test]
fn a_batch_larger_than_the_room_is_taken_in_part() {
    let (mut producer, mut consumer) = records::<u16>(8);
    assert_eq!(producer.push_slice(&[0, 1, 2, 3, 4, 5]), 6);
    let mut batch = [0; 4];
    assert_eq!((consumer.pop_slice(&mut batch), batch), (4, [0, 1, 2, 3]));
    assert_eq!(producer.push_slice(&[6, 7, 8, 9, 10, 11, 12]), 6, "the ring holds eight");
    assert_eq!(producer.push(99), Err(Full(99)));
    let mut rest = [0; 16];
    assert_eq!(consumer.pop_slice(&mut rest), 8);
    assert_eq!(rest.get(..8), Some(&[4, 5, 6, 7, 8, 9, 10, 11][..]));
    assert_eq!((consumer.pop_slice(&mut rest), consumer.pop()), (0, None));
}

#[test]
fn a_batch_goes_into_a_slot_ring_as_far_as_there_is_room() {
    let (mut producer, mut consumer) = slots::<u16>(4);
    assert_eq!(producer.push_slice(&[0, 1, 2]), 3);
    assert_eq!(consumer.pop(), Some(0));
    assert_eq!(producer.push_slice(&[3, 4, 5]), 2, "the ring holds four");
    assert_eq!(producer.push_slice(&[9]), 0);
    assert_eq!(std::iter::from_fn(|| consumer.pop()).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn a_message_that_is_looked_at_stays_until_it_is_taken() {
    let (mut producer, mut consumer) = slots::<u16>(2);
    assert_eq!(consumer.take_if(|_| true), None);
    assert_eq!(producer.push_slice(&[7, 8]), 2);
    let mut seen = Vec::new();
    for is_taken in [false, true, true] {
        let mut look = |message: &u16| {
            seen.push(*message);
            is_taken
        };
        assert_eq!(consumer.take_if(&mut look), Some(is_taken));
        // What was only looked at is no room.
        assert_eq!(producer.room(), if is_taken { seen.len() - 1 } else { 0 });
    }
    assert_eq!((seen, consumer.pop()), (vec![7, 7, 8], None));
}

#[test]
fn two_threads_carry_every_message_once_and_in_order() {
    const COUNT: u64 = 200_000;
    let (mut producer, mut consumer) = slots::<[u64; 7]>(64);
    let (mut counter, mut counted) = records::<u64>(64);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..COUNT {
                let message = [n, !n, n ^ 1, n, n, n, n.wrapping_mul(3)];
                while producer.push(message).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        scope.spawn(move || {
            let mut expected = 0u64;
            while !consumer.is_disconnected() {
                let Some(message) = consumer.pop() else {
                    std::thread::yield_now();
                    continue;
                };
                let n = expected;
                assert_eq!(message, [n, !n, n ^ 1, n, n, n, n.wrapping_mul(3)]);
                while counter.push_slice(&[n]) == 0 {
                    std::thread::yield_now();
                }
                expected += 1;
            }
            assert_eq!(expected, COUNT);
        });
        let mut sum = 0;
        let mut batch = [0; 16];
        while !counted.is_disconnected() {
            let count = counted.pop_slice(&mut batch);
            sum += batch.iter().take(count).sum::<u64>();
        }
        assert_eq!(sum, COUNT * (COUNT - 1) / 2);
    });
}
