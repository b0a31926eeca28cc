//! States that no case reaches, with the reason; and what their remedies print all the same.

use tenure_core::{ErrorKind, ErrorRow};

use super::promise;
use super::world::{Way, World};
use super::{collect, exit_of};

/// A state, its kind where the library has one, and why no case reaches it.
pub(super) const STATES: [(&str, Option<ErrorKind>, &str); 5] = [
    ("bug", Some(ErrorKind::Bug), "it would be a fault of tenure"),
    (
        "client-too-old",
        Some(ErrorKind::ClientTooOld),
        "it takes a worker of a tenure that does not exist yet",
    ),
    ("denied", Some(ErrorKind::Denied), "it takes another user, or another namespace of processes"),
    (
        "dependency-failed",
        Some(ErrorKind::DependencyFailed),
        "its remedies are those of the state that the other worker is in",
    ),
    ("interrupted", None, "only the demo ends so, and it has removed what it made"),
];

/// A remedy is the same words wherever it is printed, so what it prints is typed although its state is not reached.
#[test]
fn what_the_remedies_of_other_states_print_works() {
    let world = World::new(Way::User);
    world.done("ensure", "");
    for (state, kind, why) in STATES {
        assert!(exit_of(state) != 0 && !why.is_empty(), "{state}: a success can be reached");
        let Some(kind) = kind else { continue };
        let row = ErrorRow::of(kind);
        assert_eq!(row.state, state);
        for command in collect::commands(row.hint) {
            promise::show(&world, &command);
        }
    }
}
