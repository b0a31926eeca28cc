//! A few faults at system calls in every test run; `cargo xtask inject` strikes every call.

use std::convert::Infallible;

use tenure_test::fixtures::system;
use tenure_test::inject::fault::{Course, Fault, Kind, Road, Who};
use tenure_test::inject::report::{Report, Struck};
use tenure_test::inject::run::{self, Known, Pace};
use tenure_test::inject::trial::Tools;

/// Strikes some calls of each road; more of them would find more, and take minutes.
fn strike(who: Who, rows: &[(Road, &str, Pace)]) {
    let Some(strace) = system::tool("strace") else { return };
    let tools = Tools {
        tenure: env!("CARGO_BIN_EXE_tenure-faulted").to_owned(),
        program: env!("CARGO_BIN_EXE_fixture-program").to_owned(),
        strace,
    };
    let mut report = Report::default();
    for (road, kind, pace) in rows {
        let kind: Kind = kind.parse().expect("a kind of fault");
        let course = Course { who, road: *road };
        let strike = |fault: Fault| {
            let finding = fault.run(&tools);
            let struck = finding.struck;
            report.add(&Struck { fault, finding });
            Ok::<_, Infallible>(struck)
        };
        let Ok(()) = run::row((course, &kind), *pace, &mut Known::default(), strike);
    }
    assert!(report.is_clean(), "{}\n{}", report.table(), report.notes.join("\n"));
    assert!(report.struck() >= rows.len(), "the faults were injected:\n{}", report.table());
}

fn pace(first: usize, step: usize, last: usize) -> Pace {
    Pace { first, step, last }
}

#[test]
fn a_launcher_that_fails_or_dies_at_a_system_call_leaves_a_scope_that_serves_or_heals() {
    strike(
        Who::Launcher,
        &[
            (Road::Cold, "kill:write", pace(2, 3, 12)),
            (Road::Cold, "write:ENOSPC", pace(1, 2, 4)),
            (Road::Upgrade, "openat:EMFILE", pace(6, 7, 20)),
            (Road::Takeover, "kill:close", pace(20, 30, 90)),
            (Road::Stop, "kill:ppoll", pace(1, 2, 5)),
        ],
    );
}

#[test]
fn a_worker_that_fails_or_dies_at_a_system_call_leaves_a_scope_that_serves_or_heals() {
    strike(
        Who::Host,
        &[
            (Road::Cold, "kill:openat", pace(10, 20, 60)),
            (Road::Upgrade, "kill:renameat", pace(1, 1, 3)),
            (Road::Upgrade, "fcntl:EMFILE", pace(1, 5, 11)),
            (Road::Takeover, "fsync:EIO", pace(1, 1, 2)),
        ],
    );
}
#[test]
fn a_worker_that_fails_beside_the_one_that_serves_takes_nothing_of_it_along() {
    strike(
        Who::Family,
        &[
            (Road::Overlap, "fcntl:EMFILE", pace(2, 6, 20)),
            (Road::Overlap, "listen:EIO", pace(1, 1, 2)),
            (Road::Overlap, "kill:recvmsg", pace(2, 3, 8)),
        ],
    );
}
