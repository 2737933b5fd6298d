//! Queries of the local hub: the table of `tests/golden/queries.json`, in which every query has its source, and paging.

use ferrohub::hub::query::{Condition, Page};
use ferrohub::hub::registry::{IdentityBody, IfMatch};
use ferrohub::hub::twins::TwinWrite;
use ferrohub::hub::{HubError, HubSettings, HubState};
use ferrohub::protocol::identity::IdentityId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::hub_jobs;

const TABLE: &str = include_str!("../golden/queries.json");
const ALL: &str = "SELECT * FROM devices";

#[derive(Deserialize)]
struct Table {
    sources: Map<String, Value>,
    fleet: Vec<Member>,
    jobs: Vec<Value>,
    answered: Vec<Answered>,
    malformed: Vec<Refused>,
    not_implemented: Vec<Refused>,
}

#[derive(Deserialize)]
struct Member {
    id: String,
    #[serde(default)]
    identity: Map<String, Value>,
    tags: Option<Value>,
    desired: Option<Value>,
    reported: Option<Value>,
}

/// A query, and the names of the twins, the rows or the devices of jobs (`job/device`) that answer it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    query: String,
    job_devices: Option<Vec<String>>,
    twins: Option<Vec<String>>,
    rows: Option<Vec<Value>>,
    basis: String,
    source: String,
}

#[derive(Deserialize)]
struct Refused {
    query: String,
    says: String,
}

fn table() -> Table {
    serde_json::from_str(TABLE).unwrap()
}

pub(crate) fn empty_hub() -> HubState {
    HubState::open(&HubSettings::default()).unwrap()
}

pub(crate) async fn create(hub: &HubState, name: &str) -> IdentityId {
    let id = IdentityId::parse(name).unwrap();
    hub.put_identity(&id, IdentityBody::default(), None).await.unwrap();
    id
}

async fn remove(hub: &HubState, name: &str) {
    hub.delete_identity(&IdentityId::parse(name).unwrap(), Some(IfMatch::Any)).await.unwrap();
}

/// Write the sections that are given.
pub(crate) async fn fill(hub: &HubState, id: &IdentityId, service: Value, reported: Option<Value>) {
    let Value::Object(service) = service else { panic!("a twin is an object") };
    if !service.is_empty() {
        hub.write_twin(id, TwinWrite::Patch, &service, None).await.unwrap();
    }
    if let Some(reported) = reported {
        hub.patch_reported(id, reported.to_string().as_bytes(), None).await.unwrap();
    }
}

async fn hub_with(fleet: Vec<Member>) -> HubState {
    let hub = empty_hub();
    for member in fleet {
        let id = IdentityId::parse(&member.id).unwrap();
        let body = serde_json::from_value(member.identity.into()).unwrap();
        hub.put_identity(&id, body, None).await.unwrap();
        let mut service = json!({});
        if let Some(tags) = member.tags {
            service["tags"] = tags;
        }
        if let Some(desired) = member.desired {
            service["properties"] = json!({ "desired": desired });
        }
        fill(&hub, &id, service, member.reported).await;
    }
    hub
}

/// `device`, or `device/module`.
pub(crate) fn names(rows: &[Value]) -> Vec<String> {
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = |row: &Value| {
        [text(row, "deviceId"), text(row, "moduleId")].into_iter().flatten().collect::<Vec<_>>().join("/")
    };
    rows.iter().map(name).collect()
}

async fn refusal(hub: &HubState, query: &str) -> HubError {
    match hub.query_twins(query, 100, None).await {
        Ok(page) => panic!("{query} was answered: {:?}", page.rows),
        Err(error) => error,
    }
}

/// All pages, of at most so many rows each.
async fn pages(hub: &HubState, query: &str, most: usize) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    loop {
        let continuation = pages.last().and_then(|page| page.continuation.as_deref());
        let page = hub.query_twins(query, most, continuation).await.unwrap();
        let last = page.continuation.is_none();
        pages.push(page);
        if last {
            return pages;
        }
    }
}

#[tokio::test]
async fn every_query_of_the_table_has_its_rows() {
    let table = table();
    assert!(table.answered.len() >= 150);
    let hub = hub_with(table.fleet).await;
    for job in table.jobs {
        let id = job["id"].as_str().unwrap().to_owned();
        hub_jobs::schedule(&hub, &id, job).await.unwrap();
        hub_jobs::ended(&hub, &id).await;
    }
    for case in table.answered {
        assert!(table.sources.contains_key(&case.source), "{}", case.source);
        assert!(["documentation", "inference", "conflict"].contains(&case.basis.as_str()), "{}", case.basis);
        let page = hub.query_twins(&case.query, 100, None).await;
        let page = page.unwrap_or_else(|error| panic!("{}: {error}", case.query));
        match (case.twins, case.rows, case.job_devices) {
            (Some(twins), None, None) => {
                assert_eq!((names(&page.json()), page.item_type), (twins, "Twin"), "{}", case.query);
            }
            (None, None, Some(devices)) => {
                let name = |row: &Value| {
                    format!("{}/{}", row["jobId"].as_str().unwrap(), row["deviceId"].as_str().unwrap())
                };
                let found: Vec<_> = page.json().iter().map(name).collect();
                assert_eq!((found, page.item_type), (devices, "DeviceJob"), "{}", case.query);
            }
            (None, Some(rows), None) => {
                // Texts, since numbers keep their form; the order of keys is that of the query.
                let as_text = |rows: &[Value]| rows.iter().map(sorted).collect::<Vec<_>>();
                assert_eq!(
                    (as_text(&page.json()), page.item_type),
                    (as_text(&rows), "Raw"),
                    "{}",
                    case.query
                );
            }
            _ => panic!("{} has either twins or rows or devices of jobs", case.query),
        }
        assert_eq!(page.continuation, None, "{}", case.query);
    }
}

/// A row as a text, in which the order of keys doesn't count.
fn sorted(row: &Value) -> String {
    let mut cells: Vec<_> =
        row.as_object().unwrap().iter().map(|(key, value)| format!("{key}: {value}")).collect();
    cells.sort();
    cells.join(", ")
}

#[tokio::test]
async fn a_malformed_query_is_refused_with_the_reason_and_one_that_is_not_implemented_says_so() {
    let table = table();
    assert!(table.malformed.len() >= 40);
    let hub = hub_with(table.fleet).await;
    for case in table.malformed {
        let error = refusal(&hub, &case.query).await;
        assert_eq!((error.code().status(), error.code().name()), (400, "ArgumentInvalid"), "{}", case.query);
        let text = error.message().to_lowercase();
        assert!(text.starts_with("badrequest: ") && text.ends_with('.'), "{}: {text}", case.query);
        assert!(text.contains(&case.says.to_lowercase()), "{}: {text}", case.query);
        assert!(!text.contains('\n'), "{text:?}");
    }
    for case in table.not_implemented {
        let error = refusal(&hub, &case.query).await;
        assert_eq!(error.code().status(), 501, "{}", case.query);
        assert!(error.message().contains(&case.says), "{}: {}", case.query, error.message());
    }
}

#[tokio::test]
async fn an_error_names_the_character_at_which_reading_ended() {
    let hub = empty_hub();
    for (query, position) in [
        ("SELEKT * FROM devices", 1),
        ("SELECT * FORM devices", 10),
        ("SELECT * FROM devices WHERE tags.é == 1", 37),
    ] {
        let message = refusal(&hub, query).await.message().to_owned();
        assert!(message.ends_with(&format!("at character {position}.")), "{query}: {message}");
    }
}

#[tokio::test]
async fn a_query_has_at_most_8192_characters_and_long_chains_are_no_depth() {
    let hub = empty_hub();
    create(&hub, "d").await;
    let begin = "SELECT * FROM devices WHERE ";
    let room = 8192 - begin.len();
    for (first, next, last) in [("true", " AND true", ""), ("1", "+1", " > 0"), ("true", " OR false", "")] {
        let chain = next.repeat((room - first.len() - last.len()) / next.len());
        let page = hub.query_twins(&format!("{begin}{first}{chain}{last}"), 100, None).await.unwrap();
        assert_eq!(names(&page.json()), ["d"]);
    }
    let padded = |length: usize| format!("{ALL}{}", " ".repeat(length - ALL.len()));
    assert_eq!(hub.query_twins(&padded(8192), 100, None).await.unwrap().rows.len(), 1);
    let error = refusal(&hub, &padded(8193)).await;
    assert_eq!(error.message(), "BadRequest: The query has 8193 characters, and at most 8192 are allowed.");
}

#[tokio::test]
async fn a_condition_alone_is_read_as_behind_where_and_a_star_is_fulfilled_by_every_device() {
    let hub = empty_hub();
    for (name, site) in [("lamp", "north"), ("fan", "south")] {
        let id = create(&hub, name).await;
        fill(&hub, &id, json!({ "tags": { "site": site } }), None).await;
    }
    for (condition, expected) in [
        ("tags.site = 'north'", [true, false]),
        (" deviceId IN ['fan', 'lamp']\n", [true, true]),
        ("devices.tags.site != 'north'", [false, true]),
        (" * ", [true, true]),
    ] {
        let condition = Condition::read(condition).unwrap();
        for (name, expected) in ["lamp", "fan"].into_iter().zip(expected) {
            let id = IdentityId::parse(name).unwrap();
            let entity = hub.twin(&id).await.unwrap();
            assert_eq!(condition.holds(&id, &entity), expected, "{name}: {condition:?}");
        }
    }
    for (condition, says) in [
        ("", "at character 1"),
        ("tags.site =", "at character 12"),
        ("tags.site = 'north' GROUP BY tags.site", "the end of the condition, at character 21"),
        ("SELECT * FROM devices", "at character 1"),
        ("devices.jobs.jobId = 'j'", "the query reads from devices, and devices.jobs is not that"),
    ] {
        let refused = Condition::read(condition).unwrap_err();
        assert_eq!(refused.code().name(), "ArgumentInvalid");
        assert!(refused.message().to_lowercase().contains(says), "{condition}: {refused}");
    }
}

#[tokio::test]
async fn nesting_is_bounded() {
    let hub = empty_hub();
    create(&hub, "d").await;
    for (open, close) in [("(", ")"), ("NOT ", ""), ("NOT (", ")")] {
        let query = |depth: usize| format!("{ALL} WHERE {}true{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(hub.query_twins(&query(20), 100, None).await.unwrap().rows.len(), 1);
        for depth in [100, 1000] {
            let message = refusal(&hub, &query(depth)).await.message().to_owned();
            assert!(message.contains("nested more than"), "{message}");
        }
    }
    let signs = format!("{ALL} WHERE {}1 = 1", "- ".repeat(1000));
    assert!(refusal(&hub, &signs).await.message().contains("nested more than"));
}

#[tokio::test]
async fn pages_are_full_but_for_the_last_and_together_they_hold_every_row_once() {
    let hub = empty_hub();
    let mut devices = Vec::new();
    for number in 0..7 {
        devices.push(format!("d{number}"));
        create(&hub, &format!("d{number}")).await;
        create(&hub, &format!("d{number}/m")).await;
    }
    for (most, sizes) in [(1, vec![1; 7]), (3, vec![3, 3, 1]), (7, vec![7]), (100, vec![7])] {
        for query in [
            ALL,
            "SELECT deviceId FROM devices",
            "SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId",
        ] {
            let pages = pages(&hub, query, most).await;
            assert_eq!(pages.iter().map(|page| page.rows.len()).collect::<Vec<_>>(), sizes, "{query}");
            let rows: Vec<_> = pages.iter().flat_map(Page::json).collect();
            assert_eq!(names(&rows), devices, "{query}");
        }
    }
    let pages = pages(&hub, "SELECT TOP 5 * FROM devices", 2).await;
    assert_eq!(
        pages.iter().map(|page| names(&page.json())).collect::<Vec<_>>(),
        [vec!["d0", "d1"], vec!["d2", "d3"], vec!["d4"]]
    );
}

#[tokio::test]
async fn identities_that_come_and_go_between_pages_move_no_other() {
    let hub = empty_hub();
    for name in ["b", "d", "f", "h"] {
        create(&hub, name).await;
    }
    let first = hub.query_twins(ALL, 2, None).await.unwrap();
    assert_eq!(names(&first.json()), ["b", "d"]);
    remove(&hub, "d").await;
    remove(&hub, "f").await;
    create(&hub, "a").await;
    create(&hub, "g").await;
    let second = hub.query_twins(ALL, 2, first.continuation.as_deref()).await.unwrap();
    assert_eq!((names(&second.json()), second.continuation), (vec!["g".to_owned(), "h".to_owned()], None));
}

#[tokio::test]
async fn a_continuation_is_for_its_query_only() {
    let hub = empty_hub();
    for name in ["a", "b"] {
        create(&hub, name).await;
    }
    let token = hub.query_twins(ALL, 1, None).await.unwrap().continuation.unwrap();
    for (query, token) in [("SELECT deviceId FROM devices", token.as_str()), (ALL, "x"), (ALL, "e30")] {
        let error = hub.query_twins(query, 1, Some(token)).await.unwrap_err();
        assert_eq!(error.message(), "The continuation is none that this hub gave for this query.");
        assert_eq!(error.code().status(), 400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_writers_do_not_wait_for_each_other_and_no_row_is_lost() {
    let hub = empty_hub();
    for number in 0..2000 {
        create(&hub, &format!("stays-{number:04}")).await;
    }
    let writer = tokio::spawn({
        let hub = hub.clone();
        async move {
            for number in 0..500 {
                create(&hub, &format!("comes-{number:04}")).await;
                remove(&hub, &format!("comes-{number:04}")).await;
            }
        }
    });
    while !writer.is_finished() {
        let page = hub.query_twins(
            "SELECT COUNT() AS n FROM devices WHERE STARTSWITH(deviceId, 'stays')",
            100,
            None,
        );
        assert_eq!(page.await.unwrap().json(), [json!({ "n": 2000 })]);
    }
    writer.await.unwrap();
}
