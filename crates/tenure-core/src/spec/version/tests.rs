//! The order by tables, by the two standards, and by properties over generated texts.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Version {
    text.parse().unwrap_or_else(|no| panic!("{no}"))
}

/// Each text is lower than the one behind it.
fn rises(texts: &[&str]) {
    for (index, low) in texts.iter().enumerate() {
        for high in &texts[index + 1..] {
            assert!(read(low) < read(high), "{low} < {high}");
            assert!(read(high) > read(low), "{high} > {low}");
        }
    }
}

/// All texts are one version.
fn same(texts: &[&str]) {
    for one in texts {
        for other in texts {
            assert_eq!(read(one), read(other), "{one} = {other}");
        }
    }
}

#[test]
fn semantic_versions_are_ordered_as_semver_says() {
    // Semantic Versioning 2.0.0, items 11.2 to 11.4.
    rises(&["1.0.0", "2.0.0", "2.1.0", "2.1.1"]);
    rises(&[
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.0+1",
        "1.0.0+2",
        "1.0.0+a",
    ]);
}

#[test]
fn versions_of_python_are_ordered_as_pep_440_says() {
    // PEP 440, "Summary of permitted suffixes and relative ordering", and "Version scheme".
    rises(&[
        "1.dev0",
        "1.0.dev456",
        "1.0a1",
        "1.0a2.dev456",
        "1.0a12.dev456",
        "1.0a12",
        "1.0b1.dev456",
        "1.0b2",
        "1.0b2.post345.dev456",
        "1.0b2.post345",
        "1.0rc1.dev456",
        "1.0rc1",
        "1.0",
        "1.0+abc.5",
        "1.0+abc.7",
        "1.0+abc.8.x",
        "1.0.post456.dev34",
        "1.0.post456",
        "1.0.15",
        "1.1.dev1",
    ]);
    rises(&["0.9", "0.9.1", "0.9.2", "0.9.10", "0.9.11", "1.0", "1.0.1", "1.1", "2.0", "2.0.1"]);
    rises(&["2012.4", "2012.7", "2012.10", "2013.1", "2013.6", "1!1.0", "1!1.1", "1!2.0"]);
    same(&["1.1", "1.1.0", "1.1.0.0"]);
    same(&["1.1rc1", "1.1RC1", "1.1.rc1", "1.1c1", "1.1pre1", "1.1-rc.1", "1.1.0-rc.1"]);
    same(&["1.0.post1", "1.0.r1", "1.0.rev1", "1.0post1", "1.0p1"]);
}

#[test]
fn dates_and_any_count_of_numbers_are_ordered_by_their_numbers() {
    rises(&["2023.12.31", "2024.01.03", "2024.1.10", "2024.02", "2024.11.30"]);
    rises(&["20231231", "20240103", "202401031200", "20240103120000"]);
    rises(&["2023-12", "2024-01-03", "2024-01-10", "2024-02"]);
    rises(&["1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2.3.10", "1.2.4-alpha", "1.2.4"]);
    rises(&["1.2.3.4.dev1", "1.2.3.4rc1", "1.2.3.4", "1.2.3.4.post1"]);
    rises(&["9.2", "9.2p1", "9.2p10", "9.3"]);
    rises(&["1.8.0_45", "1.8.0_392", "9", "17.0.9", "21"]);
    same(&["2024.01.03", "2024.1.3", "2024-01-03", "v2024.1.3"]);
    same(&["7", "7.0", "7.0.0"]);
}

#[test]
fn what_git_describes_lies_between_releases() {
    rises(&[
        "1.2.3-rc.1",
        "1.2.3-rc.1-4-gabc1234",
        "1.2.3",
        "1.2.3+1",
        "v1.2.3-dirty",
        "v1.2.3-1-gabc1234",
        "v1.2.3-1-gabc1234-dirty",
        "v1.2.3-2-g0123456",
        "v1.2.3-10-gabc1234",
        "1.2.4-alpha",
        "1.2.4",
    ]);
    rises(&["24.04", "24.04-3-gabc1234", "24.05"]);
    same(&["v1.2.3-0-gabc1234", "1.2.3"]);
    same(&["1.2.3-broken", "1.2.3-dirty"]);
}

#[test]
fn a_leading_v_changes_nothing() {
    for text in ["1.2.3", "1.2.3-rc.1", "2024.01.03", "1.0a1", "1.2.3-1-gabc1234", "7"] {
        assert_eq!(read(&format!("v{text}")), read(text));
        assert_eq!(read(&format!(" V{text}\n")).as_str(), text);
    }
    assert!("vv1.2.3".parse::<Version>().is_ok_and(|word| word.is_build()), "a word, and no version");
}

#[test]
fn where_two_grammars_read_one_text_semver_wins_and_git_describe_before_it() {
    // For PEP 440 these are later than the release, a development release, and an alpha.
    rises(&["1.0.0-1", "1.0.0-dev.1", "1.0.0-post1", "1.0.0"]);
    rises(&["1.0.0.dev1", "1.0.0-a1", "1.0.0-alpha.1", "1.0.0-dev.1"]);
    // For PEP 440 a number in a local version is above a word.
    rises(&["1.0+2", "1.0+a"]);
    // For semver a pre-release.
    rises(&["1.2.3", "1.2.3-1-gabc1234"]);
}

#[test]
fn what_has_no_order_is_a_build_below_every_version() {
    for text in ["4f2a9c1", "4f2a9c1-dirty", "1234567", "1a23456", "nightly", "main-4f2a9c1", "release-1.2.3"]
    {
        let build = read(text);
        assert!(build.is_build() && build.as_str() == text);
        assert!(build < read("0.0.0.dev0") && build < Version::new(0, 0, 0));
        assert_eq!(build, read("other"), "neither is above the other");
        assert!(build.is_other_build(&read("other")) && !build.is_other_build(&read(text)));
    }
}

#[test]
fn what_is_no_version_is_told_with_what_to_write() {
    for (text, why) in [
        ("", "it is empty"),
        ("1.2.3 beta", "more than one word"),
        ("1.2.3\n1.2.4", "more than one word"),
        ("13,6", "write numbers with dots between them, such as 13.6.0"),
        ("1.2.x", "write numbers"),
        ("1..2", "write numbers"),
        ("^1.2.3", "write numbers"),
        ("3.3a", "write 3.3a0 for an earlier version, or 3.3.post1 for a later one"),
        ("15.5-1", "write 15.5.post1 for a later version, or 15.5-rc.1 for an earlier one"),
        ("1.2.99999999999999999999", "a number in it is larger than 18446744073709551615"),
    ] {
        let no = text.parse::<Version>().expect_err(text);
        assert!(no.why.contains(why), "{no}");
    }
    let long = "ä".repeat(1000).parse::<Version>().expect_err("no version");
    assert!(long.text.chars().count() == LONGEST_QUOTE + 1 && long.text.ends_with('…'));
}

#[test]
fn a_remedy_for_a_text_can_be_written() {
    for text in
        ["3.3a0", "3.3.post1", "15.5.post1", "15.5-rc.1", "13.6.0", "2024.01.03", "1.2.3-rc.1", "1.2.3.post1"]
    {
        assert!(!read(text).is_build());
    }
    rises(&["3.3a0", "3.3", "3.3.post1"]);
    rises(&["15.5-rc.1", "15.5", "15.5.post1"]);
}

#[test]
fn a_version_is_recorded_as_its_text() {
    for text in ["1.2.3-rc.1+b", "2024.01.03", "1.2.3-1-gabc1234", "nightly"] {
        let json = format!("{text:?}");
        let version: Version = serde_json::from_str(&json).expect("reads");
        assert_eq!(serde_json::to_string(&version).expect("writes"), json);
    }
    let error = serde_json::from_str::<Version>("1.5").expect_err("a number").to_string();
    assert!(error.contains("a version in quotes"), "{error}");
}

#[test]
fn what_an_older_tenure_reads_alike_is_known() {
    for (text, is_semantic) in [
        ("1.2.3", true),
        ("1.2.3-rc.1+b", true),
        ("1.2.3-1-gabc1234", false),
        ("1.2.3-dirty", false),
        ("1.2", false),
        ("2024.01.03", false),
        ("nightly", false),
    ] {
        assert_eq!(read(text).is_semantic(), is_semantic, "{text}");
    }
}

/// Texts of all grammars, and some of none.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        semantic_text(),
        python_text(),
        "v?[0-3](\\.[0-3]){0,4}",
        "20[12][0-9]\\.(0[1-9]|1[0-2])(\\.[0-2][1-9])?",
        "20[12][0-9]-(0[1-9]|1[0-2])(-[0-2][1-9])?",
        "v?[0-2](\\.[0-2]){1,3}(-rc\\.[0-2])?(-[0-3]-g[a-f0-9]{7})?(-dirty)?",
        "[0-3]\\.[0-3](p|_)[0-9]{1,2}",
        "[a-f0-9]{7,9}",
        "[a-z]{1,4}(-[0-9]\\.[0-9])?",
    ]
}

/// Without what `git describe` writes, which semver reads otherwise.
fn semantic_text() -> impl Strategy<Value = String> {
    let text = "(0|[1-3])\\.(0|[1-3])\\.(0|[1-3])(-(alpha|beta|rc|dev|post1|x-y|[0-3])(\\.(0|[1-9]|a))?)?(\\+([0-2]|b1|c)(\\.[0-3a])?)?";
    text.prop_map(String::from)
}

/// In the normalized form of PEP 440.
fn python_text() -> impl Strategy<Value = String> {
    "([12]!)?[0-2](\\.[0-2]){0,3}(a[0-2]|b[0-2]|rc[0-2])?(\\.post[0-2])?(\\.dev[0-2])?(\\+(ab|cd)(\\.[0-2])?)?"
        .prop_map(String::from)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn semantic_texts_are_ordered_by_semver(one in semantic_text(), other in semantic_text()) {
        let semver = |text: &str| semver::Version::parse(text).expect("semantic");
        prop_assert_eq!(read(&one).cmp(&read(&other)), semver(&one).cmp(&semver(&other)));
    }

    #[test]
    fn python_texts_are_ordered_by_pep_440(one in python_text(), other in python_text()) {
        let pep = |text: &str| text.parse::<pep440_rs::Version>().expect("of PEP 440");
        prop_assert_eq!(read(&one).cmp(&read(&other)), pep(&one).cmp(&pep(&other)), "{} {}", one, other);
    }

    #[test]
    fn the_order_is_total_and_transitive(texts in proptest::collection::vec(any_text(), 3)) {
        let [a, b, c] = [0, 1, 2].map(|index| read(&texts[index]));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        if a <= b && b <= c {
            prop_assert!(a <= c, "{:?}", texts);
        }
        if a == b {
            prop_assert_eq!(a.cmp(&c), b.cmp(&c), "{:?}", texts);
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_version(text in any_text()) {
        let version = read(&text);
        let again: Version = serde_json::from_value(serde_json::json!(version)).expect("reads");
        prop_assert_eq!(&version, &again);
        prop_assert_eq!(version.as_str(), again.as_str());
    }

    #[test]
    fn commits_after_a_tag_lie_between_it_and_the_next_release(
        numbers in proptest::collection::vec(0_u64..50, 1..5),
        commits in 1_u64..1000,
    ) {
        let text = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let mut next = numbers.clone();
        *next.last_mut().expect("a number") += 1;
        let described = read(&format!("v{}-{commits}-gabc1234", text(&numbers)));
        prop_assert!(read(&text(&numbers)) < described && described < read(&text(&next)));
        let next_alpha = read(&format!("{}-alpha", text(&next)));
        prop_assert!(described < next_alpha);
    }

    #[test]
    fn any_text_is_read_or_refused_in_words(text in "\\PC{0,40}") {
        if let Err(no) = text.parse::<Version>() {
            prop_assert!(!no.why.is_empty());
        }
    }
}
