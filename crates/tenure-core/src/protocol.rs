//! What is said over the control socket: the frames, and what they tell.

pub mod ends;
pub mod wire;
