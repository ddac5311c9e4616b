//! The `crossway` binary.

mod assemble;
mod check;
mod cli;
mod greeting;
mod keys;
mod logging;
mod people;
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
