//! The digests by which two specs are compared. A digest of today's specs must stay what it was: workers run with it.
//!
//! Pure.

use serde::Serialize;

use crate::os_text::PathText;
use crate::spec::scope;

use super::{Spec, Summary};

impl Spec {
    /// Digest of what two specs of one version and scope must agree in: kind, command, directory and listeners.
    #[must_use]
    pub fn identity_digest(&self) -> String {
        digest_of(&(self.kind, &self.command, PathText(&self.cwd), &self.listen))
    }

    /// Digest of everything else that a worker runs by. A difference here is drift: it is reported, and nothing is
    /// replaced for it. Keys that came later count only where they are set, so that two versions of this library see no
    /// drift between equal specs. `depends` is not in it: it says what comes before a start, and a restart would change
    /// nothing of the worker.
    #[must_use]
    pub fn settings_digest(&self) -> String {
        let budgets = (self.start_timeout, self.drain_timeout, self.stall_timeout);
        let policies = (&self.stop, &self.restart, &self.logs);
        let first_keys = (&self.ready, &self.health, budgets, policies, &self.env, &self.build);
        let digest = if self.preflight.is_empty() && !self.overlap && self.bake.is_none() {
            digest_of(&first_keys)
        } else {
            digest_of(&(first_keys, &self.preflight, self.overlap, self.bake))
        };
        let digest = if let Some(umask) = self.umask { digest_of(&(digest, umask)) } else { digest };
        let digest = match self.idle_timeout.time() {
            Some(time) => digest_of(&(digest, "idle_timeout", time)),
            None => digest,
        };
        let digest = if self.before_start.is_empty() && self.stdin.is_null() && self.reload.is_none() {
            digest
        } else {
            digest_of(&(digest, &self.before_start, self.stdin, self.reload))
        };
        if self.forking.is_no() { digest } else { digest_of(&(digest, &self.forking)) }
    }

    /// Whether both say the same, also in the text of their version: two builds are equal as versions.
    #[must_use]
    pub(crate) fn is_identical(&self, other: &Self) -> bool {
        self == other && self.version.as_str() == other.version.as_str()
    }

    /// Digest of the whole spec.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(self)
    }

    /// The two digests and what people need to tell two specs apart.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            command: self.command.clone(),
            cwd: self.cwd.clone(),
            listen: self.listen.clone(),
            build: self.build.clone(),
            identity: self.identity_digest(),
            settings: self.settings_digest(),
        }
    }
}

fn digest_of(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).expect("parts of a spec have only string keys");
    scope::digest(&bytes)
}

#[cfg(test)]
mod tests {
    use tenure_sys::process::Signal;

    use super::super::{Forking, IdleTimeout, Listen, Stdin, Umask};
    use super::*;
    use crate::spec::amount::Span;

    fn server() -> Spec {
        let mut spec = Spec::of_command(vec!["node".into(), "server.mjs".into()], "/srv/app".into());
        spec.listen = vec![Listen::inherit("http", "127.0.0.1:0".parse().expect("address"))];
        spec
    }

    #[test]
    fn the_identity_digest_ignores_settings_and_sees_the_command() {
        let (spec, mut drifted, mut other) = (server(), server(), server());
        drifted.start_timeout = Span::secs(9);
        other.command.push("--verbose".into());
        assert_eq!(spec.identity_digest(), drifted.identity_digest());
        assert_ne!(spec.settings_digest(), drifted.settings_digest());
        assert_ne!(spec.identity_digest(), other.identity_digest());
    }

    #[test]
    fn a_digest_of_settings_sees_how_room_is_made_and_is_the_same_where_nothing_is_said() {
        let spec = server();
        // Written down: specs that workers run with from before must not become drift.
        let known = (&spec.ready, &spec.health, (Span::secs(30), Span::secs(10), Span::secs(30)));
        let care = (&spec.stop, &spec.restart, &spec.logs);
        assert_eq!(
            spec.settings_digest(),
            digest_of(&(known.0, known.1, known.2, care, &spec.env, &spec.build))
        );
        let with = |change: fn(&mut Spec)| {
            let mut spec = server();
            change(&mut spec);
            spec
        };
        let changed = [
            with(|spec| spec.preflight = vec!["true".into()]),
            with(|spec| spec.overlap = true),
            with(|spec| spec.bake = Some(Span::secs(3))),
            with(|spec| spec.bake = Some(Span::secs(0))),
            with(|spec| spec.umask = Umask::try_from("077".to_owned()).ok()),
            with(|spec| spec.before_start = vec!["true".into()]),
            with(|spec| spec.stdin = Stdin::Open),
            with(|spec| spec.idle_timeout = IdleTimeout::after(Span::secs(60))),
            with(|spec| spec.reload = Some(Signal::Hup)),
            with(|spec| spec.forking = Forking::Yes),
            with(|spec| spec.forking = Forking::PidFile("run/x.pid".into())),
        ];
        let mut digests: Vec<String> = changed.iter().map(Spec::settings_digest).collect();
        assert!(changed.iter().all(|other| other.identity_digest() == spec.identity_digest()));
        digests.push(spec.settings_digest());
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), changed.len() + 1);
    }
}
