//! The keeper's way to providers: the connector.

use std::sync::Arc;
use std::time::Duration;

use keeper::SendFailure;
use oauth::{HttpAnswer, HttpRequest};

use crate::connector::{Connector, SendError};

/// The connector as the keeper's port.
#[derive(Clone)]
pub struct Outward(pub Arc<Connector>);

impl keeper::Http for Outward {
    async fn send(&self, request: HttpRequest, deadline: Duration) -> Result<HttpAnswer, SendFailure> {
        self.0
            .send(request, deadline)
            .await
            .map_err(|error| SendFailure { sent: matches!(error, SendError::Unknown { .. }), words: error.to_string() })
    }
}
