//! The stories: what each command does, from the first look to the answer.

pub mod acquire;
pub mod dependencies;
pub mod described;
pub mod ensure;
pub mod forget;
pub mod offers;
pub mod pin;
pub mod project;
pub mod prune;
pub mod restart;
pub mod signal;
pub mod status;
pub mod stop;
pub mod takeover;
pub mod target;
