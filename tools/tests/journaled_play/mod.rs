//! A backtest as `ballast backtest` plays it, with a journal to play it again from: a millisecond each
//! way, at the back of the queue.

use ballast::backtest::plan::{Lateness, Market, Plan, Played};
use ballast::backtest::window::Moment;
use ballast::config::ConfigFile;
use ballast::venue::queue::QueueModel;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::units::Nanos;
use std::path::Path;

/// Plays `market` from one moment to another, all of it without them.
pub fn play(
    file: &ConfigFile,
    market: Market,
    window: [Option<&str>; 2],
    journal: &Path,
) -> Played {
    let [from, to] = window.map(|text| text.map(|text| Moment::parse(text).unwrap()));
    let plan = Plan {
        market,
        from,
        to,
        lateness: Lateness::parse("1ms").unwrap(),
        queue: QueueModel::BackOfQueue,
        refit: None,
        cache: None,
    };
    let header = Header {
        epoch: 1,
        started: Nanos(0),
        binary: env!("CARGO_PKG_VERSION").into(),
        config: file.text.clone(),
        resumption: None,
    };
    let writer = JournalWriter::create(journal, &header).unwrap();
    plan.run(file, &file.maker(1).unwrap(), Some(writer), 0).unwrap()
}
