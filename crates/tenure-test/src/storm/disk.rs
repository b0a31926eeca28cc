//! A small disk for the state of one trial, which the hand can fill.
//!
//! Only for a process with a mount namespace of its own: what is mounted there ends with it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::fixtures::sandbox::Sandbox;
use crate::fixtures::system;

/// Enough for the records, logs and events of a trial, and filled in a moment.
const SIZE: &str = "size=2m,mode=700";

/// A mounted disk.
pub(super) struct Disk {
    filler: PathBuf,
    root: PathBuf,
    full: bool,
}

impl Disk {
    /// Mounts one where the sandbox keeps its state; `None` where that is not permitted.
    pub(super) fn mount(sandbox: &Sandbox) -> Option<Self> {
        let mount = system::tool("mount")?;
        let root = sandbox.state_root();
        let words = ["-t", "tmpfs", "-o", SIZE, "none"].map(str::to_owned);
        let words = words.into_iter().chain([root.display().to_string()]);
        let mounted = sandbox.command(&mount, words).run();
        (mounted.code() == 0).then(|| Self { filler: root.join("filler"), root, full: false })
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Writes until there is no room.
    pub(super) fn fill(&mut self) {
        self.full = true;
        let Ok(mut file) = File::create(&self.filler) else { return };
        let block = [0_u8; 4096];
        while file.write_all(&block).is_ok() {}
    }

    pub(super) fn free(&mut self) {
        self.full = false;
        drop(fs::remove_file(&self.filler));
    }

    /// Takes it away, with all that is on it. What still uses it keeps it until it ends.
    pub(super) fn unmount(self, sandbox: &Sandbox) {
        if let Some(umount) = system::tool("umount") {
            drop(sandbox.command(&umount, [Path::new("-l"), self.root.as_path()]).run());
        }
    }
}
