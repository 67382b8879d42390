//! Rust source as `tidy` sees it: code and comments apart, and where functions begin and end.

/// A source file with its strings blanked, cut into code and comments of the same shape: each has
/// the file's lines, and what belongs to the other is blank.
pub(crate) struct Source {
    /// The code, without comments and without what stands inside quotes.
    pub(crate) code: String,
    /// The comments alone.
    pub(crate) comments: String,
}

/// A function of a source file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its `fn`, from 1.
    pub(crate) line: usize,
    /// Its lines, from `fn` to the closing brace.
    pub(crate) lines: usize,
    /// Those of them that hold code.
    pub(crate) code_lines: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
    /// Inside a character's quotes, with so many left to pass.
    Character(usize),
}

impl Source {
    /// Tells code from comments and quoted text.
    pub(crate) fn read(text: &str) -> Self {
        let characters: Vec<char> = text.chars().collect();
        let (mut code, mut comments) = (String::new(), String::new());
        let mut place = Place::Code;
        let mut at = 0;
        while at < characters.len() {
            let (next, width) = step(place, &characters, at);
            let comment = |place| matches!(place, Place::LineComment | Place::BlockComment(_));
            for &character in &characters[at..(at + width).min(characters.len())] {
                let blank = if character == '\n' { '\n' } else { ' ' };
                let in_comment = comment(place) || comment(next);
                let in_code = !in_comment && (place == Place::Code || next == Place::Code);
                code.push(if in_code { character } else { blank });
                comments.push(if in_comment { character } else { blank });
            }
            place = next;
            at += width;
        }
        Self { code, comments }
    }

    /// The code before the tests inside the file.
    pub(crate) fn without_tests(&self) -> &str {
        self.code.find("#[cfg(test)]\nmod ").map_or(&self.code, |end| &self.code[..end])
    }
}

/// The place after the next few characters, and how many these are.
fn step(place: Place, text: &[char], at: usize) -> (Place, usize) {
    let is = |offset: usize, wanted: char| text.get(at + offset) == Some(&wanted);
    match place {
        Place::Code => step_in_code(text, at),
        Place::LineComment if is(0, '\n') => (Place::Code, 1),
        Place::BlockComment(depth) if is(0, '*') && is(1, '/') => {
            (if depth == 1 { Place::Code } else { Place::BlockComment(depth - 1) }, 2)
        }
        Place::BlockComment(depth) if is(0, '/') && is(1, '*') => {
            (Place::BlockComment(depth + 1), 2)
        }
        Place::Character(left) => {
            (if left == 1 { Place::Code } else { Place::Character(left - 1) }, 1)
        }
        Place::Text if is(0, '\\') => (Place::Text, 2),
        Place::Text if is(0, '"') => (Place::Code, 1),
        Place::RawText(hashes) if is(0, '"') && (1..=hashes).all(|offset| is(offset, '#')) => {
            (Place::Code, 1 + hashes)
        }
        _ => (place, 1),
    }
}

fn step_in_code(text: &[char], at: usize) -> (Place, usize) {
    let is = |offset: usize, wanted: char| text.get(at + offset) == Some(&wanted);
    let after_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    if is(0, '/') && is(1, '/') {
        return (Place::LineComment, 2);
    }
    if is(0, '/') && is(1, '*') {
        return (Place::BlockComment(1), 2);
    }
    if is(0, '"') {
        return (Place::Text, 1);
    }
    if is(0, 'r') && !after_word {
        let hashes = text[at + 1..].iter().take_while(|&&character| character == '#').count();
        if is(1 + hashes, '"') {
            return (Place::RawText(hashes), 2 + hashes);
        }
    }
    // A character such as '{' or '"' or '\'' is no brace and no quote; a lifetime is left alone.
    if is(0, '\'') {
        if is(1, '\\') {
            let length = text[at + 2..].iter().skip(1).position(|&character| character == '\'');
            return (Place::Character(3 + length.unwrap_or(0)), 1);
        }
        if is(2, '\'') {
            return (Place::Character(2), 1);
        }
    }
    (Place::Code, 1)
}

/// The functions of `code` that have a body.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        if let Some(last) = end_of_body(&lines[index..]) {
            let body = &lines[index..=index + last];
            let code_lines = body.iter().filter(|line| !line.trim().is_empty()).count();
            found.push(Function { name, line: index + 1, lines: last + 1, code_lines });
        }
    }
    found
}

/// The name after `fn` where the line begins a function.
fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let before = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
    let keyword = words.find(|word| !before.contains(word))?;
    if keyword != "fn" {
        return None;
    }
    let name: String = words
        .next()?
        .chars()
        .take_while(|&character| character.is_alphanumeric() || character == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The index of the line that closes the first brace; `None` for a declaration without a body.
fn end_of_body(lines: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut inside_parentheses = 0_usize;
    for (index, line) in lines.iter().enumerate() {
        for character in line.chars() {
            match character {
                '(' | '[' => inside_parentheses += 1,
                ')' | ']' => inside_parentheses = inside_parentheses.saturating_sub(1),
                ';' if depth == 0 && inside_parentheses == 0 => return None,
                '{' => depth += 1,
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(index);
                    }
                }
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_hide_braces() {
        let source = Source::read(
            "fn one() { // {\n    let a = \"}\"; let b = '}'; let c = '\\''; let d = r#\"}\"#;\n}\n",
        );
        let name = "one".to_owned();
        let expected = Function { name, line: 1, lines: 3, code_lines: 3 };
        assert_eq!(functions(&source.code), [expected]);
        assert_eq!(source.comments.trim(), "// {");
    }

    #[test]
    fn declarations_and_array_types_are_not_bodies() {
        let code = "trait T {\n    fn a(x: [u8; 3]);\n    fn b() -> [u8; 2] {\n    }\n}\n";
        let names: Vec<String> = functions(code).into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn lifetimes_are_not_characters() {
        let code = Source::read("pub fn longest<'a>(x: &'a str) -> &'a str {\n    x\n}\n").code;
        assert_eq!(functions(&code)[0].lines, 3);
    }
}
