//! What several keys have in common: shapes of their text, and a short way to write a key. Data only.

use super::super::keys::Default::{self, Words};
use super::super::keys::Key;
use super::super::keys::Shape::{self, Pattern};

/// A duration, as [`tenure_core::spec::amount::Span`] reads it.
pub(super) const DURATION: Shape = Pattern(DURATION_PATTERN);

/// What a duration looks like.
pub(crate) const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h)$";

/// What a time without use looks like.
pub(crate) const IDLE_PATTERN: &str = "^(off|[0-9]+(ms|s|m|h))$";

/// A size, as [`tenure_core::spec::amount::Size`] reads it.
pub(super) const SIZE: Shape = Pattern(SIZE_PATTERN);

/// What a size looks like.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+(B|kB|MB|GB)$";

/// The name of a listener or a key, as [`tenure_core::Scope`] takes it.
pub(super) const NAME: Shape = Pattern(NAME_PATTERN);

/// What a worker's name looks like.
pub(crate) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

/// A numeric address with its port. Coarse: the ranges are checked when the file is read.
pub(super) const ADDRESS: Shape = Pattern(ADDRESS_PATTERN);

/// What such an address looks like.
pub(crate) const ADDRESS_PATTERN: &str = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}$";

/// Where a program behind a proxied listener is: an address as above, a path, or a variable.
pub(super) const UPSTREAM: Shape = Pattern(UPSTREAM_PATTERN);

/// What either looks like.
pub(crate) const UPSTREAM_PATTERN: &str = r"^(([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}|env(-path)?:[A-Za-z_][A-Za-z0-9_]*|unix:.+)$";

/// What the path of a request looks like.
pub(crate) const PATH_PATTERN: &str = "^/";

/// What a umask looks like.
pub(crate) const UMASK_PATTERN: &str = "^0?[0-7]{3}$";

pub(super) const fn key(name: &'static str, shape: Shape, default: Default, what: &'static str) -> Key {
    Key { name, shape, default, what }
}

/// No value unless somebody writes one.
pub(super) const NONE: Default = Words("none");
