//! A raw MQTT client: sends any packet, waits for packets and for the end.

use std::time::Duration;

use bytes::BytesMut;
use ferrohub::auth::SasKey;
use ferrohub::protocol::identity::IdentityId;
use ferrohub::protocol::topics;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, Publish, Subscribe, SubscribeFilter,
};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{START, TestHub, soon};

/// What a client sends in its CONNECT.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) clean_session: bool,
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<LastWill>,
}

impl SignIn {
    /// What the identity itself would send; its token is good for an hour.
    pub(crate) async fn of(hub: &TestHub, id: &IdentityId) -> Self {
        let connection_string = hub.connection_string(id).await;
        let key = SasKey::from_base64(connection_string.get("SharedAccessKey").unwrap()).unwrap();
        let host = connection_string.host_name();
        let resource = [host].into_iter().chain(id.resource()).collect::<Vec<_>>().join("/");
        Self {
            client_id: id.to_string(),
            username: format!("{host}/{id}/?api-version=2021-04-12"),
            password: key.device_token(&resource, START / 1000 + 3600),
            clean_session: true,
            keep_alive: 60,
            will: None,
        }
    }

    pub(crate) fn packet(&self) -> Connect {
        let mut packet = Connect::new(self.client_id.clone());
        packet.set_login(self.username.clone(), self.password.clone());
        packet.clean_session = self.clean_session;
        packet.keep_alive = self.keep_alive;
        packet.last_will.clone_from(&self.will);
        packet
    }

    /// Send it; the answer is yet to come.
    pub(crate) async fn connect(&self, hub: &TestHub) -> MqttClient {
        self.connect_over(hub.tls(&[]).await).await
    }

    /// Send these bytes as a CONNECT.
    pub(crate) async fn raw(hub: &TestHub, packet: &[u8]) -> MqttClient {
        Self::raw_over(hub.tls(&[]).await, packet).await
    }

    /// Send it over this connection; the answer is yet to come.
    pub(crate) async fn connect_over(&self, stream: TlsStream<TcpStream>) -> MqttClient {
        let mut packet = BytesMut::new();
        self.packet().write(&mut packet).unwrap();
        Self::raw_over(stream, &packet).await
    }

    async fn raw_over(stream: TlsStream<TcpStream>, packet: &[u8]) -> MqttClient {
        let mut client = MqttClient { stream, buffer: BytesMut::new(), next_id: 1 };
        client.send_bytes(packet).await;
        client
    }

    /// Send it, and expect to be refused with this code and cut off.
    pub(crate) async fn expect_refused(&self, hub: &TestHub, code: ConnectReturnCode) {
        self.connect(hub).await.expect_refusal(code).await;
    }
}

pub(crate) struct MqttClient {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    next_id: u16,
}

impl MqttClient {
    pub(crate) async fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, usize::MAX).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Packet {
        soon("a packet", self.next_packet()).await.expect("the hub ended the connection")
    }

    /// Wait for the hub to end the connection; nothing more may come before.
    pub(crate) async fn expect_end(&mut self) {
        let packet = soon("the end of the connection", self.next_packet()).await;
        assert_eq!(packet, None);
    }

    async fn next_packet(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.buffer, 1 << 20) {
                Ok(packet) => return Some(packet),
                Err(Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("the hub sent a malformed packet: {error}"),
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn expect_accepted(&mut self, session_present: bool) {
        let accepted = ConnAck { session_present, code: ConnectReturnCode::Success };
        assert_eq!(self.receive().await, Packet::ConnAck(accepted));
    }

    /// Wait to be refused with this code and cut off.
    pub(crate) async fn expect_refusal(&mut self, code: ConnectReturnCode) {
        assert_eq!(self.receive().await, Packet::ConnAck(ConnAck { session_present: false, code }));
        self.expect_end().await;
    }

    /// Publish without waiting for anything; the packet id, if it has one.
    pub(crate) async fn publish(&mut self, topic: &str, qos: QoS, payload: &str) -> u16 {
        let mut publish = Publish::new(topic, qos, payload);
        publish.pkid = self.next_id();
        self.send(&Packet::Publish(publish.clone())).await;
        publish.pkid
    }

    /// Subscribe to filters; the granted quality of service of each.
    pub(crate) async fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Vec<QoS> {
        use rumqttc::mqttbytes::v4::SubscribeReasonCode::Success;
        let id = self.send_subscribe(filters).await;
        let Packet::SubAck(answer) = self.receive().await else { panic!("no SUBACK") };
        assert_eq!(answer.pkid, id);
        let granted = answer.return_codes.into_iter();
        granted.map(|code| if let Success(qos) = code { qos } else { panic!("refused") }).collect()
    }

    pub(crate) async fn send_subscribe(&mut self, filters: &[(&str, QoS)]) -> u16 {
        let filters = filters.iter().map(|(path, qos)| SubscribeFilter::new((*path).to_owned(), *qos));
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = self.next_id();
        self.send(&Packet::Subscribe(subscribe.clone())).await;
        subscribe.pkid
    }

    /// Wait for a message at `QoS` 0: its topic and payload. None is retained.
    pub(crate) async fn message(&mut self) -> (String, String) {
        let Packet::Publish(publish) = self.receive().await else { panic!("no message") };
        assert_eq!((publish.qos, publish.retain), (QoS::AtMostOnce, false));
        (publish.topic, String::from_utf8(publish.payload.to_vec()).unwrap())
    }

    /// Wait for a message at `QoS` 1, and leave it unacknowledged: its topic, payload and packet id, and
    /// whether it says that it was sent before.
    pub(crate) async fn acknowledgeable(&mut self) -> (String, String, u16, bool) {
        let Packet::Publish(publish) = self.receive().await else { panic!("no message") };
        assert_eq!((publish.qos, publish.retain), (QoS::AtLeastOnce, false));
        (publish.topic, String::from_utf8(publish.payload.to_vec()).unwrap(), publish.pkid, publish.dup)
    }

    /// Whether nothing comes for so long, not even the end.
    pub(crate) async fn silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.next_packet()).await.is_err()
    }

    /// Wait for an answer to everything sent so far; nothing else may come.
    pub(crate) async fn settle(&mut self) {
        self.send(&Packet::PingReq).await;
        assert_eq!(self.receive().await, Packet::PingResp);
    }

    /// Ask for the twin: the answer's topic and payload.
    pub(crate) async fn get_twin(&mut self) -> (String, String) {
        self.publish(&topics::twin_get("r1"), QoS::AtMostOnce, "").await;
        self.message().await
    }

    fn next_id(&mut self) -> u16 {
        self.next_id += 1;
        self.next_id
    }
}
