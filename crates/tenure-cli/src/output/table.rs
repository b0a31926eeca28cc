//! Rows in columns, as wide as their widest cells, and no wider than the terminal.
//!
//! Pure: text in, text out. Colour is a cell's style and counts for nothing; what could drive a terminal or begin a line
//! is replaced, wherever a text comes from.

use std::fmt::Write;

use anstyle::Style;

use crate::output::render::printable;

/// What stands where something does not fit.
const CUT: char = '…';

/// A cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style of its own.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: printable(&text.into()), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// The rows as lines; a column in which no cell says anything is left out. Where there is a `width`, a line is cut at
/// it: a terminal would fold it and nothing would line up.
pub(crate) fn columns<const N: usize>(rows: &[[Cell; N]], width: Option<usize>) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].width()).max().unwrap_or(0));
    rows.iter().map(|row| line(row, &widths, width.unwrap_or(usize::MAX))).collect()
}

fn line(row: &[Cell], widths: &[usize], mut left: usize) -> String {
    let mut line = String::new();
    // Nothing trails the last cell that says something.
    let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
    for (at, (cell, width)) in row.iter().zip(widths).take(last).enumerate() {
        let (text, style) = (cut(&cell.text, left), cell.style);
        write!(line, "{style}{text}{style:#}").expect("a string takes all");
        let gap = if at + 1 == last || *width == 0 { 0 } else { width - cell.width() + 2 };
        left = left.saturating_sub(cell.width());
        if left <= gap && at + 1 < last {
            break;
        }
        left -= gap;
        line.extend(std::iter::repeat_n(' ', gap));
    }
    line.push('\n');
    line
}

/// The text in `width` characters at most.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain([CUT]).collect()
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    fn rows() -> [[Cell; 3]; 2] {
        [["a".into(), "long one".into(), "".into()], ["longer".into(), "b".into(), "tail".into()]]
    }

    #[test]
    fn columns_line_up_and_nothing_trails() {
        assert_eq!(columns(&rows(), None), "a       long one\nlonger  b         tail\n");
    }

    #[test]
    fn a_column_without_a_word_takes_no_room() {
        let rows = [["a".into(), "".into(), "b".into()], ["c".into(), "".into(), Cell::from("d")]];
        assert_eq!(columns(&rows, None), "a  b\nc  d\n");
    }

    #[test]
    fn a_line_is_cut_at_the_width_and_says_so() {
        assert_eq!(columns(&rows(), Some(20)), "a       long one\nlonger  b         t…\n");
        assert_eq!(columns(&rows(), Some(4)), "a\nlon…\n");
        for width in 1..30 {
            for line in columns(&rows(), Some(width)).lines() {
                assert!(line.chars().count() <= width && !line.ends_with(' '), "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn a_text_of_two_lines_is_one_row() {
        let rows = [[Cell::from("a\nb\u{1b}[31m"), "c".into()]];
        assert_eq!(columns(&rows, None), "a\\nb\u{FFFD}[31m  c\n");
    }

    #[test]
    fn colour_moves_nothing() {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let rows = [[Cell::styled("down", red), "x".into()], ["booting".into(), "y".into()]];
        let line = columns(&rows, None);
        assert_eq!(line.replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""), "down     x\nbooting  y\n");
    }
}
