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

/// `totals:` is the run's instructions; a `cfn=(7) malloc` gives a name to a number, and `calls=` follows each `cfn=`.
fn read(profile: &str) -> Option<Count> {
    let mut mallocs = Vec::new();
    let (mut allocations, mut is_malloc, mut total) = (0, false, None);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (id, name) = name.split_once(' ').unwrap_or((name, ""));
            if ["malloc", "realloc", "calloc", "posix_memalign", "aligned_alloc"].contains(&name) {
                mallocs.push(id);
            }
            is_malloc = line.starts_with("cfn=") && mallocs.contains(&id);
        } else if let Some(figures) = line.strip_prefix("calls=") {
            let count: u64 = figures.split_whitespace().next()?.parse().ok()?;
            allocations += if is_malloc { count } else { 0 };
        } else if let Some(figure) = line.strip_prefix("totals:") {
            total = figure.trim().parse().ok();
        }
    }
    Some(Count {
        instructions: total?,
        allocations,
    })
}
