//! The command line as files: each of `tests/cmd` says what is typed, and what comes of it. Run with `TRYCMD=overwrite`
//! to write what comes now into the files; look at the difference before you keep it.

#[test]
fn the_command_line_answers_as_its_files_say() {
    trycmd::TestCases::new()
        .case("tests/cmd/*.toml")
        .case("tests/cmd/*.trycmd");
}
