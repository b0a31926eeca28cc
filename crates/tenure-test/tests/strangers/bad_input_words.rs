//! Names, durations, variables and descriptions that make no sense: refused before anything is touched, by name and place.

use std::fs;
use std::io::{Seek, Write};

use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::worker::ensure;

use crate::BINARIES;

fn untouched(sandbox: &Sandbox) {
    assert_eq!(fs::read_dir(sandbox.state_root()).expect("there").count(), 0, "no state was made");
    assert!(sandbox.processes().is_empty(), "nothing was started");
}

fn says(output: &Output, words: &[&str]) {
    let complaint = complaint(output);
    for word in words {
        assert!(complaint.contains(word), "{word}: {complaint}");
    }
}

#[test]
fn a_name_that_could_lead_elsewhere_is_wrong_use() {
    let sandbox = BINARIES.sandbox(&[]);
    let long = "a".repeat(65);
    let names =
        ["", ".", "..", "../w", "a/b", "/abs", "-x", "a b", "a\nb", "é", "@", "@b", "a@b@c", "a@..", &long];
    for name in names {
        for word in ["ensure", "status", "stop", "restart", "logs", "events"] {
            let refused = sandbox.tenure([word, "--json", "--", name]).run();
            assert_eq!(refused.code(), 2, "{word} {name:?}: {}{}", refused.stdout, refused.stderr);
        }
    }
    untouched(&sandbox);
}

#[test]
fn a_duration_that_is_none_is_wrong_use() {
    let sandbox = BINARIES.sandbox(&[]);
    for text in
        ["", "5", "soon", "-1s", "5 s", "1e3s", "1y", "99999999999999999999s", "18446744073709551615h"]
    {
        let refused = sandbox.tenure(["ensure", "w", "--json", &format!("--timeout={text}")]).run().expect(2);
        says(&refused, &["write a whole number and a unit", "500ms"]);
    }
    untouched(&sandbox);
}

#[test]
fn the_longest_duration_is_no_overflow() {
    let sandbox = BINARIES.sandbox(&[]);
    for text in ["999999999999s", "0s"] {
        let call = sandbox.tenure(["ensure", "w", "--json", "--timeout", text]);
        let answer =
            call.env("TENURE_WEDGED_AFTER", "999999999999s").env("TENURE_FIRST_ANSWER", "999999999s").run();
        assert!([0, 124].contains(&answer.code()), "{text}: {}{}", answer.stdout, answer.stderr);
        sandbox.stop("w").expect(0);
    }
}

#[test]
fn a_variable_that_is_no_duration_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    for variable in ["TENURE_WEDGED_AFTER", "TENURE_FIRST_ANSWER"] {
        for value in ["junk", "5", "0s", "-1s"] {
            let refused = ensure(&sandbox).env(variable, value).run().expect(6);
            says(&refused, &[variable]);
        }
        // Empty is unset, as with every other variable.
        ensure(&sandbox).env(variable, "").env("TENURE_NO_SPAWN", "1").run().expect(3);
    }
    untouched(&sandbox);
}

/// Descriptions that are wrong, with what the complaint says.
const WRONG: [(&str, &[&str]); 18] = [
    ("[worker.w]\ncomand = [\"x\"]\n", &["w.toml:2", "`worker.w.comand`", "did you mean `command`"]),
    ("[wroker.w]\ncommand = [\"x\"]\n", &["w.toml:1", "did you mean `worker`"]),
    ("[worker.w]\ncommand = [\"x\"]\nstop = { grase = \"5s\" }\n", &["w.toml:3", "did you mean `grace`"]),
    ("[worker.w]\ncommand = \"x\"\n", &["w.toml:2", "write a list of text"]),
    ("[worker.w]\ncommand = [1]\n", &["w.toml:2", "write a list of text"]),
    ("[worker.w]\ncommand = []\n", &["w.toml:2", "a list of text that is not empty"]),
    ("[worker.w]\ncommand = [\"\"]\n", &["`command` is empty"]),
    ("[worker.w]\ncommand = [\"a\\u0000b\"]\n", &["NUL"]),
    ("[worker.w]\n", &["command"]),
    ("worker = 3\n", &["w.toml:1", "[worker.NAME]"]),
    ("[worker]\nw = 3\n", &["w.toml:2", "not a table"]),
    ("[worker.w\n", &["w.toml:1"]),
    ("[worker.w]\ncommand = [\"x\"]\ncommand = [\"y\"]\n", &["w.toml:3", "duplicate"]),
    ("[worker.w]\ncommand = [\"x\"]\nstart_timeout = \"soon\"\n", &["w.toml:3", "write a duration"]),
    ("[worker.w]\ncommand = [\"x\"]\nenv = { set = { \"A=B\" = \"c\" } }\n", &["`env`", "'='"]),
    ("[worker.w]\ncommand = [\"x\"]\nenv = { set = { A = \"c\\u0000\" } }\n", &["`env.set`", "NUL"]),
    (
        "[worker.w]\ncommand = [\"x\"]\nlisten = [{ name = \"a\", tcp = \"127.0.0.1:0\" }, { name = \"a\", tcp = \"127.0.0.1:0\" }]\n",
        &["two listeners named \"a\""],
    ),
    (
        "[worker.w]\ncommand = [\"x\"]\nlisten = [{ name = \"a\", tcp = \"127.0.0.1:9\" }, { name = \"b\", tcp = \"127.0.0.1:9\" }]\n",
        &["two listeners on 127.0.0.1:9"],
    ),
];

#[test]
fn a_description_that_is_wrong_names_file_line_and_what_was_meant() {
    let sandbox = BINARIES.sandbox(&[]);
    let file = sandbox.config().join("w.toml");
    for (text, words) in WRONG {
        fs::write(&file, text).expect("ours");
        let refused = ensure(&sandbox).run().expect(6);
        says(&refused, words);
    }
    untouched(&sandbox);
}

#[test]
fn a_description_that_cannot_be_read_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    let file = sandbox.config().join("w.toml");
    fs::write(&file, b"\xff\xfe").expect("ours");
    says(&ensure(&sandbox).run().expect(6), &["w.toml", "UTF-8"]);
    fs::write(&file, vec![b'#'; 2 * 1024 * 1024]).expect("ours");
    says(&ensure(&sandbox).run().expect(6), &["w.toml", "longer than"]);
    fs::remove_file(&file).expect("ours");
    fs::create_dir(&file).expect("ours");
    says(&ensure(&sandbox).run().expect(6), &["w.toml", "no regular file"]);
    for (config, word) in
        [("none.toml", "No such file"), (".", "no regular file"), ("/dev/zero", "no regular file")]
    {
        let refused = sandbox.tenure(["ensure", "w", "--json", "--config", config]).run().expect(6);
        says(&refused, &[word]);
    }
    untouched(&sandbox);
}

#[test]
fn a_description_on_stdin_that_is_none_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    let deep = "[".repeat(100_000);
    let wrong: [(&[u8], &str); 12] = [
        (b"", "EOF"),
        (b"junk", "stdin"),
        (b"[]", "not an object"),
        (b"3", "not an object"),
        (b"{}", "command"),
        (b"\0\0\0", "stdin"),
        (b"\xff", "UTF-8"),
        (b"{\"command\": \"sleep\"}", "write a list of text"),
        (b"{\"command\": [\"sleep\\u0000\", \"1\"]}", "NUL"),
        (b"{\"commnd\": []}", "did you mean `command`"),
        (b"{\"command\": [\"sleep\", \"1\"]} trailing", "trailing"),
        (deep.as_bytes(), "recursion"),
    ];
    for (text, word) in wrong {
        let mut file = tempfile::tempfile_in(sandbox.path()).expect("a sandbox takes files");
        file.write_all(text).and_then(|()| file.rewind()).expect("ours");
        let refused = sandbox.tenure(["ensure", "w", "--json", "--spec", "-"]).stdin(file).run().expect(6);
        says(&refused, &[word]);
    }
    let zero = fs::File::open("/dev/zero").expect("every machine has it");
    says(
        &sandbox.tenure(["ensure", "w", "--json", "--spec", "-"]).stdin(zero).run().expect(6),
        &["longer than"],
    );
    let closed = tenure_test::fixtures::system::shell(&sandbox, "exec \"$T\" ensure w --json --spec - <&-")
        .run()
        .expect(6);
    says(&closed, &["it was closed"]);
    untouched(&sandbox);
}

#[test]
fn a_command_line_that_is_none_is_wrong_use_and_starts_nothing() {
    let sandbox = BINARIES.sandbox(&[]);
    for words in [
        &["ensure", "--json"][..],
        &["ensure", "w", "--json", "--spec", "x"],
        &["ensure", "w", "--json", "--no-such-flag"],
        &["no-such-word", "--json"],
        &["ensure", "a@b", "--key", "c", "--json"],
        &["host", "w", "--json"],
    ] {
        let refused = sandbox.tenure(words.iter().copied()).run();
        assert_eq!(refused.code(), 2, "{words:?}: {}{}", refused.stdout, refused.stderr);
    }
    untouched(&sandbox);
}
