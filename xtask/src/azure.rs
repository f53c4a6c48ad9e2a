//! `cargo xtask azure`: what only a real Azure Key Vault can show, through the code that deliveries go through. Opt-in: it
//! writes into a vault that you name. `docs/azure.md` says what it shows and what it needs.

use crate::run::{Place, run};

/// The vault, such as `https://contoso-tests.vault.azure.net`.
const VAULT: &str = "VESTAL_AZURE_VAULT_URL";

const WHAT_TO_SET: &str = "\
No key vault is named. This writes worthless secrets, `vestal-live-…`, into one, so take one for tests. Set

    VESTAL_AZURE_VAULT_URL          the vault, such as https://contoso-tests.vault.azure.net

and who signs in there, with Get and Set on secrets (with RBAC: getSecret, setSecret, update), as one of

    AZURE_CLIENT_SECRET             with AZURE_TENANT_ID and AZURE_CLIENT_ID
    AZURE_CLIENT_CERTIFICATE_PATH   a PEM file with certificate and key, with AZURE_TENANT_ID and AZURE_CLIENT_ID
    AZURE_FEDERATED_TOKEN_FILE      with AZURE_TENANT_ID and AZURE_CLIENT_ID
    VESTAL_AZURE_MANAGED_IDENTITY   =1 on a machine of Azure's; AZURE_CLIENT_ID for a user-assigned identity
    nothing                         whoever `az login` signed in

and if need be

    VESTAL_AZURE_THROTTLE           =1 to provoke 429 for a minute at most
    VESTAL_AZURE_ALLOW              the address of a private endpoint, as in `[outbound] allow`
    AZURE_AUTHORITY_HOST, VESTAL_AZURE_CA   a second Vestal that plays Azure, and its certificate authority

docs/azure.md says more.";

/// `cargo xtask azure [TEST]`: what remains of the arguments chooses tests.
pub(crate) fn azure(place: &Place, arguments: &[String]) -> bool {
    if std::env::var_os(VAULT).is_none_or(|vault| vault.is_empty()) {
        println!("{WHAT_TO_SET}");
        return false;
    }
    // One after the other: what they print is a report, and a vault allows few new versions at a time.
    let fixed = ["test", "--locked", "--package", "vestal", "--test", "azure_live", "--"];
    let shown = ["--nocapture", "--test-threads=1"];
    let arguments = fixed.into_iter().chain(arguments.iter().map(String::as_str)).chain(shown);
    run(&mut place.cargo(arguments)).map_err(|problem| println!("{problem}")).is_ok()
}
