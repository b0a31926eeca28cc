//! Everything about a start that needs memory, prepared before the fork.

use std::ffi::{CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::{io, ptr};

use rustix::process::{Resource, getrlimit};

use crate::common::launch::{Launch, Stream};

/// A slot of [`SpawnPlan::sources`] that is left as it is.
pub(super) const KEEP: RawFd = -1;

/// Digits of the largest pid, with room to spare: the kernel stops at 4,194,304.
pub(super) const PID_DIGITS: usize = 10;

/// Arguments, environment and descriptors in the form that the kernel takes.
///
/// The pointers in `argv` and `envp` lead into the buffers of the strings beside them, which are never touched again;
/// they end with a null pointer.
pub(super) struct SpawnPlan {
    pub(super) program: CString,
    pub(super) cwd: CString,
    pub(super) argv: Vec<*const libc::c_char>,
    pub(super) envp: Vec<*const libc::c_char>,
    /// Where the new process writes its number, ten bytes and the end mark; null if it does not.
    pub(super) pid_digits: *mut u8,
    /// What becomes descriptor 0, 1, 2, 3, …
    pub(super) sources: Vec<RawFd>,
    pub(super) session: bool,
    pub(super) umask: Option<libc::mode_t>,
    pub(super) nofile: Option<libc::rlimit>,
    /// Soft limits to reset, and with them everything that `reset` resets; `None` where the caller's own are passed on.
    pub(super) reset: Option<Vec<SoftLimit>>,
    /// One past the highest descriptor that may be open, for kernels without `close_range`.
    pub(super) highest: RawFd,
    _strings: [Vec<CString>; 2],
    _pid_entry: Vec<u8>,
    _null: Option<OwnedFd>,
}

/// A soft limit to set, with its number as the kernel takes it.
pub(super) struct SoftLimit {
    pub(super) resource: libc::c_long,
    pub(super) limit: libc::rlimit,
}

/// The usual soft limit of a stack; threads get their share of address space by it (`_STK_LIM`, linux/resource.h).
const STACK: u64 = 8 * 1024 * 1024;

impl SpawnPlan {
    /// Makes the new process reset what it inherits.
    pub(super) fn afresh(&mut self) {
        let as_hard =
            [Resource::Cpu, Resource::Fsize, Resource::Data, Resource::Rss, Resource::As, Resource::Nproc]
                .map(|resource| (resource, u64::MAX));
        let of = |(resource, most): (Resource, u64)| {
            let rlim_max = getrlimit(resource).maximum.unwrap_or(libc::RLIM_INFINITY);
            let limit = libc::rlimit { rlim_cur: most.min(rlim_max), rlim_max };
            SoftLimit { resource: number(resource), limit }
        };
        let all = as_hard.into_iter().chain([(Resource::Stack, STACK), (Resource::Core, 0)]);
        self.reset = Some(all.map(of).collect());
    }

    pub(super) fn prepare(launch: &Launch<'_>) -> io::Result<Self> {
        let program = c_string(launch.program.as_os_str())?;
        let arg0 = launch.arg0.unwrap_or(launch.program.as_os_str());
        let args = launch.args.iter().map(OsString::as_os_str);
        let args: Vec<CString> = [arg0].into_iter().chain(args).map(c_string).collect::<io::Result<_>>()?;
        let env = launch.env.iter().filter(|(key, _)| launch.pid_env.is_none_or(|own| key != own));
        let env: Vec<CString> = env.map(|(key, value)| entry(key, value)).collect::<io::Result<_>>()?;
        let mut argv: Vec<*const libc::c_char> = args.iter().map(|text| text.as_ptr()).collect();
        let mut envp: Vec<*const libc::c_char> = env.iter().map(|text| text.as_ptr()).collect();
        let mut pid_entry = launch.pid_env.map_or_else(Vec::new, pid_entry);
        let mut pid_digits = ptr::null_mut();
        if let Some(key) = launch.pid_env {
            let start = pid_entry.as_mut_ptr();
            envp.push(start.cast());
            pid_digits = start.wrapping_add(key.len() + 1);
        }
        argv.push(ptr::null());
        envp.push(ptr::null());
        let (sources, null) = sources(launch)?;
        let limit = getrlimit(Resource::Nofile);
        let hard = limit.maximum.unwrap_or(libc::RLIM_INFINITY);
        Ok(Self {
            program,
            cwd: c_string(launch.cwd.as_os_str())?,
            argv,
            envp,
            pid_digits,
            sources,
            session: launch.session,
            umask: launch.umask,
            nofile: launch.nofile.map(|soft| libc::rlimit { rlim_cur: soft.min(hard), rlim_max: hard }),
            reset: None,
            // Closing a thousand million would take minutes; nobody opens that many.
            highest: RawFd::try_from(limit.current.unwrap_or(u64::MAX).min(1 << 20)).unwrap_or(RawFd::MAX),
            _strings: [args, env],
            _pid_entry: pid_entry,
            _null: null,
        })
    }
}

/// The descriptors in the order of their new numbers, and `/dev/null` if one of them is that.
fn sources(launch: &Launch<'_>) -> io::Result<(Vec<RawFd>, Option<OwnedFd>)> {
    let streams = [launch.stdin, launch.stdout, launch.stderr];
    let needs_null = streams.iter().any(|stream| matches!(stream, Stream::Null));
    let null = needs_null.then(|| OpenOptions::new().read(true).write(true).open("/dev/null")).transpose()?;
    let source = |stream| match stream {
        Stream::Null => null.as_ref().map_or(KEEP, AsRawFd::as_raw_fd),
        Stream::Fd(fd) => fd.as_raw_fd(),
        Stream::Inherit => KEEP,
    };
    let fds = launch.fds.iter().map(AsRawFd::as_raw_fd);
    Ok((streams.into_iter().map(source).chain(fds).collect(), null.map(OwnedFd::from)))
}

fn number(resource: Resource) -> libc::c_long {
    libc::c_long::from(resource as u32)
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

fn entry(key: &OsStr, value: &OsStr) -> io::Result<CString> {
    Ok(CString::new([key.as_bytes(), b"=", value.as_bytes()].concat())?)
}

/// `KEY=` with room for the digits and the end mark.
fn pid_entry(key: &str) -> Vec<u8> {
    [key.as_bytes(), b"=", &[0; PID_DIGITS + 1]].concat()
}
