//! Who has an address, and when, while a worker is replaced.

use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A fixed address of this test process's own: all of 127.0.0.0/8 is this machine's.
fn own_address(test: u8) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.{test}.{high}.{low}:20777")
}

#[test]
fn nobody_is_told_of_a_worker_whose_port_is_closed_while_it_makes_room() {
    let fixture = Fixture::new(BINARIES);
    let asked = fixture.sandbox.meeting("asked");
    let address = own_address(71);
    let listen = format!("{{ name = \"http\", tcp = \"{address}\", mode = \"self\" }}");
    let (bind, drain) =
        (format!("bind={address}"), format!("drain={}", fixture.sandbox.path().join("asked").display()));
    for (version, words) in [("1.0.0", vec![bind.as_str(), &drain]), ("2.0.0", vec![bind.as_str()])] {
        let offer =
            fixture.offer(version).words(&words).listen(Some(&listen)).ready(Some("{ http = \"/\" }"));
        offer.line("stop = { grace = \"30s\" }").line("drain_timeout = \"30s\"").write();
    }
    fixture.ensure().run().expect(0);
    let upgrade = fixture.launcher("ensure", "2.0.0").start();
    let draining = asked.meet();

    let meanwhile = fixture.launcher_within("1s", "ensure", "1.0.0").run();
    let status = fixture.status();

    assert_eq!(meanwhile.state(), "warming", "{}", meanwhile.stdout);
    assert_eq!(status.state(), "booting", "{}", status.stdout);
    assert!(status.stdout.contains("it makes room"), "{}", status.stdout);
    draining.release();
    assert_eq!(answer::version(&upgrade.wait().expect(0)), "2.0.0");
    let served = fixture.launcher("ensure", "1.0.0").run().expect(0);
    assert!(ask::get(ask::address(&served), "/").is_ok(), "{}", served.stdout);
    fixture.stop().run().expect(0);
}

#[test]
fn a_port_that_somebody_else_takes_before_the_program_has_it_costs_a_start_and_not_the_call() {
    let fixture = Fixture::new(BINARIES);
    let before = fixture.sandbox.meeting("before");
    let meet = before.word();
    let offer = fixture.offer("1.0.0").words(&[&meet, "bind=env"]).ready(Some("{ http = \"/\" }"));
    let listen = "{ name = \"http\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }";
    offer.listen(Some(listen)).line("start_timeout = \"30s\"").write();
    let ensured = fixture.ensure().start();

    let first = before.meet();
    let environ = std::fs::read(format!("/proc/{}/environ", first.pid)).expect("our own process");
    let environ = String::from_utf8(environ).expect("text");
    let port =
        environ.split('\0').find_map(|entry| entry.strip_prefix("PORT=")).expect("it was told its port");
    let stranger = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("nobody has it yet");
    first.release();
    before.meet().release();

    let answer = ensured.wait().expect(0);
    assert_eq!(answer.state(), "started", "{}", answer.stdout);
    assert!(ask::get(ask::address(&answer), "/").is_ok(), "{}", answer.stdout);
    assert_eq!(fixture.count(What::StartFailed), 0, "nothing is held against the version");
    assert!(
        fixture
            .events()
            .iter()
            .any(|event| event.why.contains(&format!("somebody else has 127.0.0.1:{port}")))
    );
    drop(stranger);
    fixture.stop().run().expect(0);
}
