//! Help, the manual, completions, and what it costs to be wrong on the command line.

use crate::kit::{Sandbox, assert_words, skipped};

macro_rules! help {
    ($($name:ident = $line:literal;)+) => {$(
        #[test]
        fn $name() {
            let sandbox = Sandbox::new();
            // Nothing in these differs from run to run.
            assert_words!(sandbox, sandbox.call($line), Vec::<(&str, &str)>::new());
        }
    )+};
}

help! {
    the_help_groups_every_command = "--help";
    nothing_typed_shows_the_help_and_is_wrong_use = "";
    help_of_ensure = "ensure --help";
    help_of_start = "start -h";
    help_of_stop = "stop --help";
    help_of_restart = "restart --help";
    help_of_status = "status --help";
    help_of_list = "list --help";
    help_of_logs = "logs --help";
    help_of_events = "events --help";
    help_of_doctor = "doctor --help";
    help_of_prune = "prune --help";
    help_of_pin = "pin --help";
    help_of_unpin = "unpin --help";
    help_of_forget = "forget --help";
    help_of_signal = "signal --help";
    help_of_reload = "reload --help";
    help_of_init = "init --help";
    help_of_config = "config --help";
    help_of_config_check = "config check --help";
    help_of_config_show = "config show --help";
    help_of_config_schema = "config schema --help";
    help_of_trust = "trust --help";
    help_of_demo = "demo --help";
    help_of_man = "man --help";
    help_of_completions = "completions --help";
    help_of_version = "version --help";
    an_unknown_command_is_wrong_use = "esnure memory";
    an_unknown_flag_is_wrong_use = "ensure memory --jsno";
    an_unknown_shell_lists_those_that_are_known = "completions tcsh";
    wrong_use_is_a_document_where_one_is_wanted = "ensure --json";
    a_host_that_is_typed_says_who_starts_it = "host memory";
    a_bad_duration_says_what_a_good_one_is = "ensure memory --timeout 5";
    a_bad_version_says_what_a_good_one_is = "pin memory 1.2.x";
    a_build_cannot_be_pinned = "pin memory nightly";
    the_version_is_one_line = "version";
    the_formats_are_told_to_programs = "version --json";
}

/// Every command that help shows, in its order; those of `config` not among them.
fn commands(sandbox: &Sandbox) -> Vec<String> {
    let help = sandbox.call("--help").stdout;
    let shown = help.split("Options:").next().expect("a first part");
    let lines = shown.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(|line| line.split(' ').next().expect("a word").to_owned()).collect()
}

#[test]
fn short_and_long_help_are_one() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.call("-h").stdout, sandbox.call("--help").stdout);
    assert_eq!(sandbox.call("stop -h").stdout, sandbox.call("stop --help").stdout);
}

#[test]
fn every_command_that_is_shown_has_help_with_an_example() {
    let sandbox = Sandbox::new();
    let commands = commands(&sandbox);
    assert!(commands.len() >= 14, "{commands:?}");
    for command in commands {
        let help = sandbox.call(&format!("{command} --help"));
        let example = format!("Examples:\n  tenure {command}");
        assert!(help.code == Some(0) && help.stdout.contains(&example), "{command}: {help:?}");
    }
}

#[test]
fn help_has_colours_where_they_are_asked_for_and_nowhere_else() {
    let mut sandbox = Sandbox::new();
    for line in ["--help", "stop --help", "esnure"] {
        let said = |sandbox: &Sandbox, flag: &str| {
            let said = sandbox.call(&format!("{flag} {line}"));
            said.stdout + &said.stderr
        };
        assert!(!said(&sandbox, "").contains('\u{1b}'), "{line}");
        assert!(said(&sandbox, "--color always").contains('\u{1b}'), "{line}");
        assert!(said(&sandbox, "--color=always").contains('\u{1b}'), "{line}");
    }
    sandbox.set("CLICOLOR_FORCE", "1");
    assert!(sandbox.call("--help").stdout.contains('\u{1b}'));
    assert!(!sandbox.call("--help --color never").stdout.contains('\u{1b}'));
    sandbox.set("NO_COLOR", "1");
    assert!(!sandbox.call("--help").stdout.contains('\u{1b}'));
}

#[test]
fn completions_of_six_shells_name_every_command() {
    let sandbox = Sandbox::new();
    let commands = commands(&sandbox);
    // How each shell reads a script without running it; nu runs it, which only defines. The others cannot without a user.
    let shells = [
        ("bash", Some(("bash", "-n /dev/stdin"))),
        ("zsh", Some(("zsh", "-n /dev/stdin"))),
        ("fish", Some(("fish", "--no-execute /dev/stdin"))),
        ("nushell", Some(("nu", "--no-config-file /dev/stdin"))),
        ("elvish", None),
        ("powershell", None),
    ];
    for (shell, check) in shells {
        let said = sandbox.call(&format!("completions {shell}"));
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(said.stdout.contains("accept-warming"), "{shell}: flags are missing");
        for command in &commands {
            assert!(said.stdout.contains(command), "{shell}: {command} is missing");
        }
        let checked = check.and_then(|(program, line)| sandbox.foreign(program, line, &said.stdout));
        match checked {
            Some(checked) => assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{shell}"),
            None => skipped(&format!("the syntax of the completions for {shell}: it cannot be checked here")),
        }
    }
}

#[test]
fn the_manual_begins_with_what_a_reader_looks_for() {
    let sandbox = Sandbox::new();
    let mut said = sandbox.call("man");
    said.stdout = said.stdout.split_inclusive('\n').take(40).collect();
    assert_words!(sandbox, said, Vec::<(&str, &str)>::new());
}

#[test]
fn the_manual_is_text_that_groff_has_nothing_against() {
    let sandbox = Sandbox::new();
    sandbox.call("man --directory pages");
    let mut pages: Vec<_> = std::fs::read_dir(sandbox.path("project/pages"))
        .expect("written")
        .map(|page| page.expect("there").path())
        .collect();
    pages.sort();
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("text");
        for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH EXAMPLES", ".SH \"SEE ALSO\""] {
            assert!(text.contains(section), "{}: no {section}", page.display());
        }
        match sandbox.foreign("groff", "-ww -man -Tutf8 -Kutf8", &text) {
            Some(said) => assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{}", page.display()),
            None => return skipped("the syntax of the manual: no `groff` here"),
        }
    }
}

#[test]
fn a_page_is_written_for_every_command_and_each_is_named() {
    let sandbox = Sandbox::new();
    let said = sandbox.call("man --directory share/man1");
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""));
    for command in commands(&sandbox) {
        let path = sandbox.path("project/share/man1").join(format!("tenure-{command}.1"));
        assert!(path.exists() && said.stderr.contains(&*path.to_string_lossy()), "{command}: {said:?}");
    }
    assert!(sandbox.path("project/share/man1/tenure.1").exists());
    assert!(sandbox.path("project/share/man1/tenure-config-check.1").exists());
    assert!(!sandbox.path("project/share/man1/tenure-host.1").exists(), "what is hidden has no page");
    let document = sandbox.call("man --directory share/man1 --json").document();
    assert_eq!(document["pages"].as_array().map(Vec::len), Some(said.stderr.lines().count()));
}

#[test]
fn pages_that_cannot_be_written_are_an_error_with_a_remedy() {
    let sandbox = Sandbox::new();
    sandbox.write("project/file", "in the way");
    assert_words!(sandbox, sandbox.call("man --directory file"));
    assert_eq!(sandbox.call("man --directory file --json").document()["state"], "output-failed");
}

#[test]
fn the_reference_has_a_section_for_each_command_with_all_its_flags() {
    let sandbox = Sandbox::new();
    let page = include_str!("../../../../docs/reference/commands.md");
    let below = ["check", "show", "schema"].map(|name| format!("config {name}"));
    for command in commands(&sandbox).into_iter().chain(below) {
        let level = if command.contains(' ') { "###" } else { "##" };
        let heading = format!("\n{level} {command}\n");
        let section = page.split(&heading).nth(1).and_then(|rest| rest.split("\n## ").next());
        assert!(section.is_some(), "no section `{}`", heading.trim());
        let section = section.expect("asserted above");
        let help = sandbox.call(&format!("{command} --help")).stdout;
        let own = help.split("Options:").nth(1).and_then(|rest| rest.split("Everywhere:").next());
        for line in own.expect("options").lines() {
            let flag = line.split_whitespace().find(|word| word.starts_with("--") && *word != "--help");
            let known = flag.is_none_or(|flag| section.contains(flag.trim_end_matches(',')));
            assert!(known, "{command}: {flag:?} is not in its section");
        }
    }
}
