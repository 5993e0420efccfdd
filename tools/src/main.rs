//! The `ballast` binary: a door to `cli`.

fn main() -> std::process::ExitCode {
    ballast::cli::run()
}
