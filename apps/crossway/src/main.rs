//! The `crossway` binary.

mod apply;
mod assemble;
mod audit;
mod backup;
mod check;
mod cli;
mod credits;
mod export;
mod greeting;
mod keys;
mod ledger;
mod limits;
mod logging;
mod migrate;
mod people;
mod reload;
mod remote;
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
