//! A directory that goes away with the test.

use std::fs;
use std::path::PathBuf;

use ir::id::RequestId;

/// A directory that is removed when the value is dropped.
#[derive(Debug)]
pub struct Directory(pub PathBuf);

impl Directory {
    /// Creates one below the system's directory for temporary files.
    #[expect(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("crossway-test-{}", RequestId::new(crate::assembly::NOW_MS)));
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    /// Copies what a process that dies now leaves behind.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        for dir in ["", "journal"] {
            fs::create_dir_all(copy.0.join(dir)).expect("a directory for the copy");
            for entry in fs::read_dir(self.0.join(dir)).expect("a directory to copy").map_while(Result::ok) {
                // The index of the write-ahead log is memory shared by living processes, and is built anew.
                let index = entry.file_name().to_string_lossy().ends_with("-shm");
                if entry.path().is_file() && !index {
                    fs::copy(entry.path(), copy.0.join(dir).join(entry.file_name())).expect("a copy");
                }
            }
        }
        copy
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
