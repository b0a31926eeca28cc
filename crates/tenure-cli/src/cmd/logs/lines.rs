//! A stream of bytes as lines, in bounded memory and in time that grows with the bytes alone.
//!
//! Pure. A program that writes no line end must not make its reader hold all that it wrote: a line that is longer than
//! [`LONGEST`] is handed over in pieces, of which only the last one ends it.

/// Longest piece. A line that people or programs read as one is shorter.
pub(crate) const LONGEST: usize = 1024 * 1024;

/// A line, or a piece of one that is too long to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinePiece<'a> {
    /// What it says, without the line's end.
    pub(crate) bytes: &'a [u8],
    /// The line ends with it.
    pub(crate) ends: bool,
}

/// Takes each line, or piece of one.
pub(crate) type Sink<'sink, E> = &'sink mut dyn FnMut(LinePiece<'_>) -> Result<(), E>;

/// What was read of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes, and hands over each line that they end. Each byte is looked at once.
    pub(crate) fn feed<E>(&mut self, mut bytes: &[u8], sink: Sink<'_, E>) -> Result<(), E> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.partial.is_empty() {
                sink(LinePiece { bytes: line, ends: true })?;
            } else {
                self.partial.extend_from_slice(line);
                self.finish(sink)?;
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST {
            sink(LinePiece { bytes: &self.partial, ends: false })?;
            self.partial.clear();
        }
        Ok(())
    }

    /// Hands over a last line that has no end.
    pub(crate) fn finish<E>(&mut self, sink: Sink<'_, E>) -> Result<(), E> {
        if !self.partial.is_empty() {
            sink(LinePiece { bytes: &self.partial, ends: true })?;
            self.partial.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(parts: &[&[u8]]) -> Vec<(usize, bool)> {
        let (mut lines, mut pieces) = (Lines::default(), Vec::new());
        let mut sink = |piece: LinePiece<'_>| {
            pieces.push((piece.bytes.len(), piece.ends));
            Ok::<(), ()>(())
        };
        for part in parts {
            lines.feed(part, &mut sink).expect("taken");
        }
        lines.finish(&mut sink).expect("taken");
        pieces
    }

    #[test]
    fn lines_are_whole_across_the_borders_of_parts() {
        assert_eq!(fed(&[b"a\nb", b"b\n\n", b"ccc"]), [(1, true), (2, true), (0, true), (3, true)]);
    }

    #[test]
    fn a_line_without_an_end_comes_in_bounded_pieces() {
        let part = vec![b'x'; 64 * 1024];
        let pieces = fed(&vec![part.as_slice(); 40]);
        assert_eq!(pieces.iter().map(|(length, _)| length).sum::<usize>(), 40 * 64 * 1024);
        assert!(pieces.iter().all(|(length, _)| *length <= LONGEST + part.len()), "{pieces:?}");
        let ends: Vec<bool> = pieces.iter().map(|(_, ends)| *ends).collect();
        assert_eq!(ends, [false, false, true]);
    }
}
