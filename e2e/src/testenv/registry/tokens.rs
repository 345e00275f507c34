// SPDX-License-Identifier: Apache-2.0

//! The token server of a registry, at another host than the registry's.
//!
//! Source: the distribution project's "Token Authentication Specification", "Token Authentication Implementation" (the
//! claims) and "`OAuth2` Token Authentication".

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};

use super::proxy::Log;
use super::{ACCOUNT, IDENTITY_TOKEN, Tls};
use crate::testenv::Result;
use crate::testenv::server::Server;

/// The other host: whoever goes there was led there by the registry.
pub(super) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// The `iss` claim.
pub(super) const ISSUER: &str = "sealwatch-e2e";
/// The `aud` claim, and the name under which the registry is known here.
pub(super) const SERVICE: &str = "registry.e2e.test";
/// The name of the key that signs.
const KEY_ID: &str = "e2e";
/// How long tokens are good, in seconds.
const LIFE: u64 = 300;
/// The largest form that is read.
const LARGEST_FORM: usize = 64 * 1024;

/// A token server. It gives [`ACCOUNT`] what it asks for, and everybody else 401.
#[derive(Debug)]
pub(super) struct TokenServer {
    server: Server,
    /// The public key, as a JSON Web Key Set (RFC 7517, RFC 8037).
    pub(super) key_set: Value,
}

#[derive(Clone)]
struct Desk {
    key: Arc<KeyPair>,
    log: Log,
}

impl TokenServer {
    /// Starts it; what it is asked goes to the registry's log.
    pub(super) fn start(tls: &Tls, log: &Log) -> Result<Self> {
        let key = Arc::new(KeyPair::generate_for(&PKCS_ED25519)?);
        let public = Base64UrlUnpadded::encode_string(key.public_key_raw());
        let key_set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": KEY_ID, "x": public}]});
        let router = Router::new().fallback(answer).with_state(Desk { key, log: log.clone() });
        Ok(Self { server: Server::start_at(HOST, Some(&tls.key), router)?, key_set })
    }

    /// `127.0.0.2:port`
    pub(super) fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// Where tokens are asked for.
    pub(super) fn realm(&self) -> String {
        format!("https://{}/token", self.host())
    }
}

async fn answer(State(desk): State<Desk>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = to_bytes(body, LARGEST_FORM).await.unwrap_or_default();
    let response = match desk.token(&parts, &form) {
        Some(token) => {
            let body = json!({"token": token, "access_token": token, "expires_in": LIFE});
            ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
        }
        None => StatusCode::UNAUTHORIZED.into_response(),
    };
    desk.log.add(&parts, response.status());
    response
}

impl Desk {
    /// A token for whoever proves to be [`ACCOUNT`]: by password (GET), or by refresh token (POST).
    fn token(&self, parts: &Parts, form: &Bytes) -> Option<String> {
        let parameters = if parts.method == Method::POST {
            String::from_utf8(form.to_vec()).ok()?
        } else {
            parts.uri.query().unwrap_or_default().to_owned()
        };
        let url = reqwest::Url::parse(&format!("http://form.invalid/?{parameters}")).ok()?;
        let all = |name: &str| {
            let found = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
            found.collect::<Vec<_>>()
        };
        let is_known = if parts.method == Method::POST {
            all("grant_type") == ["refresh_token"] && all("refresh_token") == [IDENTITY_TOKEN]
        } else {
            let (name, password) = ACCOUNT;
            let expected = format!("Basic {}", Base64::encode_string(format!("{name}:{password}").as_bytes()));
            parts.headers.get(AUTHORIZATION).is_some_and(|given| given == expected.as_str())
        };
        let scopes = all("scope");
        let access: Vec<Value> = scopes.iter().flat_map(|scope| scope.split(' ')).filter_map(access).collect();
        if is_known && all("service") == [SERVICE] { self.sign(&access) } else { None }
    }

    fn sign(&self, access: &[Value]) -> Option<String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let header = part(&json!({"typ": "JWT", "alg": "EdDSA", "kid": KEY_ID}));
        let claims = part(&json!({
            "iss": ISSUER, "aud": SERVICE, "sub": ACCOUNT.0, "jti": format!("{now}"),
            "iat": now, "nbf": now, "exp": now + LIFE, "access": access,
        }));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature)))
    }
}

/// A scope, `repository:NAME:ACTION,ACTION`, as a claim.
fn access(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
}
