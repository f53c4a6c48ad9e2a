//! What [`store::Records`] promises, over a store in memory.

mod cache;
mod contention;
mod definitions;
mod deleted;
mod seal;
mod secrets;
mod tokens;
mod world;
