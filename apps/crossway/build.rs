//! Has the linker put the functions that run when the program starts and serves next to each other, in the order of
//! `order.txt`.
//!
//! The kernel maps 64 KiB of a program around each place that is touched. Scattered over 19 MB of code, what is needed made it
//! map 11 of them. The list is made by `bench/order.py`. Names that are not in the program are passed over, so that an old list
//! does no harm, and a missing one neither.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=order.txt");
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("PROFILE", "release") || !is("TARGET", "x86_64-unknown-linux-gnu") || !links_with_lld() {
        return;
    }
    let order = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("order.txt");
    println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", order.display());
    println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
}

/// Whether rustc links with the LLD that comes with it, as it does on this target by itself
/// (<https://blog.rust-lang.org/2025/09/01/rust-lld-on-1.90.0-stable/>). Other linkers do not know the option.
fn links_with_lld() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let chosen = env::var_os("RUSTC_LINKER").is_some() || flags.contains("link");
    let bundled = env::var_os("CARGO").map(PathBuf::from).is_some_and(|cargo| {
        let lld = "lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld";
        cargo.parent().and_then(Path::parent).is_some_and(|root| root.join(lld).exists())
    });
    bundled && !chosen
}
