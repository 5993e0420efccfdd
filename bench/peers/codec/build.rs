//! Compiles the few lines of C++ that stand between the measurement and QuickFIX.

fn main() {
    cc::Build::new()
        .cpp(true)
        // QuickFIX 1.15 has exception specifications, which C++17 took out.
        .std("c++14")
        .opt_level(3)
        .warnings(false)
        .file("src/quickfix.cpp")
        .compile("peer_quickfix");
    println!("cargo:rustc-link-lib=quickfix");
    println!("cargo:rerun-if-changed=src/quickfix.cpp");
}
