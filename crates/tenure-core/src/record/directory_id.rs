//! The identity of a state directory: a random id of its own, and where the directory was when the id was made.
//!
//! Pure. A path may lead to another directory in another mount namespace, and one directory can have two paths. So the
//! cookies that are searched in other processes have this id. Device and inode, compared within one boot, tell a copy
//! from the directory that was copied. The record is made and mended under the gate ([`crate::store::directory_id`]);
//! others only read it.

use serde::{Deserialize, Serialize};

/// Format version of the record.
pub const SCHEMA: u32 = 1;

/// The record `identity.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryId {
    /// [`SCHEMA`] of the writer.
    pub schema_version: u32,
    /// 128 random bits, in hexadecimal digits.
    pub id: String,
    /// Where the directory was when this was written.
    #[serde(flatten)]
    pub place: DirectoryPlace,
    /// The scope's id by the path of its directory: in the cookies of processes that a `tenure` without this record has
    /// started here. Set only where a ledger existed when the id was made, and until the next boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<String>,
}

/// Where a directory is, within one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryPlace {
    /// The kernel's random id of the boot.
    pub boot: String,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// What a record says about the directory that it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryOrigin {
    /// There is no record, or it cannot be read.
    Unnamed {
        /// A ledger exists: a worker was started here before.
        used: bool,
    },
    /// The record is the directory's own, of this boot.
    Own(DirectoryId),
    /// The record is of an earlier boot, and counts as the directory's own: device numbers may have changed since.
    OtherBoot(DirectoryId),
    /// The record was written in this boot for another directory: this directory and its ledger are copies.
    Copied(DirectoryId),
}

impl DirectoryOrigin {
    /// Compares the record that was found with the place of its directory.
    #[must_use]
    pub fn of(found: Option<DirectoryId>, here: &DirectoryPlace, used: bool) -> Self {
        match found {
            None => Self::Unnamed { used },
            Some(id) if id.place.boot != here.boot => Self::OtherBoot(id),
            Some(id) if id.place == *here => Self::Own(id),
            Some(id) => Self::Copied(id),
        }
    }

    /// The record, whichever directory it belongs to.
    #[must_use]
    pub fn record(&self) -> Option<&DirectoryId> {
        match self {
            Self::Unnamed { .. } => None,
            Self::Own(id) | Self::OtherBoot(id) | Self::Copied(id) => Some(id),
        }
    }

    /// Whether the directory is a copy: the processes in its ledger belong to the directory that was copied.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        matches!(self, Self::Copied(_))
    }

    /// The scope ids in the cookies of this directory's processes, where the id by its path is `by_path`. A copy has
    /// none: its ids belong to processes of the directory that was copied. The id by the path counts only where the
    /// directory's own records say that a `tenure` without this record was here: elsewhere another directory may have
    /// the same path.
    #[must_use]
    pub fn cookie_scopes(&self, name: &str, by_path: &str) -> Vec<String> {
        match self {
            Self::Unnamed { used: true } => vec![by_path.to_owned()],
            Self::Unnamed { used: false } | Self::Copied(_) => Vec::new(),
            Self::OtherBoot(id) => vec![id.scope_id(name)],
            Self::Own(id) => [id.scope_id(name)].into_iter().chain(id.former.clone()).collect(),
        }
    }
}

impl DirectoryId {
    /// The id of the scope `name`, as HELLO and cookies have it.
    #[must_use]
    pub fn scope_id(&self, name: &str) -> String {
        format!("{name}:{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(boot: &str, ino: u64) -> DirectoryPlace {
        DirectoryPlace { boot: boot.to_owned(), dev: 1, ino }
    }

    fn record(former: Option<&str>) -> DirectoryId {
        let former = former.map(str::to_owned);
        DirectoryId { schema_version: SCHEMA, id: "i".to_owned(), place: place("b", 7), former }
    }

    fn cookie_scopes(found: Option<DirectoryId>, here: &DirectoryPlace, used: bool) -> Vec<String> {
        DirectoryOrigin::of(found, here, used).cookie_scopes("w", "w:path")
    }

    #[test]
    fn a_directory_is_told_from_its_copy_within_one_boot_only() {
        let of = |here: &DirectoryPlace| DirectoryOrigin::of(Some(record(None)), here, true);
        assert_eq!(of(&place("b", 7)), DirectoryOrigin::Own(record(None)));
        assert!(of(&place("b", 8)).is_copied());
        assert_eq!(of(&place("c", 8)), DirectoryOrigin::OtherBoot(record(None)));
    }

    #[test]
    fn the_path_is_in_cookies_only_where_a_record_says_that_it_did() {
        assert_eq!(cookie_scopes(None, &place("b", 7), false), [""; 0]);
        assert_eq!(cookie_scopes(None, &place("b", 7), true), ["w:path"]);
        assert_eq!(cookie_scopes(Some(record(None)), &place("b", 7), true), ["w:i"]);
        assert_eq!(cookie_scopes(Some(record(Some("w:before"))), &place("b", 7), true), ["w:i", "w:before"]);
        assert_eq!(cookie_scopes(Some(record(Some("w:before"))), &place("c", 7), true), ["w:i"]);
    }

    #[test]
    fn nothing_that_runs_belongs_to_a_copy() {
        assert_eq!(cookie_scopes(Some(record(Some("w:before"))), &place("b", 8), true), [""; 0]);
    }

    #[test]
    fn format_1_is_read_as_it_was_first_written() {
        let golden = include_str!("../../formats/identity-1.json");
        let read: DirectoryId = serde_json::from_str(golden).expect("golden reads");
        assert_eq!(
            read.place,
            DirectoryPlace { boot: "0f8fad5b-d9cb-469f-a165-70867728950e".into(), dev: 2049, ino: 131 }
        );
        assert_eq!(serde_json::to_string_pretty(&read).expect("writes").trim(), golden.trim());
    }
}
