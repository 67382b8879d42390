//! The stack machine that a pickle's opcodes drive.

use std::collections::BTreeMap;

use super::Node;

/// Its state while a pickle is read.
#[derive(Default)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<usize>,
    /// The heights of the stack at the marks.
    marks: Vec<usize>,
    memo: BTreeMap<u32, usize>,
}

impl<'a> Machine<'a> {
    /// The nodes of a pickle and the index of its root.
    pub(super) fn run(bytes: &'a [u8]) -> Result<(Vec<Node<'a>>, usize), String> {
        let mut machine = Self { bytes, ..Self::default() };
        loop {
            let at = machine.at;
            let place = |problem: String| format!("{problem} at byte {at} of its pickle");
            // Each opcode takes a byte or more, so this ends.
            if let Some(root) = machine.step().map_err(place)? {
                return Ok((machine.nodes, root));
            }
        }
    }

    /// One opcode; the root at the end of the pickle.
    fn step(&mut self) -> Result<Option<usize>, String> {
        let opcode = self.byte()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => self.skip(1)?, // protocol
            0x95 => self.skip(8)?, // frame
            b'(' => self.marks.push(self.stack.len()),
            // The state of an object goes unread, such as `_metadata` of a state dict.
            b'0' | b'b' => self.pop().map(drop)?,
            b'c' | 0x93 => self.class(opcode)?,
            b'R' | 0x81 => self.call()?,
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Outside(id));
            }
            b'N' | 0x88 | 0x89 => self.push(Node::Other),
            b'G' | b'K' | b'M' | b'J' | 0x8a => self.number(opcode)?,
            b'X' | 0x8c | 0x8d | b'U' | b'T' | b'C' | b'B' => self.text(opcode)?,
            b')' | b']' | b'}' | b't' | b'l' | b'd' | 0x85..=0x87 => self.collection(opcode)?,
            b'a' | b'e' | b's' | b'u' => self.add(opcode)?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember_or_recall(opcode)?,
            other => return Err(format!("opcode {other:#04x}, which no state dict needs,")),
        }
        Ok(None)
    }

    fn class(&mut self, opcode: u8) -> Result<(), String> {
        let (module, name) = if opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (&self.nodes[module], &self.nodes[name]) {
                (&Node::Text(module), &Node::Text(name)) => (module, name),
                _ => return Err("a class has no name".to_owned()),
            }
        };
        self.push(Node::Class(module, name));
        Ok(())
    }

    /// A call, but that dicts of the standard library are what they will hold.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let node = match self.nodes[callable] {
            Node::Class("collections", "OrderedDict" | "defaultdict") => Node::Dict(Vec::new()),
            _ => Node::Call(callable, arguments),
        };
        self.push(node);
        Ok(())
    }

    fn number(&mut self, opcode: u8) -> Result<(), String> {
        let length = match opcode {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            b'G' => 8,
            _ => usize::from(self.byte()?),
        };
        let bytes = self.take(length)?;
        if opcode == b'G' {
            self.push(Node::Other);
            return Ok(());
        }
        if length > 8 {
            return Err(format!("a whole number of {length} bytes"));
        }
        // The two short kinds have no sign.
        let negative = matches!(opcode, b'J' | 0x8a) && bytes.last().is_some_and(|&top| top > 127);
        let mut number = [if negative { 0xff } else { 0 }; 8];
        number[..length].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(number)));
        Ok(())
    }

    fn text(&mut self, opcode: u8) -> Result<(), String> {
        let width = match opcode {
            0x8c | b'U' | b'C' => 1,
            0x8d => 8,
            _ => 4,
        };
        let mut length = [0; 8];
        length[..width].copy_from_slice(self.take(width)?);
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        let bytes = self.take(length)?;
        let node = match (std::str::from_utf8(bytes), opcode) {
            // Bytes are no names; neither is what Python 2 wrote in no encoding.
            (_, b'C' | b'B') | (Err(_), b'U' | b'T') => Node::Other,
            (Ok(text), _) => Node::Text(text),
            (Err(_), _) => return Err("a text is not UTF-8".to_owned()),
        };
        self.push(node);
        Ok(())
    }

    fn collection(&mut self, opcode: u8) -> Result<(), String> {
        let items = match opcode {
            0x85..=0x87 => self.pop_some(usize::from(opcode - 0x84))?,
            b't' | b'l' | b'd' => self.pop_to_mark()?,
            _ => Vec::new(),
        };
        let node = match opcode {
            b'}' | b'd' => Node::Dict(pairs(&items)?),
            _ => Node::Sequence(items),
        };
        self.push(node);
        Ok(())
    }

    /// Adds to the list or the dict on top of the stack.
    fn add(&mut self, opcode: u8) -> Result<(), String> {
        let items = match opcode {
            b'a' => self.pop_some(1)?,
            b's' => self.pop_some(2)?,
            _ => self.pop_to_mark()?,
        };
        let top = self.top()?;
        match (opcode, &mut self.nodes[top]) {
            (b'a' | b'e', Node::Sequence(list)) => list.extend(items),
            (b's' | b'u', Node::Dict(dict)) => dict.extend(pairs(&items)?),
            (b'a' | b'e', _) => return Err("what is added to is no list".to_owned()),
            _ => return Err("what is added to is no dict".to_owned()),
        }
        Ok(())
    }

    fn remember_or_recall(&mut self, opcode: u8) -> Result<(), String> {
        let key = match opcode {
            b'q' | b'h' => u32::from(self.byte()?),
            0x94 => self.memo.len() as u32,
            _ => {
                let mut key = [0; 4];
                key.copy_from_slice(self.take(4)?);
                u32::from_le_bytes(key)
            }
        };
        if matches!(opcode, b'h' | b'j') {
            let found = self.memo.get(&key).copied();
            self.stack.push(found.ok_or_else(|| format!("value {key} is not remembered"))?);
        } else {
            self.memo.insert(key, self.top()?);
        }
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// The lowest place that may be popped: what lies under a mark is out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<usize, String> {
        let above = self.stack.get(self.floor()..).unwrap_or_default();
        above.last().copied().ok_or_else(|| "the stack is empty".to_owned())
    }

    fn pop(&mut self) -> Result<usize, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// So many values, in the order in which they were pushed.
    fn pop_some(&mut self, count: usize) -> Result<Vec<usize>, String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<usize>, String> {
        let height = self.marks.pop().ok_or_else(|| "there is no mark".to_owned())?;
        Ok(self.stack.split_off(height.min(self.stack.len())))
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(drop)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| "the end is missing".to_owned())?;
        self.at += count;
        Ok(taken)
    }

    /// A line of text, without its end.
    fn line(&mut self) -> Result<&'a str, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or_else(|| "the end is missing".to_owned())?)?;
        self.skip(1)?;
        std::str::from_utf8(line).map_err(|_error| "a name is not UTF-8".to_owned())
    }
}

/// Keys and values that lie behind one another.
fn pairs(items: &[usize]) -> Result<Vec<(usize, usize)>, String> {
    if items.len().is_multiple_of(2) {
        Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    } else {
        Err("a key has no value".to_owned())
    }
}
