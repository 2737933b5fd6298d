"""awscrt: publishes, with at most AT_ONCE futures that are not done."""

from collections import deque
from concurrent.futures import Future

from awscrt.io import ClientTlsContext, TlsContextOptions
from awscrt.mqtt import Client, Connection, QoS
from measure import AT_ONCE, CA_FILE, CALLS, HOST, PAYLOAD, PORT, TOPIC, WARM_UP, measured

options = TlsContextOptions()
options.override_default_trust_store_from_path(None, CA_FILE)
client = Client(tls_ctx=ClientTlsContext(options))
connection = Connection(client, HOST, PORT, "bench-awscrt")


def publish(count: int) -> None:
    """So many messages."""
    sent: deque[Future[object]] = deque()
    for _ in range(count):
        if len(sent) == AT_ONCE:
            sent.popleft().result()
        sent.append(connection.publish(TOPIC, PAYLOAD, QoS.AT_LEAST_ONCE)[0])
    for future in sent:
        future.result()


connection.connect().result()
publish(WARM_UP)
with measured(sent=WARM_UP + CALLS):
    publish(CALLS)
connection.disconnect().result()
