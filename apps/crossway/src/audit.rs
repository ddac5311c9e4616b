//! `crossway audit`: whether the audit log is as it was written.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

use clap::Subcommand;
use store::audit::{Anchor, verify};

use crate::assemble::refuse_nothing;
use crate::cli::{ConfigArgs, Failure};

/// What to do with the audit log.
#[derive(Subcommand)]
pub enum Command {
    /// Check the chain of hashes from the first entry to the last, also while the gateway runs; exit 1 with the first
    /// entry that does not agree
    Verify {
        /// An entry that this command printed earlier, kept elsewhere: it has to be there still
        #[arg(long, value_name = "NUMBER:HASH")]
        anchor: Option<Anchor>,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Runs an `audit` command. The last entry's anchor goes to stdout.
///
/// # Errors
/// When the database cannot be read, or the log is not as it was written.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    let Command::Verify { anchor, config } = command;
    let settings = config.read(false)?.settings;
    refuse_nothing(&settings.data_dir)?;
    let verdict = verify(&settings.data_dir, anchor)?;
    if let Some(fault) = verdict.fault {
        return Err(format!("the audit log is not as it was written: {fault}").into());
    }
    let mut said = format!("{} entries, as they were written", verdict.entries);
    if verdict.without_hash > 0 {
        said += &format!(" ({} of an older version have no hash)", verdict.without_hash);
    }
    writeln!(stderr(), "{said}")?;
    if let Some(head) = verdict.head {
        writeln!(stdout(), "{head}")?;
    }
    Ok(ExitCode::SUCCESS)
}
