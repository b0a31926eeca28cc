//! Random names.

use std::fmt::Write;
use std::io;

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

/// Gives `bytes` random bytes of the kernel as lower-case hex, twice as many characters.
pub fn hex(bytes: usize) -> io::Result<String> {
    let mut raw = vec![0_u8; bytes];
    let mut filled = 0;
    while filled < bytes {
        filled += retry_on_intr(|| getrandom(&mut raw[filled..], GetRandomFlags::empty()))?;
    }
    Ok(raw.iter().fold(String::with_capacity(bytes * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_length_asked_for_and_differ() {
        let (first, second) = (hex(8).expect("randomness"), hex(8).expect("randomness"));
        assert_eq!((first.len(), second.len()), (16, 16));
        assert_ne!(first, second);
        assert_eq!(hex(0).expect("nothing"), "");
    }
}
