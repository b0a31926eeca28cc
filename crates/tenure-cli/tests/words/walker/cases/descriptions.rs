//! Descriptions that contradict what stands, cannot be used, or may not be used.

use std::fs;

use serde_json::json;

use super::super::world::{Line, Wanted, Way, World};
use super::{Case, NO_DESCRIPTION, NO_PROJECT};

/// Version 1.0.0 runs and is pinned, and 2.0.0 is described.
fn pinned_before(world: &mut World) {
    world.describe(Wanted::runs().version("1.0.0"));
    world.done("ensure", "");
    world.done("pin", "1.0.0");
    world.describe(Wanted::runs().version("2.0.0"));
}

/// The file of the project is another one than was trusted.
fn changed(world: &mut World) {
    world.done("ensure", "");
    world.done("stop", "");
    world.describe_untrusted(Wanted::script("echo it runs; exec sleep 3000"));
}

fn broken(world: &mut World, verb: &str) -> Line {
    let line = world.typed(verb, "");
    let Some(file) = world.file() else {
        world.sandbox.set("TENURE_VERSION", "1.2.x");
        return line;
    };
    fs::write(file, "[worker.web]\ncomand = ['sleep', '1000']\n").expect("ours");
    line
}

/// Ways in which no project's file describes the worker, or none has a say.
const NOT_HERE: &[(Way, &str)] =
    &[NO_PROJECT[0], NO_PROJECT[1], NO_PROJECT[2], NO_PROJECT[3], NO_PROJECT[4], NO_DESCRIPTION];

pub(super) const CASES: &[Case] = &[
    Case::of("spec-conflict", "another command", |world| {
        world.done("ensure", "");
        world.describe(Wanted::script("echo it runs; exec sleep 2000"));
        world.typed("ensure", "")
    })
    .except(&[NO_DESCRIPTION])
    .prints(&["tenure restart "]),
    Case::of("spec-conflict", "other settings with --strict", |world| {
        world.done("ensure", "");
        world.describe(Wanted::runs().key("start_timeout", json!("9s")));
        world.typed("ensure --strict", "")
    })
    .except(&[NO_DESCRIPTION])
    .prints(&["tenure restart "]),
    Case::of("other-app", "another app", |world| {
        world.describe(Wanted::runs().key("app", json!("walker.one")));
        world.done("ensure", "");
        world.describe(Wanted::runs().key("app", json!("walker.two")));
        world.typed("ensure", "")
    })
    .except(&[NO_DESCRIPTION])
    .prints(&["tenure forget "]),
    Case::of("version-disagrees", "a pinned older version with --strict", |world| {
        pinned_before(world);
        world.typed("ensure --strict", "")
    })
    .except(&[NO_DESCRIPTION])
    .prints(&["tenure unpin "]),
    Case::of("unknown-version", "a pin of what nobody offered", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.typed("pin", "9.9.9")
    })
    .prints(&["tenure pin ", "tenure restart "]),
    Case::of("unknown-version", "a pin of a version of what never ran", |world| world.typed("pin", "9.9.9")),
    Case::of("unknown-version", "forgetting what nobody offered", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.typed("forget", "9.9.9")
    })
    .prints(&["tenure forget "]),
    Case::of("version-pinned", "forgetting what is pinned", |world| {
        pinned_before(world);
        world.typed("forget", "1.0.0")
    })
    .prints(&["tenure unpin "]),
    Case::of("untrusted", "a file that nobody has trusted", |world| {
        world.describe_untrusted(Wanted::script("echo it runs; exec sleep 3000"));
        world.typed("ensure", "")
    })
    .except(NOT_HERE)
    .prints(&["tenure trust "]),
    Case::of("untrusted", "a file that was changed", |world| {
        changed(world);
        world.typed("ensure", "")
    })
    .except(NOT_HERE)
    .prints(&["tenure trust "]),
    Case::of("untrusted", "a pin of a file that was changed", |world| {
        world.describe(Wanted::runs().version("1.0.0"));
        world.done("ensure", "");
        world.done("pin", "1.0.0");
        world.done("stop", "");
        world.describe_untrusted(Wanted::script("echo it runs; exec sleep 3000").version("1.0.0"));
        world.run_in(&world.project(), "tenure trust --revoke", "");
        world.typed("ensure", "")
    })
    .except(NO_PROJECT),
    Case::of("not-configured", "a name that nothing describes", |world| {
        let Line { text, .. } = world.typed("ensure", "");
        let text = match world.way {
            Way::Call | Way::Beside | Way::Stdin => "tenure ensure wbe".to_owned(),
            Way::Listed => "tenure ensure wbe@0123456789abcdef".to_owned(),
            Way::Project | Way::User | Way::Config | Way::Elsewhere => {
                text.replace("ensure web", "ensure wbe")
            }
        };
        world.line(&text)
    })
    .prints(&["tenure ensure wbe"]),
    Case::of("not-configured", "nothing to trust", |world| {
        fs::remove_file(world.file().expect("of a project")).expect("ours");
        world.line("tenure trust")
    })
    .once()
    .prints(&["tenure init"]),
    Case::of("not-configured", "nothing to show", |world| {
        fs::remove_file(world.file().expect("of a project")).expect("ours");
        world.line("tenure config show")
    })
    .once()
    .prints(&["tenure init"]),
    Case::of("not-configured", "no worker to show", |world| {
        fs::remove_file(world.file().expect("of a project")).expect("ours");
        world.line("tenure status")
    })
    .once()
    .prints(&["tenure status NAME", "tenure list"]),
    Case::of("not-configured", "a reload that nothing describes", |world| {
        world.describe(Wanted::script("trap '' HUP; echo it runs; exec sleep 1000"));
        world.done("ensure", "");
        world.typed("reload", "")
    })
    .prints(&["tenure signal "]),
    Case::of("bad-config", "a description that is wrong", |world| broken(world, "ensure"))
        .except(&[NO_DESCRIPTION]),
    Case::of("bad-config", "every description", |world| {
        broken(world, "ensure");
        world.line("tenure status")
    })
    .once(),
    Case::of("bad-config", "a file that is there already", |world| world.line("tenure init first"))
        .once()
        .prints(&["tenure config check"]),
    Case::of("bad-config", "an overlap that may not be", |world| {
        world.describe(Wanted::runs().key("ready", json!("up")));
        world.done("ensure", "");
        world.typed("restart --overlap", "")
    }),
];
