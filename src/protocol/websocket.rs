//! Where IoT Hub offers its protocols over WebSockets, on port 443:
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-protocols>.

/// The path, for every protocol.
pub const PATH: &str = "/$iothub/websocket";
/// The path that AMQP clients of Service Bus ask for; that of the official package ends with a slash.
pub const SERVICE_BUS_PATH: &str = "/$servicebus/websocket";
/// The subprotocol that is MQTT 3.1.1.
pub const MQTT: &str = "mqtt";
/// The subprotocols that are AMQP 1.0: that of Microsoft's clients, and the registered one.
pub const AMQP: [&str; 2] = ["AMQPWSB10", "amqp"];
