//! What becomes of devices that register, without their connections.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, ID_SCOPE, NewEnrollment, Registrant};
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::hub::entity::{Authentication, Entity, SymmetricKeys};
use crate::hub::faults::{Fault, RegistrationFault};
use crate::hub::registry::IfMatch;
use crate::hub::{HubSettings, HubState};
use crate::protocol::identity::IdentityId;
use crate::protocol::provisioning::Request;

const NOW: u64 = 1_700_000_000;
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
const OTHER_KEY: &str = "ZmVkY2JhOTg3NjU0MzIxMA==";

fn hub() -> HubState {
    let clock = Clock::manual(NOW * 1000);
    let address = "localhost:8443".to_owned();
    HubState::open(&HubSettings { address, clock, ..HubSettings::default() }).unwrap()
}

async fn enroll(hub: &HubState, id: &str, enrollment: Value) {
    let enrollment: NewEnrollment = serde_json::from_value(enrollment).unwrap();
    hub.enroll(id, enrollment).await.unwrap();
}

/// An enrollment with keys, and these terms.
fn keys(terms: &Value) -> Value {
    json!({ "credentials": { "primaryKey": KEY, "secondaryKey": OTHER_KEY }, "terms": terms })
}

/// A device with a token for this registration, made with this key.
fn registrant(registration_id: &str, key: &SasKey) -> Registrant {
    let resource = format!("{ID_SCOPE}/registrations/{registration_id}");
    Registrant {
        id_scope: ID_SCOPE.into(),
        registration_id: registration_id.into(),
        password: key.device_token(&resource, NOW + 60),
        certificate: None,
    }
}

fn key() -> SasKey {
    SasKey::from_base64(KEY).unwrap()
}

async fn register(hub: &HubState, registrant: &Registrant) -> Answer {
    let request = Request::Register { request_id: "1".into() };
    let body = json!({ "payload": { "a": 1 }, "registrationId": registrant.registration_id });
    hub.answer_registrant(registrant, &request, &Bytes::from(body.to_string())).await.unwrap()
}

async fn query(hub: &HubState, registrant: &Registrant, operation_id: &str) -> Answer {
    let request = Request::Query { request_id: "2".into(), operation_id: operation_id.into() };
    hub.answer_registrant(registrant, &request, &Bytes::from_static(b" ")).await.unwrap()
}

/// Register, and ask for the outcome.
async fn outcome(hub: &HubState, registrant: &Registrant) -> Value {
    let answer = register(hub, registrant).await;
    assert_eq!((answer.status, answer.retry_after), (202, Some(2)), "{}", answer.body);
    assert_eq!(answer.body["status"], "assigning");
    let operation_id = answer.body["operationId"].as_str().unwrap();
    let answer = query(hub, registrant, operation_id).await;
    assert_eq!((answer.status, answer.retry_after), (200, None), "{}", answer.body);
    assert_eq!(answer.body["operationId"], operation_id);
    assert_eq!(answer.body["status"], answer.body["registrationState"]["status"]);
    answer.body["registrationState"].clone()
}

fn device(hub: &HubState, id: &str) -> Option<Entity> {
    let id = IdentityId::device(id).unwrap();
    hub.store.peek(|state| state.get(&id).map(|entity| Entity::clone(entity)))
}

#[tokio::test]
async fn a_device_gets_its_place_in_the_hub_with_the_keys_of_its_enrollment() {
    let hub = hub();
    let initial_twin = json!({ "tags": { "floor": 1 }, "properties": { "desired": { "interval": 5 } } });
    let terms = json!({ "deviceId": "sensor", "iotEdge": true, "initialTwin": initial_twin, "payload": { "welcome": "é" } });
    enroll(&hub, "Reg:1", keys(&terms)).await;
    let state = outcome(&hub, &registrant("reg:1", &key())).await;
    let expected = [
        ("symmetricKey", json!({})),
        ("registrationId", "reg:1".into()),
        ("createdDateTimeUtc", "2023-11-14T22:13:20.0000000Z".into()),
        ("assignedHub", "localhost:8443".into()),
        ("deviceId", "sensor".into()),
        ("status", "assigned".into()),
        ("substatus", "initialAssignment".into()),
        ("lastUpdatedDateTimeUtc", "2023-11-14T22:13:20.0000000Z".into()),
        ("etag", state["etag"].clone()),
        ("payload", json!({ "welcome": "é" })),
    ];
    assert_eq!(
        state,
        Value::Object(expected.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
    );
    let device = device(&hub, "sensor").unwrap();
    let keys = SymmetricKeys { primary: KEY.into(), secondary: OTHER_KEY.into() };
    assert_eq!(device.identity.authentication, Authentication::Sas(keys));
    assert!(device.identity.iot_edge);
    assert_eq!(device.twin.device_view()["desired"]["interval"], 5);
    let [(_, registrations)] = &hub.enrollments().await.unwrap()[..] else { panic!("one is enrolled") };
    assert_eq!(registrations[0].payload, json!({ "a": 1 }));
}

#[tokio::test]
async fn devices_of_a_group_have_keys_derived_from_the_groups() {
    let hub = hub();
    enroll(&hub, "fleet", keys(&json!({ "group": true }))).await;
    enroll(&hub, "other", json!({ "terms": { "group": true } })).await;
    let second = SasKey::from_base64(OTHER_KEY).unwrap();
    for (name, group_key) in [("d1", key()), ("d2", second)] {
        let state = outcome(&hub, &registrant(name, &group_key.derive(name))).await;
        assert_eq!(state["symmetricKey"], json!({ "enrollmentGroupId": "fleet" }));
        assert_eq!(state["deviceId"], name);
    }
    let Authentication::Sas(keys) = device(&hub, "d1").unwrap().identity.authentication else {
        panic!("it has keys")
    };
    assert_eq!(keys.primary, key().derive("d1").to_base64());
    let refused = register(&hub, &registrant("d3", &key())).await;
    assert_eq!(refused.status, 401, "the group's own key is no device's");
}

#[tokio::test]
async fn who_is_not_the_device_that_is_enrolled_is_refused() {
    let hub = hub();
    let stranger = registrant("reg1", &key());
    let refused = register(&hub, &stranger).await;
    assert_eq!((refused.status, &refused.body["errorCode"]), (404, &json!(404_204)));
    enroll(&hub, "reg1", keys(&json!({}))).await;
    let other_key = registrant("reg1", &SasKey::from_bytes(b"other".to_vec()));
    let other_scope = Registrant { id_scope: "0ne1".into(), ..registrant("reg1", &key()) };
    let other_resource =
        Registrant { password: registrant("reg2", &key()).password, ..registrant("reg1", &key()) };
    let no_token = Registrant { password: "secret".into(), ..registrant("reg1", &key()) };
    let nothing = Registrant { password: String::new(), ..registrant("reg1", &key()) };
    for refused in [&other_key, &other_scope, &other_resource, &no_token, &nothing] {
        let answer = register(&hub, refused).await;
        assert_eq!((answer.status, &answer.body["errorCode"]), (401, &json!(401_002)));
        assert_eq!(answer.body["message"], "Unauthorized");
        assert_eq!(query(&hub, refused, "4.x").await.status, 401);
    }
    hub.clock.shift(60_000);
    assert_eq!(register(&hub, &stranger).await.status, 401, "its token has expired");
    assert!(device(&hub, "reg1").is_none());
}

#[tokio::test]
async fn a_disabled_enrollment_and_every_fault_have_their_outcome() {
    let hub = hub();
    enroll(&hub, "off", keys(&json!({ "status": "disabled" }))).await;
    assert_eq!(outcome(&hub, &registrant("off", &key())).await["status"], "disabled");
    assert!(device(&hub, "off").is_none());

    enroll(&hub, "reg1", keys(&json!({}))).await;
    let asks = registrant("reg1", &key());
    let order = |fault| hub.order_fault(Fault::Registrations(fault), None).unwrap();
    let number = order(RegistrationFault::Throttled { retry_after: 7 });
    let answer = register(&hub, &asks).await;
    assert_eq!((answer.status, answer.retry_after), (429, Some(7)));
    assert_eq!(answer.body["errorCode"], 429_001);
    hub.faults.clear(Some(number));

    let number = order(RegistrationFault::Failed { code: 400_209, message: "no hub".into() });
    let state = outcome(&hub, &asks).await;
    assert_eq!((&state["errorCode"], &state["errorMessage"]), (&json!(400_209), &json!("no hub")));
    hub.faults.clear(Some(number));

    let number = order(RegistrationFault::Assigning { retry_after: 1 });
    let operation = register(&hub, &asks).await.body["operationId"].as_str().unwrap().to_owned();
    let answer = query(&hub, &asks, &operation).await;
    assert_eq!((answer.status, answer.retry_after), (202, Some(1)));
    hub.faults.clear(Some(number));
    assert_eq!(query(&hub, &asks, &operation).await.body["status"], "assigned");
    assert_eq!(query(&hub, &asks, "4.another").await.status, 404);

    order(RegistrationFault::Unanswered);
    let request = Request::Register { request_id: "1".into() };
    assert_eq!(hub.answer_registrant(&asks, &request, &Bytes::from_static(b"{}")).await, None);
}

#[tokio::test]
async fn a_registration_that_comes_again_does_with_the_device_what_its_enrollment_says() {
    let hub = hub();
    let mut enrollment = keys(&json!({ "initialTwin": { "properties": { "desired": { "interval": 5 } } } }));
    enroll(&hub, "reg1", enrollment.clone()).await;
    assert_eq!(outcome(&hub, &registrant("reg1", &key())).await["substatus"], "initialAssignment");
    let first = device(&hub, "reg1").unwrap();
    let id = IdentityId::device("reg1").unwrap();
    hub.patch_reported(&id, br#"{"seen": true}"#, None).await.unwrap();
    let reported =
        |hub: &HubState| device(hub, "reg1").unwrap().twin.device_view()["reported"]["seen"].clone();

    enrollment["credentials"]["primaryKey"] = "c29tZXRoaW5nIGVudGlyZWx5IG5ldw==".into();
    let new_key = SasKey::from_base64("c29tZXRoaW5nIGVudGlyZWx5IG5ldw==").unwrap();
    enrollment["terms"]["reprovision"] = "never".into();
    enroll(&hub, "reg1", enrollment.clone()).await;
    assert_eq!(outcome(&hub, &registrant("reg1", &new_key)).await["substatus"], "initialAssignment");
    assert_eq!(device(&hub, "reg1").unwrap().identity, first.identity);

    enrollment["terms"]["reprovision"] = "migrate".into();
    enroll(&hub, "reg1", enrollment.clone()).await;
    let state = outcome(&hub, &registrant("reg1", &new_key)).await;
    assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
    let migrated = device(&hub, "reg1").unwrap();
    assert_ne!(migrated.identity.authentication, first.identity.authentication);
    assert_eq!(migrated.identity.generation_id, first.identity.generation_id);
    assert_eq!(reported(&hub), true);

    enrollment["terms"]["reprovision"] = "reset".into();
    enroll(&hub, "reg1", enrollment).await;
    assert_eq!(outcome(&hub, &registrant("reg1", &new_key)).await["substatus"], "deviceDataReset");
    assert_ne!(device(&hub, "reg1").unwrap().identity.generation_id, first.identity.generation_id);
    assert_eq!(reported(&hub), Value::Null);

    hub.delete_identity(&id, Some(IfMatch::Any)).await.unwrap();
    assert_eq!(outcome(&hub, &registrant("reg1", &new_key)).await["substatus"], "initialAssignment");
}

#[tokio::test]
async fn a_removed_enrollment_leaves_its_device_and_no_registration() {
    let hub = hub();
    enroll(&hub, "reg1", keys(&json!({}))).await;
    outcome(&hub, &registrant("reg1", &key())).await;
    hub.remove_enrollment("REG1").await.unwrap();
    assert!(device(&hub, "reg1").is_some());
    assert!(hub.enrollments().await.unwrap().is_empty());
    assert_eq!(register(&hub, &registrant("reg1", &key())).await.status, 404);
    assert_eq!(hub.remove_enrollment("reg1").await.unwrap_err().code().status(), 404);
    enroll(&hub, "reg1", keys(&json!({}))).await;
    let state = outcome(&hub, &registrant("reg1", &key())).await;
    assert_eq!(state["substatus"], "initialAssignment", "the device was there, the registration was not");
}

#[tokio::test]
async fn enrollments_and_registrations_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = HubSettings {
        clock: Clock::manual(NOW * 1000),
        data: Some(folder.path().join("hub.redb")),
        ..HubSettings::default()
    };
    let before = HubState::open(&settings).unwrap();
    enroll(&before, "reg1", keys(&json!({}))).await;
    let asks = registrant("reg1", &key());
    let operation = register(&before, &asks).await.body["operationId"].as_str().unwrap().to_owned();
    before.store.close();
    let after = HubState::open(&settings).unwrap();
    assert_eq!(query(&after, &asks, &operation).await.body["status"], "assigned");
    assert_eq!(outcome(&after, &asks).await["substatus"], "reprovisionedToInitialAssignment");
}

#[tokio::test]
async fn an_enrollment_that_can_not_be_is_refused() {
    let hub = hub();
    let terms = |terms: Value| json!({ "terms": terms });
    let credentials = |credentials: Value| json!({ "credentials": credentials });
    let cases = [
        ("a/b", json!({}), "is no registration id"),
        ("", json!({}), "is no registration id"),
        ("a", terms(json!({ "group": true, "deviceId": "d" })), "have the names of their registrations"),
        ("a", terms(json!({ "deviceId": "d/m" })), "is not a valid identifier"),
        ("a", terms(json!({ "initialTwin": { "properties": { "desired": 1 } } })), ""),
        ("a", credentials(json!({ "primaryKey": "short" })), "keys are base64 of 16 to 64 bytes"),
        ("a", credentials(json!({ "certificate": "nonsense" })), "no PEM certificate"),
        (
            "a",
            json!({ "credentials": { "certificate": "x" }, "terms": { "group": true } }),
            "no PEM certificate",
        ),
        (
            "a",
            credentials(json!({ "certificate": "x", "primaryKey": KEY })),
            "keys or a certificate, not both",
        ),
    ];
    for (id, enrollment, text) in cases {
        let enrollment: NewEnrollment = serde_json::from_value(enrollment).unwrap();
        let error = hub.enroll(id, enrollment).await.unwrap_err();
        assert_eq!(error.code().status(), 400);
        assert!(error.message().contains(text), "{}", error.message());
    }
    let misspelt = terms(json!({ "deviceID": "d" }));
    assert!(serde_json::from_value::<NewEnrollment>(misspelt).is_err());
    assert!(hub.enrollments().await.unwrap().is_empty());
}
