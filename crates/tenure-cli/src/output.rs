//! What a command prints: documents, words, tables, errors and remedies.

pub(crate) mod account;
pub(crate) mod failure;
pub(crate) mod hint;
pub(crate) mod newer;
pub(crate) mod offered;
pub(crate) mod progress;
pub(crate) mod recorded;
pub(crate) mod render;
pub(crate) mod table;
pub(crate) mod typed;
pub(crate) mod whose;
