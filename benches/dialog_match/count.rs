//! Instructions and allocations of a look-up, counted by callgrind: one run looks N up, then 2 N, and so on, and
//! callgrind writes its counts at each mark; what N more look-ups cost is the difference.

use crate::load::{Batch, Finds, Joined, Load, Ours, Proxies, Three, repeat};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use warmline::dialog::BATCH;

const LOOKUPS: usize = 16_000;

/// Runs under valgrind.
pub(crate) fn child(structure: &str, size: usize) {
    let load = Load::new(size);
    match structure {
        "ours" => {
            let mut ours = Ours::new(&load);
            phases(&mut ours, &load);
            phases(&mut Batch(&ours), &load);
        }
        "others" => {
            phases(&mut Joined::new(&load), &load);
            phases(&mut Three::new(&load), &load);
            phases(&mut Proxies::new(&load), &load);
        }
        other => panic!("no such structure: {other}"),
    }
}

fn phases(finds: &mut impl Finds, load: &Load) {
    count_mark();
    repeat(finds, load, LOOKUPS / BATCH);
    count_mark();
    repeat(finds, load, 2 * LOOKUPS / BATCH);
    count_mark();
}

/// Where callgrind writes what it has counted since the last time.
#[inline(never)]
fn count_mark() {
    std::hint::black_box(());
}

/// The closing lines, or why there are none.
pub(crate) fn all(sizes: &[usize], batched: usize) -> Result<Vec<String>, String> {
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
        let [one, batch] = run("ours", *size)?[..] else {
            return Err("callgrind wrote too few counts".into());
        };
        let mut add = |case: &str, (instructions, allocations): (f64, u64)| {
            println!("dialog_match/{case}{size}: {instructions:.1}");
            lines.push(format!("instructions dialog_match/{case}{size} {instructions:.0}"));
            lines.push(format!("allocations dialog_match/{case}{size} {allocations}"));
        };
        add("", one);
        if *size == batched {
            add("batch_", batch);
        }
    }
    for (name, (instructions, allocations)) in ["joined", "three", "proxied"].into_iter().zip(run("others", 1_000)?) {
        println!(
            "{name}, 1000 dialogs: {instructions:.1}, allocations {}",
            allocations as f64 / LOOKUPS as f64
        );
    }
    Ok(lines)
}

/// Instructions a look-up and allocations of all of them, for each pair of phases.
fn run(structure: &str, size: usize) -> Result<Vec<(f64, u64)>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let profile = std::env::temp_dir().join(format!("dialog_match.{}.{structure}.{size}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--dump-before=*count_mark*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(["--count", structure, &size.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let part = |number: usize| PathBuf::from(format!("{}.{number}", profile.display()));
    let counts: Vec<(u64, u64)> = (1..).map_while(|number| read(&part(number))).collect();
    (1..=counts.len()).for_each(|number| drop(std::fs::remove_file(part(number))));
    std::fs::remove_file(&profile).ok(); // what was counted after the last mark, if anything
    // The first count of three is of the making; then come N and 2 N.
    let phases = counts.chunks_exact(3).map(|phase| match phase {
        [_, (once, few), (twice, more)] => (
            twice.saturating_sub(*once) as f64 / LOOKUPS as f64,
            more.saturating_sub(*few),
        ),
        _ => (f64::NAN, 0),
    });
    Ok(phases.collect())
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
