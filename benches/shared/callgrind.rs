//! Instructions and allocations of what runs inside one function, counted by callgrind in a child of the benchmark.
//!
//! `--toggle-collect` counts only while that function runs, so that preparing messages and playing the other side cost
//! nothing. Counts repeat exactly, whatever else the machine does.

use std::process::{Command, Stdio};

/// What was counted.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
}

/// Runs this program again with `arguments` under callgrind and counts what happens inside functions of this name.
pub(crate) fn count(inside: &str, arguments: &[&str]) -> Result<Count, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let name = format!("warmline-bench.{}.{}", std::process::id(), arguments.join("."));
    let profile = std::env::temp_dir().join(name);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--toggle-collect=*{inside}*"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(&profile).unwrap_or_default();
    std::fs::remove_file(&profile).ok(); // it is not there when valgrind failed
    match read(&text) {
        Some(count) if output.status.success() && count.instructions > 0 => Ok(count),
        Some(_) | None => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// `totals:` is the run's instructions. `calls=` cannot tell the allocations, because callgrind goes on counting calls
/// while it does not collect; but the allocator's entries are one jump each, so that their own cost is their number.
fn read(profile: &str) -> Option<Count> {
    let mut entries = Vec::new();
    let (mut allocations, mut is_entry, mut after_call, mut total) = (0, false, false, None);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (id, name) = name.split_once(' ').unwrap_or((name, ""));
            if ["__rust_alloc", "__rust_alloc_zeroed", "__rust_realloc"].contains(&name.trim_start_matches("__rustc::"))
            {
                entries.push(id);
            }
            if line.starts_with("fn=") {
                is_entry = entries.contains(&id);
            }
        } else if line.starts_with("calls=") {
            after_call = true; // the next line is what the callee cost
        } else if let Some(figure) = line.strip_prefix("totals:") {
            total = figure.trim().parse().ok();
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let own: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            allocations += if is_entry && !after_call { own } else { 0 };
            after_call = false;
        }
    }
    Some(Count {
        instructions: total?,
        allocations,
    })
}
