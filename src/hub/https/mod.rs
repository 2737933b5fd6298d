//! The REST endpoint for back ends and for what devices ask over HTTPS, the blobs they upload, and the way to the
//! WebSocket.
//!
//! Paths, headers and bodies are those of api-version 2021-04-12; the date is checked for its form only,
//! as Azure's hubs answer many of them alike.
//! <https://learn.microsoft.com/rest/api/iothub/>

mod answers;
mod blobs;
mod configurations;
mod digital_twins;
mod documents;
mod enrollments;
mod files;
mod gate;
mod jobs;
mod messages;
mod methods;
mod pages;
mod queries;
mod registry;
mod requests;
mod routes;
mod servicebound;
mod telemetry;
#[cfg(test)]
mod tests;
mod transfers;
mod twins;
mod websocket;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;

use super::HubState;
use crate::protocol;
use answers::{method_not_allowed, not_implemented, unknown_path};
use routes::{Routes, any, delete, get, post, put};
use servicebound::{Feedback, FileNotifications};

pub use routes::Route;
pub use websocket::{Subprotocol, Upgrade};

/// Far more than any identity or twin takes.
const LARGEST_BODY: usize = 1 << 20;

/// All paths of the endpoint.
pub fn router(state: HubState) -> Router {
    let registry =
        registry_paths().into_router().route_layer(from_fn_with_state(state.clone(), gate::registry));
    let service = service_paths().into_router().route_layer(from_fn_with_state(state.clone(), gate::service));
    let methods = method_paths().into_router().route_layer(from_fn_with_state(state.clone(), gate::methods));
    let device = device_paths().into_router().route_layer(from_fn_with_state(state.clone(), gate::device));
    let owner = owner_paths().into_router().route_layer(from_fn_with_state(state.clone(), gate::owner));
    registry
        .merge(service)
        .merge(methods)
        .merge(device)
        .merge(owner)
        .merge(blobs::router(state.clone()))
        .merge(open_paths().into_router())
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(state.clone(), answers::finish))
        .with_state(state)
}

/// All routes, for the documents and the tests that compare themselves with them.
#[must_use]
pub fn routes() -> Vec<Route> {
    let groups = [
        registry_paths(),
        service_paths(),
        method_paths(),
        device_paths(),
        owner_paths(),
        open_paths(),
        blobs::paths(),
    ];
    groups.into_iter().flat_map(Routes::into_list).collect()
}

fn registry_paths() -> Routes {
    let device = get(registry::get_identity)
        .put(registry::put_identity)
        .delete(registry::delete_identity)
        .post(registry::post_to_devices);
    let module = get(registry::get_identity).put(registry::put_identity).delete(registry::delete_identity);
    let configuration = get(configurations::get).put(configurations::put).delete(configurations::delete);
    Routes::new()
        .route("/devices", get(registry::list_devices).post(registry::change_many))
        .route("/devices/{device}", device)
        .route("/devices/{device}/modules", get(registry::list_modules))
        .route("/devices/{device}/modules/{module}", module)
        .route("/devices/{device}/applyConfigurationContent", post(configurations::apply_on_edge))
        .route("/statistics/devices", get(registry::device_statistics))
        .route("/jobs", get(transfers::list))
        .route("/jobs/create", post(transfers::create))
        .route("/jobs/{name}", get(transfers::get_transfer).delete(transfers::cancel))
        .route("/configurations", get(configurations::list))
        .route("/configurations/testQueries", post(configurations::test))
        .route("/configurations/{name}", configuration)
}

fn service_paths() -> Routes {
    let command = post(digital_twins::invoke);
    let twin = get(twins::get_twin).patch(twins::patch_twin).put(twins::replace_twin);
    Routes::new()
        .route("/twins/{device}", twin.clone())
        .route("/twins/{device}/modules/{module}", twin)
        .route("/devices/{device}/commands", delete(messages::purge))
        .route("/statistics/service", get(registry::service_statistics))
        .route("/jobs/v2/query", get(jobs::list))
        .route("/jobs/v2/{name}", get(jobs::get_job).put(jobs::create))
        .route("/jobs/v2/{name}/cancel", post(jobs::cancel))
        .route("/digitaltwins/{device}", get(digital_twins::get).patch(digital_twins::patch))
        .route("/digitaltwins/{device}/commands/{command}", command.clone())
        .route("/digitaltwins/{device}/components/{component}/commands/{command}", command)
        .merge(service_bound::<Feedback>("feedback"))
        .merge(service_bound::<FileNotifications>("filenotifications"))
}

fn service_bound<Q: servicebound::Queue>(queue: &str) -> Routes {
    let path = format!("/messages/serviceBound/{queue}");
    Routes::new()
        .route(&path, get(servicebound::next::<Q>))
        .route(&format!("{path}/{{name}}"), delete(servicebound::complete::<Q>))
        .route(&format!("{path}/{{name}}/abandon"), post(servicebound::abandon::<Q>))
}

fn method_paths() -> Routes {
    Routes::new()
        .route("/twins/{device}/methods", post(methods::invoke))
        .route("/twins/{device}/modules/{module}/methods", post(methods::invoke))
}

fn owner_paths() -> Routes {
    let enrollment = put(enrollments::enroll).delete(enrollments::remove);
    Routes::new()
        .route("/_ferrohub/container-uri", get(transfers::container_uri))
        .route("/_ferrohub/enrollments", get(enrollments::list))
        .route("/_ferrohub/enrollments/{name}", enrollment)
}

/// Paths that need no token: that of WebSockets, in which CONNECT says who it is, and those of the provisioning service,
/// which speaks MQTT only here, and says so to whoever asks.
fn open_paths() -> Routes {
    Routes::new()
        .route(protocol::websocket::PATH, get(websocket::upgrade))
        .route(protocol::websocket::SERVICE_BUS_PATH, get(websocket::upgrade))
        .route(&format!("{}/", protocol::websocket::SERVICE_BUS_PATH), get(websocket::upgrade))
        .route("/enrollments", any(not_implemented))
        .route("/enrollments/{*rest}", any(not_implemented))
        .route("/enrollmentGroups", any(not_implemented))
        .route("/enrollmentGroups/{*rest}", any(not_implemented))
        .route("/registrations/{*rest}", any(not_implemented))
        .route("/{scope}/registrations/{registration}", any(not_implemented))
        .route("/{scope}/registrations/{registration}/register", any(not_implemented))
        .route("/{scope}/registrations/{registration}/operations/{operation}", any(not_implemented))
}

fn device_paths() -> Routes {
    Routes::new()
        .route("/devices/{device}/messages/events", post(telemetry::send))
        .route("/devices/{device}/messages/devicebound", any(not_implemented))
        .route("/devices/{device}/messages/devicebound/{lock}", any(not_implemented))
        .route("/devices/{device}/messages/devicebound/{lock}/abandon", any(not_implemented))
        .route("/devices/{device}/files", post(files::start))
        .route("/devices/{device}/files/notifications", post(files::finish))
        .route("/devices/{device}/files/notifications/{correlation}", post(files::finish_by_path))
}
