//! Instructions and allocations of a look-up: the difference between two runs under callgrind, N and 2 N look-ups.

use crate::load::{Batch, Joined, Load, Ours, repeat};
use std::path::Path;
use std::process::{Command, Stdio};
use warmline::dialog::BATCH;

const LOOKUPS: usize = 16_000;

/// Runs under valgrind: makes the table and looks up so often.
pub(crate) fn child(case: &str, size: usize, lookups: usize) {
    let (load, batches) = (Load::new(size), lookups / BATCH);
    match case {
        "one" => repeat(&mut Ours::new(&load), &load, batches),
        "batch" => repeat(&mut Batch(&Ours::new(&load)), &load, batches),
        "joined" => repeat(&mut Joined::new(&load), &load, batches),
        other => panic!("no such case: {other}"),
    }
}

/// The closing lines, or why there are none.
pub(crate) fn all(sizes: &[usize]) -> Result<Vec<String>, String> {
    let valgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !valgrind.is_ok_and(|status| status.success()) {
        return Err("valgrind is missing, so no instructions are counted".into());
    }
    let mut lines = Vec::new();
    for size in sizes {
        let (instructions, allocations) = per_lookup("one", *size)?;
        lines.push(format!("instructions dialog_match/{size} {instructions:.0}"));
        lines.push(format!("allocations dialog_match/{size} {allocations}"));
    }
    let size = *sizes.last().unwrap_or(&1_000);
    let (instructions, allocations) = per_lookup("batch", size)?;
    lines.push(format!("instructions dialog_match/batch_{size} {instructions:.0}"));
    lines.push(format!("allocations dialog_match/batch_{size} {allocations}"));
    let (joined, _) = per_lookup("joined", 1_000)?;
    println!("std HashMap with one joined key: {joined:.0}");
    Ok(lines)
}

fn per_lookup(case: &str, size: usize) -> Result<(f64, u64), String> {
    let (once, once_allocations) = run(case, size, LOOKUPS)?;
    let (twice, twice_allocations) = run(case, size, 2 * LOOKUPS)?;
    let instructions = twice.saturating_sub(once) as f64 / LOOKUPS as f64;
    println!("{case}, {size} dialogs: {instructions:.1}");
    Ok((instructions, twice_allocations.saturating_sub(once_allocations)))
}

/// Instructions and calls of malloc of a whole run.
fn run(case: &str, size: usize, lookups: usize) -> Result<(u64, u64), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let profile = std::env::temp_dir().join(format!("dialog_match.{}.{case}.{size}.{lookups}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(["--count", case, &size.to_string(), &lookups.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    let counted = read(&profile);
    std::fs::remove_file(&profile).ok(); // a file that is not there needs no removing
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    counted.ok_or_else(|| "callgrind's figures cannot be read".into())
}

/// `totals:` is the run's instructions; a `cfn=(7) malloc` gives a name to a number, and `calls=` follows each `cfn=`.
fn read(profile: &Path) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(profile).ok()?;
    let mut mallocs = Vec::new();
    let (mut calls, mut is_malloc, mut total) = (0, false, None);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (id, name) = name.split_once(' ').unwrap_or((name, ""));
            if ["malloc", "realloc", "calloc", "posix_memalign", "aligned_alloc"].contains(&name) {
                mallocs.push(id);
            }
            is_malloc = line.starts_with("cfn=") && mallocs.contains(&id);
        } else if let Some(figures) = line.strip_prefix("calls=") {
            let count: u64 = figures.split_whitespace().next()?.parse().ok()?;
            calls += if is_malloc { count } else { 0 };
        } else if let Some(figure) = line.strip_prefix("totals:") {
            total = figure.trim().parse().ok();
        }
    }
    Some((total?, calls))
}
