//! The commands, one room each: typed words, one call of the library, an answer.

pub(crate) mod call;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod ensure;
pub(crate) mod events;
pub(crate) mod follow;
pub(crate) mod forget;
pub(crate) mod host;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod pin;
pub(crate) mod restart;
pub(crate) mod settings;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod trust;
pub(crate) mod version;
