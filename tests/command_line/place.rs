//! A fresh folder with small data in it, and the program run there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its output, for a command that must succeed.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.stdout
    }

    /// Its output as JSON.
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.done()).unwrap()
    }
}

/// The program, built from the sources as they are now: a stale one must not pass.
///
/// With an example beside it, cargo resolves features as for the tests: nothing is built twice.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("mmc"))
}

/// The program that runs experiments, `cargo xtask`, built likewise.
pub(crate) fn experiments() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("xtask"))
}

fn build(program: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bin", program]);
    cargo.args(["--example", "same_order_anywhere"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.current_dir(workspace()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join(program)
}

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder of its own, gone when dropped.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// One with a learnable table in `data`: 24 rows to train on, 8 and 8 to select and test on,
    /// each with a picture; good words and bright pictures are `up`, bad and dark ones `down`.
    pub(crate) fn with_table() -> Self {
        let place = Self::new();
        for (split, rows) in [("train", 24), ("val", 8), ("test", 8)] {
            let mut table = String::from("id,text,image,label\n");
            for row in 0..rows {
                let up = row % 2 == 0;
                let (word, label) = if up { ("good", "up") } else { ("bad", "down") };
                let name = format!("img/{split}{row}.png");
                writeln!(table, "{split}-{row},a {word} thing number {row},{name},{label}")
                    .unwrap();
                place.picture(&format!("data/{name}"), if up { 220 } else { 30 });
            }
            place.write(&format!("data/{split}.csv"), table);
        }
        place
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and the folders above it.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces one text by another in a file that has it.
    pub(crate) fn edit(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert!(text.contains(old), "{name} has no `{old}`");
        self.write(name, text.replacen(old, new, 1));
    }

    /// Writes a small PNG of one brightness.
    pub(crate) fn picture(&self, name: &str, level: u8) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(40, 32, Rgb([level, level, 90])).save(path).unwrap();
    }

    /// A command that will run `mmc` here with these words, separated by spaces.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(program());
        command.args(words.split_whitespace()).current_dir(self.folder.path());
        for variable in ["RUST_LOG", "MMC_DATA", "MMC_MODELS", "HF_HOME", "HF_HUB_CACHE", "COLUMNS"]
        {
            command.env_remove(variable);
        }
        command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null());
        command
    }

    /// Runs `mmc` here with these words, separated by spaces.
    pub(crate) fn mmc(&self, words: &str) -> Ran {
        finish(self.command(words))
    }

    /// Every file below a folder with its bytes; folders end in a slash and have none.
    pub(crate) fn files(&self, below: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let root = self.path(below);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                if path.is_dir() {
                    files.insert(name + "/", Vec::new());
                    folders.push(path);
                } else {
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        files
    }
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
