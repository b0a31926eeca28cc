//! Workers that do not run, do not start, or do not serve.

use serde_json::json;
use tenure_sys::process::{ProcessHandle, Signal};

use super::super::world::{Line, Wanted, Way, World};
use super::{Case, NO_DESCRIPTION};
use crate::kit::Running;

/// The worker is asked for while a person keeps it down.
fn held(world: &mut World, verb: &str) -> Line {
    world.done("ensure", "");
    world.done("stop", "--hold");
    world.typed(verb, "")
}

/// A worker whose program never says that it is ready. The call that started it waits for that in the background.
fn boots(world: &mut World) {
    // The events can be followed once a worker has run.
    world.done("ensure", "");
    world.done("stop", "");
    world.describe(Wanted::runs().key("ready", json!("notify")).key("start_timeout", json!("9m")));
    let waits = world.begun("ensure", "");
    world.follow("program-started", 2);
    world.kept.push(Box::new(Waiting(Some(waits))));
}

/// A worker whose start has failed, so often that the next try is held back for longer than any call takes.
fn failed(world: &mut World) {
    world.describe(Wanted::fails(world).version("1.0.0"));
    for verb in ["ensure", "restart", "restart", "restart", "restart"] {
        world.attempted(verb, "");
    }
}

/// A worker whose program was ended by a stranger, and that waits for so long before it starts the program again.
fn ended(world: &mut World, wait: &str) {
    let restart = json!({ "on": "always", "backoff": [wait, "30s"] });
    world.describe(Wanted::runs().key("restart", restart));
    world.done("ensure", "");
    let pid = world.status()["program"]["identity"]["pid"].as_u64().expect("it runs");
    let program = ProcessHandle::open(u32::try_from(pid).expect("small")).expect("it lives");
    program.signal(Signal::Kill).expect("ours");
    world.follow("program-exited", 1);
}

/// The handle of the worker.
fn host(world: &World) -> ProcessHandle {
    let pid = world.status()["pid"].as_u64().expect("it answers");
    ProcessHandle::open(u32::try_from(pid).expect("small")).expect("it lives")
}

/// A call that waits, and is ended with the world.
struct Waiting(Option<Running>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waits) = self.0.take() {
            waits.kill();
        }
    }
}

/// Lets a stopped worker go on when the world ends.
struct Thawed(ProcessHandle);

impl Drop for Thawed {
    fn drop(&mut self) {
        self.0.signal(Signal::Cont).expect("ours");
    }
}

pub(super) const CASES: &[Case] = &[
    Case::of("down", "it never ran", |world| world.typed("status", "")),
    Case::of("down", "its status after a stop", |world| {
        world.done("ensure", "");
        world.done("stop", "");
        world.typed("status", "")
    })
    .prints(&["tenure ensure "]),
    Case::of("down", "a person keeps it down", |world| held(world, "ensure")).prints(&["tenure start "]),
    Case::of("down", "its status while a person keeps it down", |world| held(world, "status"))
        .prints(&["tenure start "]),
    Case::of("down", "nothing may be started", |world| {
        if world.way == Way::Listed {
            world.done("ensure", "");
            world.done("stop", "");
        }
        world.typed("ensure --no-daemon", "")
    })
    .prints(&["tenure ensure "]),
    Case::of("down", "logs of what never ran", |world| world.typed("logs", ""))
        .prints(&["tenure list", "tenure ensure "]),
    Case::of("down", "a restart where nothing may be started", |world| {
        world.done("ensure", "");
        world.typed("restart --no-daemon", "")
    }),
    Case::of("warming", "a boot that takes longer than the caller waits", |world| {
        boots(world);
        world.typed("ensure --timeout 2s", "")
    })
    .prints(&["tenure logs "])
    .repair(|world| {
        world.attempted("stop", "");
        world.describe(Wanted::runs());
        world.done("restart", "");
    }),
    Case::of("timed-out", "no time is left", |world| {
        world.done("ensure", "");
        world.done("stop", "");
        world.typed("ensure --timeout 0s", "")
    }),
    Case::of("booting", "its status while it boots", |world| {
        boots(world);
        world.typed("status", "")
    })
    .prints(&["tenure logs "]),
    Case::of("spawn-failed", "a program that is not there", |world| {
        world.describe(Wanted::fails(world).version("1.0.0"));
        world.typed("ensure", "")
    })
    .except(&[NO_DESCRIPTION])
    .repair(World::repair),
    Case::of("spawn-failed", "a program that ends", |world| {
        world.describe(Wanted::fails(world).key("ready", json!({ "log": "it runs" })));
        world.typed("ensure", "")
    })
    .except(&[NO_DESCRIPTION])
    .repair(World::repair),
    Case::of("spawn-failed", "a directory of a socket that is not there", |world| {
        let path = world.sandbox.path("no such/it's.sock");
        let listen = json!([{ "name": "s", "unix": path }]);
        world.describe(Wanted::runs().version("1.0.0").key("listen", listen).key("ready", json!("up")));
        world.typed("ensure", "")
    })
    .except(&[NO_DESCRIPTION])
    .prints(&["mkdir -p "]),
    Case::of("spawn-suppressed", "the next call", |world| {
        failed(world);
        world.typed("ensure", "")
    })
    .prints(&["tenure restart ", "tenure ensure "])
    .repair(World::repair),
    Case::of("down", "its status after a failed start", |world| {
        failed(world);
        world.typed("status", "")
    })
    .repair(World::repair),
    Case::of("restart-unproved", "a restart with what fails", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.describe(Wanted::fails(world).version("2.0.0"));
        world.typed("restart", "")
    })
    .except(&[NO_DESCRIPTION])
    .repair(World::repair),
    Case::of("recursion", "a call from inside", |world| {
        world.done("ensure", "");
        let status = world.status();
        let pid = status["program"]["identity"]["pid"].as_u64().expect("it runs");
        let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("ours");
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let cookie = environment.split('\0').find_map(|one| one.strip_prefix("TENURE_COOKIE="));
        world.before = format!("TENURE_COOKIE='{}' ", cookie.expect("it has one"));
        world.typed("restart", "")
    }),
    Case::of("unhealthy", "a program that has ended with --strict", |world| {
        ended(world, "10ms");
        world.follow("program-started", 2);
        world.typed("ensure --strict", "")
    })
    .prints(&["tenure logs "]),
    Case::of("unhealthy", "a program that is not started again yet", |world| {
        ended(world, "30s");
        world.typed("status", "")
    })
    .prints(&["tenure logs ", "tenure restart "]),
    Case::of("wedged", "its status while it stands still", |world| {
        world.done("ensure", "");
        world.settled();
        let host = host(world);
        host.signal(Signal::Stop).expect("ours");
        world.kept.push(Box::new(Thawed(host)));
        world.typed("status", "")
    })
    .prints(&["tenure doctor "]),
];
