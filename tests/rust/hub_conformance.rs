//! The table of conformance in `docs/local-hub.md` beside the hub: every route stands in it, every row is as it says,
//! and every policy opens what its rights are for and nothing else.

use axum::body::Body;
use axum::http::Request;
use ferrohub::auth::SasKey;
use ferrohub::clock::Clock;
use ferrohub::hub::dps::ID_SCOPE;
use ferrohub::hub::entity::Authentication;
use ferrohub::hub::https::{Route, router, routes};
use ferrohub::hub::{HubSettings, HubState};
use ferrohub::protocol::identity::IdentityId;
use ferrohub::protocol::provisioning;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet};
use tower::ServiceExt;

use crate::hub_queries::create;
use crate::support::{START, SignIn, TestHub};

const PAGE: &str = include_str!("../../docs/local-hub.md");
const POLICIES: [&str; 5] = ["iothubowner", "service", "device", "registryRead", "registryReadWrite"];

/// The cells of the first table under this heading, line by line.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n### {heading}\n")).unwrap();
    let table =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = table.skip(2).map(|line| line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`')));
    cells.map(Iterator::collect).collect()
}

struct Operation {
    method: &'static str,
    path: &'static str,
    right: &'static str,
    state: &'static str,
}

fn operations() -> Vec<Operation> {
    let operation = |cells: Vec<&'static str>| {
        let (method, path) = cells[0].split_once(' ').unwrap();
        Operation { method, path, right: cells[1], state: cells[2] }
    };
    rows("REST").into_iter().map(operation).collect()
}

impl Operation {
    /// Whether the policies with this right are those that open it.
    fn opens(&self, policy: &str) -> bool {
        match self.right {
            "RegistryRead" => ["iothubowner", "registryRead", "registryReadWrite"].contains(&policy),
            "RegistryWrite" => ["iothubowner", "registryReadWrite"].contains(&policy),
            "ServiceConnect" => ["iothubowner", "service"].contains(&policy),
            "DeviceConnect" => ["iothubowner", "device"].contains(&policy),
            "iothubowner" => policy == "iothubowner",
            "the upload's token" => false,
            "none" => true,
            other => panic!("{other} is no right"),
        }
    }

    /// A path of it, on a device and a module that exist.
    fn example(&self) -> String {
        filled(self.path)
    }

    /// Whether a route brings requests for it.
    fn is_of(&self, route: &Route) -> bool {
        let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let (mine, its) = (parts(self.path), parts(&route.path));
        let rest = its.last().is_some_and(|part| part.starts_with("{*"));
        let fits = if rest { mine.len() >= its.len() } else { mine.len() == its.len() };
        let same = |(mine, its): (&String, &String)| its.starts_with('{') || mine == its;
        [self.method, "ANY"].contains(&route.method) && fits && mine.iter().zip(&its).all(same)
    }
}

/// With names in place of those in braces.
fn filled(text: &str) -> String {
    let mut text = text.replace("{device}", "d").replace("{module}", "m");
    while let Some((before, rest)) = text.split_once('{') {
        let after = rest.split_once('}').unwrap().1;
        text = format!("{before}x{after}");
    }
    text
}

struct Hub {
    state: HubState,
    owner: SasKey,
}

impl Hub {
    async fn start() -> Self {
        let settings = HubSettings { clock: Clock::manual(START), ..HubSettings::default() };
        let state = HubState::open(&settings).unwrap();
        for name in ["d", "d/m", "e"] {
            create(&state, name).await;
        }
        let owner = SasKey::from_base64(state.access.owner_key()).unwrap();
        Self { state, owner }
    }

    fn token(&self, policy: &str) -> String {
        let key = match policy {
            "iothubowner" => self.owner.clone(),
            policy => SasKey::from_bytes(self.owner.sign(policy).to_vec()),
        };
        key.service_token("localhost", policy, START / 1000 + 60)
    }

    async fn own_token(&self, device: &str) -> String {
        let entity = self.state.twin(&IdentityId::device(device).unwrap()).await.unwrap();
        let Authentication::Sas(keys) = &entity.identity.authentication else { panic!("no keys") };
        let key = SasKey::from_base64(&keys.primary).unwrap();
        key.device_token(&format!("localhost/devices/{device}"), START / 1000 + 60)
    }

    /// The status of the answer, and its error code.
    async fn ask(&self, operation: &Operation, token: &str) -> (u16, String) {
        let uri = format!("{}?api-version=2021-04-12", operation.example());
        let request = Request::builder().method(operation.method).uri(uri).header("authorization", token);
        let request = request.body(Body::from("{}")).unwrap();
        let response = router(self.state.clone()).oneshot(request).await.unwrap();
        let code = response.headers().get("iothub-errorcode").map(|code| code.to_str().unwrap().to_owned());
        (response.status().as_u16(), code.unwrap_or_default())
    }
}

#[test]
fn every_route_stands_in_the_table() {
    let operations = operations();
    assert!(operations.len() > 60);
    for route in routes() {
        let named = operations.iter().any(|operation| operation.is_of(&route));
        assert!(named, "{} {} is missing in docs/local-hub.md", route.method, route.path);
    }
    for operation in operations {
        let served = routes().iter().any(|route| operation.is_of(route));
        assert!(served, "no route brings requests for {} {}", operation.method, operation.path);
    }
}

#[tokio::test]
async fn what_is_missing_answers_501_and_nothing_else_does() {
    let hub = Hub::start().await;
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.path);
        let (status, code) = hub.ask(&operation, &hub.token("iothubowner")).await;
        match operation.state {
            "missing" => assert_eq!((status, code.as_str()), (501, "GenericNotImplemented"), "{name}"),
            "as Azure" | "differs" => {
                assert!(
                    ![501, 405].contains(&status) && code != "GenericNotFound",
                    "{name}: {status} {code}"
                );
            }
            other => panic!("{name}: {other} is none of the three"),
        }
    }
}

#[tokio::test]
async fn every_policy_opens_what_its_rights_are_for_and_nothing_else() {
    let hub = Hub::start().await;
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.path);
        for policy in POLICIES {
            let (status, _) = hub.ask(&operation, &hub.token(policy)).await;
            let refused = [401, 403].contains(&status);
            assert_eq!(refused, !operation.opens(policy), "{name} with {policy}: {status}");
        }
        for (device, right) in [("d", "DeviceConnect"), ("e", "nothing of d")] {
            let (status, _) = hub.ask(&operation, &hub.own_token(device).await).await;
            let opens = [right, "none"].contains(&operation.right);
            assert_eq!([401, 403].contains(&status), !opens, "{name} with the key of {device}: {status}");
        }
        for nobody in ["", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"] {
            let (status, _) = hub.ask(&operation, nobody).await;
            assert_eq!([401, 403].contains(&status), operation.right != "none", "{name}: {status}");
        }
    }
}

#[tokio::test]
async fn only_policies_that_may_act_for_devices_connect_as_one() {
    let hub = TestHub::start().await;
    let id = hub.create("d").await;
    let owner = SasKey::from_base64(hub.hub.state().access.owner_key()).unwrap();
    for policy in POLICIES {
        let key = if policy == "iothubowner" {
            owner.clone()
        } else {
            SasKey::from_bytes(owner.sign(policy).to_vec())
        };
        let password = key.service_token("localhost", policy, START / 1000 + 60);
        let sign_in = SignIn { password, ..SignIn::of(&hub, &id).await };
        if ["iothubowner", "device"].contains(&policy) {
            sign_in.connect(&hub).await.expect_accepted(false).await;
        } else {
            sign_in.expect_refused(&hub, ConnectReturnCode::NotAuthorized).await;
        }
    }
}

/// Whom a topic is for: a client of the provisioning service, a module or a device.
async fn sign_in_for(hub: &TestHub, topic: &str) -> SignIn {
    let name = if topic.contains("/modules/") { "d/m" } else { "d" };
    let sign_in = SignIn::of(hub, &IdentityId::parse(name).unwrap()).await;
    if topic.starts_with("$dps") {
        let username = provisioning::user_name(ID_SCOPE, "r", "test");
        return SignIn { client_id: "r".to_owned(), username, ..sign_in };
    }
    sign_in
}

#[tokio::test]
async fn the_topics_of_the_table_are_there_or_end_the_connection() {
    let hub = TestHub::start().await;
    hub.create("d/m").await;
    let rows = rows("MQTT");
    assert!(rows.len() > 15);
    for cells in rows {
        let (packet, topic) = cells[0].split_once(' ').unwrap();
        let topic = filled(topic);
        let mut client = sign_in_for(&hub, &topic).await.connect(&hub).await;
        client.expect_accepted(false).await;
        match packet {
            "SUBSCRIBE" => drop(client.send_subscribe(&[(&topic, QoS::AtLeastOnce)]).await),
            "PUBLISH" => drop(client.publish(&topic, QoS::AtLeastOnce, "{}").await),
            other => panic!("{other}"),
        }
        match cells[1] {
            "missing" => client.expect_end().await,
            "as Azure" | "differs" => {
                let answer = client.receive().await;
                assert!(
                    matches!(answer, Packet::SubAck(_) | Packet::PubAck(_)),
                    "{packet} {topic}: {answer:?}"
                );
            }
            other => panic!("{packet} {topic}: {other} is none of the three"),
        }
    }
}
