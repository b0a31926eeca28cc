//! From a request to a worker that serves, and to one that has ended.

pub mod ask;
pub mod end;
pub mod request;
pub mod start;
pub mod version;
