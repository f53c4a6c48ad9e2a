//! The shell of Vestal: everything that touches the world, as a library that the one binary is made of.

pub mod connector;
pub mod listener;
pub mod sandbox;
pub mod tls;
