//! Why a worker is replaced, in words. Pure.

use crate::error::{Error, ErrorKind};
use crate::policy::decide::ReplaceReason;
use crate::protocol::wire::Hello;

/// Why a worker is replaced, for its log, for events and for errors.
pub(super) fn reason_text(reason: &ReplaceReason) -> String {
    match reason {
        ReplaceReason::Older { target } => format!("it is older than {target}"),
        ReplaceReason::Disagrees { target, says } => {
            format!("it was started as {target} and says that it is {says}")
        }
        ReplaceReason::OtherApp { theirs } => format!("it is {theirs}, which has given the name up"),
        ReplaceReason::SourceChanged => "the files of its build have changed".to_owned(),
        ReplaceReason::Failed { reason } => format!("its app has failed: {reason}"),
        ReplaceReason::Stalled { for_ms } => format!("its app has not answered for {for_ms} ms"),
    }
}

/// The error for a worker that stands where a call has replaced one already.
pub(super) fn still_unusable(hello: &Hello, reason: &ReplaceReason) -> Error {
    if let ReplaceReason::Disagrees { target, says } = reason {
        let message = format!(
            "get version {target}: the worker that was started as {target} says that it is {says}; \
            the next call starts it once more"
        );
        return Error::of(ErrorKind::VersionDisagrees, message);
    }
    let (version, pid) = (&hello.version, hello.identity.pid);
    let message = format!(
        "get a usable worker: after one replacement, pid {pid} (version {version}) stands and {}",
        reason_text(reason)
    );
    Error::of(ErrorKind::StillUnusable, message)
}
