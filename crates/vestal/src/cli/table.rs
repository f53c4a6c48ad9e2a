//! Tables and lists of fields, aligned with spaces. In a pipe they hold one line a row; on a terminal the last column is
//! wrapped to the width, below its own header.

use clap::builder::styling::Style;
use unicode_width::UnicodeWidthStr as _;

use super::style::{self, styled};

/// What stands between two columns.
const GAP: usize = 2;
/// The last column is not wrapped to less than this.
const NARROWEST: usize = 24;

/// A text in a table, and how it looks.
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Self { text: printable(text.as_ref()), style }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(style::PLAIN, text)
    }
}

/// Rows below headers.
pub(super) struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(headers: &[&'static str]) -> Self {
        Self { headers: headers.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, a cell for each header. An empty cell is shown as `-`, so that no column of a line is missing.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.headers.len(), "a cell for each header");
        self.rows
            .push(cells.into_iter().map(|cell| if cell.text.is_empty() { Cell::from("-") } else { cell }).collect());
    }

    /// The lines, for a terminal of this width or for a pipe.
    pub(super) fn render(self, width: Option<usize>) -> String {
        let header = self.headers.iter().map(|header| Cell::styled(style::HEADER, header)).collect();
        let rows: Vec<Vec<Cell>> = std::iter::once(header).chain(self.rows).collect();
        lay_out(&rows, width)
    }
}

/// Names and values, a pair a line.
#[derive(Default)]
pub(super) struct Fields {
    rows: Vec<Vec<Cell>>,
}

impl Fields {
    /// Adds a field.
    pub(super) fn add(&mut self, name: &str, value: impl Into<Cell>) {
        self.rows.push(vec![Cell::styled(style::FAINT, name), value.into()]);
    }

    /// Adds a field if there is a value.
    pub(super) fn add_some(&mut self, name: &str, value: Option<impl Into<Cell>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Adds a field of several values, one a line, the name beside the first.
    pub(super) fn add_list(&mut self, name: &str, values: impl IntoIterator<Item = Cell>) {
        for (number, value) in values.into_iter().enumerate() {
            self.add(if number == 0 { name } else { "" }, value);
        }
    }

    /// The lines, for a terminal of this width or for a pipe.
    pub(super) fn render(self, width: Option<usize>) -> String {
        lay_out(&self.rows, width)
    }
}

fn lay_out(rows: &[Vec<Cell>], width: Option<usize>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.width()).max().unwrap_or(0))
        .collect();
    let indent: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(NARROWEST));
    let mut text = String::new();
    for row in rows {
        let Some((last, first)) = row.split_last() else {
            continue;
        };
        for (cell, width) in first.iter().zip(&widths) {
            text.push_str(&styled(cell.style, &cell.text));
            text.extend(std::iter::repeat_n(' ', width - cell.text.width() + GAP));
        }
        for (number, line) in wrap(&last.text, room).iter().enumerate() {
            if number > 0 {
                text.extend(std::iter::repeat_n(' ', indent));
            }
            text.push_str(&styled(last.style, line));
            text.push('\n');
        }
    }
    text
}

/// The text in lines of at most so many columns, broken at spaces. A longer word keeps a line to itself.
fn wrap(text: &str, room: usize) -> Vec<String> {
    if text.width() <= room {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("it begins with one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The text without what could move the cursor, restyle the terminal or turn the reading direction: names, tags and
/// content types are written by whoever may set a secret.
pub(super) fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "STATE", "LAST FAILURE"]);
        table.row(vec!["a".into(), Cell::styled(style::GOOD, "fresh"), "".into()]);
        let words = "the provider answered 503: try again later, and then once more";
        table.row(vec!["a-longer-name".into(), Cell::styled(style::WARNING, "retrying"), words.into()]);
        table
    }

    #[test]
    fn a_row_is_one_aligned_line_in_a_pipe() {
        assert_eq!(
            plain(&table().render(None)),
            "NAME           STATE     LAST FAILURE\n\
             a              fresh     -\n\
             a-longer-name  retrying  the provider answered 503: try again later, and then once more\n"
        );
    }

    #[test]
    fn the_last_column_is_wrapped_below_its_header_on_a_terminal() {
        assert_eq!(
            plain(&table().render(Some(60))),
            "NAME           STATE     LAST FAILURE\n\
             a              fresh     -\n\
             a-longer-name  retrying  the provider answered 503: try\n\
             \x20                        again later, and then once more\n"
        );
        assert!(plain(&table().render(Some(5))).contains("the provider answered\n"), "but not to nothing");
    }

    #[test]
    fn styles_take_no_room() {
        let text = table().render(None);
        assert!(text.contains(&styled(style::GOOD, "fresh")));
        assert_ne!(text, plain(&text));
    }

    #[test]
    fn fields_stand_in_two_columns() {
        let mut fields = Fields::default();
        fields.add("State", "fresh");
        fields.add_some("Owner", None::<String>);
        fields.add_list("Credentials", ["one".into(), "two".into()]);
        assert_eq!(
            plain(&fields.render(None)),
            "State        fresh\n\
             Credentials  one\n\
             \x20            two\n"
        );
    }

    #[test]
    fn what_could_steer_a_terminal_is_not_shown() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\nd\u{7}"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}");
        assert_eq!(printable("Grüße 东京"), "Grüße 东京");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new(&["OWNER", "N"]);
        table.row(vec!["东京".into(), "1".into()]);
        assert_eq!(plain(&table.render(None)), "OWNER  N\n东京   1\n");
    }
}
