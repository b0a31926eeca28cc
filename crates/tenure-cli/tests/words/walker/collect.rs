//! The commands in what was printed: they stand in backquotes.

/// The programs and words of a shell that remedies begin with. Other text in backquotes names a key, a flag or a command
/// line that was seen.
const PROGRAMS: [&str; 15] = [
    "tenure", "mv", "cp", "rm", "mkdir", "chmod", "chown", "kill", "cd", "ls", "unset", "export", "ulimit",
    "sudo", "curl",
];

/// The commands in a text, each once.
pub(super) fn commands(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let quoted = line.split('`').skip(1).step_by(2);
        for part in quoted.filter(|part| part.split(' ').next().is_some_and(|word| PROGRAMS.contains(&word)))
        {
            if !found.iter().any(|known| known == part) {
                found.push(part.to_owned());
            }
        }
    }
    found
}
