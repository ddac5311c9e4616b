//! `cargo xtask serve`: the first thing a newcomer runs.

use std::path::Path;
use std::process::Command;

use crate::shell;

/// Builds Crossway and becomes it, with the demo provider; what follows `--` is handed on.
pub fn run(args: &[String]) -> Result<(), String> {
    shell::run(shell::cargo().args(["build", "--package", "crossway"]))?;
    let extra = args.strip_prefix(&["--".to_owned()][..]).unwrap_or(args);
    let mut command = Command::new(shell::binary(&shell::root()));
    command.arg("serve");
    if !extra.iter().any(|arg| arg == "--config" || arg.starts_with("--config=")) {
        command.arg("--demo");
    }
    command.args(extra);
    become_process(command)
}

/// Replaces this process, so that signals and the exit code need no relaying.
#[cfg(unix)]
fn become_process(mut command: Command) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    let why = command.exec();
    Err(format!("failed to start {}: {why}", Path::new(command.get_program()).display()))
}

/// Waits for the process where one cannot be replaced.
#[cfg(not(unix))]
fn become_process(mut command: Command) -> Result<(), String> {
    shell::run(&mut command)
}
