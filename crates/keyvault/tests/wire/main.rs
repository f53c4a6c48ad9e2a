//! The wire, tried from outside: requests go in, answers come out, and every answer of a vault is held against the
//! shape that the API's publisher describes.

mod any_request;
mod apps;
mod audit;
mod authority;
mod deleted;
mod etag;
mod hot_path;
mod oddities;
mod paging;
mod policies;
mod schema;
mod statuses;
mod tokens;
mod world;
