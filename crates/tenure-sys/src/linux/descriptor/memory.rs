//! Bytes in an unnamed file (`memfd_create(2)`), to be handed to another process as a descriptor.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};

/// Puts the bytes into an unnamed file, close-on-exec; the file lives as long as somebody has it open.
pub fn hold(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// Reads what [`hold`] has put in, from the beginning; `expected` bytes, or it is an error of kind `InvalidData`.
pub fn read(fd: OwnedFd, expected: u64) -> io::Result<Vec<u8>> {
    let mut file = File::from(fd);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(expected.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()) == Ok(expected) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it has another length than was announced"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_reads_back_and_a_wrong_length_is_told() {
        let held = || hold("state", b"ten jobs").expect("memory");
        assert_eq!(read(held(), 8).expect("reads"), b"ten jobs");
        for wrong in [7, 9] {
            assert_eq!(read(held(), wrong).expect_err("wrong").kind(), io::ErrorKind::InvalidData);
        }
    }
}
