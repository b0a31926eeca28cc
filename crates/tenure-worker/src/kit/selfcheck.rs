//! The worker's own look at its place: does the path still lead to it?
//!
//! A state directory that was removed or replaced by hand would leave a worker that nobody can reach and beside which a
//! second one could be started. So it connects to itself as a launcher would, and compares. Only a proof counts: what
//! cannot be looked at (no descriptors, no permission, no answer in time) says nothing.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::asker;
use tenure_core::deadline::Deadline;
use tenure_core::launch::ask::client::{self, Silence};
use tenure_core::policy::lifecycle::LifecycleEvent;
use tenure_core::protocol::wire::Role;
use tenure_core::store::event::What;
use tenure_sys::poll;
use tenure_sys::thread;

use crate::logs;
use crate::ownership::Ownership;
use crate::status::Status;

/// Time between two looks: two lineages can live side by side for at most this long, and an idle machine hardly notices
/// two wake-ups a minute.
const EVERY: Duration = Duration::from_secs(30);

/// Time for the worker's answer to itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the thread. It ends when a stop has been announced.
pub(crate) fn start(status: Status, ownership: Arc<Ownership>) -> io::Result<()> {
    thread::start("tenure-self-check", move || {
        while !stops_within(&status, EVERY) {
            logs::rotate_own(
                &ownership.state,
                ownership.handshake.spec.logs.size.get(),
                ownership.handshake.spec.logs.keep,
            );
            let before = role_and_generation(&status);
            let found = find_mismatch(&status, &ownership);
            // A mismatch proves nothing while another worker takes over, or while this one takes its scope back.
            if let Some(why) = found
                && matches!(before.0, Role::Booting | Role::Active)
                && before == role_and_generation(&status)
            {
                ownership.note(What::SelfCheckFailed, &asker(), why.clone());
                status.ask(LifecycleEvent::SelfCheckFailed, format!("self-check: {why}"));
                return;
            }
        }
    })
}

fn role_and_generation(status: &Status) -> (Role, u64) {
    let hello = status.hello();
    (hello.role, hello.generation)
}

fn stops_within(status: &Status, limit: Duration) -> bool {
    matches!(poll::wait_readable([status.stopping()], Some(limit)), Ok([true]))
}

/// What proves that this worker is not the one that its paths lead to; `None` when nothing does.
fn find_mismatch(status: &Status, ownership: &Ownership) -> Option<String> {
    if let Ok(false) = ownership.lease_is_at_path() {
        return Some("the lease file at its path is another one, or gone".to_owned());
    }
    if let Some(why) = directory_moved(ownership) {
        return Some(why);
    }
    if let Ok(false) = ownership.socket_is_at_path() {
        return Some("the control socket at its path is another one, or gone".to_owned());
    }
    wrong_answer(status, ownership)
}

fn directory_moved(ownership: &Ownership) -> Option<String> {
    let held = tenure_sys::dir::fstat(ownership.state.dir().as_fd()).ok()?;
    match std::fs::metadata(ownership.state.path()) {
        Ok(found) if (found.dev(), found.ino()) == (held.dev, held.ino) => None,
        Ok(_) => Some("the state directory at its path is another one".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("the state directory is gone".to_owned())
        }
        Err(_) => None,
    }
}

fn wrong_answer(status: &Status, ownership: &Ownership) -> Option<String> {
    let stage = Deadline::start(PATIENCE).stage("self-check").ok()?;
    let mut connection = match client::connect(&ownership.state, stage) {
        Ok(connection) => connection,
        Err(Silence::Absent | Silence::Refused) => {
            return Some("nobody listens on its control socket".to_owned());
        }
        // Any other failure may come from a lack of descriptors, permission or time.
        Err(_) => return None,
    };
    let own = status.hello();
    match connection.look(stage) {
        Ok(hello) if (hello.generation, &hello.instance) == (own.generation, &own.instance) => None,
        Ok(hello) => {
            Some(format!("generation {} of pid {} answers at its path", hello.generation, hello.identity.pid))
        }
        Err(Silence::NotOurs { why }) => Some(why),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::store::paths::file;
    use tenure_sys::socket;

    use super::*;
    use crate::ownership::tests::{Fixture, fixture};
    use crate::status::tests::status;

    fn mismatch(fixture: &Fixture) -> Option<String> {
        find_mismatch(&status(), &fixture.ownership)
    }

    #[test]
    fn a_removed_lease_file_is_a_mismatch() {
        let fixture = fixture();
        fixture.ownership.state.dir().remove(file::LEASE).expect("removes");
        assert!(mismatch(&fixture).expect("a proof").contains("lease file"));
    }

    #[test]
    fn a_replaced_socket_is_a_mismatch() {
        let fixture = fixture();
        let dir = fixture.ownership.state.dir();
        let _other = socket::bind_unix(dir, "other", 1).expect("binds");
        dir.rename("other", file::CONTROL).expect("renames");
        assert!(mismatch(&fixture).expect("a proof").contains("control socket"));
    }

    #[test]
    fn a_moved_state_directory_is_a_mismatch() {
        let fixture = fixture();
        let path = fixture.ownership.state.path().to_owned();
        let moved = path.with_extension("moved");
        std::fs::rename(&path, &moved).expect("renames");
        assert!(mismatch(&fixture).expect("a proof").contains("directory is gone"));
        std::fs::rename(&moved, &path).expect("renames back");
    }

    #[test]
    fn a_socket_without_a_listener_is_a_mismatch() {
        let Fixture { _root, ownership, listener, .. } = fixture();
        drop(listener);
        assert!(find_mismatch(&status(), &ownership).expect("a proof").contains("nobody listens"));
    }
}
