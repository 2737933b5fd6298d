//! Where IoT Hub offers its protocols over WebSockets, on port 443:
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-protocols>.

/// The path, for every protocol.
pub const PATH: &str = "/$iothub/websocket";
/// The subprotocol that is MQTT 3.1.1.
pub const MQTT: &str = "mqtt";
