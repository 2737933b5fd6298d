//! Imports and exports: what stands in the blobs, what comes of their lines, and which containers can be used.

use std::time::Duration;

use ferrohub::clock::Clock;
use ferrohub::hub::transfers::{Status, Transfer};
use ferrohub::hub::{HubError, HubSettings, HubState};
use ferrohub::protocol::identity::IdentityId;
use serde_json::{Value, json};

use crate::hub_queries::{create, empty_hub, fill};
use crate::support::{START, TestHub, soon};

const HOUR: Duration = Duration::from_secs(3600);

async fn start(hub: &HubState, body: Value) -> Result<Transfer, HubError> {
    hub.start_transfer(serde_json::from_value(body).unwrap()).await
}

pub(crate) fn export(hub: &HubState) -> Value {
    json!({ "type": "export", "outputBlobContainerUri": hub.container_uri(HOUR) })
}

fn import(hub: &HubState) -> Value {
    let uri = hub.container_uri(HOUR);
    json!({ "type": "import", "inputBlobContainerUri": uri, "outputBlobContainerUri": uri })
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

/// The transfer when it has ended.
pub(crate) async fn ended(hub: &HubState, body: Value) -> Transfer {
    let begun = start(hub, body).await.unwrap();
    assert_eq!((begun.status, begun.progress), (Status::Enqueued, 0));
    let waiting = async {
        loop {
            let transfer = hub.transfer(&begun.id).await.unwrap();
            if !transfer.status.is_active() {
                return transfer;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("a transfer", waiting).await
}

async fn completed(hub: &HubState, body: Value) {
    let transfer = ended(hub, body).await;
    assert_eq!((transfer.status, transfer.progress, transfer.failure), (Status::Completed, 100, None));
}

fn lines(hub: &HubState, blob: &str) -> Vec<Value> {
    let content = hub.uploads.blobs.get(blob).unwrap_or_else(|| panic!("there is no {blob}")).content;
    let text = std::str::from_utf8(&content).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Import these lines; what could not be done, as device and code.
async fn import_lines(hub: &HubState, devices: &[Value]) -> Vec<(String, String)> {
    let texts: Vec<_> = devices.iter().map(ToString::to_string).collect();
    // As Windows' editors write it, with a byte order mark.
    hub.put_blob("devices.txt", format!("\u{feff}{}", texts.join("\n")).into()).unwrap();
    completed(hub, import(hub)).await;
    let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
    let errors = lines(hub, "importErrors.log");
    assert!(errors.iter().all(|error| error["errorStatus"].is_string()));
    errors.iter().map(|error| (text(error, "deviceId"), text(error, "errorCode"))).collect()
}

async fn names(hub: &HubState) -> Vec<String> {
    let page = hub.query_twins("SELECT * FROM devices", 1000, None).await.unwrap();
    page.json().iter().map(|row| row["deviceId"].as_str().unwrap().to_owned()).collect()
}

/// A device, a module, an Edge device, and a configuration.
async fn furnished() -> HubState {
    let hub = empty_hub();
    for name in ["lamp", "lamp/camera"] {
        let id = create(&hub, name).await;
        let service = json!({ "tags": { "site": "north" }, "properties": { "desired": { "a": 1.0 } } });
        fill(&hub, &id, service, Some(json!({ "b": [2] }))).await;
    }
    let edge = IdentityId::parse("edge").unwrap();
    let body = json!({ "capabilities": { "iotEdge": true }, "status": "disabled", "statusReason": "new" });
    hub.put_identity(&edge, serde_json::from_value(body).unwrap(), None).await.unwrap();
    let configuration = json!({
        "labels": { "who": "me" }, "priority": 3, "targetCondition": "tags.site = 'nowhere'",
        "content": { "deviceContent": { "properties.desired.mode": { "low": 1 } } },
        "metrics": { "queries": { "all": "SELECT deviceId FROM devices" } },
    });
    let configuration = serde_json::from_value(configuration).unwrap();
    hub.put_configuration("eco", configuration, None).await.unwrap();
    hub
}

#[tokio::test]
async fn an_export_has_a_line_for_each_device_and_module() {
    let hub = furnished().await;
    completed(&hub, export(&hub)).await;
    let exported = lines(&hub, "devices.txt");
    let name = |line: &Value| (line["id"].clone(), line["moduleId"].clone());
    assert_eq!(
        exported.iter().map(name).collect::<Vec<_>>(),
        [
            (json!("edge"), json!(null)),
            (json!("edge"), json!("$edgeAgent")),
            (json!("edge"), json!("$edgeHub")),
            (json!("lamp"), json!(null)),
            (json!("lamp"), json!("camera")),
        ]
    );
    let lamp = hub.identity(&IdentityId::parse("lamp").unwrap()).await.unwrap();
    let mut line = exported[3].clone();
    let keys = line["authentication"]["symmetricKey"].take();
    assert!(keys["primaryKey"].is_string() && keys["secondaryKey"].is_string());
    assert_eq!(
        line,
        json!({
            "id": "lamp", "eTag": lamp.identity.etag(), "status": "enabled",
            "authentication": {
                "symmetricKey": null, "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": null }, "type": "sas",
            },
            "twinETag": lamp.twin_etag(), "tags": { "site": "north" },
            "properties": { "desired": { "a": 1.0 }, "reported": { "b": [2] } }, "capabilities": { "iotEdge": false },
        })
    );
    assert_eq!((&exported[0]["status"], &exported[0]["statusReason"]), (&json!("disabled"), &json!("new")));
    assert!(exported[0]["deviceScope"].is_string());

    let without =
        with(with(export(&hub), "excludeKeysInExport", json!(true)), "outputBlobName", json!("no-keys.txt"));
    completed(&hub, without).await;
    for line in lines(&hub, "no-keys.txt") {
        assert_eq!(
            line["authentication"]["symmetricKey"],
            json!({ "primaryKey": null, "secondaryKey": null })
        );
    }
}

#[tokio::test]
async fn what_was_exported_can_be_imported_into_an_empty_hub() {
    let hub = furnished().await;
    completed(&hub, with(export(&hub), "includeConfigurations", json!(true))).await;
    assert_eq!(lines(&hub, "configurations.txt")[0]["Id"], "eco");
    let other = empty_hub();
    for blob in ["devices.txt", "configurations.txt"] {
        other.put_blob(blob, hub.uploads.blobs.get(blob).unwrap().content.into()).unwrap();
    }
    completed(&other, with(import(&other), "includeConfigurations", json!(true))).await;
    assert_eq!(lines(&other, "importErrors.log"), [json!(null); 0]);
    for name in ["lamp", "lamp/camera"] {
        let id = IdentityId::parse(name).unwrap();
        let (ours, theirs) = (hub.twin(&id).await.unwrap(), other.twin(&id).await.unwrap());
        assert_eq!(ours.identity.authentication, theirs.identity.authentication);
        assert_eq!(
            (&ours.twin.tags, ours.twin.desired.values()),
            (&theirs.twin.tags, theirs.twin.desired.values())
        );
        // What devices report is theirs.
        assert!(theirs.twin.reported.values().is_empty());
    }
    let edge = other.identity(&IdentityId::parse("edge").unwrap()).await.unwrap();
    assert!(edge.identity.iot_edge && edge.identity.status_reason.as_deref() == Some("new"));
    let without_times = async |hub: &HubState| {
        let mut body = hub.configuration("eco").await.unwrap().body;
        for key in ["createdTimeUtc", "lastUpdatedTimeUtc"] {
            body[key].take();
        }
        body
    };
    assert_eq!(without_times(&hub).await, without_times(&other).await);
    // Again: everything is there, and is updated.
    completed(&hub, with(import(&hub), "includeConfigurations", json!(true))).await;
    assert_eq!(lines(&hub, "importErrors.log"), [json!(null); 0]);
}

#[tokio::test]
async fn each_mode_of_an_import_does_what_it_says_or_tells_why_not() {
    let hub = empty_hub();
    for name in ["a", "b", "c", "gone"] {
        create(&hub, name).await;
    }
    let etag = hub.identity(&IdentityId::parse("c").unwrap()).await.unwrap().identity.etag();
    let status = |id: &str, mode: &str| json!({ "id": id, "importMode": mode, "status": "disabled" });
    let errors = import_lines(&hub, &[
        json!({ "id": "new" }),
        status("new2", "createOrUpdate"),
        status("new3", "createOrUpdateIfMatchETag"),
        status("a", "create"),
        status("a", "createOrUpdate"),
        status("nobody", "update"),
        with(status("b", "createOrUpdateIfMatchETag"), "eTag", json!("c3RhbGU=")),
        with(status("c", "updateIfMatchETag"), "eTag", json!(etag)),
        json!({ "id": "gone", "importMode": "delete" }),
        json!({ "id": "gone", "importMode": "delete" }),
        json!({ "id": "b", "importMode": "updateTwin", "tags": { "x": 1 } }),
        json!({ "id": "b", "importMode": "updateTwinIfMatchETag", "twinETag": "AAAAAAAAAAk=", "tags": { "x": 2 } }),
        json!({ "id": "b", "moduleId": "m" }),
        json!({ "id": "a b" }),
        json!({ "id": "d", "importMode": "flatten" }),
        json!("no device"),
        json!({ "id": "full", "tags": { "a b": 1 } }),
    ])
    .await;
    let error = |id: &str, code: &str| (id.to_owned(), code.to_owned());
    assert_eq!(
        errors,
        [
            error("a", "DeviceAlreadyExists"),
            error("nobody", "DeviceNotFound"),
            error("b", "PreconditionFailed"),
            error("gone", "DeviceNotFound"),
            error("b", "PreconditionFailed"),
            error("a b", "ArgumentInvalid"),
            error("", "ArgumentInvalid"),
            error("", "ArgumentInvalid"),
            // Made, without its twin.
            error("full", "ArgumentInvalid"),
        ]
    );
    assert_eq!(names(&hub).await, ["a", "b", "c", "full", "new", "new2", "new3"]);
    let page = hub.query_twins("SELECT * FROM devices WHERE status = 'disabled'", 100, None).await.unwrap();
    let disabled: Vec<_> = page.json().iter().map(|row| row["deviceId"].clone()).collect();
    assert_eq!(disabled, ["a", "c", "new2", "new3"]);
    assert_eq!(hub.twin(&IdentityId::parse("b").unwrap()).await.unwrap().twin.tags["x"], 1);
    assert!(hub.identity(&IdentityId::parse("b/m").unwrap()).await.is_ok());
}

#[tokio::test]
async fn an_import_without_its_blob_fails() {
    let hub = empty_hub();
    let failed = ended(&hub, with(import(&hub), "inputBlobName", json!("missing.txt"))).await;
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(failed.document()["failureReason"], "The container has no blob missing.txt.");
}

#[tokio::test]
async fn transfers_of_one_millisecond_are_listed_the_newest_first() {
    let hub = empty_hub();
    let mut begun = Vec::new();
    for _ in 0..20 {
        begun.insert(0, ended(&hub, with(import(&hub), "inputBlobName", json!("missing.txt"))).await.id);
    }
    let listed = hub.all_transfers().await.unwrap().into_iter().map(|transfer| transfer.id);
    assert_eq!(listed.collect::<Vec<_>>(), begun);
}

#[tokio::test]
async fn only_a_container_of_the_hub_with_a_token_that_is_good_can_be_used() {
    let clock = Clock::manual(START);
    let hub = HubState::open(&HubSettings { clock: clock.clone(), ..HubSettings::default() }).unwrap();
    let good = hub.container_uri(HOUR);
    let bare = good.split('?').next().unwrap();
    let place = hub.start_upload(&create(&hub, "d").await, Some("x")).await.unwrap();
    let refusal = async |body: Value| {
        let error = start(&hub, body).await.unwrap_err();
        (error.code().status(), error.code().name())
    };
    let refused = (400, "BlobContainerValidationError");
    for uri in [
        json!(null),
        json!(""),
        json!("container"),
        json!(bare),
        json!(good.replace("sig=", "sig=A")),
        json!(good.replace("sp=rw", "sp=rwd")),
        json!(good.replace("/uploads", "/others")),
        json!(good.replace("https", "http")),
        // Good for a blob only.
        json!(format!("{bare}{}", place.sas_token)),
    ] {
        assert_eq!(
            refusal(with(export(&hub), "outputBlobContainerUri", uri.clone())).await,
            refused,
            "{uri}"
        );
        assert_eq!(refusal(with(import(&hub), "inputBlobContainerUri", uri.clone())).await, refused, "{uri}");
        assert_eq!(
            refusal(with(import(&hub), "outputBlobContainerUri", uri.clone())).await,
            refused,
            "{uri}"
        );
    }
    let elsewhere =
        json!("https://account.blob.core.windows.net/container?sv=1&sr=c&sig=AA%3D%3D&se=2030&sp=rw");
    assert_eq!(refusal(with(export(&hub), "outputBlobContainerUri", elsewhere)).await.0, 501);
    assert_eq!(refusal(with(export(&hub), "storageAuthenticationType", json!("identityBased"))).await.0, 501);
    assert_eq!(refusal(with(export(&hub), "type", json!("backup"))).await, (400, "ArgumentInvalid"));
    let old = export(&hub);
    clock.advance(HOUR);
    assert_eq!(refusal(old).await, refused);
    completed(&hub, export(&hub)).await;
}

#[tokio::test]
async fn one_transfer_is_under_way_at_a_time_and_can_be_cancelled() {
    let hub = empty_hub();
    create(&hub, "d").await;
    // Its task has not had its turn yet.
    let first = start(&hub, export(&hub)).await.unwrap();
    let second = start(&hub, export(&hub)).await.unwrap_err();
    assert_eq!((second.code().status(), second.code().name()), (403, "JobQuotaExceeded"));
    hub.cancel_transfer(&first.id).await.unwrap();
    assert_eq!(hub.transfer(&first.id).await.unwrap().status, Status::Cancelled);
    assert_eq!(hub.cancel_transfer(&first.id).await.unwrap_err().code().status(), 405);
    completed(&hub, export(&hub)).await;
    assert_eq!(hub.transfer(&first.id).await.unwrap().status, Status::Cancelled);
    assert_eq!(hub.all_transfers().await.unwrap().len(), 2);
    assert_eq!(hub.transfer("nobody").await.unwrap_err().code().name(), "JobNotFound");
    assert_eq!(hub.cancel_transfer("nobody").await.unwrap_err().code().name(), "JobNotFound");
}

#[tokio::test]
async fn the_rest_endpoint_tells_of_transfers_without_their_containers() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let uri = hub.hub.state().container_uri(HOUR);
    assert!(uri.starts_with(&format!("https://localhost:{}/uploads?", hub.hub.port())), "{uri}");
    let body = json!({ "type": "export", "outputBlobContainerUri": uri });
    let (status, made) = hub.rest("POST", "/jobs/create", Some(body)).await;
    let id = made["jobId"].as_str().unwrap().to_owned();
    assert_eq!(
        (status, &made),
        (
            200,
            &json!({
                "jobId": id, "startTimeUtc": "2023-11-14T22:13:20.0000000Z", "type": "export", "status": "enqueued",
                "progress": 0, "outputBlobName": "devices.txt", "excludeKeysInExport": false,
                "storageAuthenticationType": "keyBased", "includeConfigurations": false,
            })
        )
    );
    let path = format!("/jobs/{id}");
    let waiting = async {
        loop {
            let (_, job) = hub.rest("GET", &path, None).await;
            if job["status"] == "completed" {
                return job;
            }
        }
    };
    let job = soon("the export", waiting).await;
    assert_eq!((&job["progress"], &job["endTimeUtc"]), (&json!(100), &json!("2023-11-14T22:13:20.0000000Z")));
    assert_eq!(hub.rest("GET", "/jobs", None).await, (200, json!([job])));
    assert_eq!(hub.rest("DELETE", &path, None).await.0, 405);
    assert_eq!(hub.rest("GET", "/jobs/nobody", None).await.0, 404);
    // The token opens every blob, with the container's address before its name.
    let (container, token) = uri.split_once('?').unwrap();
    let path = container.split_once("localhost").unwrap().1.split_once('/').unwrap().1;
    let request = |name: &str, token: &str| {
        format!("GET /{path}/{name}?{token} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    };
    let (status, line) = TestHub::ask(hub.tls(&[]).await, &request("devices.txt", token)).await;
    assert_eq!((status, &line["id"]), (200, &json!("d")));
    assert_eq!(
        TestHub::ask(hub.tls(&[]).await, &request("devices.txt", &token.replace("sr=c", "sr=b"))).await.0,
        403
    );
}

#[tokio::test]
async fn a_transfer_that_was_under_way_when_the_hub_ended_has_failed() {
    let hub = TestHub::start_with_data().await;
    hub.create("d").await;
    let id = start(hub.hub.state(), export(hub.hub.state())).await.unwrap().id;
    // On a current-thread runtime nothing of it has been done.
    hub.hub.state().store.close();
    let hub = hub.restart().await;
    let transfer = hub.hub.state().transfer(&id).await.unwrap();
    assert_eq!(
        (transfer.status, transfer.failure.as_deref()),
        (Status::Failed, Some("The hub was stopped meanwhile."))
    );
    completed(hub.hub.state(), export(hub.hub.state())).await;
}
