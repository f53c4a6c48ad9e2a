//! The shell of Vestal: everything that touches the world, as a library that the one binary is made of.

pub mod admin;
pub mod alert;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod data;
pub mod definitions;
pub mod dev;
pub mod engine;
pub mod export;
mod forecast;
pub mod import;
pub mod listener;
pub mod observe;
pub mod process;
pub mod sandbox;
mod system_error;
pub mod tls;
