//! The configuration file is read again when it has changed and whoever changes it is done, and on SIGHUP.
//!
//! Editors write in steps, so that a file is only taken when it looked the same twice. A file that is gone is not taken
//! either: many editors remove it for a moment.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use control::plane::Plane;
use control::refusal::Refusal;
use policy::load::{Written, read};
use policy::problem::Problem;
use policy::spec::settings::Settings;

use crate::cli::{ConfigArgs, in_order, variable};

/// How often a file is missed, once a second, until that is said: editors remove one for a moment.
const MISSED: u32 = 5;

/// The environment that the file describes.
const DESCRIBED: &str = "default";

/// The files that are read when none is named.
const USUAL: [&str; 2] = ["crossway.toml", "Config.toml"];

/// Puts the configuration file into effect whenever it changes.
pub struct Reload {
    config: ConfigArgs,
    cwd: PathBuf,
    demo: bool,
    running: Settings,
    watch: Watch,
    /// Set by SIGHUP: the file is read whatever it looks like.
    asked: Arc<AtomicBool>,
}

impl Reload {
    /// Begins to watch what was read at the start.
    pub fn new(config: ConfigArgs, cwd: PathBuf, demo: bool, written: &Written, asked: Arc<AtomicBool>) -> Self {
        let files = match &config.config {
            Some(file) => vec![cwd.join(file)],
            None => USUAL.iter().map(|name| cwd.join(name)).collect(),
        };
        Self { config, cwd, demo, running: written.settings.clone(), watch: Watch::new(files), asked }
    }

    /// Looks at the file, and reads it when somebody has changed it and is done. What is wrong with it is logged, and
    /// what was in effect stays.
    pub fn poll(&mut self, plane: &Plane) {
        let changed = self.watch.poll();
        for path in self.watch.gone() {
            tracing::warn!(
                component = "configuration",
                file = %path.display(),
                "The configuration file is gone: what was read of it stays in effect until the next start"
            );
        }
        let asked = self.asked.swap(false, Ordering::Relaxed);
        if asked && self.watch.all_gone() {
            tracing::error!(
                component = "configuration",
                "The configuration file is gone and cannot be read again: what was read before stays in effect"
            );
            return;
        }
        if !asked && !changed {
            return;
        }
        match read(self.config.config.as_deref(), &self.cwd, &variable, self.demo) {
            Ok(written) => self.put_into_effect(plane, written),
            Err(problems) => refuse(plane, problems),
        }
    }

    fn put_into_effect(&self, plane: &Plane, written: Written) {
        let restart = needs_restart(&self.running, &written.settings);
        match plane.reload(written.specs, written.stand_in) {
            Ok(()) => {
                tracing::info!(component = "configuration", "The configuration was read again and is in effect");
                // What the reader of the file says, and what its compiler does.
                for problem in written.warnings.iter().chain(&plane.problems(DESCRIBED)) {
                    tracing::warn!(component = "configuration", "{problem}");
                }
                if !restart.is_empty() {
                    let settings = restart.join(", ");
                    tracing::warn!(component = "configuration", settings, "These settings need a restart");
                }
            }
            Err(Refusal::Invalid(problems)) => refuse(plane, problems),
            Err(other) => {
                tracing::error!(component = "configuration", error = %other, "The configuration cannot be put into effect");
                // Nothing is wrong with the file: it is tried again.
                self.asked.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn refuse(plane: &Plane, problems: Vec<Problem>) {
    for problem in in_order(&problems) {
        tracing::error!(component = "configuration", "{problem}");
    }
    tracing::error!(
        component = "configuration",
        problems = problems.len(),
        "The configuration file is faulty: what was read before stays in effect"
    );
    plane.refuse_file(problems);
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    modified_ns: i128,
    bytes: u64,
    inode: u64,
}

impl Look {
    /// Looks at a file; `None` when it is not there.
    pub fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Some(Self { modified_ns, bytes: metadata.len(), inode: metadata.ino() })
    }
}

/// Watches the configuration files.
#[derive(Debug)]
pub struct Watch {
    files: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// What it looked like when it was read.
    read: Option<Look>,
    /// What it looked like last time.
    last: Option<Look>,
    /// How many times in a row it was missed, where it had been read.
    missed: u32,
}

impl Watch {
    /// Begins to watch files that have just been read.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let watched = |path: PathBuf| {
            let look = Look::at(&path);
            Watched { path, read: look, last: look, missed: 0 }
        };
        Self { files: files.into_iter().map(watched).collect() }
    }

    /// Looks at every file again, and returns whether they are to be read.
    pub fn poll(&mut self) -> bool {
        self.poll_with(Look::at)
    }

    fn poll_with(&mut self, look: impl Fn(&Path) -> Option<Look>) -> bool {
        let mut changed = false;
        for file in &mut self.files {
            let now = look(&file.path);
            if now.is_some() && now == file.last && now != file.read {
                file.read = now;
                changed = true;
            }
            file.last = now;
            file.missed = if now.is_none() && file.read.is_some() { file.missed.saturating_add(1) } else { 0 };
        }
        changed
    }

    /// Whether there was a file, and there is none now.
    pub fn all_gone(&self) -> bool {
        self.files.iter().any(|file| file.read.is_some()) && self.files.iter().all(|file| file.last.is_none())
    }

    /// Returns the files that had been read and are gone; each once.
    pub fn gone(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(|file| file.missed == MISSED).map(|file| file.path.as_path())
    }
}

/// Returns the settings of the process that a new configuration has otherwise: they need a restart.
pub fn needs_restart(running: &Settings, new: &Settings) -> Vec<&'static str> {
    // Taken apart whole: a setting that is added cannot be forgotten here.
    let Settings {
        data_dir,
        listen,
        admin_listen,
        grpc_listen,
        admin_token,
        master_key,
        log,
        anonymous,
        grace,
        drain_delay,
        request_body_limit_bytes,
        fetch_private,
        webhooks_private,
        public_url,
        trusted_proxies,
        ca_file,
        oidc,
        smtp,
    } = new;
    let compared = [
        ("data_dir", running.data_dir == *data_dir),
        ("listen", running.listen == *listen),
        ("admin_listen", running.admin_listen == *admin_listen),
        ("grpc_listen", running.grpc_listen == *grpc_listen),
        ("admin_token", running.admin_token == *admin_token),
        ("master_key", running.master_key == *master_key),
        ("log", running.log == *log),
        ("anonymous", running.anonymous == *anonymous),
        ("grace", running.grace == *grace),
        ("drain_delay", running.drain_delay == *drain_delay),
        ("request_body_limit", running.request_body_limit_bytes == *request_body_limit_bytes),
        ("fetch_private", running.fetch_private == *fetch_private),
        ("webhooks_private", running.webhooks_private == *webhooks_private),
        ("public_url", running.public_url == *public_url),
        ("trusted_proxies", running.trusted_proxies == *trusted_proxies),
        ("ca_file", running.ca_file == *ca_file),
        ("oidc", running.oidc == *oidc),
        ("smtp", running.smtp == *smtp),
    ];
    compared.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use policy::load::load_text;

    use super::*;

    #[test]
    fn a_file_is_read_when_it_has_settled() {
        let look = |modified_ns, bytes| Some(Look { modified_ns, bytes, inode: 1 });
        let now = Cell::new(look(1, 10));
        let mut watch = Watch {
            files: vec![Watched { path: PathBuf::from("f"), read: look(1, 10), last: look(1, 10), missed: 0 }],
        };
        let mut check = |next: Option<Look>, expect: bool| {
            now.set(next);
            assert_eq!(watch.poll_with(|_| now.get()), expect, "{next:?}");
        };
        check(look(1, 10), false);
        check(look(2, 0), false);
        check(look(3, 20), false);
        check(look(3, 20), true);
        check(look(3, 20), false);
        check(None, false);
        check(None, false);
        check(look(4, 20), false);
        check(look(4, 20), true);
        // Back to what was read: nothing is to be done.
        check(look(5, 20), false);
        check(look(4, 20), false);
        check(look(4, 20), false);
    }

    #[test]
    fn a_file_that_is_gone_is_said_once() {
        let look = Some(Look { modified_ns: 1, bytes: 10, inode: 1 });
        let watched = |name: &str, read| Watched { path: PathBuf::from(name), read, last: read, missed: 0 };
        let mut watch = Watch { files: vec![watched("read", look), watched("never there", None)] };
        let mut said = |polls: u32, look: Option<Look>| {
            let each = |_| {
                watch.poll_with(|_| look);
                watch.gone().count()
            };
            (0..polls).map(each).sum::<usize>()
        };
        assert_eq!(said(MISSED - 1, None), 0, "an editor removes it for a moment");
        assert_eq!(said(1, look), 0);
        assert_eq!(said(10 * MISSED, None), 1);
        assert_eq!(said(1, look), 0);
        assert_eq!(said(MISSED, None), 1);
        assert!(watch.all_gone(), "to be asked to read it changes nothing");
        watch.poll_with(|_| look);
        assert!(!watch.all_gone());
        assert!(!Watch { files: vec![watched("never there", None)] }.all_gone(), "variables are a configuration too");
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let settings = |text: &str| load_text("crossway.toml", text, &|_| None, false).unwrap().settings;
        let running = settings("");
        assert!(needs_restart(&running, &settings("[environment]\nmeta_key = \"x\"\n")).is_empty());
        assert_eq!(
            needs_restart(&running, &settings("log = \"debug\"\nlisten = \"127.0.0.1:1\"\n")),
            ["listen", "log"]
        );
        let mail = "ca_file = \"a.pem\"\n[smtp]\nhost = \"mail.example.com\"\nfrom = \"crossway@example.com\"\n";
        assert_eq!(needs_restart(&running, &settings(mail)), ["ca_file", "smtp"]);
    }
}
