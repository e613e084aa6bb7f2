//! What was measured, for people and for programs.

use serde_json::{Value, json};

use crate::context::Context;
use crate::figure::{Figure, Must, Verdict};
use crate::sample;

#[cfg(test)]
mod tests;

/// A group that was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) group: &'static str,
    /// Its line for people.
    pub(crate) about: &'static str,
    /// Load average before and after.
    pub(crate) load: [f64; 2],
    /// How long it took.
    pub(crate) seconds: f64,
    /// Its figures, or why there are none.
    pub(crate) outcome: anyhow::Result<Vec<Figure>>,
}

const HEADERS: [&str; 5] = ["FIGURE", "MEASURED", "MUST BE", "PEER", "VERDICT"];

/// A group as a table; parts and notes stand below their figure.
pub(crate) fn table(measured: &Measured) -> String {
    let Measured {
        group,
        about,
        load: [before, after],
        seconds,
        outcome,
    } = measured;
    let head = format!(
        "\n{group}: {about}\n{seconds:.0} s, load average {before:.2} before and {after:.2} after\n"
    );
    match outcome {
        Ok(figures) => head + &rows(figures),
        Err(error) => head + &format!("NOT MEASURED: {error:#}\n"),
    }
}

fn rows(figures: &[Figure]) -> String {
    let cells: Vec<[String; 5]> = std::iter::once(HEADERS.map(str::to_owned))
        .chain(figures.iter().map(row))
        .collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let width = |row: &[String; 5]| row[column].chars().count();
        cells.iter().map(width).max().unwrap_or_default()
    });
    let mut out = String::new();
    for (index, row) in cells.iter().enumerate() {
        let padded: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        out += padded.join("   ").trim_end();
        out.push('\n');
        // The first row is the header.
        let figure = index.checked_sub(1).and_then(|index| figures.get(index));
        let Some(Figure {
            breakdown, notes, ..
        }) = figure
        else {
            continue;
        };
        for (name, value) in breakdown {
            out += &format!("  - {name}: {}\n", number(*value));
        }
        for note in notes {
            out += &format!("  ({note})\n");
        }
    }
    out
}

fn row(figure: &Figure) -> [String; 5] {
    let with_unit = |value: f64| {
        format!("{} {}", number(value), figure.unit)
            .trim_end()
            .to_owned()
    };
    [
        figure.name.clone(),
        with_unit(figure.value),
        match figure.must {
            Some(Must::AtMost(limit)) => format!("<= {}", with_unit(limit)),
            Some(Must::AtLeast(limit)) => format!(">= {}", with_unit(limit)),
            None => "-".to_owned(),
        },
        figure.peer.as_ref().map_or_else(
            || "-".to_owned(),
            |peer| format!("{} ({})", with_unit(peer.value), peer.name),
        ),
        match figure.verdict() {
            Verdict::Reached => "reached",
            Verdict::Missed => "MISSED",
            Verdict::Told => "-",
        }
        .to_owned(),
    ]
}

/// Three significant digits, and all that stand before the point.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "nothing".to_owned(),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How many were reached and missed.
pub(crate) fn summary(all: &[Measured], context: &Context) -> String {
    let verdicts: Vec<Verdict> = all
        .iter()
        .filter_map(|one| one.outcome.as_ref().ok())
        .flatten()
        .map(Figure::verdict)
        .collect();
    let count = |wanted| verdicts.iter().filter(|one| **one == wanted).count();
    let failed = all.iter().filter(|one| one.outcome.is_err()).count();
    let remark = if context.short {
        " (short: no figure is proved)"
    } else {
        ""
    };
    format!(
        "{} figures reached, {} missed, {} told, {failed} groups not measured; {} cores{remark}",
        count(Verdict::Reached),
        count(Verdict::Missed),
        count(Verdict::Told),
        sample::cores(),
    )
}

/// Everything, for programs.
pub(crate) fn json(all: &[Measured], context: &Context) -> Value {
    let group = |one: &Measured| {
        let Measured {
            group,
            about,
            load,
            seconds,
            outcome,
        } = one;
        let figure = |figure: &Figure| {
            let mut value = json!(figure);
            value["verdict"] = json!(figure.verdict());
            value
        };
        json!({
            "name": group,
            "about": about,
            "load": load,
            "seconds": seconds,
            "error": outcome.as_ref().err().map(|error| format!("{error:#}")),
            "figures": outcome.as_ref().map_or_else(|_| Vec::new(), |figures| figures.iter().map(figure).collect()),
        })
    };
    json!({
        "short": context.short,
        "cores": sample::cores(),
        "groups": all.iter().map(group).collect::<Vec<_>>(),
    })
}
