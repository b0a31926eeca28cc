//! Calls that succeed.

use std::fs;

use serde_json::json;

use super::super::world::{Wanted, Way, World};
use super::{Case, NO_DESCRIPTION, NO_PROJECT};

pub(super) const CASES: &[Case] = &[
    Case::of("started", "nothing ran", |world| {
        if world.way == Way::Listed {
            world.done("ensure", "");
            world.done("stop", "");
        }
        world.typed("ensure", "")
    }),
    Case::of("up", "it runs", |world| {
        world.done("ensure", "");
        world.typed("ensure", "-v")
    }),
    Case::of("up", "an older version is pinned", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.done("pin", "1.0.0");
        world.describe(Wanted::runs().version("2.0.0"));
        world.typed("ensure", "")
    })
    .except(&[NO_DESCRIPTION])
    .prints(&["tenure unpin "]),
    Case::of("up", "its status", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.done("pin", "1.0.0");
        world.typed("status -v", "")
    })
    .prints(&["tenure unpin "]),
    Case::of("up", "other settings", |world| {
        world.done("ensure", "");
        world.describe(Wanted::runs().key("start_timeout", json!("9s")));
        world.typed("ensure", "")
    })
    .except(&[NO_DESCRIPTION])
    .prints(&["tenure restart "]),
    Case::of("up", "a newer version fails to start", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.describe(Wanted::fails(world).version("2.0.0"));
        world.attempted("ensure", "");
        world.typed("ensure", "")
    })
    .prints(&["tenure restart "])
    .repair(World::repair),
    Case::of("up", "a version that is described nowhere is shown", |world| {
        world.describe(Wanted::runs().version("2.0.0"));
        world.done("ensure", "");
        world.describe(Wanted::runs().version("1.0.0"));
        world.typed("status", "")
    }),
    Case::of("replaced", "a restart", |world| {
        world.done("ensure", "");
        world.typed("restart", "")
    }),
    Case::of("replaced", "a restart of what another call offered higher", |world| {
        world.describe(Wanted::runs().version("2.0.0"));
        world.done("ensure", "");
        world.describe(Wanted::runs().version("1.0.0"));
        world.typed("restart", "")
    }),
    Case::of("stopped", "a stop", |world| {
        world.done("ensure", "");
        world.typed("stop", "")
    }),
    Case::of("stopped", "a stop that holds", |world| {
        world.done("ensure", "");
        world.typed("stop --hold", "")
    })
    .prints(&["tenure start "]),
    Case::of("pinned", "a pin", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.typed("pin", "1.0.0")
    })
    .prints(&["tenure unpin "]),
    Case::of("unpinned", "a newer version was offered meanwhile", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.done("pin", "1.0.0");
        world.describe(Wanted::runs().version("2.0.0"));
        world.done("ensure", "");
        world.typed("unpin", "")
    })
    .prints(&["tenure restart "]),
    Case::of("forgotten", "the version that serves", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.describe(Wanted::runs().version("2.0.0"));
        world.done("ensure", "");
        world.typed("forget", "2.0.0")
    })
    .prints(&["tenure restart "]),
    Case::of("forgotten", "an app", |world| {
        world.describe(Wanted::runs().key("app", json!("walker.one")));
        world.done("ensure", "");
        world.typed("forget", "--app")
    })
    .prints(&["tenure stop "]),
    Case::of("signalled", "a signal", |world| {
        world.done("ensure", "");
        world.typed("signal", "CONT")
    }),
    Case::of("prunable", "a project is gone", |world| {
        world.done("ensure", "");
        world.done("stop", "");
        if world.way.is_of_project() {
            fs::remove_file(world.file().expect("of a project")).expect("ours");
        }
        world.line("tenure prune")
    })
    .once(),
    Case::of("prunable", "a project is gone, and its worker runs", |world| {
        world.done("ensure", "");
        fs::remove_file(world.file().expect("of a project")).expect("ours");
        world.line("tenure prune")
    })
    .once(),
    Case::of("pruned", "what a project left", |world| {
        world.done("ensure", "");
        world.done("stop", "");
        fs::remove_file(world.file().expect("of a project")).expect("ours");
        world.line("tenure prune --yes")
    })
    .once(),
    Case::of("trusted", "the project", |world| {
        world.line(if world.way == Way::Project {
            "tenure trust"
        } else {
            "tenure trust \"../the user's \\\"shop\\\"\""
        })
    })
    .except(NO_PROJECT)
    .prints(&["tenure trust "]),
    Case::of("shown", "a project that nobody has trusted", |world| {
        world.describe_untrusted(Wanted::runs().version("9.0.0"));
        world.line("tenure trust --show")
    })
    .once()
    .prints(&["tenure trust "]),
    Case::of("not-configured", "another directory without a file to trust", |world| {
        fs::create_dir(world.sandbox.path("it's empty")).expect("made");
        world.line("tenure trust \"../it's empty\"")
    })
    .once()
    .prints(&["init"]),
    Case::of("revoked", "the project", |world| {
        world.line(if world.way == Way::Project {
            "tenure trust --revoke"
        } else {
            "tenure trust --revoke \"../the user's \\\"shop\\\"\""
        })
    })
    .once(),
    Case::of("healthy", "a worker that is well", |world| {
        world.done("ensure", "");
        world.typed("doctor", "")
    }),
    Case::of("valid", "the files", |world| world.line("tenure config check")).once(),
    Case::of("valid", "a file that is not trusted", |world| {
        world.describe_untrusted(Wanted::runs().version("9.0.0"));
        world.line("tenure config check")
    })
    .once()
    .prints(&["tenure trust "]),
    Case::of("written", "a first file", |world| {
        fs::remove_file(world.file().expect("of a project")).expect("ours");
        world.line("tenure init first -- sleep 1000")
    })
    .once(),
    Case::of("written", "a first file without a command", |world| {
        fs::remove_file(world.file().expect("of a project")).expect("ours");
        world.line("tenure init first")
    })
    .once()
    .repair(|world| {
        let file = world.file().expect("of a project");
        fs::write(file, "[worker.first]\ncommand = ['sleep', '1000']\n").expect("ours");
        world.run_in(&world.project(), "tenure trust", "");
    }),
];
