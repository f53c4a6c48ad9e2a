//! x
mod address;
mod expiry;
mod expression;
mod flow;
mod order;
mod pieces;
mod read;
mod request;
mod term;
mod trace;
mod words;
pub use flow::{Flow, Origin};
pub use read::*;
