//! Tests through the crate's public API, in one binary, so that it is linked once: clients against a scripted
//! hub, and the local hub against raw clients.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can not go on fails")]

mod device_credentials;
mod device_https;
mod device_outbox;
mod device_session;
mod http;
mod hub_amqp;
mod hub_bulk;
mod hub_configurations;
mod hub_conformance;
mod hub_deployments;
mod hub_digital_twins;
mod hub_endpoints;
mod hub_faults;
mod hub_jobs;
mod hub_limits;
mod hub_messages;
mod hub_methods;
mod hub_mqtt;
mod hub_provisioning;
mod hub_queries;
mod hub_queries_naive;
mod hub_servicebound;
mod hub_sessions;
mod hub_transfers;
mod hub_twin_limits;
mod hub_twins_naive;
mod hub_uploads;
mod hub_workload;
mod hub_x509;
mod provisioning_client;
mod proxies;
mod scripted_hub;
mod service_connections;
mod service_messages;
mod service_receiver;
mod support;
mod websockets;
