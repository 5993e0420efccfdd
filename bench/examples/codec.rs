//! Prints what the FIX codec costs on this machine:
//! `cargo run --release -p ballast-bench --example codec`.

#[path = "../src/codec.rs"]
mod codec;

use ballast_engine::clock::Counter;

fn main() {
    let counter = Counter::calibrate();
    println!(
        "{:<52} {:>6} {:>9} {:>9} {:>9}",
        "ns a message", "bytes", "fastest", "median", "slowest"
    );
    for figure in codec::run(counter) {
        let [fastest, median, slowest] = figure.ns;
        let (name, len) = (figure.name, figure.message_len);
        println!("{name:<52} {len:>6} {fastest:>9.1} {median:>9.1} {slowest:>9.1}");
    }
}
