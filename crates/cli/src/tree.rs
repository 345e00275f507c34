// SPDX-License-Identifier: Apache-2.0
//! A tree as text.

/// A line and what stands below it.
pub(crate) struct Node {
    text: String,
    below: Vec<Node>,
}

impl Node {
    /// A line; the caller has made it fit for a terminal.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), below: Vec::new() }
    }

    /// A line with this below it.
    pub(crate) fn with(text: impl Into<String>, below: Vec<Self>) -> Self {
        Self { text: text.into(), below }
    }

    /// Adds a line below.
    pub(crate) fn push(&mut self, node: Self) {
        self.below.push(node);
    }

    /// The tree, each line with its end.
    pub(crate) fn draw(&self) -> String {
        let mut drawn = format!("{}\n", self.text);
        self.draw_below("", &mut drawn);
        drawn
    }

    /// The depth is that of the program's own trees, and so bounded.
    fn draw_below(&self, indent: &str, drawn: &mut String) {
        for (place, node) in self.below.iter().enumerate() {
            let is_last = place.saturating_add(1) == self.below.len();
            let (branch, next) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            drawn.extend([indent, branch, &node.text, "\n"]);
            node.draw_below(&format!("{indent}{next}"), drawn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_branch_ends_its_line() {
        let mut root = Node::with("root", vec![Node::with("a", vec![Node::new("b")])]);
        root.push(Node::with("c", vec![Node::new("d")]));
        assert_eq!(root.draw(), "root\n├── a\n│   └── b\n└── c\n    └── d\n");
    }
}
