//! `schema`: what an editor needs to know of the configuration file.

use super::problem::Problem;
use super::session::Session;
use crate::config;

/// The schema is JSON by itself, so `--json` changes nothing.
pub(super) fn run(session: &mut Session) -> Result<(), Problem> {
    session.output.json(&config::json_schema())
}
