//! Relative links in Markdown: the file exists, and so does the heading in it.
//!
//! Pure. Links to other places are not followed, so no network is needed.

use crate::tree::Tree;

/// Every relative link that leads nowhere.
pub(crate) fn findings(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.below("", ".md") {
        for (line, target) in links(text) {
            if let Err(fault) = follow(tree, path, &target) {
                findings.push(format!("{path}:{line}: {fault}"));
            }
        }
    }
    findings
}

fn follow(tree: &Tree, from: &str, target: &str) -> Result<(), String> {
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    if is_elsewhere || target.is_empty() {
        return Ok(());
    }
    let (file, heading) =
        target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let path = if file.is_empty() { Some(from.to_owned()) } else { resolve(from, file) };
    let path = path.ok_or_else(|| format!("`{target}` leads out of the project"))?;
    if !tree.has(&path) {
        return Err(format!("`{target}` leads to {path}, which is not there"));
    }
    let Some(heading) = heading else { return Ok(()) };
    match tree.text(&path) {
        Some(text)
            if path.rsplit('.').next() == Some("md")
                && !anchors(text).iter().any(|anchor| anchor == heading) =>
        {
            Err(format!("`{target}` leads to no heading of {path}"))
        }
        _ => Ok(()),
    }
}

/// The path that `target` means in the file `from`, below the root.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The targets of inline links and of definitions, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (index, line) in prose(text) {
        let line = without_code(line);
        let definition =
            line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
        let inline = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
        for target in definition.into_iter().chain(inline) {
            let end = target.find([')', ' ', '\t']).unwrap_or(target.len());
            links.push((index + 1, target[..end].trim_matches(['<', '>']).to_owned()));
        }
    }
    links
}

/// The anchors of the headings, made as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).into_iter().filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.strip_prefix(' ')).flatten()
    });
    let slug = |title: &str| -> String {
        let kept = title.trim().chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
        kept.flat_map(char::to_lowercase).map(|one| if one == ' ' { '-' } else { one }).collect()
    };
    headings.map(slug).collect()
}

/// The lines outside fenced blocks, counted from 0.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fence: Option<usize> = None;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let ticks = line.trim_start().chars().take_while(|one| *one == '`').count();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            None => lines.push((index, line)),
            Some(open) if ticks >= open => fence = None,
            Some(_) => {}
        }
    }
    lines
}

fn without_code(line: &str) -> String {
    if line.matches('`').count() % 2 == 1 {
        return line.to_owned();
    }
    // Both sides of a piece of code stay, so that `[`code`](target)` is still a link.
    line.split('`').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_somewhere_pass() {
        let tree = Tree::of(&[
            (
                "README.md",
                "[a](docs/a.md) [b](docs/a.md#the-one-way) [`c`](docs/) [d](https://x.y/z) ![e](LICENSE-MIT)",
            ),
            (
                "docs/a.md",
                "# Title\n## The one `way`!\n[up](../README.md) [here](#title)\n[def]: ../README.md\n",
            ),
            ("LICENSE-MIT", ""),
        ]);
        assert_eq!(findings(&tree), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found_with_their_line() {
        let tree = Tree::of(&[("docs/a.md", "x\n[a](b.md) [c](../../d)\n[e](#f)\n[g]: h.md \"title\"\n")]);
        assert_eq!(
            findings(&tree),
            [
                "docs/a.md:2: `b.md` leads to docs/b.md, which is not there",
                "docs/a.md:2: `../../d` leads out of the project",
                "docs/a.md:3: `#f` leads to no heading of docs/a.md",
                "docs/a.md:4: `h.md` leads to docs/h.md, which is not there",
            ]
        );
    }

    #[test]
    fn code_holds_no_links() {
        let tree =
            Tree::of(&[("a.md", "`[x](y)` and\n```sh\n[a](b)\n# c\n```\n````md\n```\n[d](e)\n````\n")]);
        assert_eq!(findings(&tree), [""; 0]);
    }
}
