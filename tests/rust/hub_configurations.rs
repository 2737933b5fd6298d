//! Configurations: whom they reach, which of several has precedence, what is left when one goes, and what is counted.

use ferrohub::hub::configurations::ConfigurationDocument;
use ferrohub::hub::registry::IfMatch;
use ferrohub::hub::twins::TwinWrite;
use ferrohub::hub::{HubError, HubSettings, HubState};
use ferrohub::protocol::identity::IdentityId;
use ferrohub::protocol::topics;
use rumqttc::mqttbytes::QoS::AtMostOnce;
use serde_json::{Value, json};

use crate::hub_queries::{create, empty_hub, fill};
use crate::support::{TestHub, soon};

pub(crate) async fn put(hub: &HubState, id: &str, body: Value) -> Result<ConfigurationDocument, HubError> {
    let exists = hub.configuration(id).await.is_ok();
    hub.put_configuration(id, serde_json::from_value(body).unwrap(), exists.then_some(IfMatch::Any)).await
}

/// Put a configuration of devices, and have it applied.
async fn configure(hub: &HubState, id: &str, target: &str, priority: u64, content: Value) {
    let body =
        json!({ "content": { "deviceContent": content }, "targetCondition": target, "priority": priority });
    put(hub, id, body).await.unwrap();
    hub.apply_configurations().await.unwrap();
}

pub(crate) async fn tag(hub: &HubState, id: &IdentityId, tags: Value) {
    fill(hub, id, json!({ "tags": tags }), None).await;
    hub.apply_configurations().await.unwrap();
}

/// The desired properties with their version, and the statuses of configurations.
pub(crate) async fn seen(hub: &HubState, id: &IdentityId) -> (Value, Value) {
    let entity = hub.twin(id).await.unwrap();
    let twin = crate::support::twin_document(id, &entity);
    let statuses = twin.get("configurations").and_then(Value::as_object);
    let statuses = statuses.into_iter().flatten().map(|(id, found)| (id.clone(), found["status"].clone()));
    (entity.twin.desired.device_view().into(), statuses.collect())
}

pub(crate) async fn counts(hub: &HubState, id: &str) -> Value {
    let mut body = hub.configuration(id).await.unwrap().body;
    json!([body["systemMetrics"]["results"].take(), body["metrics"]["results"].take()])
}

#[tokio::test]
async fn a_configuration_reaches_the_devices_it_targets_now_and_later() {
    let hub = empty_hub();
    let (north, south) = (create(&hub, "north").await, create(&hub, "south").await);
    let module = create(&hub, "north/m").await;
    fill(&hub, &north, json!({ "tags": { "site": "n" }, "properties": { "desired": { "own": 1 } } }), None)
        .await;
    fill(&hub, &module, json!({ "tags": { "site": "n" } }), None).await;
    let content = json!({ "properties.desired.limits": { "low": 1 }, "properties.desired.pump.on": true });
    configure(&hub, "c", "tags.site = 'n'", 0, content).await;
    let set = json!({ "own": 1, "limits": { "low": 1 }, "pump": { "on": true }, "$version": 3 });
    assert_eq!(seen(&hub, &north).await, (set, json!({ "c": "Applied" })));
    let nothing = (json!({ "$version": 1 }), json!({}));
    assert_eq!(seen(&hub, &south).await, nothing);
    assert_eq!(seen(&hub, &module).await, nothing);
    assert_eq!(counts(&hub, "c").await, json!([{ "targetedCount": 1, "appliedCount": 1 }, {}]));

    tag(&hub, &south, json!({ "site": "n" })).await;
    let set = json!({ "limits": { "low": 1 }, "pump": { "on": true }, "$version": 2 });
    assert_eq!(seen(&hub, &south).await, (set, json!({ "c": "Applied" })));
    // Reported properties decide too, and devices that come later.
    put(
        &hub,
        "c",
        json!({
            "content": { "deviceContent": {} }, "targetCondition": "properties.reported.model = 'x'"
        }),
    )
    .await
    .unwrap();
    hub.apply_configurations().await.unwrap();
    assert_eq!(seen(&hub, &north).await, (json!({ "own": 1, "$version": 4 }), json!({})));
    let late = create(&hub, "late").await;
    fill(&hub, &late, json!({}), Some(json!({ "model": "x" }))).await;
    hub.apply_configurations().await.unwrap();
    assert_eq!(seen(&hub, &late).await.1, json!({ "c": "Applied" }));
    assert_eq!(counts(&hub, "c").await, json!([{ "targetedCount": 1, "appliedCount": 1 }, {}]));
}

#[tokio::test]
async fn at_one_path_the_higher_priority_counts_then_the_newer_configuration() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    configure(&hub, "first", "*", 5, json!({ "properties.desired.a": 1, "properties.desired.b": 1 })).await;
    configure(&hub, "second", "*", 5, json!({ "properties.desired.a": 2 })).await;
    configure(&hub, "lower", "*", 4, json!({ "properties.desired.a": 3 })).await;
    let (desired, statuses) = seen(&hub, &id).await;
    assert_eq!(desired, json!({ "a": 2, "b": 1, "$version": 3 }));
    // What has precedence nowhere is not applied, what has it somewhere is.
    assert_eq!(statuses, json!({ "first": "Applied", "second": "Applied", "lower": "Targeted" }));
    assert_eq!(counts(&hub, "lower").await, json!([{ "targetedCount": 1, "appliedCount": 0 }, {}]));

    configure(&hub, "lower", "*", 6, json!({ "properties.desired.a": 3 })).await;
    assert_eq!(
        seen(&hub, &id).await,
        (
            json!({ "a": 3, "b": 1, "$version": 4 }),
            json!({ "first": "Applied", "second": "Targeted", "lower": "Applied" }),
        )
    );
    configure(&hub, "lower", "", 6, json!({ "properties.desired.a": 3 })).await;
    assert_eq!(seen(&hub, &id).await.0, json!({ "b": 1, "a": 2, "$version": 5 }));
}

#[tokio::test]
async fn a_setting_at_a_path_is_merged_and_gives_way_to_another_at_the_same_path() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    fill(&hub, &id, json!({ "properties": { "desired": { "p": { "own": 1, "gone": 1 } } } }), None).await;
    configure(&hub, "low", "*", 1, json!({ "properties.desired.p": { "x": 1, "gone": null } })).await;
    assert_eq!(seen(&hub, &id).await.0, json!({ "p": { "own": 1, "x": 1 }, "$version": 3 }));
    configure(&hub, "high", "*", 2, json!({ "properties.desired.p": { "y": { "z": 1 } } })).await;
    assert_eq!(seen(&hub, &id).await.0, json!({ "p": { "own": 1, "y": { "z": 1 } }, "$version": 4 }));
    configure(&hub, "high", "", 2, json!({ "properties.desired.p": {} })).await;
    assert_eq!(seen(&hub, &id).await.0, json!({ "p": { "own": 1, "x": 1 }, "$version": 5 }));
}

#[tokio::test]
async fn what_a_configuration_has_set_goes_with_its_target_and_stays_when_it_is_deleted() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    fill(&hub, &id, json!({ "tags": { "on": true } }), None).await;
    configure(&hub, "c", "tags.on = true", 1, json!({ "properties.desired.a.b": { "c": 1 } })).await;
    tag(&hub, &id, json!({ "on": false })).await;
    assert_eq!(seen(&hub, &id).await, (json!({ "$version": 3 }), json!({})));
    tag(&hub, &id, json!({ "on": true })).await;
    hub.delete_configuration("c", None).await.unwrap();
    hub.apply_configurations().await.unwrap();
    assert_eq!(seen(&hub, &id).await, (json!({ "a": { "b": { "c": 1 } }, "$version": 4 }), json!({})));
    // One of the same id is another: it has not set that.
    configure(&hub, "c", "tags.on = false", 1, json!({ "properties.desired.a.b": { "c": 1 } })).await;
    assert_eq!(seen(&hub, &id).await.0["$version"], 4);
}

#[tokio::test]
async fn what_back_ends_write_over_a_configuration_stays_until_it_is_changed() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    configure(&hub, "c", "*", 1, json!({ "properties.desired.a": 1 })).await;
    fill(&hub, &id, json!({ "tags": { "x": 1 }, "properties": { "desired": { "a": 7 } } }), None).await;
    hub.apply_configurations().await.unwrap();
    assert_eq!(seen(&hub, &id).await.0, json!({ "a": 7, "$version": 3 }));
    configure(&hub, "c", "*", 1, json!({ "properties.desired.a": 1 })).await;
    assert_eq!(seen(&hub, &id).await.0, json!({ "a": 1, "$version": 4 }));
    // What stands there already is not written again.
    configure(&hub, "c", "*", 2, json!({ "properties.desired.a": 1 })).await;
    assert_eq!(seen(&hub, &id).await.0["$version"], 4);
}

#[tokio::test]
async fn content_is_not_changed_and_everything_else_is() {
    let hub = empty_hub();
    let content = json!({ "deviceContent": { "properties.desired.a": 1 } });
    let created =
        put(&hub, "c", json!({ "id": "c", "content": content, "targetCondition": "*" })).await.unwrap();
    assert_eq!(created.body["etag"], "MQ==");
    let changed = put(&hub, "c", json!({
        "content": { "deviceContent": { "properties.desired.b": 2 } }, "targetCondition": "deviceId = 'd'",
        "priority": 3, "labels": { "owner": "x" }, "schemaVersion": "1.0",
        "metrics": { "queries": { "all": "SELECT deviceId FROM devices" } },
    })).await.unwrap();
    assert_eq!((changed.etag.as_str(), &changed.body["content"]), ("Mg==", &content));
    for (field, value) in [
        ("targetCondition", json!("deviceId = 'd'")),
        ("priority", json!(3)),
        ("labels", json!({ "owner": "x" })),
        ("schemaVersion", json!("1.0")),
    ] {
        assert_eq!(changed.body[field], value);
    }
    create(&hub, "d").await;
    create(&hub, "e").await;
    hub.apply_configurations().await.unwrap();
    assert_eq!(counts(&hub, "c").await, json!([{ "targetedCount": 1, "appliedCount": 1 }, { "all": 2 }]));
    // Still the content's kind counts.
    let other =
        json!({ "content": { "deviceContent": {} }, "targetCondition": "from devices.modules where true" });
    assert_eq!(
        put(&hub, "c", other).await.err().unwrap().code().name(),
        "InvalidConfigurationTargetCondition"
    );
}

#[tokio::test]
async fn a_body_that_breaks_a_rule_is_refused() {
    let hub = empty_hub();
    let device = |content: Value| json!({ "content": { "deviceContent": content } });
    let target = |target: &str| json!({ "content": { "deviceContent": {} }, "targetCondition": target });
    let metric = |query: Value| json!({ "content": { "deviceContent": {} }, "metrics": { "queries": { "m": query } } });
    for (body, code, says) in [
        (json!({}), "InvalidConfigurationContent", "has to be one of"),
        (json!({ "content": {} }), "InvalidConfigurationContent", "has to be one of"),
        (
            json!({ "content": { "deviceContent": {}, "moduleContent": {} } }),
            "InvalidConfigurationContent",
            "one of",
        ),
        (
            json!({ "content": { "modulesContent": { "$edgeHub": {} } } }),
            "InvalidConfigurationContent",
            "$edgeAgent",
        ),
        (
            json!({ "content": { "modulesContent": { "$edgeAgent": 1 } } }),
            "InvalidConfigurationContent",
            "no object",
        ),
        (
            device(json!({ "tags.x": 1 })),
            "InvalidConfigurationContent",
            "does not begin with properties.desired",
        ),
        (device(json!({ "properties.desiredx": {} })), "InvalidConfigurationContent", "does not begin"),
        (device(json!({ "properties.desired.": 1 })), "InvalidConfigurationContent", "empty name"),
        (device(json!({ "properties.desired": 1 })), "InvalidConfigurationContent", "no object"),
        (device(json!({ "properties.desired.a": { "b c": 1 } })), "InvalidConfigurationContent", "b c"),
        (
            device(json!({ "properties.desired.a": "x".repeat(4097) })),
            "InvalidConfigurationContent",
            "longer",
        ),
        (target("tags.x ="), "InvalidConfigurationTargetCondition", "at character 9"),
        (
            target("properties.desired.x = 1"),
            "InvalidConfigurationTargetCondition",
            "looks at properties.desired.x",
        ),
        (target("status = 'enabled'"), "InvalidConfigurationTargetCondition", "looks at status"),
        (target("from devices.modules where true"), "InvalidConfigurationTargetCondition", "of modules"),
        (target("from devices where true"), "InvalidConfigurationTargetCondition", "without FROM"),
        (
            json!({ "content": { "moduleContent": {} }, "targetCondition": "*" }),
            "InvalidConfigurationTargetCondition",
            "FROM devices.modules",
        ),
        (metric(json!("SELECT")), "InvalidConfigurationCustomMetricsQuery", "'m'"),
        (metric(json!("SELECT * FROM devices.jobs")), "InvalidConfigurationCustomMetricsQuery", "'m'"),
        (metric(json!(1)), "InvalidConfigurationCustomMetricsQuery", "text"),
        (json!({ "id": "other", "content": { "deviceContent": {} } }), "ArgumentInvalid", "id"),
        (json!({ "content": { "deviceContent": {} }, "priority": -1 }), "ArgumentInvalid", "priority"),
        (
            json!({ "content": { "deviceContent": {} }, "priority": 2_147_483_648_u64 }),
            "ArgumentInvalid",
            "priority",
        ),
        (json!({ "content": { "deviceContent": {} }, "labels": { "a": 1 } }), "ArgumentInvalid", "Labels"),
    ] {
        let Err(error) = put(&hub, "c", body.clone()).await else { panic!("{body} was taken") };
        assert_eq!((error.code().name(), error.code().status()), (code, 400), "{body}");
        assert!(error.message().contains(says), "{body}: {}", error.message());
    }
    let body = || device(json!({}));
    for id in ["", "A", "a b", "a.b", "a/b", "ü", &"x".repeat(129)] {
        assert_eq!(put(&hub, id, body()).await.err().unwrap().code().name(), "ArgumentInvalid", "{id}");
    }
    for id in ["a-z0+%_*!'", &"x".repeat(128)] {
        assert!(put(&hub, id, body()).await.is_ok(), "{id}");
    }
    let most = json!({ "content": { "deviceContent": {} }, "priority": i32::MAX });
    assert_eq!(put(&hub, "most", most).await.unwrap().body["priority"], i32::MAX);
}

#[tokio::test]
async fn a_hub_holds_a_hundred_configurations_with_five_metrics_each() {
    let hub = empty_hub();
    let body = json!({ "content": { "deviceContent": {} } });
    for number in 0..100 {
        put(&hub, &format!("c{number}"), body.clone()).await.unwrap();
    }
    let refused = put(&hub, "one-more", body.clone()).await.err().unwrap();
    assert_eq!(
        (refused.code().number(), refused.code().name()),
        (413_101, "ConfigurationCountLimitExceeded")
    );
    assert_eq!(hub.all_configurations(usize::MAX).await.unwrap().len(), 100);
    assert_eq!(hub.all_configurations(7).await.unwrap().len(), 7);
    // Those that are there can still be changed, and one that goes makes room.
    assert!(put(&hub, "c1", body.clone()).await.is_ok());
    hub.delete_configuration("c1", None).await.unwrap();
    assert!(put(&hub, "one-more", body.clone()).await.is_ok());

    let metrics = |count: usize| {
        let queries = (0..count).map(|number| (format!("m{number}"), json!("SELECT deviceId FROM devices")));
        let queries: Value = queries.collect::<serde_json::Map<_, _>>().into();
        json!({ "content": { "deviceContent": {} }, "metrics": { "queries": queries } })
    };
    assert!(put(&hub, "c2", metrics(5)).await.is_ok());
    let refused = put(&hub, "c2", metrics(6)).await.err().unwrap();
    assert_eq!(refused.code().name(), "InvalidConfigurationCustomMetricsQuery");
}

#[tokio::test]
async fn modules_are_targeted_by_their_own_twins() {
    let hub = empty_hub();
    let (one, other) = (create(&hub, "d").await, create(&hub, "e").await);
    let (module, untagged) = (create(&hub, "d/m").await, create(&hub, "e/m").await);
    fill(&hub, &module, json!({ "tags": { "x": 1 } }), None).await;
    fill(&hub, &other, json!({ "tags": { "x": 1 } }), None).await;
    let body = json!({
        "content": { "moduleContent": { "properties.desired.rate": 5 } },
        "targetCondition": "from devices.modules where tags.x = 1 and moduleId = 'm'",
        "metrics": { "queries": { "all": "SELECT deviceId, moduleId FROM devices.modules" } },
    });
    put(&hub, "c", body).await.unwrap();
    hub.apply_configurations().await.unwrap();
    assert_eq!(seen(&hub, &module).await, (json!({ "rate": 5, "$version": 2 }), json!({ "c": "Applied" })));
    for id in [&one, &other, &untagged] {
        assert_eq!(seen(&hub, id).await, (json!({ "$version": 1 }), json!({})));
    }
    assert_eq!(counts(&hub, "c").await, json!([{ "targetedCount": 1, "appliedCount": 1 }, { "all": 2 }]));
    fill(&hub, &untagged, json!({ "tags": { "x": 1 } }), None).await;
    hub.apply_configurations().await.unwrap();
    assert_eq!(seen(&hub, &untagged).await.1, json!({ "c": "Applied" }));
}

#[tokio::test]
async fn a_twin_that_would_grow_too_large_is_left_as_it_is_and_the_configuration_is_not_applied() {
    let hub = empty_hub();
    let (full, empty) = (create(&hub, "full").await, create(&hub, "empty").await);
    let strings: Value = (0..7)
        .map(|number| (number.to_string(), json!("x".repeat(4096))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    fill(&hub, &full, json!({ "properties": { "desired": strings } }), None).await;
    configure(
        &hub,
        "c",
        "*",
        1,
        json!({ "properties.desired.a": "x".repeat(4096), "properties.desired.b": 1 }),
    )
    .await;
    let (desired, statuses) = seen(&hub, &full).await;
    assert_eq!(
        (&desired["$version"], desired.get("b"), statuses),
        (&json!(2), None, json!({ "c": "Targeted" }))
    );
    assert_eq!(seen(&hub, &empty).await.1, json!({ "c": "Applied" }));
    assert_eq!(counts(&hub, "c").await, json!([{ "targetedCount": 2, "appliedCount": 1 }, {}]));
}

#[tokio::test]
async fn configurations_and_what_they_are_for_twins_outlive_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let settings = HubSettings { data: Some(folder.path().join("hub.redb")), ..HubSettings::default() };
    let hub = HubState::open(&settings).unwrap();
    let id = create(&hub, "d").await;
    configure(&hub, "c", "*", 3, json!({ "properties.desired.a": 1 })).await;
    hub.delete_configuration("c", None).await.unwrap();
    configure(&hub, "c", "*", 3, json!({ "properties.desired.b": 1 })).await;
    // Not applied yet when the hub ends.
    let body =
        json!({ "content": { "deviceContent": { "properties.desired.late": 1 } }, "targetCondition": "*" });
    put(&hub, "late", body).await.unwrap();
    let before = hub.configuration("c").await.unwrap().body;
    hub.store.close();
    let hub = HubState::open(&settings).unwrap();
    assert_eq!(hub.configuration("c").await.unwrap().body, before);
    assert_eq!(seen(&hub, &id).await, (json!({ "a": 1, "b": 1, "$version": 3 }), json!({ "c": "Applied" })));
    hub.apply_configurations().await.unwrap();
    let (desired, statuses) = seen(&hub, &id).await;
    assert_eq!(desired, json!({ "a": 1, "b": 1, "late": 1, "$version": 4 }));
    assert_eq!(statuses, json!({ "c": "Applied", "late": "Applied" }));
}

#[tokio::test]
async fn the_hub_applies_configurations_by_itself_and_connected_devices_are_told() {
    let hub = TestHub::start().await;
    let mut device = hub.connect("d").await;
    device.subscribe(&[(topics::DESIRED_PATCHES, AtMostOnce)]).await;
    let body = json!({
        "id": "c", "content": { "deviceContent": { "properties.desired.rate": 5 } },
        "targetCondition": "properties.reported.model = 'x'", "priority": 1,
    });
    assert_eq!(hub.rest("PUT", "/configurations/c", Some(body)).await.0, 200);
    device.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", AtMostOnce, r#"{"model":"x"}"#).await;
    let (topic, payload) = soon("the patch", device.message()).await;
    let expected = ("$iothub/twin/PATCH/properties/desired/?$version=2", r#"{"rate":5,"$version":2}"#);
    assert_eq!((topic.as_str(), payload.as_str()), expected);
    assert_eq!(hub.rest("DELETE", "/configurations/c", None).await.0, 204);
    assert_eq!(hub.rest("GET", "/configurations/c", None).await.0, 404);
}

/// A small generator of numbers, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[tokio::test]
async fn after_any_changes_every_twin_holds_what_a_simple_model_says() {
    for seed in 0..40 {
        let (hub, mut random) = (empty_hub(), Random(seed));
        let mut devices = Vec::new();
        for name in ["a", "b", "c"] {
            let id = create(&hub, name).await;
            fill(&hub, &id, json!({ "tags": { "t": 0 } }), None).await;
            devices.push((id, 0));
        }
        // Of each configuration: the tag that it targets, its priority, and at which of four paths it sets its number.
        let mut configurations: Vec<Option<(u64, u64, u64)>> = vec![None; 4];
        for _ in 0..30 {
            let index = usize::try_from(random.below(4)).unwrap();
            if random.below(2) == 0 {
                let (paths, priority, target) = (1 + random.below(15), random.below(3), random.below(3));
                let paths = configurations[index].map_or(paths, |(_, _, paths)| paths);
                let content = (0..4).filter(|path| paths & (1 << path) != 0);
                let content = content.map(|path| (format!("properties.desired.p{path}"), json!(index)));
                let body = json!({
                    "content": { "deviceContent": content.collect::<serde_json::Map<_, _>>() },
                    "targetCondition": format!("tags.t = {target}"), "priority": priority,
                });
                put(&hub, &format!("c{index}"), body).await.unwrap();
                configurations[index] = Some((target, priority, paths));
            } else {
                let (id, tag) = &mut devices[index % 3];
                *tag = random.below(3);
                fill(&hub, id, json!({ "tags": { "t": *tag } }), None).await;
            }
            if random.below(3) == 0 {
                hub.apply_configurations().await.unwrap();
            }
        }
        hub.apply_configurations().await.unwrap();
        for (id, tag) in &devices {
            let numbers =
                configurations.iter().enumerate().filter_map(|(index, found)| Some((index, (*found)?)));
            let targeting: Vec<_> = numbers.filter(|(_, (target, _, _))| target == tag).collect();
            let (mut desired, statuses) = seen(&hub, id).await;
            let known: Vec<String> = targeting.iter().map(|(index, _)| format!("c{index}")).collect();
            let marked = statuses.as_object().unwrap().keys();
            assert_eq!(marked.collect::<Vec<_>>(), known.iter().collect::<Vec<_>>(), "seed {seed}, {id}");
            desired.as_object_mut().unwrap().remove("$version");
            for path in 0..4 {
                let setting = targeting.iter().filter(|(_, (_, _, paths))| paths & (1 << path) != 0);
                let highest = setting.clone().map(|(_, (_, priority, _))| *priority).max();
                let winners = setting.filter(|(_, (_, priority, _))| Some(*priority) == highest);
                let winners: Vec<_> = winners.map(|(index, _)| json!(index)).collect();
                match desired.get(format!("p{path}")) {
                    // Of one priority the newer has precedence; which that is, another test knows.
                    Some(found) => assert!(winners.contains(found), "seed {seed}, {id}, p{path}: {found}"),
                    None => assert!(winners.is_empty(), "seed {seed}, {id}, p{path}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn devices_that_are_told_of_configurations_by_another_write_are_not_written_for_it() {
    let hub = empty_hub();
    let id = create(&hub, "d").await;
    configure(&hub, "c", "tags.a = 1", 1, json!({ "properties.desired.a": 1 })).await;
    let before = hub.twin(&id).await.unwrap().twin.version;
    let body = json!({ "properties": { "desired": { "x": 1 } } }).as_object().unwrap().clone();
    hub.write_twin(&id, TwinWrite::Patch, &body, None).await.unwrap();
    hub.apply_configurations().await.unwrap();
    assert_eq!(hub.twin(&id).await.unwrap().twin.version, before + 1);
}
