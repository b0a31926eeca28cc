//! What lies below a path: which file system, how much room is left on it, and whether it can be written.
//!
//! Asked by path, so that a directory that may not be opened can be judged too. For messages only: a disk that had room
//! a moment ago may be full now.

use std::io;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

/// File systems whose files are kept by another machine (linux/magic.h and the sources of each): their locks and their
/// notifications are those of the server, where it has any.
const NETWORK: [(u64, &str); 9] = [
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFE53_4D42, "smb2"),
    (0xFF53_4D42, "cifs"),
    (0x5346_414F, "afs"),
    (0x00C3_6400, "ceph"),
    (0x0102_1997, "9p"),
    (0x0BD0_0BD0, "lustre"),
    (0x6573_5546, "fuse"),
];

/// The usual local file systems, by the names that people know.
const LOCAL: [(u64, &str); 10] = [
    (0xEF53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x794C_7630, "overlayfs"),
    (0x2FC1_2FC1, "zfs"),
    (0xF2F5_2010, "f2fs"),
    (0x8584_58F6, "ramfs"),
    (0xCA45_1A4E, "bcachefs"),
    (0x4D44, "vfat"),
];

/// A file system, seen from one path on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its name, or its number in hexadecimal where it is none of the usual ones.
    pub kind: String,
    /// Whether its files are kept elsewhere: another machine, or a program (FUSE).
    pub is_network: bool,
    /// Whether it is mounted without the right to write.
    pub is_read_only: bool,
    /// Bytes that the caller may still write; space reserved for root does not count for others.
    pub free_bytes: u64,
    /// Files that may still be made; `None` where the file system has no such limit.
    pub free_files: Option<u64>,
}

/// Looks at the file system below a path.
pub fn below(path: &Path) -> io::Result<FileSystem> {
    let kind = rustix::fs::statfs(path)?;
    let room = rustix::fs::statvfs(path)?;
    // The width and the sign of the field differ between architectures; the number has 32 bits.
    let magic = u64::try_from(kind.f_type).unwrap_or_default() & 0xFFFF_FFFF;
    let (name, is_network) = name_of(magic);
    Ok(FileSystem {
        kind: name,
        is_network,
        is_read_only: room.f_flag.contains(StatVfsMountFlags::RDONLY),
        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
        free_files: (room.f_files != 0).then_some(room.f_favail),
    })
}

fn name_of(magic: u64) -> (String, bool) {
    let find = |list: &[(u64, &str)]| {
        list.iter().find_map(|(number, name)| (*number == magic).then(|| (*name).to_owned()))
    };
    match find(&NETWORK) {
        Some(name) => (name, true),
        None => (find(&LOCAL).unwrap_or_else(|| format!("{magic:#x}")), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_the_name_that_people_know() {
        assert_eq!(name_of(0xEF53), ("ext4".to_owned(), false));
        assert_eq!(name_of(0x6969), ("nfs".to_owned(), true));
        assert_eq!(name_of(0x1234_5678), ("0x12345678".to_owned(), false));
    }

    #[test]
    fn the_file_system_of_proc_is_read_and_what_is_absent_is_an_error() {
        let proc = below(Path::new("/proc")).expect("mounted");
        assert_eq!((proc.kind.as_str(), proc.is_network), ("0x9fa0", false));
        assert_eq!(below(Path::new("/nowhere")).expect_err("absent").kind(), io::ErrorKind::NotFound);
    }
}
