//! What a message costs in each store, in ns: `cargo run --release -p ballast-gateway --example
//! store_cost`. Prints the median and the worst of 40 batches of 10,000 messages of 224 bytes.

use ballast_gateway::store::{FileStore, FileStoreConfig, MemoryStore, Store};
use std::time::Instant;

const BATCHES: usize = 40;
const MESSAGES: u32 = 10_000;

#[allow(clippy::disallowed_methods)]
fn cost(name: &str, store: &mut impl Store) {
    let frame = [b'x'; 224];
    let mut batches: Vec<u128> = (0..BATCHES)
        .map(|_| {
            // A measurement is an edge.
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

fn main() {
    let folder = std::env::temp_dir().join(format!("ballast-store-cost-{}", std::process::id()));
    let mut file = FileStore::open(FileStoreConfig::new(&folder)).expect("a store");
    cost("file", &mut file);
    println!("file: waited {} times for a segment", file.waits());
    drop(file);
    std::fs::remove_dir_all(folder).expect("the store's folder");
    cost("memory", &mut MemoryStore::new());
}
