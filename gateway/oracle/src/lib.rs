//! `fefix` 0.7 as a second opinion on our codec and our dictionary: all there is stands in `tests/`.
//!
//! Outside the workspace, because fefix brings sqlx 0.5 and rustls 0.19, which have open advisories,
//! and because it is unsound: `tests/faults.rs` shows what keeps it out of the product. Nothing here
//! is fed or feeds at run time. `cargo test --manifest-path gateway/oracle/Cargo.toml`, from the root.
