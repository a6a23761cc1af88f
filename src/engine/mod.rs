//! engine

mod io;
mod settings;
pub use crate::vocabulary::*;
pub use io::{CommandId, Input, Output};
pub use settings::*;
