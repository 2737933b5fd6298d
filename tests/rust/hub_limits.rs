//! Every limit of the hub at its edge: what is just within is taken, what is just beyond is refused, with its code.
//!
//! Those of twins are in `hub_twin_limits`, those of queries and configurations in `hub_queries` and `hub_configurations`.

use ferrohub::clock::Clock;
use ferrohub::hub::limits::Limits;
use ferrohub::hub::registry::IfMatch;
use ferrohub::hub::{HubError, HubSettings, HubState};
use ferrohub::protocol::error_code::ErrorCode;
use ferrohub::protocol::identity::IdentityId;
use serde_json::{Value, json};

use crate::hub_jobs::schedule;
use crate::hub_queries::{create, empty_hub};
use crate::hub_transfers::{ended, export};
use crate::support::START;

const WRONG: ErrorCode = ErrorCode::ARGUMENT_INVALID;

fn hub_with(limits: Limits) -> HubState {
    HubState::open(&HubSettings { limits, clock: Clock::manual(START), ..HubSettings::default() }).unwrap()
}

/// A call of a device that isn't there to respond: a body that keeps the rules gets as far as to find that out.
async fn call(hub: &HubState, body: Value) -> Result<(), HubError> {
    let id = IdentityId::device("d").unwrap();
    let error = hub.invoke_method(&id, serde_json::from_str(&body.to_string()).unwrap()).await.unwrap_err();
    if error.code() == ErrorCode::DEVICE_NOT_ONLINE { Ok(()) } else { Err(error) }
}

async fn put_identity(hub: &HubState, name: &str) -> Result<(), HubError> {
    hub.put_identity(&IdentityId::parse(name).unwrap(), serde_json::from_value(json!({})).unwrap(), None)
        .await
        .map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_method_call_has_its_edges() {
    let hub = empty_hub();
    create(&hub, "d").await;
    let named = |length: usize| json!({ "methodName": "x".repeat(length) });
    // A text has two quotes.
    let paid = |bytes: usize| json!({ "methodName": "m", "payload": "x".repeat(bytes - 2) });
    let responds = |seconds: i64| json!({ "methodName": "m", "responseTimeoutInSeconds": seconds });
    let connects = |seconds: i64| json!({ "methodName": "m", "connectTimeoutInSeconds": seconds, "responseTimeoutInSeconds": 300 });
    for (within, beyond, code) in [
        (named(100), named(101), WRONG),
        (named(1), named(0), WRONG),
        (paid(131_072), paid(131_073), ErrorCode::MESSAGE_TOO_LARGE),
        (responds(5), responds(4), WRONG),
        (responds(300), responds(301), WRONG),
        (connects(300), connects(301), WRONG),
    ] {
        assert_eq!(call(&hub, within).await, Ok(()));
        assert_eq!(call(&hub, beyond).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_hub_and_a_device_hold_so_many_identities() {
    let modules = |number: usize| (1..=number).map(|n| format!("d/m{n}"));
    let names = |number: usize| (1..=number).map(|n| format!("d{n}"));
    let cases: [(Limits, Vec<String>, ErrorCode); 4] = [
        (Limits::default(), modules(51).collect(), ErrorCode::TOO_MANY_MODULES),
        (Limits { modules: 1, ..Limits::default() }, modules(2).collect(), ErrorCode::TOO_MANY_MODULES),
        (Limits { identities: 3, ..Limits::default() }, names(3).collect(), ErrorCode::TOO_MANY_DEVICES),
        (Limits { identities: 3, ..Limits::default() }, modules(3).collect(), ErrorCode::TOO_MANY_DEVICES),
    ];
    for (limits, names, code) in cases {
        let hub = hub_with(limits);
        create(&hub, "d").await;
        let (beyond, within) = names.split_last().unwrap();
        for name in within {
            assert_eq!(put_identity(&hub, name).await, Ok(()), "{name}");
        }
        assert_eq!(put_identity(&hub, beyond).await.unwrap_err().code(), code, "{beyond}");
        // What goes makes room.
        let gone = IdentityId::parse(&within[0]).unwrap();
        hub.delete_identity(&gone, Some(IfMatch::Any)).await.unwrap();
        assert_eq!(put_identity(&hub, beyond).await, Ok(()));
    }
}

#[tokio::test]
async fn so_many_jobs_may_be_active() {
    for most in [1, 2] {
        let hub = hub_with(Limits { active_jobs: most, ..Limits::default() });
        // One whose time has not come is active.
        let body = json!({
            "type": "scheduleUpdateTwin", "queryCondition": "*", "startTime": "2023-11-15T00:00:00Z",
            "updateTwin": { "etag": "*", "tags": {} },
        });
        for number in 0..most {
            schedule(&hub, &format!("j{number}"), body.clone()).await.unwrap();
        }
        let error = schedule(&hub, "beyond", body.clone()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::TOO_MANY_JOBS);
    }
}

#[tokio::test]
async fn so_many_transfers_that_have_ended_are_known() {
    let hub = empty_hub();
    let mut ids = Vec::new();
    for _ in 0..101 {
        ids.push(ended(&hub, export(&hub)).await.id);
    }
    let known: Vec<_> = hub.all_transfers().await.unwrap().into_iter().map(|transfer| transfer.id).collect();
    ids.reverse();
    assert_eq!(known, ids[..100], "the newest first");
    assert_eq!(hub.transfer(&ids[100]).await.unwrap_err().code(), ErrorCode::JOB_NOT_FOUND);
}
