//! What a message costs in each store, in ns: `cargo run --release -p ballast-gateway --example
//! store_cost`. Prints the median and the worst of 40 batches of 10,000 messages of 224 bytes, and what one
//! of a thousand a second costs while the store on disk is synced every 100 ms.

use ballast_gateway::store::{FileStore, FileStoreConfig, MemoryStore, Store};
use std::time::{Duration, Instant};

const BATCHES: usize = 40;
const MESSAGES: u32 = 10_000;
const PACED: usize = 20_000;

#[allow(clippy::disallowed_methods, reason = "an edge: a measurement")]
fn cost(name: &str, store: &mut impl Store) {
    let frame = [b'x'; 224];
    let mut batches: Vec<u128> = (0..BATCHES)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..MESSAGES {
                store.put_outbound(&frame).expect("the store takes it");
            }
            begin.elapsed().as_nanos() / u128::from(MESSAGES)
        })
        .collect();
    batches.sort_unstable();
    println!("{name}: median {} ns, worst batch {} ns", batches[BATCHES / 2], batches[BATCHES - 1]);
}

/// Messages one by one, a millisecond apart, for twenty seconds.
#[allow(clippy::disallowed_methods, reason = "an edge: a measurement")]
fn paced(store: &mut impl Store) {
    let frame = [b'x'; 224];
    let mut costs: Vec<u128> = (0..PACED)
        .map(|_| {
            let due = Instant::now() + Duration::from_millis(1);
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            let begin = Instant::now();
            store.put_outbound(&frame).expect("the store takes it");
            begin.elapsed().as_nanos()
        })
        .collect();
    costs.sort_unstable();
    let at = |per_mille: usize| costs[(PACED - 1) * per_mille / 1000];
    println!(
        "file, a thousand a second: p50 {} p90 {} p99 {} p99.9 {} max {} ns of {PACED}",
        at(500),
        at(900),
        at(990),
        at(999),
        at(1000)
    );
}

fn main() {
    let folder = std::env::temp_dir().join(format!("ballast-store-cost-{}", std::process::id()));
    let mut file = FileStore::open(FileStoreConfig::new(&folder)).expect("a store");
    paced(&mut file);
    cost("file", &mut file);
    println!("file: waited {} times for a segment", file.waits());
    drop(file);
    std::fs::remove_dir_all(folder).expect("the store's folder");
    cost("memory", &mut MemoryStore::new());
}
