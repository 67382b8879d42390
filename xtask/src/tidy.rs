//! The house rules that no lint knows, as code.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, workspace};
use crate::size;
use crate::source::{Source, functions};

const FILE_LINES: usize = 400;
const TEST_FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;
const EXAMPLE_LINES: usize = 60;
const SHAPELESS_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// What the sources look like, as a row.
#[derive(Default)]
struct Row {
    file_lines: Vec<usize>,
    function_lines: Vec<usize>,
    files_with_tests: usize,
    public_items: usize,
    documented: usize,
}

/// Checks every rule and prints the row.
pub(crate) fn check() -> Result<(), Failure> {
    let root = workspace();
    let mut problems = Vec::new();
    let mut row = Row::default();
    for file in rust_files(&root)? {
        let text = fs::read_to_string(&file)?;
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        check_file(&name, &text, &mut problems);
        if name.contains("/src/") {
            row.add(&text);
        }
    }
    for folder in sorted(&root.join("crates"))? {
        check_crate(&folder, &root, &mut problems);
    }
    row.print();
    problems.extend(size::check(&root)?);
    if problems.is_empty() {
        say!("tidy: every rule holds");
        return Ok(());
    }
    for problem in &problems {
        say!("{problem}");
    }
    Err(Failure::work(format!("{} house rules are broken, listed above", problems.len())))
}

fn check_file(name: &str, text: &str, problems: &mut Vec<String>) {
    let source = Source::read(text);
    let lines = text.lines().count();
    let is_test = name.starts_with("tests/") || name.contains("/tests/");
    let most = if is_test { TEST_FILE_LINES } else { FILE_LINES };
    if lines > most {
        problems.push(format!("{name}: {lines} lines, at most {most}; split it by noun"));
    }
    if name.contains("/examples/") && lines >= EXAMPLE_LINES {
        problems.push(format!("{name}: {lines} lines, an example has under {EXAMPLE_LINES}"));
    }
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if SHAPELESS_NAMES.contains(&stem) {
        problems.push(format!("{name}: `{stem}` says nothing; name the noun it holds"));
    }
    if !text.starts_with("//!") && stem != "tests" {
        problems.push(format!("{name}:1: a file opens with `//!` and what it is for"));
    }
    for function in functions(&source.code) {
        if function.code_lines > FUNCTION_LINES {
            problems.push(format!(
                "{name}:{}: `{}` has {} lines of code, at most {FUNCTION_LINES}",
                function.line, function.name, function.code_lines
            ));
        }
    }
    for (index, (code, comment)) in source.code.lines().zip(source.comments.lines()).enumerate() {
        let stub = ["todo!", "unimplemented!"].into_iter().find(|stub| code.contains(stub));
        let note = ["TODO", "FIXME", "XXX"].into_iter().find(|note| comment.contains(note));
        if let Some(found) = stub.or(note) {
            problems.push(format!("{name}:{}: `{found}`; do it, or open an issue", index + 1));
        }
    }
}

/// A library is a form to fill in: front page with a doc test, README, an example, one error type.
fn check_crate(folder: &Path, root: &Path, problems: &mut Vec<String>) {
    let name = folder.strip_prefix(root).unwrap_or(folder).display().to_string();
    let mut require = |holds: bool, what: &str| {
        if !holds {
            problems.push(format!("{name}: {what}"));
        }
    };
    let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    require(readme.lines().count() >= 5, "no README.md of more than a few lines");
    let Ok(front) = fs::read_to_string(folder.join("src/lib.rs")) else {
        return; // a program
    };
    let page: Vec<&str> = front.lines().take_while(|line| line.starts_with("//!")).collect();
    require(page.len() >= 10, "src/lib.rs opens with fewer than ten lines of purpose");
    require(
        page.iter().any(|line| line.trim_end() == "//! ```"),
        "the front page of src/lib.rs has no doc test that runs",
    );
    let examples = sorted(&folder.join("examples")).unwrap_or_default();
    require(
        examples.iter().any(|file| file.extension().is_some_and(|kind| kind == "rs")),
        "no examples/QUESTION.rs that shows it used alone",
    );
}

impl Row {
    fn add(&mut self, text: &str) {
        let source = Source::read(text);
        let code = source.without_tests();
        self.file_lines.push(code.lines().count());
        self.function_lines.extend(functions(code).iter().map(|function| function.lines));
        self.files_with_tests += usize::from(code.len() < source.code.len());
        let comments: Vec<&str> = source.comments.lines().collect();
        let code: Vec<&str> = code.lines().collect();
        for (index, line) in code.iter().enumerate() {
            if is_public_item(line) {
                let above = (0..index).rev().find(|&at| !code[at].trim().starts_with("#["));
                let documented = above.is_some_and(|at| comments[at].trim().starts_with("///"));
                self.public_items += 1;
                self.documented += usize::from(documented);
            }
        }
    }

    fn print(mut self) {
        self.file_lines.sort_unstable();
        self.function_lines.sort_unstable();
        let percent = |part: usize, whole: usize| 100 * part / whole.max(1);
        say!("files | lines a file | lines a function | docs | tests inside");
        say!(
            "{} | {} / {} | {} / {} / {} | {} % | {} %",
            self.file_lines.len(),
            quantile(&self.file_lines, 0.5),
            quantile(&self.file_lines, 0.9),
            quantile(&self.function_lines, 0.5),
            quantile(&self.function_lines, 0.9),
            quantile(&self.function_lines, 1.0),
            percent(self.documented, self.public_items),
            percent(self.files_with_tests, self.file_lines.len()),
        );
    }
}

fn is_public_item(line: &str) -> bool {
    let kinds = ["fn ", "const fn ", "struct ", "enum ", "trait ", "const ", "static ", "type "];
    line.trim_start()
        .strip_prefix("pub ")
        .is_some_and(|rest| kinds.iter().any(|kind| rest.starts_with(kind)))
}

fn quantile(ascending: &[usize], part: f64) -> usize {
    let last = ascending.len().saturating_sub(1);
    ascending.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}

/// Every Rust file of the workspace, in order.
fn rust_files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for path in sorted(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        check_file(name, text, &mut problems);
        problems
    }

    #[test]
    fn a_long_function_is_named_with_its_line() {
        let body = "    x();\n".repeat(90);
        let found = problems("crates/a/src/b.rs", &format!("//! B.\nfn long() {{\n{body}}}\n"));
        assert_eq!(found, ["crates/a/src/b.rs:2: `long` has 92 lines of code, at most 80"]);
    }

    #[test]
    fn stubs_are_found_in_code_and_notes_in_comments_only() {
        let text = format!("//! A.\nfn a() {{ {}() }}\nfn b() {{ \"TODO\" }}\n", "todo!");
        assert_eq!(problems("crates/a/src/b.rs", &text).len(), 1);
        assert_eq!(problems("crates/a/src/b.rs", "//! A.\n// FIXME: later\n").len(), 1);
    }

    #[test]
    fn a_drawer_for_everything_is_refused() {
        assert_eq!(problems("crates/a/src/utils.rs", "//! A.\n").len(), 1);
    }
}
