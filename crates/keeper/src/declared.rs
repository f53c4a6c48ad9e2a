//! All tokens that are declared, page by page: they are many, and renewals go on meanwhile.

use std::time::Duration;

use store::rows::{DefinitionKind, TokenRow};
use store::{RecordError, Store, StoreError};

use crate::definition::{TokenDefinition, token_definition_name};
use crate::keeper::Keeper;
use crate::port::{Clock, Http, Observer};

/// How many tokens are read at once, and how long it rests between two reads.
const PAGE: usize = 250;
const REST_BETWEEN_PAGES: Duration = Duration::from_millis(20);

impl<S: Store, C: Clock, H: Http, O: Observer> Keeper<S, C, H, O> {
    /// Goes through all tokens that are declared. What doesn't open is passed over: whoever needs it tells of it.
    ///
    /// # Errors
    /// Why the store could not answer.
    pub(crate) async fn each_declared(
        &self,
        mut each: impl FnMut(TokenRow, TokenDefinition) + Send,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.records.store().tokens(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for row in page {
                let name = token_definition_name(&row.vault, &row.name);
                match self.records.definition::<TokenDefinition>(DefinitionKind::Token, &name).await {
                    Ok(Some(declared)) if declared.removed.is_none() => each(row, declared.body),
                    Err(RecordError::Store(error)) if !matches!(error, StoreError::Damaged(_)) => return Err(error),
                    Ok(_) | Err(_) => {}
                }
            }
            self.clock.sleep(REST_BETWEEN_PAGES).await;
        }
    }
}
