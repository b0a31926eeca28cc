//! A program in the background: that it is there, how it stays in the foreground, and why its main process is not known.
//! Pure.

use std::path::Path;

use crate::host::shim::LeftProcess;

/// Bytes of a line of the program that are told.
const LONGEST_QUOTE: usize = 120;

/// Why the main process of a program that forks is not known.
#[derive(Debug, Clone)]
pub(in crate::host) enum MainLack {
    /// Its first process has not ended.
    FirstRuns(u32),
    /// Its first process has ended with 0.
    Unknown {
        /// What is wrong with the pid file, where there is to be one.
        pid_file: Option<String>,
        /// What lives of the program.
        left: Vec<LeftProcess>,
    },
}

/// What was seen of a program that has put itself into the background and left this process.
pub(super) fn seen(left: &LeftProcess) -> String {
    let listens = left.listens.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let listens = if listens.is_empty() { listens } else { format!(", which listens on {listens}") };
    format!("its first process left {} behind{listens}: it has put itself into the background", shown(left))
}

fn shown(left: &LeftProcess) -> String {
    format!("pid {} ({})", left.pid, quoted(&left.command))
}

/// How a command stays in the foreground.
pub(super) fn foreground(command: &[String]) -> String {
    const FLAGS: [&str; 6] = ["--daemon", "--daemonize", "--background", "--detach", "--fork", "-daemon"];
    let program =
        command.first().map(|word| Path::new(word).file_name().unwrap_or_default().to_string_lossy());
    let program = program.as_deref().unwrap_or_default();
    let known = [
        ("redis-server", "`\"--daemonize\", \"no\"`"),
        ("valkey-server", "`\"--daemonize\", \"no\"`"),
        ("nginx", "`\"-g\", \"daemon off;\"`"),
        ("sshd", "`\"-D\"`"),
        ("apache2", "`\"-DFOREGROUND\"`"),
        ("httpd", "`\"-DFOREGROUND\"`"),
        ("php-fpm", "`\"--nodaemonize\"`"),
        ("watchman", "`\"--foreground\"`"),
        ("ssh-agent", "`\"-D\"`"),
    ];
    if let Some((_, words)) = known.iter().find(|(name, _)| *name == program) {
        return format!("add {words} to `command`, so that it stays in the foreground");
    }
    let flag =
        command.iter().skip(1).find(|word| FLAGS.contains(&word.split('=').next().unwrap_or_default()));
    if let Some(flag) = flag {
        return format!("remove {flag:?} from `command`, so that it stays in the foreground");
    }
    if command.iter().skip(1).any(|word| word.contains('&')) {
        return "remove the `&` from `command`, so that the shell waits for the program".to_owned();
    }
    "run it in the foreground: most servers have a flag for that, such as `--foreground`, `--no-daemon` or `-D`; \
     if it has none: `forking = true`"
        .to_owned()
}

/// What was seen of a program whose main process is not known, and what to change.
pub(super) fn without_main_process(lack: &MainLack) -> (String, String) {
    let (seen, remedy) = match lack {
        MainLack::FirstRuns(pid) => (
            format!(
                "its first process (pid {pid}) still runs, and `forking` waits until that has ended with 0"
            ),
            "remove `forking`, if the program stays in the foreground",
        ),
        MainLack::Unknown { pid_file: Some(wrong), .. } => (
            wrong.clone(),
            "write into `forking` the path of the file to which the program writes its pid: \
             `forking = { pid_file = \"…\" }`",
        ),
        MainLack::Unknown { pid_file: None, left } => (
            format!(
                "its first process left {} behind, and nothing says which of them is the main process",
                left.iter().map(shown).collect::<Vec<_>>().join(" and ")
            ),
            "name the file to which the program writes its pid: `forking = { pid_file = \"…\" }`",
        ),
    };
    (seen, remedy.to_owned())
}

/// The beginning of a line.
pub(super) fn quoted(line: &str) -> &str {
    let end = (0..=LONGEST_QUOTE.min(line.len())).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    line.get(..end).unwrap_or_default()
}
