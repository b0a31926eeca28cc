//! Facts made by hand: a worker that is up and well, one that is down, one that is silent, and ways to change them.

use std::path::PathBuf;
use std::time::Duration;

use tenure_core::Version;
use tenure_core::deadline::Moment;
use tenure_core::policy::decide::Observation;
use tenure_core::protocol::wire::{AppState, Endpoint, Hello, Role};
use tenure_core::record::desired::Desired;
use tenure_core::record::directory_id::{self, DirectoryId, DirectoryOrigin};
use tenure_core::record::ledger::{HostRecord, Ledger};
use tenure_core::spec::app::AppId;
use tenure_core::spec::origin::Origin;
use tenure_core::spec::scope::Scope;
use tenure_core::spec::{Spec, Summary};
use tenure_core::store::gate::Signature;
use tenure_sys::census::{Census, SeenProcess};
use tenure_sys::filesystem::FileSystem;
use tenure_sys::identity::Identity;
use tenure_sys::kernel::{Features, WatchLimits};
use tenure_sys::process::{GoneReason, RunState};
use tenure_sys::socket::ListeningSocket;

use crate::facts::{
    Access, DirectoryFacts, Facts, GateHolder, HostCode, LogBytes, MachineFacts, Member, Now, Port,
    RecordFacts, ScopeFacts, WantedFacts, WorkerFacts,
};

pub(super) const LATER: u64 = 1_000_000;

pub(super) fn now() -> Moment {
    Moment::of("b", LATER)
}

pub(super) fn scope() -> Scope {
    "web".parse().expect("valid")
}

pub(super) fn directory_id() -> DirectoryId {
    let place = directory_id::DirectoryPlace { boot: "b".into(), dev: 1, ino: 2 };
    DirectoryId { schema_version: directory_id::SCHEMA, id: "id".into(), place, former: None }
}

pub(super) fn who(pid: u32) -> Identity {
    Identity { boot: "b".into(), pidns: 1, pid, start: 3, inode: Some(u64::from(pid)) }
}

pub(super) fn version(major: u64) -> Version {
    Version::new(major, 0, 0)
}

pub(super) fn spec(major: u64) -> Spec {
    let mut spec = Spec::of_command(vec!["/bin/web".into()], "/".into());
    spec.version = version(major);
    spec
}

/// The app without a name that this file describes.
pub(super) fn app_of(file: &str) -> AppId {
    AppId::of(&spec(1), &Origin::File { path: file.into() })
}

/// What a worker says that was started from version 1 with another command.
pub(super) fn running(command: &[&str]) -> Summary {
    let mut spec = spec(1);
    spec.command = command.iter().map(|&word| word.to_owned()).collect();
    spec.summary()
}

pub(super) fn there(pid: u32, run: RunState) -> Member {
    Member {
        identity: who(pid),
        now: Now::There { run: Some(run), tracer: None, command: "tenure host web".into() },
    }
}

pub(super) fn gone(pid: u32, why: GoneReason) -> Member {
    Member { identity: who(pid), now: Now::Gone(why) }
}

pub(super) fn seen(pid: u32) -> SeenProcess {
    SeenProcess { pid, command: format!("program {pid}"), above: vec![1] }
}

pub(super) fn place(path: &str) -> DirectoryFacts {
    let file_system = FileSystem {
        kind: "ext4".into(),
        is_network: false,
        is_read_only: false,
        free_bytes: 1 << 40,
        free_files: Some(1 << 20),
    };
    DirectoryFacts {
        path: PathBuf::from(path),
        leads: None,
        access: Access::Private { writable: true },
        file_system: Ok(file_system),
    }
}

pub(super) fn machine() -> MachineFacts {
    MachineFacts {
        user: 1000,
        now: now(),
        wall_s: 2_000_000_000,
        identity: Ok(who(1)),
        roots: vec![place("/state"), place("/state/trust")],
        host: Ok(place("/state/host")),
        listed: Ok(1),
        machine_id: true,
        kernel: "6.18".into(),
        features: Features { pidfd: true, pidfd_inode: true, peer_pidfd: true, close_range: true },
        watch_limits: Ok(WatchLimits { watches: 1 << 20, instances: 1024 }),
        watch: Ok(()),
        descriptors: (1024, 4096),
        variables: Vec::new(),
        named_host: None,
        configuration: Vec::new(),
    }
}

pub(super) fn hello() -> Hello {
    let mut hello = Hello::booting("web:id".into(), 3, &spec(1), who(42));
    hello.role = Role::Active;
    hello.build = "0.1.0".into();
    hello.worker_path = "/usr/bin/tenure".into();
    hello.uptime_ms = 5;
    hello.endpoints = vec![Endpoint::new("http", address())];
    hello.app.state = AppState::Ready;
    hello
}

pub(super) fn address() -> std::net::SocketAddr {
    "127.0.0.1:8080".parse().expect("an address")
}

pub(super) fn wanted() -> WantedFacts {
    let mut record = Desired::default();
    record.offer(&spec(1), &now());
    WantedFacts {
        record,
        gone: Vec::new(),
        untrusted: Vec::new(),
        undescribed: Vec::new(),
        overwritten: Vec::new(),
    }
}

/// A worker that is up and well.
pub(super) fn healthy() -> Facts {
    let ledger = Ledger { generation: 3, lineage: vec![who(42)], ..Ledger::default() };
    let host = HostRecord { exe: "/usr/bin/tenure".into(), version: "0.0.1".into(), hosts: true };
    let state = ScopeFacts {
        id: "web:id".into(),
        cookie_scopes: vec!["web:id".into()],
        origin: DirectoryOrigin::Own(directory_id()),
        other_mounts: false,
        gate: Ok(None),
        lease: Ok(true),
        listens: None,
        lease_file: Some((1, 2)),
        program_lock: Ok(true),
        orphans: Vec::new(),
        orphans_of_others: Vec::new(),
        answer: Observation::Answered(Box::new(hello())),
        answered_in: Duration::from_millis(1),
        socket: Ok(true),
        ledger: RecordFacts::Good(ledger),
        desired: RecordFacts::Good(wanted()),
        lineage: vec![there(42, RunState::Sleeping)],
        programs: Vec::new(),
        host: Some(HostCode { record: host, there: true, runs: Some("/usr/bin/tenure".into()) }),
        own: vec![42],
        out_of_sight: None,
        inherited: Vec::new(),
        moved_log: None,
        ports: vec![port(true)],
        obstacles: Vec::new(),
        temporaries: Vec::new(),
        logs: Ok(Some(LogBytes { all: 10, bound: 1_000_000 })),
        written_s: 1_000_000_000,
    };
    let worker = WorkerFacts {
        scope: scope(),
        display_name: "web".into(),
        arguments: "web".into(),
        directory: place("/state/host/web"),
        state: Some(state),
        dependencies: vec![("db".into(), true)],
    };
    Facts { machine: machine(), workers: vec![worker], census: Census::default() }
}

pub(super) fn port(is_ours: bool) -> Port {
    let sockets = vec![ListeningSocket { uid: 1000, inode: 77, waiting: 0 }];
    Port { name: "http".into(), address: tenure_core::spec::Address::Tcp(address()), sockets, is_ours }
}

/// The same scope after its worker has ended as it should.
pub(super) fn down() -> Facts {
    let mut facts = healthy();
    let state = state(&mut facts);
    state.lease = Ok(false);
    state.lease_file = None;
    state.program_lock = Ok(false);
    state.answer = Observation::Nobody;
    state.socket = Ok(false);
    state.lineage = vec![gone(42, GoneReason::NoSuchProcess)];
    state.ports = Vec::new();
    facts
}

/// A worker that holds its lease and says nothing.
pub(super) fn silent() -> Facts {
    let mut facts = healthy();
    state(&mut facts).answer = Observation::Silent;
    state(&mut facts).answered_in = Duration::from_millis(500);
    facts
}

pub(super) fn state(facts: &mut Facts) -> &mut ScopeFacts {
    facts.workers[0].state.as_mut().expect("it has one")
}

pub(super) fn says(facts: &mut Facts) -> &mut Hello {
    match &mut state(facts).answer {
        Observation::Answered(hello) => hello,
        Observation::Nobody | Observation::Silent | Observation::Denied(_) | Observation::Foreign(_) => {
            panic!("it answers")
        }
    }
}

pub(super) fn wants(facts: &mut Facts) -> &mut WantedFacts {
    match &mut state(facts).desired {
        RecordFacts::Good(wanted) => wanted,
        RecordFacts::Absent | RecordFacts::Bad(_) => panic!("it was read"),
    }
}

pub(super) fn disk(facts: &mut Facts) -> &mut FileSystem {
    let host = facts.machine.host.as_mut().expect("there is one");
    host.file_system.as_mut().expect("it was looked at")
}

pub(super) fn set(facts: &mut Facts, name: &str, value: &str) {
    facts.machine.variables.push((name.to_owned(), value.to_owned()));
}

pub(super) fn held(run: RunState, since: u64) -> GateHolder {
    let by = Signature {
        identity: who(7),
        command: "tenure ensure web".into(),
        since: Moment::of("b", since),
        upgrade: None,
    };
    GateHolder::Signed { by, run: Some(run) }
}
