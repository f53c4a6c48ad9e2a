//! Why a provider could not be asked, and whether it may have heard the question all the same.

use super::rules::Denial;
use std::fmt;
use std::time::Duration;

/// Why there is no answer. It displays as what happened, where, and what to do next; it holds nothing of the request
/// but host and port, and nothing that the provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No byte of the request left this process: nothing was spent, and the attempt may be repeated freely.
    NotSent {
        /// Host and port.
        host: String,
        /// What went wrong.
        why: NotSent,
    },
    /// The first byte may have been sent, and no answer's head came back: what the provider did is unknown.
    Unknown {
        /// Host and port.
        host: String,
        /// What went wrong.
        why: Unknown,
    },
}

/// What went wrong before the first byte was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The URL's scheme isn't https.
    NotHttps,
    /// The URL carries a user name or password; they would be sent to nobody.
    UrlHasCredentials,
    /// A header's name or value has a character that HTTP can't carry.
    UnsendableHeader(String),
    /// A header that only the connector itself may set.
    ReservedHeader(String),
    /// Every address of the host is refused by the outbound rules; this is the first.
    Denied(Denial),
    /// The name could not be resolved; the resolver's own words.
    NameNotResolved(String),
    /// No address accepted a connection; the last one's error.
    NotConnected(String),
    /// The connection ended at one of our own listeners.
    ReachedOurselves,
    /// The TLS handshake failed; what TLS says about it.
    TlsFailed(String),
    /// This machine has no certificate authorities to check the provider's certificate with.
    NoAuthorities(String),
    /// The connection was closed before the request was written.
    ClosedEarly,
    /// The deadline passed.
    DeadlinePassed {
        /// What was under way.
        during: Stage,
        /// The deadline.
        deadline: Duration,
    },
}

/// What is done before a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Asking for the host's addresses.
    Resolving,
    /// Opening a connection.
    Connecting,
    /// Agreeing on encryption, checking the certificate.
    Handshake,
}

/// What went wrong after the first byte may have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No answer began before the deadline.
    DeadlinePassed(Duration),
    /// The connection was closed without an answer.
    Closed,
    /// The answer's head is longer than [`super::HEAD_LIMIT`], or has more than [`super::HEADER_COUNT_LIMIT`] lines.
    HeadTooLarge,
    /// What came back isn't HTTP.
    NotHttp,
    /// The connection broke; the system's words.
    Broken(String),
}

impl SendError {
    /// Whether the provider may have received the request, so that a credential for one use may be spent.
    pub fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A denial names host, address and the line to add by itself.
            Self::NotSent { why: NotSent::Denied(denial), .. } => denial.fmt(out),
            Self::NotSent { host, why } => write!(out, "{host} was not asked: {why}"),
            Self::Unknown { host, why } => write!(out, "{host} was asked, and no answer was received: {why}"),
        }
    }
}

impl std::error::Error for SendError {}

impl fmt::Display for NotSent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttps => out.write_str("secrets are sent over https alone; write an https:// URL into the provider"),
            Self::UrlHasCredentials => {
                out.write_str("its URL has a user name or password in it; keep them in the vault, and take them out of the URL")
            }
            Self::UnsendableHeader(name) => write!(
                out,
                "the header {name} has a character that HTTP can't carry; look for a line break in the secret or setting behind it"
            ),
            Self::ReservedHeader(name) => {
                write!(out, "the header {name} is set by Vestal itself; take it out of the provider's headers")
            }
            Self::Denied(denial) => denial.fmt(out),
            Self::NameNotResolved(why) => write!(
                out,
                "the name could not be resolved ({why}); check its spelling, and this machine's DNS"
            ),
            Self::NotConnected(why) => write!(
                out,
                "no connection could be opened ({why}); check the port, and whether a firewall lies between"
            ),
            Self::ReachedOurselves => out.write_str(
                "the connection ended at Vestal itself; correct the provider's URL, or list the address and port in [outbound] allow",
            ),
            Self::TlsFailed(why) => write!(out, "no encrypted connection could be made: {why}"),
            Self::NoAuthorities(why) => write!(
                out,
                "this machine has no certificate authorities to check it by ({why}); install the package ca-certificates, or set [outbound] ca"
            ),
            Self::ClosedEarly => {
                out.write_str("it closed the connection before the request was written; this is tried again")
            }
            Self::DeadlinePassed { during, deadline } => {
                write!(out, "{during} took longer than the {deadline:?} that an attempt may take; check the network between")
            }
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Resolving => "resolving its name",
            Self::Connecting => "opening a connection",
            Self::Handshake => "the TLS handshake",
        })
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeadlinePassed(deadline) => {
                write!(out, "none began within {deadline:?}; see whether it reports an outage")
            }
            Self::Closed => out.write_str("the connection was closed first; see whether it reports an outage"),
            Self::HeadTooLarge => write!(
                out,
                "its headers are larger than {} KiB or more than {}; check that the URL is the token endpoint's",
                super::HEAD_LIMIT / 1024,
                super::HEADER_COUNT_LIMIT
            ),
            Self::NotHttp => out.write_str("what came back isn't HTTP; check the provider's URL and port"),
            Self::Broken(why) => write!(out, "the connection broke ({why})"),
        }
    }
}
