//! How far below the head each parameter lies: what layer-wise decay of the learning rate counts.
//!
//! Embeddings have depth 0, layer i of an encoder depth i + 1, the pooler, the final norms and the
//! head depth `layers` + 1 (Bao et al., 2021; Clark et al., 2020). What is counted here is the
//! rest, `layers` + 1 − depth, since two towers of unequal height meet at their tops, and since
//! FLAVA's towers carry another encoder, whose layers continue their count.

/// A stack of layers on its embeddings.
pub(crate) struct Stack {
    /// Before the names of its layers: this, a number, a dot.
    pub(crate) layer: &'static str,
    /// Beginnings of the names of what feeds its first layer.
    pub(crate) embeddings: &'static [&'static str],
    /// Its layers.
    pub(crate) layers: usize,
    /// Layers of a stack that reads this one's output.
    pub(crate) above: usize,
}

/// `layers` + 1 − depth of the parameter of this name: 0 for what belongs to no stack's layers or
/// embeddings, which are the heads, poolers, projections and norms on top.
pub(crate) fn below_head(stacks: &[Stack], name: &str) -> usize {
    let of_stack = |stack: &Stack| {
        if stack.embeddings.iter().any(|beginning| name.starts_with(beginning)) {
            return Some(stack.above + stack.layers + 1);
        }
        let (layer, _) = name.strip_prefix(stack.layer)?.split_once('.')?;
        let layer: usize = layer.parse().ok()?;
        Some(stack.above + stack.layers.saturating_sub(layer))
    };
    stacks.iter().find_map(of_stack).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_on_a_stack_continues_the_count() {
        let tower =
            Stack { layer: "text.layer.", embeddings: &["text.embeddings."], layers: 3, above: 2 };
        let top = Stack { layer: "top.layer.", embeddings: &["top.token"], layers: 2, above: 0 };
        let stacks = [tower, top];
        for (name, expected) in [
            ("text.embeddings.word", 6),
            ("text.layer.0.query.weight", 5),
            ("text.layer.2.query.weight", 3),
            ("top.token", 3),
            ("top.layer.0.query.weight", 2),
            ("top.layer.1.query.lora_A.weight", 1),
            ("top.norm.weight", 0),
            ("classifier.weight", 0),
        ] {
            assert_eq!(below_head(&stacks, name), expected, "{name}");
        }
    }
}
