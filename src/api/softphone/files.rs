//! What `web/softphone/build` made, as it was committed.

/// A file of the page.
pub(super) struct File {
    name: &'static str,
    pub(super) kind: &'static str,
    pub(super) bytes: &'static [u8],
}

macro_rules! built {
    ($name:literal, $kind:literal) => {
        File {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/softphone/dist/", $name)),
        }
    };
}

static FILES: [File; 5] = [
    built!("index.html", "text/html; charset=utf-8"),
    built!("softphone.js", "text/javascript; charset=utf-8"),
    built!("softphone.css", "text/css; charset=utf-8"),
    built!("icon.svg", "image/svg+xml"),
    built!("licences.txt", "text/plain; charset=utf-8"),
];

impl File {
    pub(super) fn named(name: &str) -> Option<&'static File> {
        FILES.iter().find(|file| file.name == name)
    }
}
