//! The account itself, as it is behind the lock of the status. It wakes nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::Version;
use tenure_core::deadline::{Deadline, millis};
use tenure_core::policy::lifecycle::{self, LifecycleEvent, LifecycleState, Orders};
use tenure_core::protocol::wire::{App, AppState, Asker, Hello, Probation, Role, Until};

/// How often an embedded app's runtime should call [`Status::beat`](super::Status::beat): often enough to tell a stall
/// within seconds, and a wake-up a second is what an idle server has anyway.
pub const BEAT: Duration = Duration::from_secs(1);

/// An app that is later than this many beats is shown as stalled in HELLO.
const LATE_BEATS: u32 = 2;

/// What a worker says of itself, and what was asked of it, at one moment.
pub(super) struct Account {
    pub(super) life: LifecycleState,
    /// Its role in a takeover, which HELLO shows instead of the role that its life gives it.
    pub(super) takeover_role: Option<Role>,
    pub(super) hello: Hello,
    pub(super) born: Duration,
    pub(super) boot_ends: Option<Duration>,
    pub(super) end_ends: Option<Duration>,
    pub(super) stall_timeout: Option<Duration>,
    pub(super) asked: Option<Ask>,
    pub(super) stop: Option<StopRequest>,
    /// Its end was announced because nobody used it.
    pub(super) ends_unused: bool,
    /// While the incumbent can take the scope back.
    pub(super) probation: Option<OnProbation>,
    /// Since when what is known of a program that is not ready has been so.
    pub(super) not_ready_since: Duration,
    /// Since when each check that fails has done so.
    pub(super) failing_since: BTreeMap<String, Duration>,
    /// Nobody can connect: the program ended what it alone listens on, for a successor.
    pub(super) closed: bool,
}

impl Account {
    /// The account of a worker that begins to boot, at `born`.
    pub(super) fn begin(hello: Hello, limits: TimeLimits, born: Duration) -> Self {
        Self {
            life: LifecycleState::Booting,
            takeover_role: None,
            hello,
            born,
            boot_ends: Some(born.saturating_add(limits.boot)),
            end_ends: None,
            stall_timeout: limits.stall,
            asked: None,
            stop: None,
            ends_unused: false,
            probation: None,
            not_ready_since: Duration::ZERO,
            failing_since: BTreeMap::new(),
            closed: false,
        }
    }

    /// What HELLO answers at `now`, where the app's runtime has last beaten at `beat`.
    pub(super) fn hello(&self, now: Duration, beat: Option<Duration>) -> Hello {
        let mut hello = self.hello.clone();
        hello.role = match self.life {
            LifecycleState::Booting => self.takeover_role.unwrap_or(Role::Booting),
            LifecycleState::Active => self.takeover_role.unwrap_or(Role::Active),
            LifecycleState::Draining | LifecycleState::Ended => Role::Draining,
        };
        hello.draining = hello.role == Role::Draining;
        hello.uptime_ms = millis(now.saturating_sub(self.born));
        if let Some(told) = &mut hello.app.not_ready {
            told.for_ms = millis(now.saturating_sub(self.not_ready_since));
        }
        for check in &mut hello.app.checks {
            let since = self.failing_since.get(&check.name);
            check.failing_for_ms = since.map(|since| millis(now.saturating_sub(*since)));
        }
        hello.probation = self.probation.as_ref().map(|probation| probation.report(now));
        if self.closed {
            hello.app.state = AppState::Booting;
            hello.app.reason = Some(CLOSED.to_owned());
        }
        hello.app.stalled_for_ms = beat.and_then(|beat| late_by(beat, now)).map(millis);
        degrade(&mut hello.app);
        hello
    }

    /// Whether a WAIT for `until` is over.
    pub(super) fn is_wait_over(&self, until: Until, proved: bool) -> bool {
        let settled = self.hello.app.state.is_settled() && !self.closed;
        let ending = matches!(self.life, LifecycleState::Draining | LifecycleState::Ended);
        // A worker that has made room has no more to say: the path leads to another one.
        let elsewhere = self.takeover_role == Some(Role::Committed);
        ending
            || elsewhere
            || settled
                && !(proved && self.probation.is_some())
                && match until {
                    Until::Settled => true,
                    Until::GenerationAbove(generation) => self.hello.generation > generation,
                }
    }

    /// Moves the life on. A boot that is over has no deadline any more.
    pub(super) fn step(&mut self, event: LifecycleEvent) -> Orders {
        let (life, orders) = lifecycle::step(self.life, event);
        self.life = life;
        self.ends_unused |= event == LifecycleEvent::Idle && !orders.is_empty();
        if life != LifecycleState::Booting {
            self.boot_ends = None;
        }
        orders
    }
}

/// A probation that goes on.
pub(super) struct OnProbation {
    /// When it began, by the monotonic clock.
    pub(super) since: Duration,
    /// About when it is over.
    pub(super) until: Deadline,
    /// The version that can come back.
    pub(super) incumbent_version: Version,
}

impl OnProbation {
    fn report(&self, now: Duration) -> Probation {
        let since = millis(now.saturating_sub(self.since));
        Probation::of(self.incumbent_version.clone(), millis(self.until.remaining()), Some(since))
    }
}

/// What a worker whose port is closed says of its app.
const CLOSED: &str = "it makes room for another version, and its port is closed until that one has it";

/// A stop that was asked for from inside the process and is not announced yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) event: LifecycleEvent,
    pub(crate) reason: String,
}

/// Why, by whom and until when a worker is to end.
#[derive(Debug, Clone)]
pub struct StopRequest {
    /// Why, for events and logs.
    pub reason: String,
    /// Who asked.
    pub by: Asker,
    /// When it must be over; a second later the watchdog ends the process.
    pub deadline: Deadline,
}

/// What the watchdog needs to know, at one moment of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadlines {
    pub(crate) life: LifecycleState,
    pub(crate) boot_ends: Option<Duration>,
    pub(crate) end_ends: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    pub(crate) last_beat: Option<Duration>,
}

/// Budgets of the watchdog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// From now to ready.
    pub(crate) boot: Duration,
    /// Longest silence of a runtime that beats; `None` where nothing beats.
    pub(crate) stall: Option<Duration>,
}

pub(super) fn late_by(beat: Duration, now: Duration) -> Option<Duration> {
    let silent = now.saturating_sub(beat);
    (silent > BEAT * (LATE_BEATS + 1)).then_some(silent)
}

fn degrade(app: &mut App) {
    if app.state == AppState::Ready
        && let Some(failed) = app.checks.iter().find(|check| !check.ok)
    {
        app.state = AppState::Degraded;
        app.reason.get_or_insert_with(|| format!("{}: {}", failed.name, failed.detail));
    }
}
