//! The part of Python's pickle format that torch's state dicts are written in, read as data.
//!
//! Nothing is called and no class is looked up: a call is a node that holds the name of what would
//! be called. Nodes lie in one list and refer to each other by index, so a hostile file can make
//! neither deep recursion nor copies of copies: reading takes at most about a hundred times the
//! bytes of the pickle, whatever they say.
//!
//! Source: `Lib/pickletools.py` of Python 3.12; protocols 2 to 5.

mod machine;

use self::machine::Machine;

/// One value of a pickle; indices are into [`Pickle::nodes`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    /// What no state dict is made of: `None`, a boolean, a float, bytes.
    Other,
    /// A whole number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// A class or function: its module and name.
    Class(&'a str, &'a str),
    /// A tuple or a list.
    Sequence(Vec<usize>),
    /// A dict of any kind, in the order of the file.
    Dict(Vec<(usize, usize)>),
    /// A callable and its arguments.
    Call(usize, usize),
    /// What lies outside of the pickle, such as a tensor's numbers.
    Outside(usize),
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: usize,
}

impl<'a> Pickle<'a> {
    /// Reads one pickle. The error says what is wrong and at which byte.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let (nodes, root) = Machine::run(bytes)?;
        Ok(Self { nodes, root })
    }

    /// The whole.
    pub(super) fn root(&self) -> &Node<'a> {
        self.node(self.root)
    }

    /// The node of an index that another node holds.
    pub(super) fn node(&self, index: usize) -> &Node<'a> {
        self.nodes.get(index).unwrap_or(&Node::Other)
    }

    /// The items of a sequence, none of anything else.
    pub(super) fn items(&self, index: usize) -> &[usize] {
        match self.node(index) {
            Node::Sequence(items) => items,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> String {
        Pickle::read(bytes).unwrap_err()
    }

    #[test]
    fn a_dict_with_shared_values_is_read() {
        // {"a": (1, -2), "b": the same}, by the opcodes of protocol 2.
        let pickle =
            b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01J\xfe\xff\xff\xff\x86q\x01X\x01\x00\x00\x00bh\x01u.";
        let pickle = Pickle::read(pickle).unwrap();
        let Node::Dict(items) = pickle.root() else { panic!("{pickle:?}") };
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].1, items[1].1);
        assert_eq!(pickle.node(items[1].0), &Node::Text("b"));
        let numbers: Vec<_> = pickle.items(items[0].1).iter().map(|&at| pickle.node(at)).collect();
        assert_eq!(numbers, [&Node::Int(1), &Node::Int(-2)]);
    }

    #[test]
    fn nothing_is_called() {
        let pickle = Pickle::read(b"cos\nsystem\n(X\x02\x00\x00\x00lstR.").unwrap();
        let &Node::Call(callable, _) = pickle.root() else { panic!("{pickle:?}") };
        assert_eq!(pickle.node(callable), &Node::Class("os", "system"));
    }

    #[test]
    fn what_is_torn_or_crafted_is_an_error_with_its_place() {
        assert_eq!(problem(b""), "the end is missing at byte 0 of its pickle");
        assert_eq!(problem(b"."), "the stack is empty at byte 0 of its pickle");
        assert_eq!(problem(b"(."), "the stack is empty at byte 1 of its pickle");
        assert!(problem(b"N(a").starts_with("the stack is empty at byte 2"));
        assert!(problem(b"N\x86").starts_with("the stack is empty at byte 1"));
        assert!(problem(b"h\x07").starts_with("value 7 is not remembered"));
        assert!(problem(b"Nt").starts_with("there is no mark"));
        assert!(problem(b"X\xff\xff\xff\xffab").starts_with("the end is missing"));
        assert!(
            problem(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab").starts_with("the end is missing")
        );
        assert!(problem(b"X\x01\x00\x00\x00\xff").starts_with("a text is not UTF-8"));
        assert!(problem(b"\x8a\x09000000000").starts_with("a whole number of 9 bytes"));
        assert!(problem(b"NNa").starts_with("what is added to is no list"));
        assert!(problem(b"NNNs").starts_with("what is added to is no dict"));
        assert!(problem(b"}(Nu").starts_with("a key has no value"));
        assert!(problem(b"\x82").starts_with("opcode 0x82, which no state dict needs,"));
    }

    /// A tuple in a tuple, and so on, a million times; and a list that holds itself.
    #[test]
    fn depth_and_cycles_are_harmless() {
        let mut deep = vec![b'N'];
        deep.extend([0x85].repeat(1_000_000));
        deep.push(b'.');
        assert!(
            matches!(Pickle::read(&deep).unwrap().root(), Node::Sequence(items) if items.len() == 1)
        );
        assert!(Pickle::read(b"]q\x00h\x00a.").is_ok());
    }
}
