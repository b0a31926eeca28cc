//! The keys of a check: how a program tells that it is ready, and what is asked again and again. Data only.

use super::super::keys::Default::{Value, Words};
use super::super::keys::Key;
use super::super::keys::Shape::{Bare, Named, Number, Pattern, Statuses, Switch, Text, Texts};
use super::shape::{DURATION, NAME, NONE, PATH_PATTERN, key};

const HTTP: Key =
    key("http", Pattern(PATH_PATTERN), NONE, "GET of this path on the first listener answers 2xx or 3xx");

const TCP: Key = key(
    "tcp",
    Bare,
    NONE,
    "the first listener accepts, on TCP or at its path, and the socket belongs to the program's tree. Not with `mode = \"inherit\"`",
);

const EXEC: Key = key("exec", Texts(1), NONE, "this command exits with 0");

const LISTENER: Key = key(
    "listener",
    NAME,
    Words("the first"),
    "with `http` or `tcp`: the name of the listener that is asked, if it is not the first",
);

const STATUS: Key = key(
    "status",
    Statuses,
    Words("2xx and 3xx"),
    "with `http`: the statuses that pass, such as `[200, \"3xx\", \"410-412\"]`, instead of 2xx and 3xx",
);

const HEADERS: Key = key(
    "headers",
    Named,
    Words("none"),
    "with `http`: headers to send, such as `{ Host = \"shop.test\" }`. No command shows their values",
);

const TLS: Key =
    key("tls", Switch, Words("false"), "with `http`: `true` asks over TLS. No certificate is verified");

/// Ways to tell readiness.
pub(super) const READY: &[Key] = &[
    HTTP,
    TCP,
    EXEC,
    key(
        "log",
        Text,
        NONE,
        "a line of the output matches this regular expression, without escape sequences of a terminal; a carriage return ends a line too",
    ),
    key("notify", Bare, NONE, "`READY=1` arrives on `NOTIFY_SOCKET`"),
    key(
        "fd",
        Bare,
        NONE,
        "a line arrives on the descriptor in `TENURE_READY_FD`, or it is closed after a write",
    ),
    key("up", Bare, NONE, "the program runs"),
    LISTENER,
    STATUS,
    HEADERS,
    TLS,
];

/// Ways to ask again and again.
pub(super) const HEALTH_CHECKS: &[Key] = &[
    HTTP,
    TCP,
    EXEC,
    LISTENER,
    STATUS,
    key(
        "degraded",
        Statuses,
        Words("none"),
        "with `http`: statuses by which the program says that it lives and is degraded, such as `[503]`. They are shown, and never count as a failure",
    ),
    HEADERS,
    TLS,
];

/// How often a check is repeated, and what its failures lead to.
pub(super) const HEALTH: &[Key] = &[
    key("interval", DURATION, Value("\"10s\""), "time between two checks"),
    key("timeout", DURATION, Value("\"2s\""), "longest time of one check"),
    key(
        "failures",
        Number(1),
        Value("3"),
        "failures in a row after which the program is restarted by policy; with fewer it is degraded",
    ),
];
