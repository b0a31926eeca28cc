//! Help and what it costs to be wrong on the command line.

use crate::kit::{Sandbox, assert_words};

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
    the_help_lists_every_command = "--help";
    the_short_help_fits_a_screen = "-h";
    nothing_typed_shows_the_help_and_is_wrong_use = "";
    help_of_ensure = "ensure --help";
    help_of_start = "start -h";
    help_of_status = "status --help";
    help_of_list = "list --help";
    help_of_stop = "stop --help";
    help_of_restart = "restart --help";
    help_of_logs = "logs --help";
    help_of_events = "events --help";
    help_of_demo = "demo --help";
    help_of_completions = "completions --help";
    help_of_version = "version --help";
    an_unknown_command_is_wrong_use = "esnure memory";
    an_unknown_flag_is_wrong_use = "ensure memory --jsno";
    wrong_use_is_a_document_where_one_is_wanted = "ensure --json";
    a_host_that_is_typed_says_who_starts_it = "host memory";
    a_bad_duration_says_what_a_good_one_is = "ensure memory --timeout 5";
    the_version_is_one_line = "version";
    the_formats_are_told_to_programs = "version --json";
}

#[test]
fn completions_are_written_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = sandbox.call(&format!("completions {shell}"));
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(said.stdout.contains("restart") && said.stdout.contains("accept-warming"), "{shell}");
    }
}
