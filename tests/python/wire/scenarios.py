"""What a client is made to do while its packets are recorded: each public coroutine function is a scenario.

Where a client acts by itself, the scenario waits for the packet before it goes on: so the order of the packets is the
client's own. What reaches the program stands at the end of the record.
"""

from __future__ import annotations

import datetime as dt
import queue
from typing import Any, Callable
from urllib.parse import quote

from any_client import SECONDS, done, elsewhere
from azure.iot.device import X509, Message, MethodResponse
from wire.broker import forget_session
from wire.stage import HOST, Stage, subscribed_to, twin_read

PATCHES = "$iothub/twin/PATCH/properties/desired/#"


async def connection(stage: Stage) -> None:
    client = stage.client()
    for call in (client.connect, client.connect, client.disconnect, client.disconnect, client.connect):
        await done(call())
    await done(client.shutdown())


async def keep_alive(stage: Stage) -> None:
    client = stage.client(keep_alive=1)
    await done(client.connect())
    await stage.seen("PINGREQ")
    await done(client.shutdown())


async def product_info(stage: Stage) -> None:
    await _connect(stage.client(product_info="my prod/1+\u00e9", keep_alive=1740))


async def model_id(stage: Stage) -> None:
    await _connect(stage.client(product_info="dtmi:com:example:Thermostat;1"))


async def gateway(stage: Stage) -> None:
    await _connect(stage.client(host="hub.example", gateway=HOST))


async def odd_id(stage: Stage) -> None:
    client = stage.client(device="a%2F b=c(1)$")
    await done(client.send_message("hello"))
    client.on_message_received = _ignore
    await done(client.shutdown())


async def certificate(stage: Stage) -> None:
    x509 = X509(str(stage.folder / "server.pem"), str(stage.folder / "server.key"))
    client = stage.sort.cls.create_from_x509_certificate(x509, HOST, *stage.ids, **stage.sort.options)
    await _connect(client)


async def given_token(stage: Stage) -> None:
    client = stage.sort.cls.create_from_sastoken(stage.token(3600), **stage.sort.options)
    await done(client.connect())
    await done(client.update_sastoken(stage.token(7200)))
    await done(client.send_message("hello"))
    await done(client.shutdown())


async def _connect(client: Any) -> None:
    await done(client.connect())
    await done(client.shutdown())


async def first_contact_by_message(stage: Stage) -> None:
    await _only(stage, lambda client: client.send_message("hello"))


async def first_contact_by_twin(stage: Stage) -> None:
    await _only(stage, lambda client: client.get_twin())


async def first_contact_by_report(stage: Stage) -> None:
    await _only(stage, lambda client: client.patch_twin_reported_properties({"a": 1}))


async def first_contact_by_message_handler(stage: Stage) -> None:
    await _only(stage, lambda client: setattr(client, "on_message_received", _ignore))


async def first_contact_by_method_handler(stage: Stage) -> None:
    await _only(stage, lambda client: setattr(client, "on_method_request_received", _ignore))


async def _only(stage: Stage, act: Callable[[Any], Any]) -> None:
    client = stage.client()
    await done(act(client))
    await done(client.shutdown())


async def first_contact_by_patch_handler(stage: Stage) -> None:
    client = stage.client()
    client.on_twin_desired_properties_patch_received = _ignore
    await stage.wait(subscribed_to(PATCHES))
    await stage.wait(twin_read)
    await done(client.shutdown())


async def handlers_set_and_unset(stage: Stage) -> None:
    client = stage.client(ensure_desired_properties=False)
    await done(client.connect())
    for handler in (_ignore, print, None, None, _ignore):
        client.on_message_received = handler
        client.on_method_request_received = handler
        client.on_twin_desired_properties_patch_received = handler
    await done(client.shutdown())


async def twin(stage: Stage) -> None:
    client = stage.client()
    await done(client.connect())
    for _ in range(2):
        stage.tell(twin=await done(client.get_twin()))
    for patch in ({"x": 1, "s": "\u00e9"}, {}, {"nested": {"gone": None, "list": [1, 2.5, True]}}):
        await done(client.patch_twin_reported_properties(patch))
    await done(client.shutdown())


async def payloads(stage: Stage) -> None:
    client = stage.client()
    for payload in ("hello", "\u00e9", "", None, 5, 1.5, True, b"\x00\xff", bytearray(b"bytes"), Message("a message")):
        await done(client.send_message(payload))
    await done(client.shutdown())


async def properties(stage: Stage) -> None:
    client = stage.client()
    for message in _messages():
        await done(client.send_message(message))
    await done(client.shutdown())


def _messages() -> list[Message]:
    full = Message("full", "mid 1/+&=?", "utf-8", "application/json")
    full.correlation_id, full.user_id, full.expiry_time_utc = "c#1", "u", "2030-01-01T00:00:00Z"
    full.custom_properties = {"b key": "v 1/%&=", "a": 2, "n": None, "": "", "\u00e9": "\u00fc"}
    full.ack, full.input_name = "full", "never sent"
    full.set_as_security_message()
    falsy = Message("falsy", "", "", "", "")
    vars(falsy).update(correlation_id=0, user_id=False, expiry_time_utc="")
    dates = []
    for expiry in (dt.datetime(2030, 1, 2, 3, 4, 5, 6), dt.date(2030, 1, 2), 7):
        dates.append(Message("expires"))
        dates[-1].expiry_time_utc = expiry
    ordered = Message("in the order of their names")
    ordered.custom_properties = {10: "ten", "9": "nine", "Z": "", "z": True, "a": 1.5}
    return [full, falsy, *dates, ordered]


async def outputs(stage: Stage) -> None:
    client = stage.client()
    await done(client.connect())
    if stage.sort.module:
        message = Message("to an output", "m1")
        message.custom_properties = {"a": "b"}
        await done(client.send_message_to_output(message, "out 1/x"))
        await done(client.send_message(message))
        await done(client.send_message_to_output("text", "out"))
    await done(client.shutdown())


async def methods(stage: Stage) -> None:
    client = stage.client()
    client.on_method_request_received = stage.arrive
    for number, (name, payload, status, response) in enumerate(
        (
            ("reboot", '{"x": 1}', 200, {"ok": True}),
            ("get max/min", "", -3, None),
            ("part*get", "[1, null]", 404, "\u00e9"),
            ("caf\u00e9", "5", 200, [1, {"a": 1.5}]),
        )
    ):
        stage.back.publish(f"$iothub/methods/POST/{quote(name, safe='*')}/?$rid={number}a", payload)
        request = await stage.arrival()
        stage.tell(request_id=request.request_id, name=request.name, payload=request.payload)
        await done(client.send_method_response(MethodResponse.create_from_method_request(request, status, response)))
    await done(client.send_method_response(MethodResponse("rid/1 +", 200, 5)))
    await done(client.shutdown())


async def messages_received(stage: Stage) -> None:
    client = stage.client()
    client.on_message_received = stage.arrive
    segments = (
        "",
        "a=b",
        "%24.mid=m%201&%24.cid=c&%24.uid=u&%24.ct=text%2Fplain&%24.ce=utf-8&%24.exp=2030-01-01T00%3A00%3A00Z",
        "%24.to=%2Fdevices%2Fx&iothub-ack=full&%24.cdid=d&%24.cmid=m&b%20key=v%201%2F%25%26%3D",
        "no%20value&empty=&a=b=c&%C3%A9=%C3%BC",
    )
    for number, segment in enumerate(segments):
        stage.back.publish(stage.message_topic(segment), "\u00e9", min(number, 1))
        message = await stage.arrival()
        await stage.seen("PUBACK", number)
        told = {name: value for name, value in vars(message).items() if value is not None}
        stage.tell(**{**told, "data": message.data.decode()})
    await done(client.shutdown())


async def patches_received(stage: Stage) -> None:
    client = stage.client()
    await done(client.get_twin())
    client.on_twin_desired_properties_patch_received = stage.arrive
    for version in (5, 6):
        payload = f'{{"a": {{"b": null, "c": "\u00e9"}}, "$version": {version}}}'
        stage.back.publish(f"$iothub/twin/PATCH/properties/desired/?$version={version}", payload)
        stage.tell(patch=await stage.arrival())
    await done(client.shutdown())


async def malformed_packets_received(stage: Stage) -> None:
    client = stage.client(ensure_desired_properties=False)
    await _set_all(client)
    client.on_message_received = stage.arrive
    errors: queue.Queue[Exception] = queue.Queue()
    client.on_background_exception = errors.put
    for topic, payload in (
        ("$iothub/twin/res/200/?$rid=nobody-asked", "{}"),
        ("$iothub/twin/res/", ""),
        ("$iothub/twin/res/ok/?$rid=1", "{}"),
        ("$iothub/methods/POST/reboot/", "null"),
        ("$iothub/methods/POST/reboot/?$rid=1", "no JSON"),
        ("$iothub/twin/PATCH/properties/desired/?$version=2", "no JSON"),
        (stage.message_topic("%ff=%fe&=&&a"), "after all of them"),
    ):
        stage.back.publish(topic, payload, 1)
    stage.tell(data=(await stage.arrival()).data.decode())
    await stage.seen("PUBACK", 7)
    # For all but the first and the last.
    for _ in range(5):
        await elsewhere(errors.get, True, SECONDS)
    stage.tell(twin=await done(client.get_twin()))
    await done(client.shutdown())


async def received_by_calls(stage: Stage) -> None:
    client = stage.client()
    receive = (client.receive_message_on_input, "in 1") if stage.sort.module else (client.receive_message,)
    receiving = stage.sort.begin(*receive)
    await stage.seen("SUBSCRIBE")
    await done(client.send_message("the broker has the subscription now"))
    stage.back.publish(stage.message_topic("a=b"), "to the client", 1)
    stage.tell(data=(await receiving).data.decode())
    receiving = stage.sort.begin(client.receive_method_request, "reboot")
    await stage.seen("SUBSCRIBE", 2)
    await done(client.send_message("the broker has the subscription now"))
    stage.back.publish("$iothub/methods/POST/reboot/?$rid=1", "null")
    stage.tell(name=(await receiving).name)
    await done(client.shutdown())


async def replay(stage: Stage) -> None:
    client = stage.client()
    await done(client.send_message("acknowledged"))
    sending = await _send_into_the_void(stage, client, "dropped")
    stage.recorder.drop()
    await sending
    await done(client.send_message("after"))
    await done(client.shutdown())


async def disconnected_with_a_message_in_flight(stage: Stage) -> None:
    client = stage.client()
    await done(client.connect())
    sending = await _send_into_the_void(stage, client, "cancelled")
    await done(client.disconnect())
    stage.tell(error=await _error(sending))
    await stage.seen("DISCONNECT")  # it is under way when `disconnect` returns
    stage.recorder.drop()
    await done(client.send_message("after"))
    await done(client.shutdown())


async def dropped_without_retry(stage: Stage) -> None:
    client = stage.client(connection_retry=False)
    await done(client.connect())
    sending = await _send_into_the_void(stage, client, "dropped")
    stage.recorder.drop()
    stage.tell(error=await _error(sending))
    await done(client.send_message("after"))
    await done(client.shutdown())


async def sent_without_a_connection(stage: Stage) -> None:
    client = stage.client(auto_connect=False)
    stage.tell(error=await _error(stage.sort.begin(client.send_message, "refused")))
    await done(client.connect())
    await done(client.send_message("after"))
    await done(client.shutdown())


async def _send_into_the_void(stage: Stage, client: Any, text: str) -> Any:
    stage.recorder.hold_back()
    sending = stage.sort.begin(client.send_message, text)
    await stage.seen("PUBLISH", payload=text)
    # It sends nothing, and when it is done the package knows that it has published.
    await done(client.connect())
    return sending


async def _error(call: Any) -> str:
    try:
        await call
    except Exception as error:  # noqa: BLE001 - whatever it is, the record tells
        return type(error).__name__
    return "none"


async def reconnect(stage: Stage) -> None:
    client = stage.client(ensure_desired_properties=False)
    await _set_all(client)
    stage.recorder.drop()
    await stage.seen("CONNECT", 2)
    await done(client.send_message("after"))
    await done(client.shutdown())


async def lost_session(stage: Stage) -> None:
    client = stage.client(ensure_desired_properties=False)
    await _set_all(client)
    forget_session("/".join(stage.ids))
    await stage.seen("CONNECT", 2)
    await done(client.send_message("after"))
    await done(client.shutdown())


async def _set_all(client: Any) -> None:
    client.on_message_received = _ignore
    client.on_method_request_received = _ignore
    client.on_twin_desired_properties_patch_received = _ignore
    await done(client.get_twin())


async def reconnect_reads_the_twin(stage: Stage) -> None:
    client = stage.client()
    await done(client.get_twin())
    client.on_twin_desired_properties_patch_received = _ignore
    read = sum(map(twin_read, stage.recorder.record()))
    stage.recorder.drop()
    await stage.wait(twin_read, read + 1)
    await done(client.shutdown())


def _ignore(_item: Any) -> None:
    pass
