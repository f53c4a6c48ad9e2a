//! The query of a request to a vault.

use std::borrow::Cow;

use crate::error::Refusal;
use crate::percent;
use crate::version::ApiVersion;

/// Most items of a page, and how many there are where the client doesn't say.
pub(crate) const MAX_PAGE: usize = 25;

/// The members of a query that mean something, decoded. Others are ignored, as Azure does. Where one is there twice,
/// the first counts.
#[derive(Default)]
pub(crate) struct Query<'r> {
    api_version: Option<Cow<'r, str>>,
    max_results: Option<Cow<'r, str>>,
    skip_token: Option<Cow<'r, str>>,
}

impl<'r> Query<'r> {
    /// Reads a query. Names are decoded before they are looked at: the JavaScript SDK sends `api%2Dversion`.
    pub(crate) fn parse(query: Option<&'r str>) -> Self {
        let mut parsed = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match &*percent::decode_lossy(name) {
                "api-version" => &mut parsed.api_version,
                "maxresults" => &mut parsed.max_results,
                "$skiptoken" => &mut parsed.skip_token,
                _ => continue,
            };
            if slot.is_none() {
                *slot = Some(percent::decode_lossy(value));
            }
        }
        parsed
    }

    /// The version of the API that is asked for.
    pub(crate) fn api_version(&self) -> Result<ApiVersion, Refusal> {
        let name = self.api_version.as_deref().filter(|name| !name.is_empty()).ok_or(Refusal::ApiVersionMissing)?;
        ApiVersion::parse(name).ok_or_else(|| Refusal::ApiVersionUnknown(name.to_owned()))
    }

    /// How many items a page may have.
    pub(crate) fn max_results(&self) -> Result<usize, Refusal> {
        let Some(text) = self.max_results.as_deref() else {
            return Ok(MAX_PAGE);
        };
        text.parse().ok().filter(|count| (1..=MAX_PAGE).contains(count)).ok_or(Refusal::MaxResults)
    }

    /// Where the page begins, as the last `nextLink` told.
    pub(crate) fn skip_token(&self) -> Option<&str> {
        self.skip_token.as_deref().filter(|token| !token.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_once() {
        for query in [
            "api-version=7.4&$skiptoken=ab",
            "x=1&api%2Dversion=7%2E4&%24skiptoken=ab&&y",
            "api-version=7.4&api-version=1&%24skiptoken=ab",
        ] {
            let parsed = Query::parse(Some(query));
            assert_eq!(parsed.api_version().unwrap().as_str(), "7.4", "{query}");
            assert_eq!(parsed.skip_token(), Some("ab"), "{query}");
            assert_eq!(parsed.max_results().unwrap(), 25);
        }
        assert!(matches!(Query::parse(Some("api%252Dversion=7.4")).api_version(), Err(Refusal::ApiVersionMissing)));
        assert!(matches!(Query::parse(None).api_version(), Err(Refusal::ApiVersionMissing)));
    }
}
