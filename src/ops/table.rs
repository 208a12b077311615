//! How a list is printed: columns in line, states in colour where a person looks.

use std::io::IsTerminal;

/// A list with a heading for each column.
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each heading.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.headings.len());
        self.rows.push(cells);
    }

    /// Prints the list; `none` where it is empty.
    pub(crate) fn print(&self, none: &str) {
        if self.rows.is_empty() {
            println!("{none}");
        } else {
            print!("{}", self.render(colours()));
        }
    }

    fn render(&self, colours: bool) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.headings[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let headings: Vec<String> = self.headings.iter().map(|text| (*text).to_owned()).collect();
        let mut text = String::new();
        for cells in [&headings].into_iter().chain(&self.rows) {
            let last = cells.len() - 1;
            for (column, cell) in cells.iter().enumerate() {
                text.push_str(&painted(cell, colours));
                if column < last {
                    let gap = widths[column] - cell.chars().count() + 2;
                    text.extend(std::iter::repeat_n(' ', gap));
                }
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

/// Whether standard output is looked at by a person who hasn't asked for plain text
/// (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A state's name in the colour of how it stands; any other text as it is.
pub(crate) fn painted(text: &str, colours: bool) -> String {
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    const RED: u8 = 31;
    const GREY: u8 = 90;
    let colour = match text {
        "TASK_RUNNING" | "running" | "active" | "yes" | "healthy" => GREEN,
        "TASK_STAGING" | "TASK_STARTING" | "TASK_KILLING" | "deploying" | "waiting" => YELLOW,
        "TASK_FINISHED" | "TASK_KILLED" | "suspended" => GREY,
        "TASK_FAILED"
        | "TASK_ERROR"
        | "TASK_LOST"
        | "TASK_DROPPED"
        | "TASK_UNREACHABLE"
        | "TASK_GONE"
        | "TASK_GONE_BY_OPERATOR"
        | "TASK_UNKNOWN"
        | "disconnected"
        | "inactive"
        | "unreachable"
        | "unhealthy" => RED,
        _ => return text.to_owned(),
    };
    if colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["TASK", "STATE", "PORTS"]);
        table.row(vec!["a.1".into(), "TASK_RUNNING".into(), "31000".into()]);
        table.row(vec!["much-longer.2".into(), "TASK_FAILED".into(), String::new()]);
        table
    }

    #[test]
    fn columns_stand_in_line_and_no_line_ends_in_spaces() {
        assert_eq!(
            table().render(false),
            "TASK           STATE         PORTS\n\
             a.1            TASK_RUNNING  31000\n\
             much-longer.2  TASK_FAILED\n"
        );
    }

    #[test]
    fn colour_changes_no_column() {
        let plain = |text: String| {
            ["\x1b[32m", "\x1b[31m", "\x1b[0m"]
                .iter()
                .fold(text, |text, code| text.replace(code, ""))
        };
        let coloured = table().render(true);
        assert!(coloured.contains("\x1b[32mTASK_RUNNING\x1b[0m"));
        assert_eq!(plain(coloured), table().render(false));
    }
}
