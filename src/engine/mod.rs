//! engine

mod io;
mod settings;
pub use crate::vocabulary::*;
pub use io::{Input, Output};
pub use settings::*;
