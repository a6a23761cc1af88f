//! sdp

mod description;
mod direction;
mod lines;

pub use description::{Description, SdpError};
pub use direction::{Direction, answer_direction};
