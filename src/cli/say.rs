//! Printing that survives a reader who has gone: `warmline demo | head` is no defect, and a server outlives its terminal.

/// Like `println!`, but a closed pipe is no panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout().lock(), $($text)*).ok(); // nobody reads any more, and nothing depends on it
    }};
}

pub(super) use say;
