//! All checks, in the order in which they are told.

use crate::check::DoctorCheck;

pub(crate) mod answer;
pub(crate) mod directory;
pub(crate) mod locks;
pub(crate) mod machine;
pub(crate) mod ports;
pub(crate) mod records;
pub(crate) mod remains;
pub(crate) mod versions;

#[cfg(test)]
mod tests;

/// Lists of checks by subject; together they are all that there are.
const SUBJECTS: [&[DoctorCheck]; 8] = [
    machine::CHECKS,
    directory::CHECKS,
    locks::CHECKS,
    answer::CHECKS,
    records::CHECKS,
    versions::CHECKS,
    ports::CHECKS,
    remains::CHECKS,
];

/// Every check.
pub fn all() -> impl Iterator<Item = &'static DoctorCheck> {
    SUBJECTS.into_iter().flatten()
}
