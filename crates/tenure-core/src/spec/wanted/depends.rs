//! The names of other workers in a spec.
//!
//! Whether such a worker is described, and whether the names lead back to this one, is found out where they are looked
//! up. Pure.

use super::BadSpec;
use crate::spec::scope::Scope;

/// Refuses a name that no worker can have, and one that is named twice.
pub(super) fn check(names: &[String]) -> Result<(), BadSpec> {
    let bad = |why: String| Err(BadSpec { key: "depends", why });
    for (index, name) in names.iter().enumerate() {
        if let Err(refused) = name.parse::<Scope>() {
            return bad(format!(
                "has {:?} in it: {}; write the NAME or NAME@KEY of a worker",
                name, refused.why
            ));
        }
        if names[..index].contains(name) {
            return bad(format!("names {name:?} twice: once is enough"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<(), BadSpec> {
        check(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_dependency_is_a_name_with_or_without_a_key() {
        assert_eq!(of(&["db", "cache@main", "cache@other"]), Ok(()));
        for wrong in [&["db", "db"][..], &["d b"], &[""], &["db@"], &["@main"]] {
            let refused = of(wrong).expect_err("no name of a worker");
            assert_eq!(refused.key, "depends", "{wrong:?}");
        }
    }
}
