//! Answers of real programs, each as it was printed, and answers from which nothing can be taken.

use super::*;

fn asked(command: &str) -> VersionCommand {
    VersionCommand {
        command: command.split(' ').map(str::to_owned).collect(),
        stderr: true,
        ..VersionCommand::default()
    }
}

/// The command, its answer, and the version in it.
const ANSWERS: &[(&str, &str, &str)] = &[
    (
        "redis-server --version",
        "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=d81b8ff71cfb150e\n",
        "7.0.15",
    ),
    ("nats-server --version", "nats-server: v2.9.10\n", "2.9.10"),
    (
        "etcd --version",
        "etcd Version: 3.4.23\nGit SHA: Not provided (use ./build instead of go build)\nGo Version: go1.19.8\nGo OS/Arch: linux/amd64\n",
        "3.4.23",
    ),
    ("memcached --version", "memcached 1.6.18\n", "1.6.18"),
    ("nginx -v", "nginx version: nginx/1.24.0\n", "1.24.0"),
    ("/usr/sbin/nginx -v", "nginx version: nginx/1.18.0 (Ubuntu)\n", "1.18.0"),
    (
        "/usr/lib/postgresql/15/bin/postgres --version",
        "postgres (PostgreSQL) 15.5 (Debian 15.5-0+deb12u1)\n",
        "15.5",
    ),
    ("uvicorn --version", "Running uvicorn 0.17.6 with CPython 3.11.2 on Linux\n", "0.17.6"),
    ("gunicorn --version", "gunicorn (version 20.1.0)\n", "20.1.0"),
    ("flask --version", "Python 3.11.2\nFlask 2.2.2\nWerkzeug 2.2.2\n", "2.2.2"),
    ("python3 -m flask --version", "Python 3.11.2\nFlask 2.2.2\nWerkzeug 2.2.2\n", "2.2.2"),
    ("django-admin --version", "4.2.7\n", "4.2.7"),
    ("python3 -m django --version", "5.0a1\n", "5.0a1"),
    ("node -p require('./node_modules/express/package.json').version", "4.18.2\n", "4.18.2"),
    ("node --version", "v20.9.0\n", "20.9.0"),
    (
        "deno --version",
        "deno 1.38.0 (release, x86_64-unknown-linux-gnu)\nv8 12.0.267.1\ntypescript 5.2.2\n",
        "1.38.0",
    ),
    ("bun --version", "1.0.11\n", "1.0.11"),
    ("npx vite --version", "vite/5.0.0 linux-x64 node-v20.9.0\n", "5.0.0"),
    ("node_modules/.bin/vite --version", "vite/5.0.0 linux-x64 node-v20.9.0\n", "5.0.0"),
    ("sccache --version", "sccache 0.5.3\n", "0.5.3"),
    ("watchman --version", "2023.11.20.00\n", "2023.11.20.00"),
    ("watchman version", "{\n    \"version\": \"4.9.0\",\n    \"buildinfo\": \"\"\n}\n", "4.9.0"),
    ("jupyter-lab --version", "3.6.3\n", "3.6.3"),
    ("python3 -m mcp_server --version", "mcp-server 1.9.4 (python 3.11.2)\n", "1.9.4"),
    ("caddy version", "v2.6.2 h1:wKoFIxpmOJLGl3QXoo6PNbYvGW4xLEgo32GPBEjWL8o=\n", "2.6.2"),
    (
        "haproxy -v",
        "HAProxy version 2.6.12-1+deb12u1 2023/12/16 - https://haproxy.org/\nStatus: long-term supported branch - will stop receiving fixes around Q2 2027.\nKnown bugs: http://www.haproxy.org/bugs/bugs-2.6.12.html\nRunning on: Linux 6.1.0-13-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 (2023-09-29) x86_64\n",
        "2.6.12-1+deb12u1",
    ),
    ("ssh -V", "OpenSSH_9.2p1 Debian-2+deb12u2, OpenSSL 3.0.11 19 Sep 2023\n", "9.2p1"),
    (
        "gpg-agent --version",
        "gpg-agent (GnuPG) 2.2.40\nlibgcrypt 1.10.1\nCopyright (C) 2022 g10 Code GmbH\nLicense GPLv3+: GNU GPL version 3 or later <https://gnu.org/licenses/gpl.html>\nThis is free software: you are free to change and redistribute it.\nThere is NO WARRANTY, to the extent permitted by law.\n",
        "2.2.40",
    ),
    (
        "java -version",
        "openjdk version \"17.0.9\" 2023-10-17\nOpenJDK Runtime Environment (build 17.0.9+9-Debian-1deb12u1)\nOpenJDK 64-Bit Server VM (build 17.0.9+9-Debian-1deb12u1, mixed mode, sharing)\n",
        "17.0.9",
    ),
    (
        "java -version",
        "openjdk version \"21\" 2023-09-19\nOpenJDK Runtime Environment (build 21+35-2513)\nOpenJDK 64-Bit Server VM (build 21+35-2513, mixed mode, sharing)\n",
        "21",
    ),
    (
        "java -version",
        "java version \"1.8.0_392\"\nJava(TM) SE Runtime Environment (build 1.8.0_392-b08)\nJava HotSpot(TM) 64-Bit Server VM (build 25.392-b08, mixed mode)\n",
        "1.8.0_392",
    ),
    (
        "php --version",
        "PHP 8.2.7 (cli) (built: Jun  9 2023 19:37:27) (NTS)\nCopyright (c) The PHP Group\nZend Engine v4.2.7, Copyright (c) Zend Technologies\n    with Zend OPcache v8.2.7, Copyright (c), by Zend Technologies\n",
        "8.2.7",
    ),
    (
        "php-fpm8.2 -v",
        "PHP 8.2.7 (fpm-fcgi) (built: Jun  9 2023 19:37:27)\nCopyright (c) The PHP Group\nZend Engine v4.2.7, Copyright (c) Zend Technologies\n",
        "8.2.7",
    ),
    ("ruby --version", "ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]\n", "3.1.2p20"),
    ("puma --version", "puma version 5.6.5\n", "5.6.5"),
    ("bundle exec puma --version", "puma version 5.6.5\n", "5.6.5"),
    ("claude-mem --version", "\u{1b}[1mclaude-mem\u{1b}[0m v7.1.0\r\n", "7.1.0"),
    ("less --version", "less 590 (GNU regular expressions)\nCopyright (C) 1984-2021  Mark Nudelman\n", "590"),
    ("go version", "go version go1.19.8 linux/amd64\n", "1.19.8"),
    ("git describe --tags --dirty", "v1.2.3-14-g4f2a9c1-dirty\n", "1.2.3-14-g4f2a9c1-dirty"),
    ("git describe --always", "4f2a9c1\n", "4f2a9c1"),
    ("cat RELEASE", "release-2.4.1\n", "2.4.1"),
];

#[test]
fn the_version_is_found_in_the_answers_of_real_programs() {
    for (command, answer, version) in ANSWERS {
        for streams in [[answer, ""], ["", answer], [answer, "warning: 9.9.9 is deprecated\n"]] {
            let found = version_in(&asked(command), streams[0], streams[1]);
            let found = found.unwrap_or_else(|unclear| panic!("{command}: {unclear}"));
            assert_eq!(found.as_str(), *version, "{command}");
        }
    }
}

const JUPYTER: &str = "Selected Jupyter core packages...\nIPython          : 8.5.0\nipykernel        : 6.17.0\nipywidgets       : not installed\njupyter_client   : 7.4.9\njupyter_core     : 4.12.0\njupyter_server   : 1.23.3\n";

#[test]
fn several_versions_are_an_error_with_a_key_that_decides() {
    for (command, answer, first) in [
        ("jupyter --version", JUPYTER, "8.5.0"),
        ("python3 app.py --version", "Python 3.11.2\nFlask 2.2.2\nWerkzeug 2.2.2\n", "3.11.2"),
        ("kubectl version", "Client Version: v1.28.2\nServer Version: v1.27.4\n", "1.28.2"),
        ("./server --version", "built by \"3.1.4\", linked to (2.0.1)\n", "3.1.4"),
        ("./server --version", "1.0.0 or 2.0.0\n", "1.0.0"),
    ] {
        let unclear = version_in(&asked(command), answer, "").expect_err(command);
        assert!(unclear.why.starts_with("it may be ") && unclear.why.contains(", or "), "{unclear}");
        let key = unclear.write.expect("a key");
        let found = version_in(&read_back(&key), answer, "").unwrap_or_else(|again| panic!("{key}: {again}"));
        assert_eq!(found.as_str(), first, "{key}");
    }
}

/// Reads a suggested key as a configuration file is read.
fn read_back(key: &str) -> VersionCommand {
    let mut table: toml::Table = toml::from_str(key).expect(key);
    table.remove("version").expect(key).try_into().expect(key)
}

#[test]
fn an_answer_without_a_version_is_quoted_and_never_guessed() {
    let unclear = |command: &str, output: &str| version_in(&asked(command), output, "").expect_err(output);
    let nothing = unclear("./server --version", "no version here, only 42 words\n");
    assert_eq!(
        nothing.to_string(),
        "find the version in \"no version here, only 42 words\": no word in it is a version"
    );
    assert!(
        nothing.write.is_some_and(|key| key.ends_with(r"pattern = 'WORDS BEFORE IT (\S+)', stderr = true }"))
    );
    assert_eq!(unclear("./server", " \n").why, "it is empty");
    let long = unclear("./server", &"word ".repeat(1000));
    assert!(long.answer.chars().count() == LONGEST_QUOTE + 1 && long.answer.ends_with('…'));
}

#[test]
fn the_standard_error_is_the_answer_by_choice_only() {
    let by_choice = VersionCommand { stderr: false, ..asked("nginx -v") };
    let said = "nginx version: nginx/1.24.0\n";
    let unclear = version_in(&by_choice, "", said).expect_err("it is not asked for");
    assert!(unclear.why.contains("standard error"), "{unclear}");
    assert_eq!(unclear.write.as_deref(), Some(r#"version = { command = ["nginx", "-v"], stderr = true }"#));
    assert!(version_in(&by_choice, "1.0.0", said).is_ok());
}

#[test]
fn a_pattern_decides_and_what_it_finds_must_be_a_version() {
    let with = |pattern: &str| VersionCommand {
        pattern: VersionPattern::try_from(pattern.to_owned()).ok(),
        ..asked("jupyter --version")
    };
    let found = version_in(&with(r"jupyter_core *: (\S+)"), JUPYTER, "").expect("it is there");
    assert_eq!(found.as_str(), "4.12.0");
    let missing = version_in(&with(r"notebook *: (\S+)"), JUPYTER, "").expect_err("it is not there");
    assert!(missing.why.contains("does not match"), "{missing}");
    let wrong = version_in(&with(r"ipywidgets *: (.+)"), JUPYTER, "").expect_err("no version");
    assert!(wrong.why.contains("read \"not installed\" as a version"), "{wrong}");
}
