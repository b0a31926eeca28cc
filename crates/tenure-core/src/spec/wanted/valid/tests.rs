//! Each rule, broken alone.

use crate::spec::TcpCheck;
use crate::spec::amount::Size;

use super::*;

fn server() -> Spec {
    let mut spec = Spec::of_command(vec!["node".into(), "server.mjs".into()], "/srv/app".into());
    spec.listen = vec![Listen::inherit("http", "127.0.0.1:0".parse().expect("address"))];
    spec
}

fn tcp(text: &str) -> Address {
    Address::Tcp(text.parse().expect("address"))
}

/// A program behind a proxied listener on port 8080.
fn proxied(to: &str) -> Spec {
    let mut spec = server();
    spec.listen[0].address = tcp("127.0.0.1:8080");
    spec.listen[0].mode = ListenMode::Proxy;
    spec.listen[0].to = Some(Upstream::try_from(to.to_owned()).expect(to));
    spec
}

/// Key and reason of a spec's fault.
fn fault(spec: &Spec) -> (&'static str, String) {
    let bad = spec.validate().expect_err("a contradiction");
    (bad.key, bad.why)
}

#[test]
fn a_tcp_probe_on_an_inherited_listener_is_refused() {
    let mut spec = server();
    spec.ready = Some(Ready::Tcp(TcpCheck::default()));
    assert!(spec.validate().expect_err("contradiction").to_string().contains("proves nothing"));
}

#[test]
fn two_listeners_cannot_have_one_address() {
    let mut spec = server();
    spec.listen.push(Listen { name: "admin".into(), ..spec.listen[0].clone() });
    assert!(spec.validate().is_ok(), "port 0 is another one for each");
    for listen in &mut spec.listen {
        listen.address = tcp("127.0.0.1:9");
    }
    assert!(spec.validate().expect_err("one address").to_string().contains("two listeners on 127.0.0.1:9"));
}

#[test]
fn a_variable_that_cannot_be_set_is_refused() {
    for (name, value) in [("", "v"), ("A=B", "v"), ("A\0", "v"), ("A", "\0")] {
        let mut spec = server();
        spec.env.set.insert(name.to_owned(), value.to_owned());
        assert_eq!(spec.validate().expect_err("impossible").key, "env", "{name:?}={value:?}");
    }
}

#[test]
fn a_local_socket_has_a_path_of_its_own() {
    let on = |path: &str, mode| {
        let mut spec = server();
        spec.listen[0] = Listen::at("rpc", mode, Address::Unix(path.into()));
        spec
    };
    for path in ["", "run/rpc.sock", "/run/rpc.sock"] {
        on(path, ListenMode::Inherit).validate().expect(path);
        on(path, ListenMode::SelfBound).validate().expect(path);
    }
    for path in ["run/", "/", "..", "a\0b"] {
        assert!(fault(&on(path, ListenMode::Inherit)).1.contains("no name for a socket"), "{path}");
    }
    let long = "x".repeat(120);
    on(&long, ListenMode::Inherit).validate().expect("bound through its directory");
    assert!(fault(&on(&long, ListenMode::SelfBound)).1.contains("107 bytes at most"));
    let mut two = on("rpc.sock", ListenMode::Inherit);
    two.listen.push(Listen::at("b", ListenMode::Inherit, Address::Unix("/srv/app/rpc.sock".into())));
    assert!(fault(&two).1.contains("two listeners on /srv/app/rpc.sock"));

    for to in ["unix:run/app.sock", "env-path:SOCKET"] {
        proxied(to).validate().expect(to);
    }
    assert!(fault(&proxied(&format!("unix:{long}"))).1.contains("a program can bind 107 at most"));
    assert!(fault(&proxied("unix:run/")).1.contains("no name for a socket"));
    assert!(fault(&proxied("env-path:MY-SOCKET")).1.contains("names its path in"));
    let mut same = proxied("unix:rpc.sock");
    same.listen[0].address = Address::Unix("/srv/app/rpc.sock".into());
    assert!(fault(&same).1.contains("where \"http\" listens"));
}

#[test]
fn bad_values_name_their_key() {
    let with = |change: fn(&mut Spec)| {
        let mut spec = server();
        change(&mut spec);
        spec.validate().expect_err("bad").key
    };
    assert_eq!(with(|spec| spec.command.clear()), "command");
    assert_eq!(with(|spec| spec.cwd = "relative".into()), "cwd");
    assert_eq!(with(|spec| spec.listen.push(spec.listen[0].clone())), "listen");
    assert_eq!(with(|spec| spec.ready = Some(Ready::Exec(vec![]))), "ready");
    assert_eq!(with(|spec| spec.health = Some(Health::of(Ready::Notify))), "health");
    assert_eq!(with(|spec| spec.start_timeout = Span::millis(0)), "start_timeout");
    assert_eq!(with(|spec| spec.logs.size = Size::bytes(1)), "logs");
}

#[test]
fn a_port_that_the_program_binds_is_known_to_us() {
    let mut spec = server();
    spec.listen[0].mode = ListenMode::SelfBound;
    assert!(fault(&spec).1.contains("name its port instead of 0"));
    spec.listen[0].address = tcp("127.0.0.1:8080");
    spec.validate().expect("valid");
}

#[test]
fn a_proxied_listener_leads_somewhere_and_no_other_does() {
    for to in ["env:PORT", "env:_P0", "127.0.0.1:8081", "127.0.0.2:8080", "[::1]:8080"] {
        proxied(to).validate().expect(to);
    }
    let mut nowhere = proxied("env:PORT");
    nowhere.listen[0].to = None;
    assert!(fault(&nowhere).1.contains("say where the program listens"));
    for mode in [ListenMode::Inherit, ListenMode::SelfBound] {
        let mut spec = proxied("env:PORT");
        spec.listen[0].mode = mode;
        assert!(fault(&spec).1.contains("for mode \"proxy\" only"), "{mode:?}");
    }
    let mut embedded = proxied("env:PORT");
    embedded.kind = Kind::Embedded;
    assert!(fault(&embedded).1.contains("is for programs"));
}

#[test]
fn a_proxied_listener_leads_to_an_address_that_the_program_can_have() {
    for (to, why) in [
        ("127.0.0.1:8080", "where \"http\" listens"),
        ("127.0.0.1:0", "leads to port 0"),
        ("0.0.0.0:8081", "every address"),
        ("[::]:8081", "every address"),
    ] {
        assert!(fault(&proxied(to)).1.contains(why), "{to}");
    }
    let mut spec = proxied("127.0.0.1:8081");
    let all = tcp("0.0.0.0:8081");
    spec.listen.push(Listen { name: "admin".into(), address: all, ..server().listen[0].clone() });
    assert!(fault(&spec).1.contains("where \"admin\" listens"), "in whatever order they stand");
}

#[test]
fn two_proxied_listeners_lead_to_two_places() {
    for to in ["env:PORT", "127.0.0.1:8081"] {
        let mut spec = proxied(to);
        let address = tcp("127.0.0.1:9090");
        spec.listen.push(Listen { name: "admin".into(), address, ..spec.listen[0].clone() });
        assert!(fault(&spec).1.contains("two listeners that lead to"), "{to}");
        spec.listen[1].to = Some(Upstream::Port("ADMIN_PORT".into()));
        spec.validate().expect("two places");
    }
}

#[test]
fn the_variable_of_a_port_is_one_that_nothing_else_sets() {
    for variable in ["1PORT", "MY-PORT", "P ORT", "TENURE_HOST", "LISTEN_FDS", "NOTIFY_SOCKET"] {
        assert_eq!(fault(&proxied(&format!("env:{variable}"))).0, "listen", "{variable}");
    }
    let mut spec = proxied("env:PORT");
    spec.env.set.insert("PORT".into(), "3000".into());
    assert!(fault(&spec).1.contains("`env.set`"));
}

#[test]
fn two_programs_at_once_need_a_readiness_that_is_the_new_ones_own() {
    let overlapping = |mut spec: Spec, ready: Option<Ready>| {
        spec.overlap = true;
        spec.ready = ready;
        spec
    };
    for ready in [Ready::Notify, Ready::Fd, Ready::Log("up".into())] {
        overlapping(server(), Some(ready)).validate().expect("its own word");
    }
    for (ready, why) in [
        (Some(Ready::Http("/".into())), "the old one may answer"),
        (Some(Ready::Exec(vec!["true".into()])), "may ask the old one"),
        (Some(Ready::Up), "need not serve yet"),
        (None, "need not serve yet"),
    ] {
        let (key, told) = fault(&overlapping(server(), ready));
        assert_eq!(key, "overlap");
        assert!(told.contains(why) && told.contains("use notify, fd or log"), "{told}");
    }
    for ready in
        [None, Some(Ready::Tcp(TcpCheck::default())), Some(Ready::Http("/".into())), Some(Ready::Notify)]
    {
        overlapping(proxied("env:PORT"), ready.clone()).validate().expect("asked on its own side");
        overlapping(proxied("env-path:SOCKET"), ready).validate().expect("asked on its own side");
    }
    let exec = Some(Ready::Exec(vec!["true".into()]));
    assert!(overlapping(proxied("env:PORT"), exec).validate().is_err());
}

#[test]
fn what_is_asked_on_a_shared_listener_may_be_the_old_one_though_another_is_proxied() {
    let mut spec = server();
    spec.listen.push(Listen { name: "admin".into(), ..proxied("env:PORT").listen[0].clone() });
    spec.ready = Some(Ready::Http("/".into()));
    assert!(spec.may_overlap().is_err());
    spec.listen.swap(0, 1);
    spec.may_overlap().expect("the first one is asked");
}

#[test]
fn two_programs_at_once_need_listeners_that_both_can_have() {
    let mut own = server();
    own.listen[0] =
        Listen { address: tcp("127.0.0.1:8080"), mode: ListenMode::SelfBound, ..own.listen[0].clone() };
    let mut embedded = server();
    embedded.kind = Kind::Embedded;
    for (mut spec, why) in [
        (own, "bound by the program itself"),
        (proxied("127.0.0.1:8081"), "a port for each program"),
        (proxied("unix:app.sock"), "a path for each program"),
        (embedded, "is for programs"),
    ] {
        if spec.kind == Kind::Program {
            spec.ready = Some(Ready::Notify);
        }
        spec.validate().expect("good without");
        assert!(spec.may_overlap().expect_err("asked for once").why.contains(why), "{why}");
        spec.overlap = true;
        assert_eq!(fault(&spec).0, "overlap");
        assert!(fault(&spec).1.contains(why), "{why}");
    }
}

#[test]
fn a_preflight_names_a_program_and_is_for_programs() {
    let with = |words: &[&str]| {
        let mut spec = server();
        spec.preflight = words.iter().map(|&word| word.to_owned()).collect();
        spec
    };
    with(&["node", "--check", ""]).validate().expect("only the program must have a name");
    assert_eq!(fault(&with(&[""])).0, "preflight");
    assert_eq!(fault(&with(&["node", "\0"])).0, "preflight");
    let mut embedded = with(&["node"]);
    embedded.kind = Kind::Embedded;
    assert!(fault(&embedded).1.contains("is for programs"));
}

#[test]
fn a_pid_file_has_a_name_and_forking_is_for_programs() {
    let with = |forking| {
        let mut spec = server();
        spec.forking = forking;
        spec
    };
    for forking in [Forking::Yes, Forking::PidFile("run/x.pid".into())] {
        with(forking).validate().expect("said in full");
    }
    for bad in ["", "/", "run/..", "x\0"] {
        assert_eq!(fault(&with(Forking::PidFile(bad.into()))).0, "forking", "{bad:?}");
    }
    let mut embedded = with(Forking::Yes);
    embedded.kind = Kind::Embedded;
    assert!(fault(&embedded).1.contains("is for programs"));
}

#[test]
fn a_bake_may_be_nothing_and_not_for_ever() {
    for (seconds, good) in [(0, true), (3, true), (600, true), (601, false)] {
        let mut spec = server();
        spec.bake = Some(Span::secs(seconds));
        assert_eq!(spec.validate().is_ok(), good, "{seconds} s");
    }
}
