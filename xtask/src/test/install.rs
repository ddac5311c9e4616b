//! Installing what the end-to-end suites need: Python and npm packages under `target/e2e`, system packages where we may.
//!
//! Only what is missing is installed. The pinned lists are `tests/e2e/requirements*.txt` and `package-lock.json`.

use std::path::{Path, PathBuf};

use crate::shell;

/// Where the installed parts are.
pub struct Parts {
    /// The folder of everything that the suites install and write.
    pub folder: PathBuf,
    /// The interpreter of the virtual environment.
    pub python: PathBuf,
    /// The folder that holds the npm packages.
    pub node: PathBuf,
}

/// Installs what is missing.
pub fn end_to_end(root: &Path) -> Result<Parts, String> {
    let folder = shell::target(root).join("e2e");
    let suites = root.join("tests/e2e");
    std::fs::create_dir_all(&folder).map_err(|why| format!("failed to make {}: {why}", folder.display()))?;
    system_packages()?;
    let python = python_packages(&suites, &folder.join("venv"))?;
    sources(&suites, &python, &folder.join("sources"))?;
    let node = npm_packages(&suites, &folder.join("node"))?;
    Ok(Parts { folder, python, node })
}

/// A command that must be there, and the Debian packages that bring it.
const NEEDED: [(&str, &[&str]); 3] =
    [("python3", &["python3", "python3-venv"]), ("npm", &["npm"]), ("curl", &["curl"])];

fn system_packages() -> Result<(), String> {
    let missing: Vec<_> = NEEDED.iter().filter(|(command, _)| !shell::exists(command)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
    let root_user = shell::read(shell::command("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !root_user || !shell::exists("apt-get") {
        let commands: Vec<&str> = missing.iter().map(|(command, _)| *command).collect();
        return Err(format!("the tests need {}: install it first", commands.join(", ")));
    }
    shell::run(shell::command("apt-get").args(["update", "-q"]))?;
    shell::run(shell::command("apt-get").args(["install", "-y", "-q", "--no-install-recommends"]).args(packages))
}

/// One virtual environment; the second list carries data and native servers only and is installed without what
/// those packages would pull in.
fn python_packages(suites: &Path, venv: &Path) -> Result<PathBuf, String> {
    let python = venv.join("bin/python");
    if !python.exists() {
        shell::run(shell::command("python3").args(["-m", "venv"]).arg(venv))?;
    }
    for (list, flags) in [("requirements.txt", &[][..]), ("requirements-no-deps.txt", &["--no-deps"][..])] {
        once(&suites.join(list), &venv.join(format!(".{list}.installed")), || {
            let mut command = shell::command(&python);
            command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(flags);
            shell::run(command.arg("--requirement").arg(suites.join(list)))
        })?;
    }
    Ok(python)
}

/// The source packages of the SDKs, whose own suites are run through the gateway; they lie beside the virtual
/// environment. What builds them may come built.
fn sources(suites: &Path, python: &Path, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|why| why.to_string())?;
    let list = suites.join("requirements-sources.txt");
    once(&list, &folder.join(".installed"), || {
        let mut command = shell::command(python);
        command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        command.args(["--no-binary", "openai,anthropic", "--dest"]).arg(folder);
        shell::run(command.arg("--requirement").arg(&list))
    })
}

fn npm_packages(suites: &Path, folder: &Path) -> Result<PathBuf, String> {
    std::fs::create_dir_all(folder).map_err(|why| why.to_string())?;
    once(&suites.join("package-lock.json"), &folder.join(".installed"), || {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(suites.join(file), folder.join(file))
                .map_err(|why| format!("failed to copy {file}: {why}"))?;
        }
        let mut command = shell::command("npm");
        command.current_dir(folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        shell::run(&mut command)
    })?;
    Ok(folder.join("node_modules"))
}

/// Runs an installation unless the list it installs is the one that was installed last.
fn once(list: &Path, stamp: &Path, install: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let wanted = std::fs::read(list).map_err(|why| format!("failed to read {}: {why}", list.display()))?;
    if std::fs::read(stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    std::fs::write(stamp, wanted).map_err(|why| format!("failed to write {}: {why}", stamp.display()))
}
