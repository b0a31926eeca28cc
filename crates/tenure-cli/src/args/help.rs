//! What stands below the options of a command: examples to type, and the exit codes that matter there.
//!
//! Data only. `style` shows it with `--help`, `man` in the manual.

/// Rows of two columns.
pub(crate) type Rows = &'static [(&'static str, &'static str)];

/// One command's examples and exit codes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// The command's words, as `config check`.
    pub(crate) name: &'static str,
    /// What the manual says besides what the command is about.
    pub(crate) more: &'static str,
    /// What to type, and what that does.
    pub(crate) examples: Rows,
    /// The exit codes to look at, and when they are given. Where there are none, the table of all says enough.
    pub(crate) exits: Rows,
}

/// The page of a command, by its words.
pub(crate) fn page(name: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.name == name)
}

const UNKNOWN: (&str, &str) = ("6", "a configuration cannot be read");

const ENSURED: Rows = &[
    ("0", "it serves: it was up, was started, or took the place of another"),
    ("1", "it could not be started, or failed a moment ago"),
    ("3", "it is down and may not be started: --no-daemon, or `stop --hold`"),
    ("5", "versions or descriptions disagree"),
    ("6", "it is not configured, or its project is not trusted"),
    ("124", "it still boots, and goes on; ask again"),
];

const PAGES: &[Page] = &[
    Page {
        name: "ensure",
        more: "Any number of callers may do this at once; losing the race to start the worker is success. A worker of an older version is replaced, one of a newer version stays. What stands after `--` is the program, which then needs no configuration.",
        examples: &[
            ("tenure ensure web", "as tenure.toml describes it"),
            ("tenure ensure web -- python3 -m http.server", "without configuration"),
            ("tenure ensure web --json --timeout 5s", "for a program, for at most 5 s"),
        ],
        exits: ENSURED,
    },
    Page {
        name: "start",
        more: "It is `tenure ensure`, and takes back a `tenure stop --hold`.",
        examples: &[("tenure start web", "up again after `tenure stop web --hold`")],
        exits: ENSURED,
    },
    Page {
        name: "stop",
        more: "It asks first. What does not end in the time that it announced is forced, if its identity can be verified. Nothing running is success.",
        examples: &[
            ("tenure stop web", "the next `tenure ensure web` starts it again"),
            ("tenure stop web --hold", "only `tenure start web` starts it again"),
        ],
        exits: &[
            ("0", "it is gone, or did not run"),
            ("1", "something of it survived; it is named"),
            ("7", "it is wedged, and its identity cannot be verified"),
        ],
    },
    Page {
        name: "restart",
        more: "The description is taken as it is now. The new worker takes over from the old one, so that no new connection is refused; a worker that cannot hand over is ended first, and that is told. If the new one fails, the old one goes on, or is started again. Verified means that a new connection saw a higher generation, the right version and a ready app.",
        examples: &[
            ("tenure restart web", "with the description as it is now"),
            ("tenure restart web --overlap", "the new program is ready before the old one ends"),
            ("tenure restart web --force", "the old worker is ended first"),
            ("tenure restart web --json", "with the worker before and the new one"),
        ],
        exits: &[
            ("0", "a new worker was seen to serve"),
            ("1", "it was not; what was seen last is told"),
            ("6", "it cannot be restarted so: --overlap, and the description does not allow it"),
        ],
    },
    Page {
        name: "status",
        more: "What is told is the worker's own answer. Without NAME, the exit code is that of the first worker that does not serve.",
        examples: &[
            ("tenure status", "every worker that is configured here"),
            ("tenure status web -v", "all that one worker tells of itself"),
            ("tenure status web --json", "the same for a program"),
        ],
        exits: &[
            ("0", "it serves"),
            ("3", "it does not run"),
            ("4", "the system does not let us look"),
            UNKNOWN,
            ("7", "it is there and does not serve: booting, failed or wedged"),
        ],
    },
    Page {
        name: "list",
        more: "The exit code is 0 whatever their state.",
        examples: &[("tenure list", "every worker of yours"), ("tenure list --json", "for a program")],
        exits: &[],
    },
    Page {
        name: "logs",
        more: "Without -n, the last 100 lines of its program's output. An embedded worker has no output but its own log.",
        examples: &[
            ("tenure logs web -n 20", "the last 20 lines"),
            ("tenure logs web -f", "and what is written from now on"),
            ("tenure logs web --boot", "why it did not start"),
        ],
        exits: &[("3", "it never ran here")],
    },
    Page {
        name: "events",
        more: "Times are UTC.",
        examples: &[
            ("tenure events web --since 1h", "what happened in the last hour"),
            ("tenure events web -f --json", "for a program, one a line"),
        ],
        exits: &[("3", "it never ran here")],
    },
    Page {
        name: "demo",
        more: "Everything happens in a directory of its own under TMPDIR.",
        examples: &[("tenure demo", "leaves nothing behind")],
        exits: &[],
    },
    Page {
        name: "man",
        more: "",
        examples: &[
            ("tenure man | man -l -", "read the manual"),
            ("tenure man --directory ~/.local/share/man/man1", "install every page"),
        ],
        exits: &[],
    },
    Page {
        name: "completions",
        more: "",
        examples: &[
            ("tenure completions bash > ~/.local/share/bash-completion/completions/tenure", ""),
            ("tenure completions zsh > ~/.zfunc/_tenure", ""),
            ("tenure completions fish > ~/.config/fish/completions/tenure.fish", ""),
        ],
        exits: &[],
    },
    Page {
        name: "version",
        more: "",
        examples: &[("tenure version --json", "with the formats, for a program")],
        exits: &[],
    },
    Page {
        name: "pin",
        more: "A pinned version runs whatever is offered, higher or lower; this is the only way to an older version. `tenure unpin` releases it.",
        examples: &[
            ("tenure pin web 1.4.0", "back to 1.4.0, and stay there"),
            ("tenure unpin web", "release it"),
        ],
        exits: &[("5", "nobody ever offered that version; those offered are named")],
    },
    Page {
        name: "unpin",
        more: "The worker stays as it is until a launcher asks for a newer version, or somebody restarts it.",
        examples: &[("tenure unpin web", "the highest version that is offered counts again")],
        exits: &[],
    },
    Page {
        name: "forget",
        more: "The highest version on offer is what runs; this takes back one that was offered by mistake. It stops nothing, and a caller that still offers the version offers it again.",
        examples: &[("tenure forget web 11.0.0", "it was a typing error")],
        exits: &[("5", "nobody offered that version, or it is pinned")],
    },
    Page {
        name: "doctor",
        more: "Each finding has what, evidence and remedy. It starts nothing, and works with the worker up, absent or wedged.",
        examples: &[
            ("tenure doctor", "every worker, and the place where they are kept"),
            ("tenure doctor web --fix", "and apply what is safe"),
        ],
        exits: &[
            ("0", "nothing needs a hand; there may be warnings and notes"),
            ("7", "something needs a hand: at least one finding is an error"),
        ],
    },
    Page {
        name: "trust",
        more: "The tenure.toml of a project starts nothing until somebody trusts it. The permission is for its content: a file that was changed is to be trusted again.",
        examples: &[
            ("tenure trust", "the project here; read its file first"),
            ("tenure trust ~/src/shop --revoke", "take it back"),
        ],
        exits: &[("6", "there is no tenure.toml, or it cannot be read")],
    },
    Page {
        name: "config",
        more: "",
        examples: &[
            ("tenure config check", "is all of it right?"),
            ("tenure config show web", "where does each value come from?"),
        ],
        exits: &[],
    },
    Page {
        name: "config check",
        more: "",
        examples: &[
            ("tenure config check", "every file that counts here"),
            ("tenure config check --config ci/tenure.toml", "this one"),
        ],
        exits: &[("6", "a file cannot be used; the line is named")],
    },
    Page {
        name: "config show",
        more: "",
        examples: &[
            ("tenure config show", "every worker that is configured here"),
            ("tenure config show web --json", "for a program"),
        ],
        exits: &[UNKNOWN],
    },
    Page {
        name: "config schema",
        more: "",
        examples: &[("tenure config schema > tenure.schema.json", "for an editor")],
        exits: &[],
    },
    Page {
        name: "init",
        more: "A file that is there is never written over.",
        examples: &[("tenure init web -- node server.mjs", "a commented tenure.toml to go on with")],
        exits: &[("6", "there is a tenure.toml already, or it cannot be written")],
    },
];
