//! engine

mod io;
mod settings;
pub use io::*;
pub use settings::*;
