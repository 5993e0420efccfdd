//! What is particular to a venue: its symbols and grids, and the dialect of FIX that it speaks.
//!
//! Fed by the config at start; feeds the sessions and both stages. Deliberately absent: what orders
//! and market data mean.

/// Decimal text to ticks and lots.
pub mod grid;

/// Symbol(55) to instrument and back.
pub mod symbols;

/// Where a venue's hosts are now.
pub mod hosts;

/// One session kept up, connection after connection.
pub mod line;

/// News(B) for people, and what it asks of the session.
pub mod notice;

/// A venue's sockets, in clear or in TLS.
pub mod dial;

/// What differs from venue to venue, as a table.
pub mod dialect;

/// FIX 4.4 as it is written.
pub mod plain;

/// Whose clock the maker runs on.
pub mod time_base;

/// Secrets out of files.
pub mod secret;

/// Binance spot.
pub mod binance;

/// Deribit.
pub mod deribit;

/// Deribit's mass quotes.
pub mod mass_quote;
