//! How the users of a cluster authenticate.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::reference::SecretReference;

/// How users authenticate.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// OpenID Connect.
    pub oidc: Option<Oidc>,
    /// LDAP.
    pub ldap: Option<Ldap>,
    /// Service accounts.
    pub service_account: Option<ServiceAccountConfig>,
    /// Others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<AuthenticationProvider>,
}

/// OpenID Connect.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Oidc {
    /// Who issues tokens.
    #[serde(rename = "issuerURL")]
    pub issuer_url: String,
    /// Who we are to the issuer.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// The Secret with our secret.
    pub client_secret_ref: Option<SecretReference>,
    /// Claim with the user's name.
    pub username_claim: Option<String>,
    /// Claim with the user's groups.
    pub groups_claim: Option<String>,
}

/// LDAP.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ldap {
    /// The server.
    #[serde(rename = "serverURL")]
    pub server_url: String,
    /// Who we are to the server.
    #[serde(rename = "bindDN")]
    pub bind_dn: String,
    /// The Secret with our password.
    pub bind_password_ref: Option<SecretReference>,
    /// Where users are.
    pub user_search_base: String,
    /// Where groups are.
    pub group_search_base: String,
}

/// Service accounts.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountConfig {
    /// Account for pods that name none.
    pub default_name: Option<String>,
    /// The Secret with the key that signs their tokens.
    pub signing_key_ref: Option<SecretReference>,
}

/// Another way to authenticate.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationProvider {
    /// Its name.
    pub name: String,
    /// Which.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}
