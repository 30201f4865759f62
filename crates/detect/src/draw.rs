//! Pictures of a back-test: an SVG to keep, and a few lines for the terminal.

use crate::backtest::{Backtest, BacktestRow};
use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 40.0;
/// More intervals than this are drawn as the largest of each stretch.
const POINTS_MAX: usize = 1160;

/// The series, the expected value with its interval as a band, and a mark at each onset. Self-contained; light and dark.
pub fn draw_svg(title: &str, backtest: &Backtest) -> String {
    let rows = thinned(&backtest.rows, POINTS_MAX);
    let top = scale_top(&rows);
    let x = |index: usize| MARGIN + index as f64 / rows.len().max(2).saturating_sub(1) as f64 * (WIDTH - 2.0 * MARGIN);
    // The square root shows quiet hours beside storms.
    let y = |value: f64| HEIGHT - MARGIN - (value.max(0.0) / top).sqrt().min(1.0) * (HEIGHT - 2.0 * MARGIN);
    let line = |pick: fn(&BacktestRow) -> f64| {
        rows.iter().enumerate().map(|(i, row)| format!("{:.1},{:.1}", x(i), y(pick(row)))).collect::<Vec<_>>().join(" ")
    };
    let lower: Vec<String> =
        rows.iter().enumerate().rev().map(|(i, row)| format!("{:.1},{:.1}", x(i), y(row.lower))).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"system-ui,sans-serif\" font-size=\"12\">\
         <style>.b{{fill:#9ec5fe;opacity:.45}}.e{{fill:none;stroke:#3b82f6;stroke-dasharray:4 3}}.v{{fill:none;stroke:#24292f}}.a{{fill:#d1242f}}text{{fill:#57606a}}\
         @media (prefers-color-scheme:dark){{.v{{stroke:#e6edf3}}text{{fill:#9198a1}}}}</style><title>{0}</title><text x=\"{MARGIN}\" y=\"20\">{0}</text>",
        escape(title)
    );
    let mut add = |part: std::fmt::Arguments<'_>| svg.write_fmt(part).unwrap_or_default();
    add(format_args!("<polygon class=\"b\" points=\"{} {}\"/>", line(|row| row.upper), lower.join(" ")));
    add(format_args!("<polyline class=\"e\" points=\"{}\"/>", line(|row| row.expected)));
    add(format_args!("<polyline class=\"v\" points=\"{}\"/>", line(|row| row.value)));
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.anomaly) {
        let (x, y, at) = (x(index), y(row.value), row.at.format("%Y-%m-%d %H:%M"));
        add(format_args!(
            "<circle class=\"a\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{at} UTC: {} against {:.0}</title></circle>",
            row.value, row.expected
        ));
    }
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let foot = HEIGHT - 12.0;
        add(format_args!("<text x=\"{MARGIN}\" y=\"{foot}\">{}</text>", first.at.format("%Y-%m-%d %H:%M UTC")));
        add(format_args!(
            "<text x=\"{}\" y=\"{foot}\" text-anchor=\"end\">{}</text>",
            WIDTH - MARGIN,
            last.at.format("%Y-%m-%d %H:%M UTC")
        ));
        add(format_args!("<text x=\"4\" y=\"{:.0}\">{top:.0}</text>", MARGIN + 4.0));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A line of bars, `width` characters wide, with `^` under the onsets.
pub fn draw_terminal(backtest: &Backtest, width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let rows = thinned(&backtest.rows, width.max(10));
    let top = scale_top(&rows);
    let bars: String =
        rows.iter().map(|row| BARS[((row.value.max(0.0) / top).sqrt() * 7.99).clamp(0.0, 7.0) as usize]).collect();
    let marks: String = rows.iter().map(|row| if row.anomaly { '^' } else { ' ' }).collect();
    format!("{bars}\n{}\n", marks.trim_end())
}

fn scale_top(rows: &[BacktestRow]) -> f64 {
    rows.iter().map(|row| row.value.max(row.upper.min(row.value * 4.0 + 10.0))).fold(1.0, f64::max)
}

/// At most `most` rows: of each stretch the one with the largest value, an onset first of all.
fn thinned(rows: &[BacktestRow], most: usize) -> Vec<BacktestRow> {
    let stretch = rows.len().div_ceil(most.max(1)).max(1);
    let weight = |row: &BacktestRow| (row.anomaly, row.value);
    rows.chunks(stretch)
        .filter_map(|rows| {
            rows.iter().copied().max_by(|a, b| weight(a).partial_cmp(&weight(b)).unwrap_or(std::cmp::Ordering::Equal))
        })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
