// SPDX-License-Identifier: Apache-2.0

//! As much of Markdown as the pages use.

use std::path::{Component, Path, PathBuf};

/// A page, taken apart.
pub(crate) struct Page {
    /// The fenced blocks.
    pub(crate) blocks: Vec<Block>,
    /// The code spans of the prose.
    pub(crate) spans: Vec<String>,
    /// The prose without its code.
    prose: String,
    headings: Vec<String>,
}

/// A fenced block.
pub(crate) struct Block {
    /// The first word behind the opening fence.
    pub(crate) language: String,
    /// The other words behind it.
    pub(crate) marks: Vec<String>,
    /// The number of the line of the opening fence, from 1.
    pub(crate) line: usize,
    /// Its lines.
    pub(crate) text: String,
}

impl Block {
    fn open(info: &str, line: usize) -> Self {
        let mut words = info.split_whitespace().map(str::to_owned);
        let language = words.next().unwrap_or_default();
        Self { language, marks: words.collect(), line, text: String::new() }
    }

    /// Whether this word stands behind the opening fence.
    pub(crate) fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|word| word == mark)
    }

    /// What stands behind `NAME=` there.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.marks.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Page {
    pub(crate) fn parse(text: &str) -> Self {
        let (mut blocks, mut open, mut lines) = (Vec::new(), None::<Block>, String::new());
        for (number, line) in text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(info), None) => open = Some(Block::open(info, number + 1)),
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.text += line;
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {
                    lines += line;
                    lines.push('\n');
                }
            }
        }
        let headings =
            lines.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').map(|text| (line, text)));
        let headings = headings.filter(|(line, _)| line.starts_with('#')).map(|(_, text)| anchor(text)).collect();
        // Every second piece between backticks is code.
        let pieces: Vec<&str> = lines.split('`').collect();
        let prose = pieces.iter().step_by(2).copied().collect::<Vec<_>>().join("code");
        let spans = pieces.iter().skip(1).step_by(2).map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
        Self { spans: spans.collect(), blocks, prose, headings }
    }

    /// The targets of all links.
    pub(crate) fn links(&self) -> impl Iterator<Item = &str> {
        self.prose.split("](").skip(1).filter_map(|rest| rest.split(')').next())
    }

    /// Whether there is a heading with this anchor.
    pub(crate) fn has_heading(&self, anchor: &str) -> bool {
        self.headings.iter().any(|heading| heading == anchor)
    }

    /// Every command with this program: in blocks, where a backslash continues a line, and in code spans. Each begins
    /// with the program, and ends before a pipe.
    pub(crate) fn commands(&self, program: &str) -> Vec<String> {
        let blocks = self.blocks.iter().filter(|block| block.language == "console");
        let joined: Vec<String> = blocks.map(|block| block.text.replace("\\\n", " ")).collect();
        let lines = joined.iter().flat_map(|text| text.lines()).chain(self.spans.iter().map(String::as_str));
        let commands = lines.flat_map(|line| line.split(['|', ';'])).filter_map(|command| {
            let command = command.trim().trim_start_matches("$ ").split(" #").next().unwrap_or_default();
            let rest = command.strip_prefix(program)?;
            // The name alone, or the name of something that begins alike, is no command.
            rest.starts_with(' ').then(|| command.to_owned())
        });
        commands.filter(|command| !command.contains("COMMAND")).collect()
    }
}

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The path without `.` and `..`.
pub(crate) fn normalised(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = Page::parse(
            "# A `b` c: d?\nsee [x](y.md#z) and `no [link](here)`, `sealwatch verify --x\nIMAGE`\n```console runnable \
             file=a\n$ sealwatch operator \\\n    --y | less\nsealwatch-other --z\n```\n",
        );
        assert_eq!(page.links().collect::<Vec<_>>(), ["y.md#z"]);
        assert!(page.has_heading("a-b-c-d") && !page.has_heading("z"));
        let block = &page.blocks[0];
        assert_eq!((block.language.as_str(), block.line), ("console", 4));
        assert!(block.is("runnable") && !block.is("run") && block.value("file") == Some("a"));
        assert_eq!(page.spans[2], "sealwatch verify --x IMAGE");
        let commands: Vec<Vec<String>> = page
            .commands("sealwatch")
            .iter()
            .map(|command| command.split_whitespace().map(str::to_owned).collect())
            .collect();
        assert_eq!(commands, [vec!["sealwatch", "operator", "--y"], vec!["sealwatch", "verify", "--x", "IMAGE"]]);
    }
}
