//! A worker's account of itself: the answer to HELLO, and the values in it. Data only.
//!
//! A field that was added later is left out where it is empty, so that older readers see what they know.

use std::net::SocketAddr;

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::identity::Identity;

use crate::protocol::ends::UnaskedEnd;
use crate::protocol::not_ready::NotReady;
use crate::spec::app::AppId;
use crate::spec::{Address, Spec, Summary};

/// The protocol versions that this build speaks.
pub const PROTOCOL: ProtocolRange = ProtocolRange { min: 1, max: 1 };

/// A worker's own account of itself.
///
/// ```
/// fn told(hello: &tenure::Hello) -> String {
///     format!("{} {}, pid {}", hello.scope, hello.effective_version(), hello.identity.pid)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hello {
    /// The scope's id by the path of its state directory ([`crate::spec::scope::Scope::id`]). The worker belongs to the
    /// scope of a caller that has the same id.
    pub scope: String,
    /// The scope's id by the directory's own id ([`crate::record::directory_id`]), where it has one: it is the same
    /// when the directory is reached by another path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Fencing token of this activation.
    pub generation: u64,
    /// Place in the lineage.
    pub role: Role,
    /// The version that it was started as.
    pub version: Version,
    /// Version of the `tenure` code that answers.
    pub build: String,
    /// Protocol versions spoken.
    pub protocol: ProtocolRange,
    /// The worker process.
    pub identity: Identity,
    /// A random text for each activation.
    pub instance: String,
    /// Path of the worker's executable.
    pub worker_path: String,
    /// Milliseconds since the worker process started.
    pub uptime_ms: u64,
    /// Who started it.
    pub started_by: Asker,
    /// Where it serves.
    pub endpoints: Vec<Endpoint>,
    /// State of the app.
    pub app: App,
    /// Whether it has announced its end.
    pub draining: bool,
    /// What it was started from.
    pub spec: Summary,
    /// The wrapped program, where there is one.
    pub program: Option<ProgramStatus>,
    /// Whose worker it is; none from a worker of an older build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<AppId>,
    /// Digest of the build that it runs ([`crate::spec::Spec::build`]), where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The files of its build have changed since it was started, or may have: whoever acts on this reads them first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub source_changed: bool,
    /// It answers PREPARE: a successor can take its place while it serves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hands_over: bool,
    /// Its probation, while it is on one: the worker before it can take the scope back, and no other can take over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation: Option<Probation>,
}

impl Hello {
    /// The account of a worker of `spec` that begins to boot. Fields without an argument are empty.
    #[must_use]
    pub fn booting(scope: String, generation: u64, spec: &Spec, identity: Identity) -> Self {
        Self {
            scope,
            directory: None,
            generation,
            role: Role::Booting,
            version: spec.version.clone(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            identity,
            instance: String::new(),
            worker_path: String::new(),
            uptime_ms: 0,
            started_by: Asker::default(),
            endpoints: Vec::new(),
            app: App::default(),
            draining: false,
            spec: spec.summary(),
            program: None,
            whose: None,
            content: None,
            source_changed: false,
            hands_over: false,
            probation: None,
        }
    }

    /// The version that counts: the one that the app names, else the one that the worker was started as.
    #[must_use]
    pub fn effective_version(&self) -> &Version {
        self.app.version.as_ref().unwrap_or(&self.version)
    }

    /// Whether it has announced its end, or made room for a successor: a caller has to look again.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.draining || matches!(self.role, Role::Draining | Role::Committed)
    }
}

/// The probation of a worker that took another one's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probation {
    /// Milliseconds left. At 0 the worker before it has not yet confirmed the end of the probation.
    pub left_ms: u64,
    /// Milliseconds since it began; none from a worker of an older build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// The version that serves again if this worker fails, or is sent back.
    pub before: Version,
}

impl Probation {
    /// A probation after the version `before`, with the milliseconds that are left of it and those since it began.
    #[must_use]
    pub fn of(before: Version, left_ms: u64, for_ms: Option<u64>) -> Self {
        Self { left_ms, for_ms, before }
    }
}

/// Place of a worker in its lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Started, not yet serving.
    Booting,
    /// Started beside a worker that serves, to take its place.
    Standby,
    /// Serves.
    Active,
    /// Has made room for a successor, and goes on if that fails.
    Committed,
    /// Has announced its end and no longer accepts.
    Draining,
}

/// State of the app behind a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct App {
    /// Whether it serves. A process that runs is not yet ready.
    pub state: AppState,
    /// Why it is in this state, where there is more to say.
    pub reason: Option<String>,
    /// Milliseconds since an embedded app's runtime last answered, where that is too long ago.
    pub stalled_for_ms: Option<u64>,
    /// Checks and their last results.
    pub checks: Vec<Check>,
    /// The version that the app names, where it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// While its program is not ready: what is known of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<Box<NotReady>>,
}

/// Whether the app serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AppState {
    /// Not ready yet.
    #[default]
    Booting,
    /// Serves.
    Ready,
    /// Serves, but a check fails.
    Degraded,
    /// Its program ended, and the host will start it again.
    BackOff,
    /// It will not serve again by itself.
    Failed,
}

impl AppState {
    /// Whether it is final for now: neither booting nor backing off.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self {
            Self::Ready | Self::Degraded | Self::Failed => true,
            Self::Booting | Self::BackOff => false,
        }
    }

    /// Whether the app serves, perhaps with a check that fails.
    #[must_use]
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

/// A named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// Whether it passed the last time.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// Milliseconds since it began to fail, where it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_for_ms: Option<u64>,
}

impl Check {
    /// The check `name`, whether it passed, and what was found.
    pub fn new(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok, detail: detail.into(), failing_for_ms: None }
    }
}

/// An address that serves.
///
/// ```
/// fn http(hello: &tenure::Hello) -> Option<std::net::SocketAddr> {
///     hello.endpoints.iter().find(|endpoint| endpoint.name == "http")?.address.tcp()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WrittenEndpoint", into = "WrittenEndpoint")]
#[non_exhaustive]
pub struct Endpoint {
    /// The listener's name in the spec.
    pub name: String,
    /// Its address, port resolved, or its path, absolute.
    pub address: Address,
}

impl Endpoint {
    /// The listener `name`, which serves on `tcp`.
    pub fn new(name: impl Into<String>, tcp: SocketAddr) -> Self {
        Self::at(name, Address::Tcp(tcp))
    }

    /// The listener `name`, which serves on `address`.
    pub fn at(name: impl Into<String>, address: Address) -> Self {
        Self { name: name.into(), address }
    }
}

/// An endpoint as it is written: readers that know only `tcp` read those that have it.
#[derive(Serialize, Deserialize)]
struct WrittenEndpoint {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tcp: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unix: Option<String>,
}

impl TryFrom<WrittenEndpoint> for Endpoint {
    type Error = String;

    fn try_from(written: WrittenEndpoint) -> Result<Self, String> {
        let WrittenEndpoint { name, tcp, unix } = written;
        match Address::of(tcp, unix) {
            Some(address) => Ok(Self { name, address }),
            None => Err(format!("the endpoint {name:?} needs `tcp` or `unix`, and not both")),
        }
    }
}

impl From<Endpoint> for WrittenEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        let (tcp, unix) = endpoint.address.into_forms();
        Self { name: endpoint.name, tcp, unix }
    }
}

/// The program under a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgramStatus {
    /// The program process, while it runs.
    pub identity: Option<Identity>,
    /// Starts within this generation.
    pub starts: u32,
    /// How it last ended, where it has.
    pub last_exit: Option<String>,
    /// The last end within this generation after which it was started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<Box<UnaskedEnd>>,
}

/// Who asked for something; for events, never for a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Asker {
    /// Process id at the time.
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
    /// The version that it offers, where it offers one.
    pub version: Option<Version>,
}

impl Asker {
    /// The process `pid` with its command line, which offers no version.
    pub fn of(pid: u32, command: impl Into<String>) -> Self {
        Self { pid, command: command.into(), version: None }
    }
}

/// A closed range of protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProtocolRange {
    /// Oldest version spoken.
    pub min: u32,
    /// Newest version spoken.
    pub max: u32,
}

impl ProtocolRange {
    /// Whether both sides have a version in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}
