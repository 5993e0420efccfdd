//! Whose clock the maker runs on. Read by both stages; set by the config.

/// Which time an event's `at` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeBase {
    /// When it reached us: live trading.
    Arrival,
    /// When the venue says that it happened: a recording played back over FIX, where the maker runs
    /// on the recording's time.
    Venue {
        /// How much later than the venue's time an answer on an order reaches us; market data says
        /// itself when it does.
        answer_delay_ns: u64,
    },
}
