//! Each rule by itself: what it sees, and what it says.

use tenure_core::spec::StatusCodes;

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn listener(mode: ListenMode) -> Listener {
    let proxied = mode == ListenMode::Proxy;
    Listener {
        name: "http".to_owned(),
        mode,
        address: address("127.0.0.1:3000").into(),
        wanted: address(if proxied { "127.0.0.1:40001" } else { "127.0.0.1:3000" }).into(),
        variable: proxied.then(|| "PORT".to_owned()),
        descriptor: (mode == ListenMode::Inherit).then_some(3),
    }
}

/// A program that is asked by HTTP on one listener, which it should have.
fn seen(mode: ListenMode) -> Evidence {
    let listener = listener(mode);
    Evidence {
        told: NotReady::of("http", "GET http://127.0.0.1:3000/readyz"),
        ready: Ready::Http("/readyz".into()),
        answer: None,
        lack: None,
        asked: Some(listener.clone()),
        listeners: vec![listener],
        listens: Some(Vec::new()),
        waiting: 0,
        end: None,
        last_words: Some(Vec::new()),
        command: ["node", "server.mjs"].map(str::to_owned).to_vec(),
        stdin: Stdin::Null,
        cwd: "/srv/shop".to_owned(),
    }
}

fn ended(command: &[&str], last_words: &[&str]) -> Evidence {
    Evidence {
        end: Some(UnreadyEnd { succeeded: false, left: Vec::new() }),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        last_words: Some(last_words.iter().map(|&line| line.to_owned()).collect()),
        ..seen(ListenMode::Inherit)
    }
}

fn says(evidence: &Evidence) -> (String, String) {
    let told = explain(evidence);
    (told.seen.join("; "), told.remedy.unwrap_or_default())
}

/// What is seen and the remedy each contain these words.
#[track_caller]
fn expect(evidence: &Evidence, seen: &str, remedy: &str) {
    let (saw, change) = says(evidence);
    assert!(saw.contains(seen) && (seen.is_empty() == saw.is_empty()), "{saw}");
    assert!(change.contains(remedy) && (remedy.is_empty() == change.is_empty()), "{change}");
}

const SELF: &str = "`listen = [{ name = \"http\", tcp = \"127.0.0.1:3000\", mode = \"self\" }]`";

#[test]
fn a_port_that_tenure_holds_is_named() {
    let node = ended(&["node"], &["Error: listen EADDRINUSE: address already in use 127.0.0.1:3000"]);
    expect(&node, "in use, 127.0.0.1:3000, which `tenure` holds", SELF);
    let python = ended(&["python3"], &["OSError: [Errno 98] Address already in use"]);
    expect(&python, "most likely 127.0.0.1:3000", SELF);
    let mut two = node.clone();
    two.listeners.push(two.listeners[0].clone());
    let entry = "`{ name = \"http\", tcp = \"127.0.0.1:3000\", mode = \"self\" }` in the place of the entry \"http\" of `listen`";
    expect(&two, "in use, 127.0.0.1:3000", entry);
    // Another one's port has its own message, before the start.
    let mut own = node;
    own.listeners = vec![listener(ListenMode::SelfBound)];
    expect(&own, "", "");
}

#[test]
fn a_program_in_the_background_is_told_how_it_stays() {
    let left = LeftProcess {
        pid: 12,
        command: "redis-server *:6379".to_owned(),
        listens: vec![address("127.0.0.1:6379")],
    };
    let gone = |command: &[&str]| {
        let end = UnreadyEnd { succeeded: true, left: vec![left.clone()] };
        Evidence { end: Some(end), ..ended(command, &[]) }
    };
    let behind = "left pid 12 (redis-server *:6379) behind, which listens on 127.0.0.1:6379";
    expect(&gone(&["/usr/bin/redis-server", "r.conf"]), behind, "add `\"--daemonize\", \"no\"`");
    expect(&gone(&["server", "--daemon"]), behind, "remove \"--daemon\"");
    expect(&gone(&["server", "--daemonize=yes"]), behind, "remove \"--daemonize=yes\"");
    expect(&gone(&["sh", "-c", "server &"]), behind, "remove the `&`");
    expect(&gone(&["server"]), behind, "`--foreground`");
    expect(&gone(&["server"]), behind, "if it has none: `forking = true`");
}

#[test]
fn a_main_process_that_is_not_known_is_the_reason_whatever_a_check_says() {
    let lacks = |lack| Evidence { lack: Some(lack), ..seen(ListenMode::SelfBound) };
    expect(&lacks(MainLack::FirstRuns(7)), "its first process (pid 7) still runs", "remove `forking`");
    let left = |pid| LeftProcess { pid, command: "server".to_owned(), listens: Vec::new() };
    let several = MainLack::Unknown { pid_file: None, left: vec![left(8), left(9)] };
    let behind = "left pid 8 (server) and pid 9 (server) behind";
    expect(&lacks(several), behind, "`forking = { pid_file = ");
    let wrong = "its pid file /run/x.pid is not there".to_owned();
    let unread = MainLack::Unknown { pid_file: Some(wrong.clone()), left: vec![left(8)] };
    expect(&lacks(unread), &wrong, "the path of the file");
}

#[test]
fn an_end_without_a_reason_may_be_that_of_its_input() {
    let end = UnreadyEnd { succeeded: true, left: Vec::new() };
    let gone = Evidence { end: Some(end), ..ended(&["mcp", "a b"], &[]) };
    expect(&gone, "its stdin is empty", "`stdin = \"open\"`");
    expect(&Evidence { stdin: Stdin::Open, ..gone }, "", "");
    expect(&ended(&["mcp"], &["no such table"]), "", "");
}

#[test]
fn another_protocol_has_its_key() {
    let mut evidence = seen(ListenMode::SelfBound);
    evidence.answer = Some(AnswerKind::Tls);
    expect(&evidence, "", "`ready = { http = \"/readyz\", tls = true }`");
    evidence.answer = Some(AnswerKind::Plain);
    expect(&evidence, "", "remove `tls = true`");
}

#[test]
fn where_a_program_listens_instead_is_named_in_the_way_of_its_listener() {
    let elsewhere = |mode| Evidence {
        answer: Some(AnswerKind::Refused),
        listens: Some(vec![address("0.0.0.0:3001")]),
        ..seen(mode)
    };
    let own = "`listen = [{ name = \"http\", tcp = \"127.0.0.1:3001\", mode = \"self\" }]`";
    expect(&elsewhere(ListenMode::SelfBound), "on 0.0.0.0:3001, not on 127.0.0.1:3000", own);
    expect(
        &elsewhere(ListenMode::Proxy),
        "on 0.0.0.0:3001, not on 127.0.0.1:40001",
        "`to = \"127.0.0.1:3001\"`",
    );
    let inherited = Evidence { answer: None, waiting: 2, ..elsewhere(ListenMode::Inherit) };
    expect(&inherited, "and does not accept on descriptor 3", own);
    let nowhere = Evidence { listens: Some(Vec::new()), ..elsewhere(ListenMode::Proxy) };
    expect(&nowhere, "on no TCP port", "the port in PORT");
    // What cannot be seen is not told.
    expect(&Evidence { listens: None, ..elsewhere(ListenMode::SelfBound) }, "", "");
}

#[test]
fn a_socket_that_nobody_takes_is_told_with_its_number() {
    // The program has the inherited socket open, and so it is among those on which it listens.
    let listens = Some(vec![address("127.0.0.1:3000")]);
    let waits = Evidence { waiting: 1, listens, ..seen(ListenMode::Inherit) };
    expect(&waits, "it does not accept on descriptor 3", "have it take descriptor 3");
    expect(&Evidence { waiting: 0, ..waits }, "", "");
}

#[test]
fn each_status_has_its_remedy() {
    let answered = |status| Evidence {
        answer: Some(AnswerKind::Status(status)),
        listens: Some(vec![address("127.0.0.1:3000")]),
        ..seen(ListenMode::SelfBound)
    };
    expect(&answered(404), "", "`curl -i http://127.0.0.1:3000/`");
    expect(&answered(401), "", "`ready = { http = \"/readyz\", status = [401] }`");
    expect(&answered(400), "", "headers = { Host = \"localhost\" }");
    expect(&answered(500), "", "");
    expect(&answered(101), "", "");
    // What is written already is not shown, for it would be lost where the line is copied.
    let mut check = HttpCheck::from("/readyz");
    check.status = vec![StatusCodes::from(204)];
    let more = Evidence { ready: Ready::Http(check), ..answered(401) };
    expect(&more, "", ": `status = [401]` in `ready`");
}

#[test]
fn a_line_that_does_not_come_may_be_in_a_buffer_or_another_one() {
    let waits = |command: &[&str], lines: &[&str]| Evidence {
        ready: Ready::Log("ready".to_owned()),
        end: None,
        asked: None,
        ..ended(command, lines)
    };
    expect(&waits(&["/usr/bin/python3", "s.py"], &[]), "may keep it in a buffer", "PYTHONUNBUFFERED");
    expect(&waits(&["server", "-p"], &[]), "buffer", "`command = [\"stdbuf\", \"-oL\", \"server\", \"-p\"]`");
    let other = waits(&["server"], &["starting", "up (1.2s)"]);
    expect(&other, "its last line is \"up (1.2s)\"", r#"`ready = { log = "^up \\(1\\.2s\\)" }`"#);
    expect(&waits(&["server"], &["it is ready"]), "and does not end", "have it write a newline");
    // A log that cannot be read proves nothing.
    expect(&Evidence { last_words: None, ..other }, "", "");
}

#[test]
fn a_program_that_tells_nothing_gets_another_way() {
    let silent = |ready, mode| Evidence { ready, ..seen(mode) };
    expect(&silent(Ready::Notify, ListenMode::SelfBound), "", "`ready = \"tcp\"`");
    expect(&silent(Ready::Fd, ListenMode::Inherit), "", "`ready = { http = \"/\" }`");
    let exec = Ready::Exec(["pg_isready", "-d", "a b"].map(str::to_owned).to_vec());
    let mut asked = silent(exec, ListenMode::SelfBound);
    asked.answer = Some(AnswerKind::Command);
    expect(&asked, "", "`cd /srv/shop && pg_isready -d 'a b'`");
    asked.answer = Some(AnswerKind::Missing);
    expect(&asked, "", "write a command into `ready` that is there");
}
