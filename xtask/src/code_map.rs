//! The code map of `ARCHITECTURE.md`: for each crate the ordered list of its rooms, in groups.
//!
//! One fenced block a crate, so that people and this crate read the same list:
//!
//! ````text
//! ```rooms tenure-core
//! spec:
//!   spec - what is wanted
//! store:
//!   store/gate - one launcher at a time acts for a scope
//! ```
//! ````
//!
//! Pure: it reads the text and reports lines that are not in this form. `layers` checks that the rooms exist.

/// The rooms of one crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Map {
    /// The crate.
    pub(crate) name: String,
    /// The rooms, lowest first; a sub-room as `launch/end/orphans`.
    pub(crate) rooms: Vec<String>,
}

impl Map {
    /// The place of the longest room that these names begin with.
    pub(crate) fn place_of(&self, segments: &[String]) -> Option<usize> {
        (1..=segments.len()).rev().find_map(|length| {
            let name = segments[..length].join("/");
            self.rooms.iter().position(|room| *room == name)
        })
    }
}

/// The maps in a text, and what is wrong with them.
pub(crate) fn read(text: &str) -> (Vec<Map>, Vec<String>) {
    let mut maps: Vec<Map> = Vec::new();
    let mut findings = Vec::new();
    let mut group: Option<String> = None;
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let at = format!("ARCHITECTURE.md:{}", index + 1);
        if let Some(name) = line.trim().strip_prefix("```rooms") {
            inside = true;
            group = None;
            if maps.iter().any(|map| map.name == name.trim()) || name.trim().is_empty() {
                findings.push(format!("{at}: write one block a crate, headed ```rooms CRATE"));
            }
            maps.push(Map { name: name.trim().to_owned(), rooms: Vec::new() });
        } else if line.trim().starts_with("```") {
            inside = false;
        } else if let Some(map) = maps.last_mut().filter(|_| inside && !line.trim().is_empty())
            && let Err(fault) = read_line(line.trim(), map, &mut group)
        {
            findings.push(format!("{at}: {fault}"));
        }
    }
    (maps, findings)
}

/// A group holds the rooms of one folder and has its name, or that of the one room that stands alone.
fn read_line(line: &str, map: &mut Map, group: &mut Option<String>) -> Result<(), String> {
    if let Some(name) = line.strip_suffix(':') {
        *group = Some(name.to_owned());
        return Ok(());
    }
    let room = line.split_once(" - ").filter(|(room, what)| !room.contains(' ') && !what.trim().is_empty());
    let (room, _) = room.ok_or_else(|| format!("`{line}` is neither `group:` nor `room - what it does`"))?;
    let folder = room.split('/').next().unwrap_or(room);
    match group {
        None => return Err(format!("the room `{room}` stands before any group")),
        Some(group) if group != folder => {
            return Err(format!("the room `{room}` stands in the group `{group}` and not in `{folder}`"));
        }
        Some(_) => {}
    }
    if map.rooms.iter().any(|one| one == room) {
        return Err(format!("the room `{room}` is listed twice"));
    }
    map.rooms.push(room.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_in_order() {
        let text = "# Title\n```rooms tenure\nspec:\n  spec - what is wanted\n\na:\n  a/b - x - y\n```\n```sh\nls\n```\n";
        let (maps, findings) = read(text);
        assert_eq!(findings, [""; 0]);
        assert_eq!(maps[0].name, "tenure");
        assert_eq!(maps[0].rooms, ["spec", "a/b"]);
    }

    #[test]
    fn each_fault_is_told_with_its_line() {
        let cases = [
            ("spec - x", "ARCHITECTURE.md:2: the room `spec` stands before any group"),
            ("facts:\nspec - x", "ARCHITECTURE.md:3: the room `spec` stands in the group `facts`"),
            ("spec:\nspec", "ARCHITECTURE.md:3: `spec` is neither"),
            ("spec:\nspec - x\nspec - y", "ARCHITECTURE.md:4: the room `spec` is listed twice"),
        ];
        for (body, expected) in cases {
            let (_, findings) = read(&format!("```rooms tenure\n{body}\n```\n"));
            assert!(findings.len() == 1 && findings[0].starts_with(expected), "{body}: {findings:?}");
        }
    }

    #[test]
    fn the_longest_room_of_a_path_is_the_one_meant() {
        let map = Map { name: "t".to_owned(), rooms: vec!["a/b".to_owned(), "a".to_owned()] };
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(map.place_of(&path("a/b/C")), Some(0));
        assert_eq!(map.place_of(&path("a/C")), Some(1));
        assert_eq!(map.place_of(&path("c")), None);
        assert_eq!(map.place_of(&[]), None);
    }
}
