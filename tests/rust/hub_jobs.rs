//! Scheduled jobs: when they start, what they do to each device, what is told of them, and what a crash leaves.

use std::time::Duration;

use ferrohub::clock::Clock;
use ferrohub::hub::jobs::{Job, JobFilter, Kind, Statistics, Status};
use ferrohub::hub::limits::Limits;
use ferrohub::hub::{HubError, HubSettings, HubState};
use ferrohub::protocol::identity::IdentityId;
use ferrohub::protocol::topics;
use rumqttc::mqttbytes::QoS::AtMostOnce;
use serde_json::{Value, json};

use crate::hub_queries::{create, empty_hub, fill};
use crate::support::{START, TestHub, soon};

const HOUR: Duration = Duration::from_secs(3600);

fn twin_job(condition: &str) -> Value {
    json!({
        "type": "scheduleUpdateTwin",
        "queryCondition": condition,
        "updateTwin": { "etag": "*", "tags": { "done": true, "old": null }, "properties": { "desired": { "rate": 5 } } },
    })
}

fn method_job(condition: &str) -> Value {
    json!({
        "type": "scheduleDeviceMethod",
        "queryCondition": condition,
        "cloudToDeviceMethod": { "methodName": "reboot", "payload": { "now": 1 } },
    })
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

fn hub_with(clock: &Clock, active_jobs: usize) -> HubState {
    let limits = Limits { active_jobs, ..Limits::default() };
    HubState::open(&HubSettings { clock: clock.clone(), limits, ..HubSettings::default() }).unwrap()
}

pub(crate) async fn schedule(hub: &HubState, id: &str, body: Value) -> Result<Job, HubError> {
    // From its text, as REST has it: a payload stays as it was written.
    hub.schedule_job(id, serde_json::from_str(&body.to_string()).unwrap()).await
}

async fn job(hub: &HubState, id: &str) -> Job {
    hub.job(id).await.unwrap().unwrap()
}

/// The job when this is true of it.
async fn when(hub: &HubState, id: &str, what: impl Fn(&Job) -> bool) -> Job {
    let waiting = async {
        loop {
            let job = job(hub, id).await;
            if what(&job) {
                return job;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("a job", waiting).await
}

pub(crate) async fn ended(hub: &HubState, id: &str) -> Job {
    when(hub, id, |job| !job.status.is_active()).await
}

async fn running(hub: &HubState, id: &str) -> Job {
    when(hub, id, |job| job.status == Status::Running).await
}

/// Succeeded, failed, and all.
fn counts(job: &Job) -> (usize, usize, usize) {
    let Statistics { device_count, failed_count, succeeded_count, running_count } = job.statistics;
    assert_eq!(running_count, 0);
    (succeeded_count, failed_count, device_count)
}

/// Status and name of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, HubError>) -> (u16, &'static str) {
    let error = result.unwrap_err();
    (error.code().status(), error.code().name())
}

#[tokio::test]
async fn a_job_changes_the_twins_of_the_devices_that_fulfil_its_condition_and_no_others() {
    let hub = empty_hub();
    for name in ["n-1", "n-2", "n-2/m", "s-1"] {
        let id = create(&hub, name).await;
        fill(&hub, &id, json!({ "tags": { "site": &name[..1], "old": 1 } }), None).await;
    }
    let made = schedule(&hub, "j-1", twin_job("tags.site = 'n'")).await.unwrap();
    assert_eq!((made.status, made.document()["status"].clone()), (Status::Queued, json!("queued")));
    let job = ended(&hub, "j-1").await;
    assert_eq!((job.status, counts(&job)), (Status::Completed, (2, 0, 2)));
    for (name, changed) in [("n-1", true), ("n-2", true), ("n-2/m", false), ("s-1", false)] {
        let twin = hub.twin(&IdentityId::parse(name).unwrap()).await.unwrap().twin.clone();
        assert_eq!(twin.tags.contains_key("done"), changed, "{name}");
        assert_eq!(twin.tags.contains_key("old"), !changed, "{name}");
        assert_eq!((twin.desired.version(), twin.version), if changed { (2, 4) } else { (1, 3) }, "{name}");
    }
}

#[tokio::test]
async fn a_job_without_a_device_completes_and_a_star_means_all() {
    let hub = empty_hub();
    create(&hub, "d").await;
    schedule(&hub, "none", twin_job("deviceId = 'nobody'")).await.unwrap();
    assert_eq!(counts(&ended(&hub, "none").await), (0, 0, 0));
    schedule(&hub, "all", twin_job("*")).await.unwrap();
    assert_eq!(counts(&ended(&hub, "all").await), (1, 0, 1));
}

#[tokio::test]
async fn a_connected_device_is_told_of_a_jobs_patch_with_its_version() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(topics::DESIRED_PATCHES, AtMostOnce)]).await;
    let (status, made) = hub.rest("PUT", "/jobs/v2/j", Some(twin_job("*"))).await;
    assert_eq!((status, &made["status"]), (200, &json!("queued")), "{made}");
    let (topic, payload) = device.message().await;
    assert!(topic.ends_with("?$version=2"), "{topic}");
    assert_eq!(payload, r#"{"rate":5,"$version":2}"#);
}

#[tokio::test]
async fn what_one_twin_can_not_take_fails_there_and_nowhere_else() {
    let hub = empty_hub();
    for name in ["full", "fine"] {
        create(&hub, name).await;
    }
    let full: serde_json::Map<_, _> =
        (0..8).map(|n| (format!("k{n}"), Value::from("x".repeat(4000)))).collect();
    fill(&hub, &IdentityId::parse("full").unwrap(), json!({ "properties": { "desired": full } }), None).await;
    let mut body = twin_job("*");
    body["updateTwin"]["properties"]["desired"]["rate"] = "x".repeat(4000).into();
    schedule(&hub, "j", body).await.unwrap();
    let job = ended(&hub, "j").await;
    assert_eq!((job.status, counts(&job)), (Status::Completed, (1, 1, 2)));
}

#[tokio::test]
async fn a_job_starts_at_its_time_by_the_hubs_clock_and_holds_its_place_until_then() {
    let clock = Clock::manual(START);
    let hub = hub_with(&clock, 1);
    create(&hub, "d").await;
    let later = with(twin_job("*"), "startTime", json!("2023-11-14T23:13:20.000000Z"));
    schedule(&hub, "later", later).await.unwrap();
    let scheduled = when(&hub, "later", |job| job.status == Status::Scheduled).await;
    assert_eq!(scheduled.document()["startTime"], "2023-11-14T23:13:20.0000000Z");
    let second = schedule(&hub, "second", twin_job("*")).await;
    assert_eq!(refusal(second), (429, "ThrottlingMaxActiveJobCountExceeded"));
    clock.advance(Duration::from_millis(3_599_999));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(job(&hub, "later").await.status, Status::Scheduled);
    clock.advance(Duration::from_millis(1));
    assert_eq!(counts(&ended(&hub, "later").await), (1, 0, 1));
    schedule(&hub, "second", twin_job("*")).await.unwrap();
    ended(&hub, "second").await;
}

#[tokio::test]
async fn as_many_jobs_are_active_as_the_hub_has_room_for() {
    let clock = Clock::manual(START);
    let hub = hub_with(&clock, 3);
    let later = with(twin_job("*"), "startTime", json!("2023-11-15T00:00:00Z"));
    for id in ["a", "b", "c"] {
        schedule(&hub, id, later.clone()).await.unwrap();
    }
    assert_eq!(refusal(schedule(&hub, "d", later.clone()).await).0, 429);
    hub.cancel_job("b").await.unwrap();
    schedule(&hub, "d", later).await.unwrap();
}

#[tokio::test]
async fn only_a_job_that_has_not_begun_can_be_cancelled_and_then_it_never_begins() {
    let clock = Clock::manual(START);
    let hub = hub_with(&clock, 1);
    create(&hub, "d").await;
    let later = with(twin_job("*"), "startTime", json!("2023-11-14T23:13:20Z"));
    schedule(&hub, "later", later).await.unwrap();
    let cancelled = hub.cancel_job("later").await.unwrap();
    assert_eq!(cancelled.status, Status::Cancelled);
    clock.advance(2 * HOUR);
    schedule(&hub, "now", twin_job("*")).await.unwrap();
    ended(&hub, "now").await;
    assert_eq!(job(&hub, "later").await.status, Status::Cancelled);
    for id in ["later", "now"] {
        assert_eq!(refusal(hub.cancel_job(id).await), (405, "OperationNotAllowedInCurrentState"), "{id}");
    }
    assert_eq!(refusal(hub.cancel_job("nobody").await), (404, "JobNotFound"));
}

#[tokio::test]
async fn a_job_that_breaks_a_rule_is_refused() {
    let hub = hub_with(&Clock::manual(START), 1);
    let good = || twin_job("*");
    let twin = |twin: Value| with(twin_job("*"), "updateTwin", twin);
    let method = |method: Value| with(method_job("*"), "cloudToDeviceMethod", method);
    for (id, body, says) in [
        ("J", good(), "job's id"),
        ("a_b", good(), "job's id"),
        ("a.b", good(), "job's id"),
        (&"x".repeat(65), good(), "job's id"),
        ("j", with(good(), "jobId", json!("k")), "not that of the address"),
        ("j", with(good(), "type", json!("export")), "type is 'export'"),
        ("j", with(good(), "type", json!(null)), "type is ''"),
        ("j", with(good(), "type", json!("scheduleDeviceMethod")), "has cloudToDeviceMethod"),
        ("j", with(method_job("*"), "type", json!("scheduleUpdateTwin")), "has updateTwin"),
        ("j", twin_job(" "), "queryCondition"),
        ("j", with(good(), "queryCondition", json!(null)), "queryCondition"),
        ("j", with(good(), "startTime", json!("soon")), "startTime is 'soon'"),
        ("j", with(good(), "startTime", json!("2023-11-21T22:13:20.001Z")), "168 hours"),
        ("j", with(good(), "maxExecutionTimeInSeconds", json!(-1)), "negative"),
        ("j", twin(json!({ "tags": {} })), "only accepts '*' as the Etag"),
        ("j", twin(json!({ "tags": {}, "etag": "AAAAAAAAAAE=" })), "only accepts '*' as the Etag"),
        ("j", twin(json!({ "tags": { "a b": 1 }, "etag": "*" })), "a b"),
        ("j", twin(json!({ "properties": [], "etag": "*" })), "properties"),
        ("j", method(json!({})), "methodName is null or empty."),
        ("j", method(json!({ "methodName": "m", "responseTimeoutInSeconds": 1 })), "has to be 5 to 300"),
    ] {
        let error = schedule(&hub, id, body).await.unwrap_err();
        assert_eq!(error.code().name(), "ArgumentInvalid", "{id}: {says}");
        assert!(error.message().contains(says), "{error}");
    }
    for id in [&"x".repeat(64), "0-'"] {
        schedule(&hub, id, with(good(), "startTime", json!("2001-01-01T00:00:00Z"))).await.unwrap();
        assert_eq!(ended(&hub, id).await.document()["startTime"], "2023-11-14T22:13:20.0000000Z");
        assert_eq!(refusal(schedule(&hub, id, good()).await), (409, "JobAlreadyExists"));
    }
    let latest = with(good(), "startTime", json!("2023-11-21T22:13:20Z"));
    schedule(&hub, "j", latest).await.unwrap();
}

#[tokio::test]
async fn a_condition_that_can_not_be_read_is_taken_and_the_job_fails_with_the_reason() {
    let hub = empty_hub();
    schedule(&hub, "j", twin_job("tags.site = ")).await.unwrap();
    let job = ended(&hub, "j").await;
    assert_eq!((job.status, counts(&job)), (Status::Failed, (0, 0, 0)));
    assert!(job.document()["failureReason"].as_str().unwrap().contains("at character 13"));
}

#[tokio::test]
async fn a_job_calls_each_device_and_completes_whatever_they_respond() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("on").await;
    device.subscribe(&[(topics::METHODS, AtMostOnce)]).await;
    hub.create("off").await;
    hub.create("other").await;
    let body = method_job("deviceId IN ['on', 'off']");
    let (status, made) = hub.rest("PUT", "/jobs/v2/reboot", Some(body)).await;
    assert_eq!(status, 200, "{made}");
    // As IoT Hub shows a payload: the bytes of {"now":1}.
    assert_eq!(made["cloudToDeviceMethod"]["payload"], json!(br#"{"now":1}"#));
    let (topic, payload) = device.message().await;
    let request = topics::parse_method_request(&topic).unwrap();
    assert_eq!((request.name.as_str(), payload.as_str()), ("reboot", r#"{"now":1}"#));
    let waiting = when(hub.hub.state(), "reboot", |job| job.statistics.failed_count == 1).await;
    assert_eq!(
        waiting.document()["deviceJobStatistics"],
        json!({
            "deviceCount": 2, "failedCount": 1, "succeededCount": 0, "runningCount": 1, "pendingCount": 0,
        })
    );
    let (status, refused) = hub.rest("POST", "/jobs/v2/reboot/cancel", None).await;
    assert_eq!(status, 405, "{refused}");
    device.publish(&topics::method_response(500, &request.request_id), AtMostOnce, r#"{"x":2}"#).await;
    let job = ended(hub.hub.state(), "reboot").await;
    assert_eq!((job.status, counts(&job)), (Status::Completed, (1, 1, 2)));
}

#[tokio::test]
async fn a_job_whose_time_is_over_fails_with_the_devices_that_are_left() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("slow").await;
    device.subscribe(&[(topics::METHODS, AtMostOnce)]).await;
    hub.create("off").await;
    let body = with(method_job("*"), "maxExecutionTimeInSeconds", json!(20));
    hub.rest("PUT", "/jobs/v2/j", Some(body)).await;
    device.message().await;
    running(hub.hub.state(), "j").await;
    hub.clock.advance(Duration::from_secs(20));
    let job = ended(hub.hub.state(), "j").await;
    assert_eq!((job.status, counts(&job)), (Status::Failed, (0, 2, 2)));
    assert!(job.failure.unwrap().contains("maxExecutionTimeInSeconds"));
}

#[tokio::test]
async fn jobs_are_listed_by_type_and_state_page_by_page_until_they_are_forgotten() {
    let clock = Clock::manual(START);
    let hub = hub_with(&clock, 2);
    for n in 0..5 {
        let id = format!("t{n}");
        schedule(&hub, &id, twin_job("*")).await.unwrap();
        ended(&hub, &id).await;
    }
    schedule(&hub, "m", method_job("*")).await.unwrap();
    ended(&hub, "m").await;
    schedule(&hub, "bad", twin_job("(")).await.unwrap();
    ended(&hub, "bad").await;
    let later = with(twin_job("*"), "startTime", json!("2023-11-20T00:00:00Z"));
    schedule(&hub, "z-later", later).await.unwrap();
    let ids = async |filter: JobFilter| {
        let (mut ids, mut continuation) = (Vec::new(), None);
        loop {
            let page = hub.list_jobs(filter, 2, continuation.as_deref()).await.unwrap();
            assert!(page.rows.len() <= 2 && page.item_type == "JobResponse");
            ids.extend(page.json().iter().map(|row| row["jobId"].as_str().unwrap().to_owned()));
            continuation = page.continuation;
            if continuation.is_none() {
                return ids;
            }
        }
    };
    let all = JobFilter::default();
    assert_eq!(ids(all).await, ["bad", "m", "t0", "t1", "t2", "t3", "t4", "z-later"]);
    let completed = JobFilter { status: Some(Status::Completed), ..all };
    assert_eq!(ids(JobFilter { kind: Some(Kind::CallMethod), ..all }).await, ["m"]);
    assert_eq!(ids(JobFilter { kind: Some(Kind::UpdateTwin), ..completed }).await.len(), 5);
    assert_eq!(ids(JobFilter { status: Some(Status::Failed), ..all }).await, ["bad"]);
    let token = hub.list_jobs(all, 2, None).await.unwrap().continuation.unwrap();
    assert_eq!(refusal(hub.list_jobs(completed, 2, Some(&token)).await), (400, "ArgumentInvalid"));

    clock.advance(30 * 24 * HOUR);
    ended(&hub, "z-later").await;
    assert_eq!(ids(all).await, ["z-later"]);
    assert!(hub.job("t0").await.unwrap().is_none());
    schedule(&hub, "t0", twin_job("*")).await.unwrap();
}

#[tokio::test]
async fn the_rest_endpoint_has_the_services_paths_and_errors() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let unknown = json!({ "type": "unknown", "status": "unknown" });
    assert_eq!(hub.rest("GET", "/jobs/v2/nobody", None).await, (200, unknown));
    let later = with(twin_job("deviceId = 'd'"), "startTime", json!("2023-11-14T23:13:20Z"));
    let (_, made) = hub.rest("PUT", "/jobs/v2/j", Some(with(later, "jobId", json!("j")))).await;
    assert_eq!(
        made,
        json!({
            "jobId": "j",
            "queryCondition": "deviceId = 'd'",
            "createdTime": "2023-11-14T22:13:20.0000000Z",
            "startTime": "2023-11-14T23:13:20.0000000Z",
            "maxExecutionTimeInSeconds": 3600,
            "type": "scheduleUpdateTwin",
            "status": "queued",
            "deviceJobStatistics": {
                "deviceCount": 0, "failedCount": 0, "succeededCount": 0, "runningCount": 0, "pendingCount": 0,
            },
            "updateTwin": twin_job("*")["updateTwin"],
        })
    );
    let (status, listed) = hub.rest("GET", "/jobs/v2/query", None).await;
    assert_eq!((status, &listed[0]["jobId"]), (200, &json!("j")));
    let code = |answer: (u16, Value)| {
        let text = answer.1["Message"].as_str().unwrap().to_owned();
        (answer.0, text.split(';').next().unwrap().to_owned())
    };
    for (method, path, expected) in [
        ("PUT", "/jobs/v2/j", (409, "ErrorCode:JobAlreadyExists")),
        ("PUT", "/jobs/v2/second", (429, "ErrorCode:ThrottlingMaxActiveJobCountExceeded")),
        ("PUT", "/jobs/v2/Second", (400, "ErrorCode:ArgumentInvalid")),
        ("POST", "/jobs/v2/nobody/cancel", (404, "ErrorCode:JobNotFound")),
        ("PUT", "/jobs/v2/query", (405, "ErrorCode:GenericMethodNotAllowed")),
    ] {
        let (status, text) = code(hub.rest(method, path, Some(twin_job("*"))).await);
        assert_eq!((status, text.as_str()), expected, "{method} {path}");
    }
    let (status, cancelled) = hub.rest("POST", "/jobs/v2/j/cancel", None).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    assert_eq!(hub.rest_as("registryReadWrite", "GET", "/jobs/v2/j", None).await.0, 401);
    assert_eq!(hub.rest_as("service", "GET", "/jobs/v2/j", None).await.0, 200);
}

/// For how many devices the job has succeeded by now, be it on disk or not.
fn succeeded(hub: &HubState, id: &str) -> usize {
    let record = hub.store.peek(|state| state.record(&format!("job/{id}")).unwrap().to_owned());
    let job: Job = serde_json::from_str(&record).unwrap();
    job.statistics.succeeded_count
}

#[tokio::test]
async fn a_hub_that_is_started_again_goes_on_with_a_job_and_changes_each_twin_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = HubSettings { data: Some(folder.path().join("hub.redb")), ..HubSettings::default() };
    let mut hub = HubState::open(&settings).unwrap();
    let devices: Vec<_> = (0..1000).map(|n| IdentityId::device(format!("d{n}")).unwrap()).collect();
    for ids in devices.chunks(100) {
        let changes: Value =
            ids.iter().map(|id| json!({ "id": id.device, "importMode": "create" })).collect();
        hub.change_identities(serde_json::from_value(changes).unwrap()).await.unwrap();
    }
    for (round, least) in [0, 1, 500].into_iter().enumerate() {
        let id = format!("j{round}");
        schedule(&hub, &id, twin_job("*")).await.unwrap();
        while succeeded(&hub, &id) < least {
            tokio::task::yield_now().await;
        }
        assert!(succeeded(&hub, &id) < 1000);
        // What the old hub does from now on changes nothing.
        hub.store.close();
        hub = HubState::open(&settings).unwrap();
        hub.resume_jobs().unwrap();
        let job = ended(&hub, &id).await;
        assert_eq!((job.status, counts(&job)), (Status::Completed, (1000, 0, 1000)));
        for id in &devices {
            let version = hub.twin(id).await.unwrap().twin.desired.version();
            assert_eq!(version, 2 + round as u64, "{id}");
        }
    }
}

#[tokio::test]
async fn a_scheduled_job_starts_though_the_hub_was_stopped_meanwhile() {
    let hub = TestHub::start_with_data().await;
    hub.create("d").await;
    let later = with(twin_job("*"), "startTime", json!("2023-11-14T23:13:20Z"));
    assert_eq!(hub.rest("PUT", "/jobs/v2/j", Some(later)).await.0, 200);
    let hub = hub.restart().await;
    assert_eq!(
        when(hub.hub.state(), "j", |job| job.status == Status::Scheduled).await.statistics.device_count,
        0
    );
    hub.clock.advance(HOUR);
    assert_eq!(counts(&ended(hub.hub.state(), "j").await), (1, 0, 1));
}

/// The devices of jobs that a query finds, a few to a page.
async fn device_jobs(hub: &HubState, query: &str) -> Vec<Value> {
    let (mut rows, mut continuation) = (Vec::new(), None);
    loop {
        let page = hub.query_twins(query, 50, continuation.as_deref()).await.unwrap();
        rows.extend(page.json());
        continuation = page.continuation;
        if continuation.is_none() {
            return rows;
        }
    }
}

#[tokio::test]
async fn what_became_of_each_device_can_be_asked_for() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("on").await;
    device.subscribe(&[(topics::METHODS, AtMostOnce)]).await;
    hub.create("off").await;
    hub.rest("PUT", "/jobs/v2/j", Some(method_job("*"))).await;
    let (topic, _) = device.message().await;
    let state = hub.hub.state();
    when(state, "j", |job| job.statistics.failed_count == 1).await;
    let ask = async || device_jobs(state, "SELECT * FROM devices.jobs").await;
    hub.clock.advance(Duration::from_secs(5));
    let row = |device: &str, status: &str| {
        json!({
            "deviceId": device, "jobId": "j", "jobType": "scheduleDeviceMethod", "status": status,
            "startTimeUtc": "2023-11-14T22:13:20.0000000Z", "createdDateTimeUtc": "2023-11-14T22:13:20.0000000Z",
            "lastUpdatedDateTimeUtc": "2023-11-14T22:13:20.0000000Z",
        })
    };
    let mut failed = with(row("off", "failed"), "error", json!({ "code": "DeviceNotOnline" }));
    failed["endTimeUtc"] = failed["startTimeUtc"].clone();
    assert_eq!(ask().await, [failed.clone(), row("on", "pending")]);
    let request_id = topics::parse_method_request(&topic).unwrap().request_id;
    device.publish(&topics::method_response(200, &request_id), AtMostOnce, r#"{"x":[1.0]}"#).await;
    ended(state, "j").await;
    let mut done = row("on", "completed");
    done["outcome"] = json!({ "deviceMethodResponse": { "status": 200, "payload": { "x": [1.0] } } });
    for key in ["endTimeUtc", "lastUpdatedDateTimeUtc"] {
        done[key] = json!("2023-11-14T22:13:25.0000000Z");
    }
    // Numbers keep their form; the order of keys doesn't count.
    assert_eq!(ask().await, [failed, serde_json::from_str(&done.to_string()).unwrap()]);
}

#[tokio::test]
async fn the_devices_of_many_jobs_come_page_by_page_each_once_and_cost_little_memory() {
    let hub = empty_hub();
    for n in 0..300 {
        create(&hub, &format!("device-{n:06}")).await;
    }
    for id in ["a", "b"] {
        schedule(&hub, id, twin_job("*")).await.unwrap();
        ended(&hub, id).await;
    }
    let rows = device_jobs(&hub, "SELECT * FROM devices.jobs").await;
    let mut names: Vec<_> =
        rows.iter().map(|row| (row["jobId"].to_string(), row["deviceId"].to_string())).collect();
    assert!(names.is_sorted() && names.len() == 600);
    names.dedup();
    assert_eq!(names.len(), 600);
    let only_b =
        device_jobs(&hub, "SELECT * FROM devices.jobs WHERE jobId = 'b' AND status = 'completed'").await;
    assert_eq!(only_b.len(), 300);
    let bytes: usize = hub
        .store
        .peek(|state| state.records("job-devices/").map(|(name, text)| name.len() + text.len()).sum());
    assert!(bytes / 600 <= 50, "{bytes}");
}
