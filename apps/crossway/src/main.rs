//! The `crossway` binary.

mod assemble;
mod backup;
mod check;
mod cli;
mod greeting;
mod keys;
mod logging;
mod migrate;
mod restore;
mod serve;
mod shutdown;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(failure) => {
            logging::complain(&failure);
            ExitCode::FAILURE
        }
    }
}
