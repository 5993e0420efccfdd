//! The `ballast-bench` binary: latency runs and micro-benchmarks, measured, never timed as tests.

fn main() {}
