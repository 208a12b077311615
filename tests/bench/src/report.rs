//! What a bench says at its end: a table for people, a line of JSON a figure for machines.

use serde::Serialize;

use crate::machine;
use crate::statistics::{median, percentile};

/// All figures of one bench.
#[derive(Debug)]
pub(crate) struct Report {
    bench: &'static str,
    /// Of the machine, before the bench began.
    idle: f64,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

/// One thing that was measured, once a run.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) runs: Vec<f64>,
    /// What bounds it, measured in each run too.
    pub(crate) limit: Vec<f64>,
    /// What it has to be at least or at most.
    pub(crate) must: Must,
}

/// A bound on a figure, or on its ratio to the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Must {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtLeast(f64),
    AtMost(f64),
    Nothing,
}

#[derive(Serialize)]
struct Line<'a> {
    bench: &'a str,
    figure: &'a str,
    value: f64,
    unit: &'a str,
    limit: Option<f64>,
    ratio: Option<f64>,
    runs: usize,
    min: f64,
    max: f64,
}

impl Figure {
    /// A figure that is compared with nothing.
    pub(crate) fn alone(name: &'static str, unit: &'static str, runs: Vec<f64>) -> Self {
        Self { name, unit, runs, limit: Vec::new(), must: Must::Nothing }
    }

    fn value(&self) -> f64 {
        median(&self.runs)
    }

    fn limit(&self) -> Option<f64> {
        (!self.limit.is_empty()).then(|| median(&self.limit))
    }

    /// The median of each run's own ratio where each has its limit, else that of the medians.
    fn ratio(&self) -> Option<f64> {
        if self.runs.len() == self.limit.len() && !self.runs.is_empty() {
            let pairs = self.runs.iter().zip(&self.limit);
            let ratios: Vec<f64> = pairs.map(|(value, limit)| value / limit).collect();
            return Some(median(&ratios));
        }
        Some(self.value() / self.limit()?)
    }

    fn must(&self) -> (String, bool) {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        match self.must {
            Must::RatioAtLeast(bound) => (format!(">= {bound} x"), ratio >= bound),
            Must::RatioAtMost(bound) => (format!("<= {bound} x"), ratio <= bound),
            Must::AtLeast(bound) => (format!(">= {}", number(bound)), self.value() >= bound),
            Must::AtMost(bound) => (format!("<= {}", number(bound)), self.value() <= bound),
            Must::Nothing => (String::new(), true),
        }
    }

    fn line<'a>(&'a self, bench: &'a str) -> Line<'a> {
        Line {
            bench,
            figure: self.name,
            value: self.value(),
            unit: self.unit,
            limit: self.limit(),
            ratio: self.ratio(),
            runs: self.runs.len(),
            min: percentile(&self.runs, 0),
            max: percentile(&self.runs, 100),
        }
    }
}

impl Report {
    /// Looks at how busy the machine is, before the bench makes it so.
    pub(crate) async fn begin(bench: &'static str) -> anyhow::Result<Self> {
        let idle = machine::idle_share().await?;
        Ok(Self { bench, idle, figures: Vec::new(), notes: Vec::new() })
    }

    /// A run that measured nothing is no figure.
    pub(crate) fn add(&mut self, figure: Figure) {
        if !figure.runs.is_empty() {
            self.figures.push(figure);
        }
    }

    /// A line of text below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(crate) fn print(&self, json: bool) {
        println!("{}: machine {:.0} % idle before", self.bench, self.idle * 100.0);
        let head = ["FIGURE", "MEDIAN", "MIN", "MAX", "UNIT", "LIMIT", "RATIO", "MUST", "RUNS"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.figures.iter().map(row));
        for row in &rows {
            println!("  {}", padded(row, &rows));
        }
        for note in &self.notes {
            println!("  {note}");
        }
        if json {
            for figure in &self.figures {
                let line = serde_json::to_string(&figure.line(self.bench));
                println!("{}", line.expect("numbers and texts are JSON"));
            }
        }
    }
}

fn row(figure: &Figure) -> [String; 9] {
    let (must, kept) = figure.must();
    let must = if kept { must } else { format!("{must} MISSED") };
    [
        figure.name.to_owned(),
        number(figure.value()),
        number(percentile(&figure.runs, 0)),
        number(percentile(&figure.runs, 100)),
        figure.unit.to_owned(),
        figure.limit().map_or_else(String::new, number),
        figure.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        must,
        figure.runs.len().to_string(),
    ]
}

fn padded(row: &[String; 9], rows: &[[String; 9]]) -> String {
    let cells = row.iter().enumerate().map(|(column, cell)| {
        let width = rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        format!("{cell:<width$}")
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// Three digits that matter, thousands set apart.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        let digits = format!("{:.0}", value.abs());
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().filter_map(|g| str::from_utf8(g).ok()).collect();
        return format!("{}{}", if value < 0.0 { "-" } else { "" }, groups.join(","));
    }
    if value.abs() >= 1.0 { format!("{value:.2}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(must: Must) -> Figure {
        let (runs, limit) = (vec![1_500.0, 1_000.0, 1_400.0], vec![3_000.0, 2_500.0, 2_000.0]);
        Figure { name: "tasks_per_s", unit: "1/s", runs, limit, must }
    }

    #[test]
    fn a_ratio_is_that_of_one_run() {
        // 0.5, 0.4 and 0.7: not the ratio of the medians, 0.56.
        let figure = figure(Must::RatioAtLeast(0.45));
        assert_eq!(figure.ratio(), Some(0.5));
        assert_eq!(row(&figure)[7], ">= 0.45 x");
        assert_eq!(row(&self::figure(Must::AtMost(1_000.0)))[7], "<= 1,000 MISSED");
    }

    #[test]
    fn a_line_holds_what_a_machine_wants_to_know() {
        let line = serde_json::to_string(&figure(Must::Nothing).line("launch"));
        assert_eq!(
            line.expect("it is JSON"),
            r#"{"bench":"launch","figure":"tasks_per_s","value":1400.0,"unit":"1/s","limit":2500.0,"ratio":0.5,"runs":3,"min":1000.0,"max":1500.0}"#
        );
    }

    #[test]
    fn numbers_are_short_and_readable() {
        for (value, text) in
            [(0.1234, "0.123"), (1.5, "1.50"), (123.4, "123"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(number(value), text);
        }
    }
}
