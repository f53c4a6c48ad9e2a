//! What the signs of life are read from.

use std::sync::Arc;

use keyvault::RequestCount;
use renewal::{Moment, Wall};
use store::Store as _;

use super::Engine;
use crate::clock;
use crate::observe::{Reason, Vitals};
use crate::tls::ServerCertificate;

/// The vital signs of an engine.
pub struct EngineVitals {
    engine: Arc<Engine>,
    certificate: Arc<ServerCertificate>,
}

impl EngineVitals {
    /// The vital signs of this engine, and of the certificate that its listener shows.
    pub fn new(engine: Arc<Engine>, certificate: Arc<ServerCertificate>) -> Self {
        Self { engine, certificate }
    }
}

impl Vitals for EngineVitals {
    fn now(&self) -> Moment {
        clock::now()
    }

    fn looked(&self) -> Wall {
        self.engine.keeper().looked()
    }

    async fn probe_store(&self) -> Result<(), String> {
        self.engine.records().store().probe().await.map_err(|error| error.to_string())
    }

    fn certificate_ends(&self) -> i64 {
        self.certificate.ends()
    }

    fn requests(&self) -> Vec<RequestCount> {
        self.engine.keyvault().requests().collect()
    }

    fn audit_gaps(&self) -> u64 {
        self.engine.audit().gaps()
    }

    fn wrong(&self) -> Vec<Reason> {
        let data = self.engine.data().path();
        if data.is_dir() {
            return Vec::new();
        }
        vec![Reason::new("data", format!("the data folder {} is gone: put it back, and restart", data.display()))]
    }
}
