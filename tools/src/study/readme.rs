//! The rows of `study readme-table` as the tables of the README.
//!
//! Fed with rows; feeds the command's text and, by hand, the README. Any thread.

use super::Row;
use super::recording::{DIFFERENCE, RATIO, SOURCE};

/// A column: what heads it, the figure, its scale, its digits.
type Column = (&'static str, &'static str, f64, usize);

const RISK: [Column; 4] = [
    ("E[q²], BTC² ·10⁻³", "E[q^2], coins^2", 1e3, 2),
    ("symmetric's over it", RATIO, 1.0, 1),
    ("PnL sd of 10 s", "PnL sd of 10 s", 1.0, 2),
    ("PnL per BTC traded", "PnL per coin traded", 1.0, 1),
];
const EARNED: [Column; 5] = [
    ("captured", "captured per coin traded", 1.0, 1),
    ("worth after 1 s", "worth per coin after 1 s", 1.0, 1),
    ("worth after 10 s", "worth per coin after 10 s", 1.0, 1),
    ("in the end", "PnL per coin traded", 1.0, 1),
    ("less symmetric's", DIFFERENCE, 1.0, 1),
];

/// Risk and PnL, then what a coin traded earned from its fill on.
pub fn markdown(rows: &[Row]) -> String {
    format!("{}\n\n{}", table(rows, &RISK), table(rows, &EARNED))
}

fn table(rows: &[Row], columns: &[Column]) -> String {
    let heads: Vec<_> = columns.iter().map(|(head, ..)| *head).collect();
    let mut lines = vec![
        format!("| market, fees | model | fills | {} |", heads.join(" | ")),
        format!("| --- | --- | ---: |{}", " ---: |".repeat(columns.len())),
    ];
    let mut told: Vec<(&str, &str)> = Vec::new();
    for row in rows.iter().filter(|row| row.source == SOURCE) {
        let key = (&row.case[..], &row.quoter[..]);
        if told.contains(&key) {
            continue;
        }
        told.push(key);
        let of = |figure: &str| {
            let mut same = rows.iter().filter(|other| (&other.case[..], &other.quoter[..]) == key);
            same.find(|other| other.figure == figure).map(|other| other.ours)
        };
        let fills = of("fills").unwrap_or(0.0);
        let cell = |&(_, figure, scale, digits): &Column| {
            let bounds = ["", ", 5 %", ", 95 %"].map(|bound| of(&format!("{figure}{bound}")));
            match bounds {
                [Some(found), Some(low), Some(high)] if found.is_finite() && fills > 0.0 => {
                    let [found, low, high] = [found, low, high].map(|value| value * scale);
                    format!("{found:.digits$} ({low:.digits$} … {high:.digits$})")
                }
                _ => "–".to_owned(),
            }
        };
        let cells: Vec<_> = columns.iter().map(cell).collect();
        lines.push(format!("| {} | {} | {fills} | {} |", row.case, row.quoter, cells.join(" | ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_with_its_interval_and_what_is_not_told_as_a_dash() {
        let row = |figure: &str, ours: f64| Row::new("spot", "glft", figure, ours, None, SOURCE);
        let rows = [
            row("PnL sd of 10 s", 1.234),
            row("PnL sd of 10 s, 5 %", 1.0),
            row("PnL sd of 10 s, 95 %", 2.0),
            row("fills", 7.0),
            Row::new("spot", "all", "A, per second", 1.0, None, "calibrate"),
        ];
        let told = markdown(&rows);
        let lines: Vec<_> = told.lines().filter(|line| line.starts_with("| spot")).collect();
        assert_eq!(lines[0], "| spot | glft | 7 | – | – | 1.23 (1.00 … 2.00) | – |");
        assert_eq!((lines.len(), lines[1]), (2, "| spot | glft | 7 | – | – | – | – | – |"));
    }
}
