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

use std::io::{self, ErrorKind};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        // Whoever read the output has read enough (`| head -1`), and that is no news. The gateway itself writes to no pipe
        // that could end it.
        Err(failure)
            if failure.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) =>
        {
            ExitCode::FAILURE
        }
        Err(failure) => {
            logging::complain(&failure);
            ExitCode::FAILURE
        }
    }
}
