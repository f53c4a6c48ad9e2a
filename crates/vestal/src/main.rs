//! The `vestal` binary.

use std::process::ExitCode;

// Tokens come and go by the thousand: the system's allocator gives less of their memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Every command may hold a secret, not only those that serve.
    vestal::process::keep_memory_private();
    vestal::cli::run(std::env::args_os())
}
