// For examples in the documentation: this process once more, with a state directory of its own that is removed at the end.
{
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::process::CommandExt;

    struct Place(std::path::PathBuf);

    impl Drop for Place {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).expect("the place is ours");
        }
    }

    // The process id stays the same when a process becomes another program.
    let place = std::env::temp_dir().join(format!("tenure-doc-{}", std::process::id()));
    if std::env::var_os("TENURE_STATE_DIR").is_none_or(|root| place != *root) {
        std::fs::DirBuilder::new().mode(0o700).create(&place).expect("a new directory");
        let own = std::env::current_exe().expect("a program has a path");
        let args = std::env::args_os().skip(1);
        let error = std::process::Command::new(own).args(args).env("TENURE_STATE_DIR", &place).exec();
        panic!("run again: {error}");
    }
    Place(place)
}
