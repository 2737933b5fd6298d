"""paho-mqtt: publishes with its loop in a thread, at most AT_ONCE messages in flight, the others in its queue."""

from measure import AT_ONCE, CA_FILE, CALLS, HOST, PAYLOAD, PORT, TOPIC, WARM_UP, measured
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

client = Client(CallbackAPIVersion.VERSION2, "bench-paho")
client.max_inflight_messages_set(AT_ONCE)
client.tls_set(CA_FILE)


def publish(count: int) -> None:
    """So many messages."""
    sent = [client.publish(TOPIC, PAYLOAD, qos=1) for _ in range(count)]
    for message in sent:
        message.wait_for_publish()


client.connect(HOST, PORT)
client.loop_start()
publish(WARM_UP)
with measured(sent=WARM_UP + CALLS):
    publish(CALLS)
client.disconnect()
client.loop_stop()
