//! The command line, tested as files: `tests/cmd` holds what needs no running Vestal, with the real program;
//! `tests/admin` what is said to a running one and what it answers, in [`mod@admin`].

mod admin;

/// `TRYCMD=overwrite` writes them again.
#[test]
fn commands_that_need_no_running_vestal() {
    trycmd::TestCases::new()
        .register_bin("vestal", std::path::Path::new(env!("CARGO_BIN_EXE_vestal")))
        // Whoever runs the tests may have set them; empty they say nothing.
        .env("VESTAL_DIR", "")
        .env("VESTAL_VAULT", "")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.toml")
        .case("tests/cmd/*.trycmd");
}
