//! The workload API that a hub has for a module, as the module's program and others ask it.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub::auth::SasKey;
use ferrohub::device::Workload;
use ferrohub::error::ErrorKind;
use ferrohub::http::{Client, Origin, Request, Settings};
use ferrohub::protocol::identity::IdentityId;
use ferrohub::tls::Roots;
use serde_json::{Value, json};

use crate::support::TestHub;

/// An open workload API.
struct Opened {
    number: u64,
    environment: Value,
}

impl Opened {
    async fn of(hub: &TestHub, module: &IdentityId, path: Option<PathBuf>) -> Self {
        let opened = hub.hub.open_workload(module.clone(), path.as_deref()).await.unwrap();
        Self { number: opened["number"].as_u64().unwrap(), environment: opened["environment"].clone() }
    }

    fn variable(&self, name: &str) -> &str {
        self.environment[name].as_str().unwrap()
    }

    fn client(&self) -> Workload {
        let [uri, version, module, generation] =
            ["WORKLOADURI", "APIVERSION", "MODULEID", "MODULEGENERATIONID"]
                .map(|name| self.variable(&format!("IOTEDGE_{name}")));
        Workload::new(uri, version, module, generation, "test").unwrap()
    }

    /// Status and body of the answer.
    async fn ask(&self, method: &str, target: &str, body: Option<Value>) -> (u16, Value) {
        let origin = Origin::parse(self.variable("IOTEDGE_WORKLOADURI")).unwrap();
        let client = Client::new(Settings::new(origin, "test".into(), Roots::System)).unwrap();
        let body = body.map(|body| body.to_string().into());
        let answer = client.send(&Request::new(method, target.into(), &[], body).unwrap()).await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }
}

#[tokio::test]
async fn it_signs_with_the_modules_own_keys_and_tells_whom_to_trust() {
    let hub = TestHub::start().await;
    let module = hub.create("edge/m").await;
    let opened = Opened::of(&hub, &module, None).await;
    let workload = opened.client();
    let key =
        SasKey::from_base64(hub.connection_string(&module).await.get("SharedAccessKey").unwrap()).unwrap();
    assert_eq!(workload.sign("some\ntext").await.unwrap(), STANDARD.encode(key.sign("some\ntext")));
    let ca = std::fs::read_to_string(hub.hub.ca_pem_path()).unwrap();
    assert_eq!(workload.trust_bundle().await.unwrap(), ca);
    for name in ["IOTEDGE_IOTHUBHOSTNAME", "IOTEDGE_GATEWAYHOSTNAME"] {
        assert_eq!(opened.variable(name), format!("localhost:{}", hub.hub.port()));
    }
    assert_eq!((opened.variable("IOTEDGE_DEVICEID"), opened.variable("IOTEDGE_MODULEID")), ("edge", "m"));
}

#[tokio::test]
async fn what_it_can_not_answer_it_refuses_with_a_message() {
    let hub = TestHub::start().await;
    let module = hub.create("edge/m").await;
    hub.create("edge/other").await;
    let opened = Opened::of(&hub, &module, None).await;
    let generation = opened.variable("IOTEDGE_MODULEGENERATIONID");
    let sign = |module: &str, generation: &str| {
        format!("/modules/{module}/genid/{generation}/sign?api-version=2019-01-30")
    };
    let body = json!({ "keyId": "secondary", "algo": "HMACSHA256", "data": "dGV4dA==" });
    let own = sign("m", generation);
    assert_eq!(opened.ask("POST", &own, Some(body.clone())).await.0, 200);
    for (target, change, status) in [
        (sign("other", generation), json!({}), 404),
        (sign("m", "1"), json!({}), 404),
        (own.replace("?api-version=2019-01-30", ""), json!({}), 400),
        (own.clone(), json!({ "algo": "MD5" }), 400),
        (own.clone(), json!({ "keyId": "tertiary" }), 400),
        (own.clone(), json!({ "data": "*" }), 400),
        ("/modules?api-version=2019-01-30".to_owned(), json!({}), 404),
    ] {
        let mut changed = body.clone();
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (answered, said) = opened.ask("POST", &target, Some(changed)).await;
        assert_eq!(answered, status, "{target} {change}");
        assert!(said["message"].is_string(), "{said}");
    }
    hub.rest("DELETE", "/devices/edge/modules/m", None).await;
    assert_eq!(opened.ask("POST", &own, Some(body)).await.0, 404);
}

#[tokio::test]
async fn a_device_and_a_module_without_keys_have_none() {
    let hub = TestHub::start().await;
    let device = hub.create("edge").await;
    let certified = json!({ "deviceId": "edge", "moduleId": "certified", "authentication": { "type": "certificateAuthority" } });
    assert_eq!(hub.rest("PUT", "/devices/edge/modules/certified", Some(certified)).await.0, 200);
    for id in
        [device, IdentityId::parse("edge/certified").unwrap(), IdentityId::parse("edge/nobody").unwrap()]
    {
        let error = hub.hub.open_workload(id, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Service(404));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn its_socket_is_for_its_owner_and_gone_when_it_is_closed() {
    use std::os::unix::fs::PermissionsExt;
    let hub = TestHub::start().await;
    let module = hub.create("edge/m").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workload.sock");
    let opened = Opened::of(&hub, &module, Some(path.clone())).await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(opened.client().trust_bundle().await.is_ok());
    let second = hub.hub.open_workload(module.clone(), Some(&path)).await.unwrap_err();
    assert!(second.message().contains("workload.sock"), "{second}");
    hub.hub.close_workload(opened.number);
    assert!(!path.exists());
    let error = opened.client().trust_bundle().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Workload);
    let _again = Opened::of(&hub, &module, Some(path.clone())).await;
    drop(hub);
    assert!(!path.exists());
}
