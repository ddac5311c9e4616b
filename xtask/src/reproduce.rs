//! `cargo xtask reproduce` (SUP-01): is what is built from a commit the same, bit by bit, whenever it is built?
//!
//! The release build is made twice, each from nothing and in a folder of its own, and compared. Both are made in this
//! checkout: where a checkout lies is part of a build (the order of what is linked follows from it), and so is the
//! compiler. C code that writes the time of its build into itself (mimalloc does) is given the commit's.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell;

/// Builds twice and compares.
pub fn run() -> Result<(), String> {
    let folder = shell::target(&shell::root()).join("reproduce");
    let commit =
        shell::read(shell::command("git").args(["log", "-1", "--format=%ct"])).ok_or("this is no git checkout")?;
    let (one, two) = (build(&folder.join("one"), commit.trim())?, build(&folder.join("two"), commit.trim())?);
    let (first, second) = (read(&one)?, read(&two)?);
    if first != second {
        let at = first.iter().zip(&second).position(|(a, b)| a != b);
        let at = at.unwrap_or(first.len().min(second.len()));
        return Err(format!("{} and {} differ from byte {at} on", one.display(), two.display()));
    }
    println!("{} and {} are the same {} bytes", one.display(), two.display(), first.len());
    Ok(())
}

fn build(target: &Path, epoch: &str) -> Result<PathBuf, String> {
    if target.exists() {
        fs::remove_dir_all(target).map_err(|why| format!("failed to empty {}: {why}", target.display()))?;
    }
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--locked", "--package", "crossway"]).env("CARGO_TARGET_DIR", target);
    cargo.env("SOURCE_DATE_EPOCH", epoch);
    shell::run(&mut cargo)?;
    Ok(target.join("release").join(format!("crossway{}", std::env::consts::EXE_SUFFIX)))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|why| format!("failed to read {}: {why}", file.display()))
}
