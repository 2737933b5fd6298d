//! Who gets in: the `api-version`, and a token with the right that a path needs, or the certificate of a device.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::queries;
use super::requests::{Target, query};
use crate::auth::SasToken;
use crate::hub::HubState;
use crate::hub::access::{Denied, OWNER_POLICY, Right};
use crate::hub::entity::Status;
use crate::hub::error::HubError;
use crate::hub::sessions::Shown;
use crate::hub::x509::ClientCertificate;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

/// Which module asks: `device/module`.
const EDGE_MODULE: HeaderName = HeaderName::from_static("x-ms-edge-moduleid");

type Gated = Result<Response, HubError>;

/// Paths of the identity registry, among which stands that of queries.
pub(super) async fn registry(State(hub): State<HubState>, request: Request, next: Next) -> Gated {
    let right = match *request.method() {
        Method::GET => Right::RegistryRead,
        Method::POST if request.uri().path() == queries::PATH => Right::ServiceConnect,
        _ => Right::RegistryWrite,
    };
    admit_policy(&hub, right, &request)?;
    Ok(next.run(request).await)
}

/// Paths of back ends.
pub(super) async fn service(State(hub): State<HubState>, request: Request, next: Next) -> Gated {
    admit_policy(&hub, Right::ServiceConnect, &request)?;
    Ok(next.run(request).await)
}

/// Direct methods: open to back ends, and to a module that names itself, as the hub on an Edge device opens them.
pub(super) async fn methods(State(hub): State<HubState>, request: Request, next: Next) -> Gated {
    match request.headers().get(EDGE_MODULE) {
        Some(name) if token(&request)?.policy.is_none() => {
            let caller = name.to_str().ok().and_then(|name| IdentityId::parse(name).ok());
            admit_module(&hub, &caller.ok_or_else(HubError::unauthorized)?, &request)?;
        }
        _ => admit_policy(&hub, Right::ServiceConnect, &request)?,
    }
    Ok(next.run(request).await)
}

/// The token has to be the module's own; what it calls is another's.
fn admit_module(hub: &HubState, caller: &IdentityId, request: &Request) -> Result<(), HubError> {
    check_api_version(request.uri())?;
    let known = hub.store.peek(|state| {
        let device = state.get(&caller.parent())?;
        (device.identity.status == Status::Enabled).then(|| state.get(caller).cloned())?
    });
    let known = known.filter(|_| caller.module.is_some()).ok_or_else(HubError::unauthorized)?;
    let now = hub.clock.unix_seconds();
    Ok(hub.access.check_own_key(&token(request)?, &known.identity, &caller.resource(), now)?)
}

/// Paths of our own: for the key of `iothubowner` only.
pub(super) async fn owner(State(hub): State<HubState>, request: Request, next: Next) -> Gated {
    if token(&request)?.policy.as_deref() != Some(OWNER_POLICY) {
        return Err(HubError::unauthorized());
    }
    admit_policy(&hub, Right::ServiceConnect, &request)?;
    Ok(next.run(request).await)
}

/// Paths of devices: open to the device's own keys and certificate too. What let them in goes with the request.
pub(super) async fn device(
    State(hub): State<HubState>,
    Target(id): Target,
    mut request: Request,
    next: Next,
) -> Gated {
    check_api_version(request.uri())?;
    let own = || hub.store.peek(|state| state.get(&id).cloned()).ok_or_else(HubError::unauthorized);
    let certificate = request.extensions().get::<ClientCertificate>();
    if let Some(certificate) = certificate.filter(|_| !request.headers().contains_key(AUTHORIZATION)) {
        hub.check_certificate(certificate, &id, &own()?.identity)?;
        request.extensions_mut().insert(Shown::Certificate);
        return Ok(next.run(request).await);
    }
    let token = token(&request)?;
    let shown = if token.policy.is_some() {
        admit_policy(&hub, Right::DeviceConnect, &request)?;
        Shown::PolicyToken
    } else {
        let (resource, now) = (segments(request.uri()), hub.clock.unix_seconds());
        let resource: Vec<&str> = resource.iter().map(String::as_str).collect();
        hub.access.check_own_key(&token, &own()?.identity, &resource, now)?;
        Shown::OwnToken
    };
    request.extensions_mut().insert(shown);
    Ok(next.run(request).await)
}

fn admit_policy(hub: &HubState, right: Right, request: &Request) -> Result<(), HubError> {
    check_api_version(request.uri())?;
    let token = token(request)?;
    let resource = segments(request.uri());
    let resource: Vec<&str> = resource.iter().map(String::as_str).collect();
    Ok(hub.access.check_policy(&token, right, &resource, hub.clock.unix_seconds())?)
}

fn token(request: &Request) -> Result<SasToken, HubError> {
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    header.and_then(|text| SasToken::parse(text).ok()).ok_or_else(HubError::unauthorized)
}

impl From<Denied> for HubError {
    fn from(_: Denied) -> Self {
        Self::unauthorized()
    }
}

/// The path's segments, each percent-decoded: an encoded slash doesn't part them.
fn segments(uri: &Uri) -> Vec<String> {
    let segments = uri.path().split('/').skip(1);
    segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect()
}

/// `yyyy-mm-dd`, with or without `-preview`.
fn check_api_version(uri: &Uri) -> Result<(), HubError> {
    let version = query(uri, "api-version").unwrap_or_default();
    let date = version.strip_suffix("-preview").unwrap_or(&version);
    let well_formed = date.len() == 10
        && date.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if well_formed {
        return Ok(());
    }
    let message =
        format!("The query parameter api-version is '{version}', and has to be a date such as 2021-04-12.");
    Err(HubError::new(ErrorCode::INVALID_PROTOCOL_VERSION, message))
}
