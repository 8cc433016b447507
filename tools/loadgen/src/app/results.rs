//! The results that remain of a run: the table, and the files that were asked for.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::Error;
use crate::cli::{MergeArgs, OutputArgs};
use crate::outcome::{Outcome, merge};
use crate::report;

/// Opens the files that were asked for, because it is better to know now than
/// after half an hour that one cannot be written. Their contents stay.
pub(super) fn check(output: &OutputArgs) -> Result<(), Error> {
    for path in [&output.json, &output.csv, &output.report]
        .into_iter()
        .flatten()
    {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
}

/// Prints the table and writes the files.
pub(super) fn show(outcome: &Outcome, output: &OutputArgs) -> Result<(), Error> {
    println!("{}", report::table(outcome));
    write_files(
        outcome,
        output.json.as_deref(),
        output.csv.as_deref(),
        output.report.as_deref(),
    )
}

fn write_files(
    outcome: &Outcome,
    json: Option<&Path>,
    csv: Option<&Path>,
    page: Option<&Path>,
) -> Result<(), Error> {
    if let Some(path) = json {
        write(path, report::json(outcome).as_bytes())?;
    }
    if let Some(path) = csv {
        let mut bytes = Vec::new();
        report::write_csv(outcome, &mut bytes)
            .map_err(|error| Error::msg(format!("{}: {error}", path.display())))?;
        write(path, &bytes)?;
    }
    if let Some(path) = page {
        write(path, report::page(outcome).as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::msg(format!("cannot write {}: {error}", path.display()))
}

/// Joins results of several machines. Returns whether all went well.
pub(super) fn merge_files(args: &MergeArgs) -> Result<bool, Error> {
    let outcomes = args
        .files
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path)
                .map_err(|error| Error::msg(format!("cannot read {}: {error}", path.display())))?;
            report::read_json(&text)
                .map_err(|error| Error::msg(format!("{}: {error}", path.display())))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let outcome = merge(outcomes).map_err(Error::msg)?;
    println!("{}", report::table(&outcome));
    write_files(
        &outcome,
        args.json.as_deref(),
        args.csv.as_deref(),
        args.report.as_deref(),
    )?;
    Ok(outcome.problems().is_empty())
}
