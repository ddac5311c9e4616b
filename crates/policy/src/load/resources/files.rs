//! Which files are meant: those that are named, and those of named folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// The ends of the names of resource files.
const ENDS: [&str; 4] = ["yaml", "yml", "toml", "json"];

/// How many files are read at most.
const FILES: usize = 10_000;

/// How deep folders are searched.
const DEPTH: usize = 32;

/// A file to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it is called in problems.
    pub(super) name: String,
}

/// Finds the files that are meant, sorted within their folders; none comes twice.
pub(super) fn find(paths: &[PathBuf], cwd: &Path, problems: &mut Vec<Problem>) -> Vec<Found> {
    let mut search = Search { found: Vec::new(), seen: BTreeSet::new(), full: false, problems };
    for path in paths {
        search.named(path, cwd);
    }
    search.found
}

struct Search<'a> {
    found: Vec<Found>,
    seen: BTreeSet<PathBuf>,
    full: bool,
    problems: &'a mut Vec<Problem>,
}

impl Search<'_> {
    /// Takes a path that somebody named: a file whatever it is called, or a folder.
    fn named(&mut self, path: &Path, cwd: &Path) {
        let name = path.display().to_string();
        let real = match fs::canonicalize(cwd.join(path)) {
            Ok(real) => real,
            Err(error) => return self.cannot_read(&name, &error),
        };
        if !real.is_dir() {
            return self.add(real, name);
        }
        let before = self.found.len();
        self.folder(&real, &real, &name, 0);
        if self.found.len() == before && !self.full {
            let problem = Problem::new(name, "", "no *.yaml, *.yml, *.toml or *.json file in this folder");
            self.problems.push(problem.hint("hidden files and folders are left out"));
        }
    }

    fn folder(&mut self, root: &Path, folder: &Path, name: &str, depth: usize) {
        if depth > DEPTH {
            self.problems.push(Problem::new(name, "", format!("more than {DEPTH} folders deep")));
            return;
        }
        let entries = match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => return self.cannot_read(name, &error),
        };
        let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
        names.sort();
        for entry in names {
            let shown = entry.to_string_lossy();
            if shown.starts_with('.') || self.full {
                continue;
            }
            let (path, name) = (folder.join(&entry), format!("{}/{shown}", name.trim_end_matches('/')));
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.folder(root, &path, &name, depth + 1),
                Ok(metadata) if metadata.is_symlink() => self.link(root, &path, name),
                Ok(metadata) if metadata.is_file() && is_resource_file(&path) => self.add(path, name),
                Ok(_) => {}
                Err(error) => self.cannot_read(&name, &error),
            }
        }
    }

    /// Follows a link to a file of the same tree, as mounted configuration has them. Folders are found without links.
    fn link(&mut self, root: &Path, path: &Path, name: String) {
        if !is_resource_file(path) {
            return;
        }
        match fs::canonicalize(path) {
            Ok(real) if real.starts_with(root) && real.is_file() => self.add(real, name),
            Ok(real) if real.is_dir() => {}
            Ok(_) => {
                let problem = Problem::new(name, "", "left out: the link leads out of the folder").warning();
                self.problems.push(problem.hint("name the file itself with -f"));
            }
            Err(error) => self.cannot_read(&name, &error),
        }
    }

    fn add(&mut self, path: PathBuf, name: String) {
        if self.found.len() >= FILES {
            if !self.full {
                self.problems.push(Problem::new(name, "", format!("more than {FILES} files")));
            }
            self.full = true;
        } else if self.seen.insert(path.clone()) {
            self.found.push(Found { path, name });
        }
    }

    fn cannot_read(&mut self, name: &str, error: &std::io::Error) {
        self.problems.push(Problem::new(name, "", format!("cannot be read: {}", crate::load::why_not(error))));
    }
}

fn is_resource_file(path: &Path) -> bool {
    path.extension().and_then(|end| end.to_str()).is_some_and(|end| ENDS.contains(&end))
}
