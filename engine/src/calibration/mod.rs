//! The only place with floating point: what is fitted off the hot path and quantised for it.
//!
//! Fed by recorded or live market data on the calibration thread; feeds quantised `Parameters`.
//! IEEE basics and the `libm` crate alone, fixed reduction order, so that every host gives the
//! same bits. Deliberately absent: anything that a hot module may import.
#![allow(clippy::float_arithmetic)]

pub mod options;
