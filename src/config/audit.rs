//! `[audit]`: where it is written down who asked for what.

use super::fields::Fields;
use super::report::Problems;

/// The file of the section.
pub(super) fn audit(file: &mut Fields<'_>, problems: &mut Problems) -> Option<String> {
    let mut fields = file.table("audit", "[audit]", problems)?;
    let path = fields.required("file", "\"audit.jsonl\"", problems);
    let wrong = |path: &str| path.is_empty() || path.ends_with('/') || path.contains('\0');
    if let Some(path) = path.as_ref().filter(|path| wrong(path.value)) {
        problems.add(
            path.span.clone(),
            "`file` names no file",
            "write file = \"audit.jsonl\"",
        );
    }
    fields.finish(problems);
    path.map(|path| path.value.to_owned())
}
