//! Azure Key Vault as a target, with Azure's part played by a transport: what its refusals become.

mod refusals;
mod sign_in;
mod stand_in;
