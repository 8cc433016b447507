//! The results, for people: tables in Markdown and charts as SVG files.
//!
//! Readings and the results of holding go in; [`tables`] and [`charts`] come out
//! and are put where a document says, so that it never shows other figures than
//! those of the files.

pub mod charts;
#[cfg(test)]
mod sample;
pub mod tables;

use std::fs;
use std::path::Path;

use corecast_kit::markdown::quote_in;
use corecast_kit::outcome::read_json;
use corecast_kit::{During, Error, Result};
use serde::de::DeserializeOwned;

use crate::cli::ReportArgs;
use crate::hold::Held;
use crate::reading::Reading;

/// Puts the tables between the markers of the document, and the charts beside it.
///
/// # Errors
/// When a file cannot be read or written, or the document has no markers.
pub fn run(args: &ReportArgs) -> Result<bool> {
    let mut readings: Vec<Reading> = Vec::new();
    for path in &args.cost {
        readings.extend(read::<Vec<Reading>>(path)?);
    }
    let mut helds = Vec::new();
    fs::create_dir_all(&args.charts).during(format!("making {}", args.charts.display()))?;
    for directory in args.held.iter().chain(&args.shown) {
        helds.push(read::<Held>(&directory.join("hold.json"))?);
    }
    for directory in &args.shown {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let load = text_of(&directory.join("load.json"))?;
        let outcome = read_json(&load).map_err(|error| Error::Wrong(error.to_string()))?;
        for chart in charts::of_run(&outcome) {
            let path = args.charts.join(format!("{name}-{}.svg", chart.id));
            write(&path, &chart.file())?;
        }
    }
    helds.sort_by_key(|held| held.reading.connections);
    for chart in charts::of_growth(&readings, &helds) {
        write(
            &args.charts.join(format!("{}.svg", chart.id)),
            &chart.file(),
        )?;
    }
    let document = text_of(&args.into)?;
    let quoted = quote_in(&document, &tables::markdown(&readings, &helds))
        .map_err(|missing| Error::Usage(format!("{}: {missing}", args.into.display())))?;
    write(&args.into, &quoted)?;
    println!(
        "{} readings and {} runs: {}, charts in {}",
        readings.len(),
        helds.len(),
        args.into.display(),
        args.charts.display()
    );
    Ok(true)
}

fn text_of(path: &Path) -> Result<String> {
    fs::read_to_string(path).during(format!("reading {}", path.display()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&text_of(path)?)
        .map_err(|error| Error::Wrong(format!("{}: {error}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).during(format!("writing {}", path.display()))
}
