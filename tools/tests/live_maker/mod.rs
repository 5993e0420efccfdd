//! A real `ballast run` in a folder of its own, and the config of one whose venue speaks as Deribit does.
//!
//! Shared by the tests that kill such a run. The folder has `maker.toml`; each run leaves `maker-NNNN.json`
//! and `maker-NNNN.log` there.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

#[allow(clippy::disallowed_methods, reason = "a test that measures")]
pub fn now() -> Instant {
    Instant::now()
}

pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The folder's run of that number begins.
pub fn start(folder: &Path, run: u64) -> Child {
    let log = |what: &str| File::create(folder.join(format!("maker-{run:04}.{what}"))).unwrap();
    let mut maker = Command::new(env!("CARGO_BIN_EXE_ballast"));
    maker.args(["run", "--json", "--config"]).arg(folder.join("maker.toml"));
    maker.stdout(log("json")).stderr(log("log")).spawn().unwrap()
}

/// What it has logged.
pub fn log(folder: &Path, run: u64) -> String {
    fs::read_to_string(folder.join(format!("maker-{run:04}.log"))).unwrap_or_default()
}

/// The maker's config at such a venue.
pub fn at_deribit(config: &str, secret: &str) -> String {
    let signed = format!("username = \"id\", secret_file = \"{secret}\", ");
    let session = |ours: &str| {
        format!("sender_comp_id = \"{ours}\", target_comp_id = \"DERIBITSERVER\", {signed}")
    };
    config
        .replace("name = \"sim\"\n", "name = \"sim\"\ndialect = \"deribit\"\n")
        .replace(
            "sender_comp_id = \"BALLAST\", target_comp_id = \"SIM-MD\", ",
            &session("BALLAST-MD"),
        )
        .replace("sender_comp_id = \"BALLAST\", target_comp_id = \"SIM-OE\", ", &session("BALLAST"))
}

/// The simulated venue's config, its market data under that venue's names.
pub fn as_deribit(venue: &str) -> String {
    venue.replacen(
        "sender_comp_id = \"SIM-MD\"\ntarget_comp_id = \"BALLAST\"",
        "sender_comp_id = \"DERIBITSERVER\"\ntarget_comp_id = \"BALLAST-MD\"",
        1,
    )
}
