//! Columns that line up, cut to the width of a terminal. Counts columns of the screen, not characters.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::paint::Paint;

const GAP: &str = "  ";
/// With less room than this the last column is not worth its place.
const LEAST: usize = 12;

type Painter = fn(Paint, &str) -> String;

/// A cell, and how it is painted where there is colour.
#[derive(Clone)]
pub(crate) struct Cell {
    text: String,
    paint: Painter,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), paint: |_, text| text.to_owned() }
    }

    pub(crate) fn painted(text: impl Into<String>, paint: Painter) -> Self {
        Self { text: text.into(), paint }
    }
}

/// Rows of one cell for each heading. A column in which every cell is empty is left out. Without a width, as in a
/// pipe, nothing is cut.
pub(crate) fn lines(
    headings: &[&str],
    rows: &[Vec<Cell>],
    width: Option<usize>,
    paint: Paint,
) -> Vec<String> {
    let used: Vec<usize> = (0..headings.len())
        .filter(|&column| rows.iter().any(|row| !row[column].text.is_empty()))
        .collect();
    let Some((&last, fixed)) = used.split_last() else { return Vec::new() };
    let widths: Vec<usize> = fixed
        .iter()
        .map(|&column| {
            let cells = rows.iter().map(|row| row[column].text.width());
            cells.chain([headings[column].width()]).max().unwrap_or_default()
        })
        .collect();
    let taken: usize = widths.iter().map(|width| width + GAP.len()).sum();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(taken));
    let shape = Shape { fixed, widths: &widths, last, room, width, paint };
    let headings: Vec<Cell> =
        headings.iter().map(|text| Cell::painted(*text, Paint::heading)).collect();
    std::iter::once(&headings).chain(rows).map(|row| shape.line(row)).collect()
}

/// Which columns there are, and how wide.
struct Shape<'a> {
    fixed: &'a [usize],
    widths: &'a [usize],
    last: usize,
    /// For the last column.
    room: usize,
    width: Option<usize>,
    paint: Paint,
}

impl Shape<'_> {
    fn line(&self, row: &[Cell]) -> String {
        let mut line = String::new();
        let mut left = self.width.unwrap_or(usize::MAX);
        for (&column, &wide) in self.fixed.iter().zip(self.widths) {
            let cell = &row[column];
            let shown = cut(&cell.text, left);
            let pad = wide.min(left).saturating_sub(shown.width());
            left -= shown.width() + pad;
            line += &(cell.paint)(self.paint, &shown);
            let gap = GAP.len().min(left);
            left -= gap;
            line.extend(std::iter::repeat_n(' ', pad + gap));
        }
        if self.room >= LEAST {
            line += &(row[self.last].paint)(self.paint, &cut(&row[self.last].text, self.room));
        }
        line.trim_end().to_owned()
    }
}

/// At most so many columns; what is cut off is told by a dot-dot-dot.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or_default();
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if width > 0 {
        kept.push('…');
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { on: false };

    fn table(rows: &[[&str; 3]], width: Option<usize>) -> Vec<String> {
        let rows: Vec<Vec<Cell>> =
            rows.iter().map(|row| row.iter().map(|text| Cell::new(*text)).collect()).collect();
        lines(&["ONE", "TWO", "THREE"], &rows, width, PLAIN)
    }

    #[test]
    fn columns_line_up_by_what_a_terminal_shows() {
        let rows = [["a", "日本", "x"], ["long one", "é", "and the rest"]];
        assert_eq!(
            table(&rows, None),
            ["ONE       TWO   THREE", "a         日本  x", "long one  é     and the rest"]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let rows = [["task", "worker", "a very long line of output that goes on 日本日本日本"]];
        for width in 1..60 {
            for line in table(&rows, Some(width)) {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
        }
        assert_eq!(table(&rows, Some(28))[1], "task  worker  a very long l…");
    }

    #[test]
    fn empty_columns_are_left_out() {
        assert_eq!(table(&[["a", "", "x"]], None), ["ONE  THREE", "a    x"]);
        assert_eq!(table(&[], None), [""; 0]);
    }

    #[test]
    fn colour_takes_no_room() {
        let row = vec![Cell::painted("ok", Paint::good), Cell::new("next")];
        let painted = lines(&["A", "B"], &[row], Some(20), Paint { on: true });
        assert!(painted[1].contains("\u{1b}[32mok\u{1b}[0m  next"), "{painted:?}");
    }
}
