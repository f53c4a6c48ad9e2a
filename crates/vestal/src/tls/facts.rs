//! What a certificate says about itself.

use rustls_pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::net::IpAddr;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What we need to know of a certificate. Names and ranges are in the form that [`dns`] and [`ip`] give them.
pub(super) struct Facts {
    /// From when, in Unix seconds.
    pub(super) starts: i64,
    /// Until when, in Unix seconds.
    pub(super) ends: i64,
    /// Whom it is for.
    pub(super) names: BTreeSet<String>,
    /// Whom an authority may sign for; empty where it isn't constrained.
    pub(super) permitted: BTreeSet<String>,
    /// The identifier of its key.
    pub(super) key_id: Option<Vec<u8>>,
    /// The identifier of its signer's key.
    pub(super) signer_key_id: Option<Vec<u8>>,
}

/// A DNS name as a fact.
pub(super) fn dns(name: &str) -> String {
    format!("dns:{}", name.to_ascii_lowercase())
}

/// An IP address as a fact.
pub(super) fn ip(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => octets(&address.octets()),
        IpAddr::V6(address) => octets(&address.octets()),
    }
}

/// An IP network as a fact: address, then mask.
pub(super) fn ip_range(address: IpAddr, prefix: u8) -> String {
    let mask = |bits: u8| match prefix.saturating_sub(bits) {
        0 => 0,
        set @ 1..8 => 0xff_u8 << (8 - set),
        _ => 0xff,
    };
    let masks = |length: u8| (0..length).map(|index| mask(index * 8));
    match address {
        IpAddr::V4(address) => octets(&address.octets().into_iter().chain(masks(4)).collect::<Vec<_>>()),
        IpAddr::V6(address) => octets(&address.octets().into_iter().chain(masks(16)).collect::<Vec<_>>()),
    }
}

/// Reads a certificate; `None` where it can't be parsed.
pub(super) fn facts(certificate: &CertificateDer<'_>) -> Option<Facts> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut facts = Facts {
        starts: parsed.validity().not_before.timestamp(),
        ends: parsed.validity().not_after.timestamp(),
        names: BTreeSet::new(),
        permitted: BTreeSet::new(),
        key_id: None,
        signer_key_id: None,
    };
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                facts.names = names.general_names.iter().filter_map(fact_of).collect();
            }
            ParsedExtension::NameConstraints(constraints) => {
                let permitted = constraints.permitted_subtrees.iter().flatten();
                facts.permitted = permitted.filter_map(|subtree| fact_of(&subtree.base)).collect();
            }
            ParsedExtension::SubjectKeyIdentifier(id) => facts.key_id = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                facts.signer_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    Some(facts)
}

fn fact_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(dns(name)),
        GeneralName::IPAddress(bytes) => Some(octets(bytes)),
        _ => None,
    }
}

fn octets(bytes: &[u8]) -> String {
    format!("ip:{bytes:?}")
}
