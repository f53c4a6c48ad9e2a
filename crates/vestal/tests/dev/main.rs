//! Vestal as its users meet it: the real program in a process of its own, read by real clients, with a certified OAuth
//! server behind it. One binary for all of it, since each takes its time to link.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a test tells the person who reads its output")]

mod azure;
mod azure_faults;
mod certificate;
mod client;
mod crash;
mod full_disk;
mod import;
mod leak;
mod limits;
mod oidc;
mod peers;
mod process;
mod readers;
mod refusals;
mod tutorial;
