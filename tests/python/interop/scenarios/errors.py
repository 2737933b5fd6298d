"""What is raised for what goes wrong: each scenario gives the class, the text and the cause of each error by name."""

from __future__ import annotations

from typing import Any, Callable

from any_client import done, elsewhere
from azure.iot.device import X509, Message, MethodResponse, ProxyOptions
from interop.stage import KEY, Stage, error, raised

STRING = f"HostName=h;DeviceId=d;SharedAccessKey={KEY}"


async def errors_of_keyword_arguments(stage: Stage) -> Any:
    def given(**options: Any) -> Callable[[], Any]:
        return lambda: stage.factory("device").create_from_connection_string(STRING, **options)

    return await raised(
        {
            "unknown": given(model_id="dtmi:x"),
            "excluded": given(gateway_hostname="g"),
            "no cipher": given(cipher=None),
            "cipher of another type": given(cipher=("A",)),
            "keep_alive is None": given(keep_alive=None),
            "keep_alive is a word": given(keep_alive="x"),
            "keep_alive is 0": given(keep_alive=0.9),
            "keep_alive is above": given(keep_alive=1741),
            "keep_alive as a text": given(keep_alive="30"),
            "interval is None": given(connection_retry_interval=None),
            "interval is 0": given(connection_retry_interval=0.5),
            "interval is above": given(connection_retry_interval=1e10),
            "proxy of another type": given(proxy_options="http://p:8080"),
            "sastoken_ttl is negative": given(sastoken_ttl=-5),
        }
    )


async def errors_of_connection_strings(stage: Stage) -> Any:
    def text(value: Any, of: str = "device") -> Callable[[], Any]:
        return lambda: stage.factory(of).create_from_connection_string(value)

    return await raised(
        {
            "no text": text(5),
            "no pairs": text("HostName"),
            "semicolon at the end": text(f"{STRING};"),
            "twice the same": text(f"{STRING};DeviceId=d"),
            "unknown key": text(f"{STRING};Bogus=1"),
            "key in lower case": text(f"hostname=h;DeviceId=d;SharedAccessKey={KEY}"),
            "two credentials": text(f"{STRING};x509=true"),
            "no credentials": text("HostName=h;DeviceId=d"),
            "no device": text(f"HostName=h;SharedAccessKey={KEY}"),
            "empty device": text(f"HostName=h;DeviceId=;SharedAccessKey={KEY}"),
            "certificate": text("HostName=h;DeviceId=d;x509=true"),
            "of a policy": text(f"HostName=h;SharedAccessKeyName=n;SharedAccessKey={KEY}"),
            "key that is no base64": text("HostName=h;DeviceId=d;SharedAccessKey=Zm9vY"),
            "key of nothing": text("HostName=h;DeviceId=d;SharedAccessKey=!!!"),
            "name of the key": text(f"{STRING};SharedAccessKeyName=n"),
            "module for a device": text(f"{STRING};ModuleId=m"),
            "device for a module": text(STRING, "module"),
        }
    )


async def errors_of_credentials(stage: Stage) -> Any:
    def token(resource: str, expiry: object = 2**40, of: str = "device") -> Callable[[], Any]:
        text = f"SharedAccessSignature sr={resource}&sig=c&se={expiry}"
        return lambda: stage.factory(of).create_from_sastoken(text)

    def another(resource: str) -> Callable[[], Any]:
        client = token("h%2Fdevices%2Fd%2Fmodules%2Fm", of="module")()
        return lambda: client.update_sastoken(f"SharedAccessSignature sr={resource}&sig=c&se={2**40}")

    certificate = X509("/does/not/exist", "/does/not/exist")
    return await raised(
        {
            "no token": lambda: stage.factory("device").create_from_sastoken("none"),
            "token for a hub": token("h"),
            "token for something else": token("h%2Fdev%2Fd"),
            "token for no module": token("h%2Fdevices%2Fd%2Fmod%2Fm"),
            "token for a module": token("h%2Fdevices%2Fd%2Fmodules%2Fm"),
            "token for a device": token("h%2Fdevices%2Fd", of="module"),
            "expired token": token("h%2Fdevices%2Fd", 5),
            "expiry that is no number": token("h%2Fdevices%2Fd", "soon"),
            "token and its time to live": lambda: stage.factory("device").create_from_sastoken(
                f"SharedAccessSignature sr=h%2Fdevices%2Fd&sig=c&se={2**40}", sastoken_ttl=5
            ),
            "token of another device": another("h%2Fdevices%2Fe%2Fmodules%2Fm"),
            "token of another module": another("h%2Fdevices%2Fd%2Fmodules%2Fn"),
            "token of another hub": another("i%2Fdevices%2Fd%2Fmodules%2Fm"),
            "token for a client with a key": lambda: stage.client(STRING).update_sastoken("none"),
            "certificate that is not there": lambda: stage.factory("device").create_from_x509_certificate(
                certificate, "h", "d"
            ),
            "no IoT Edge": lambda: stage.factory("module").create_from_edge_environment(),
            "proxy of no type": lambda: ProxyOptions("HTTPS", "p", 1),
        }
    )


async def errors_of_calls(stage: Stage) -> Any:
    client, module = stage.client(), stage.module_client()
    receiving = stage.begin(client.receive_message)
    await stage.hub.send_c2d_message(stage.device, "for the call")
    await receiving
    module.on_message_received = print
    twice = Message("x")
    twice.custom_properties = {1: "a", "1": "b"}
    await elsewhere(stage.registry.create_device_with_sas, "a+b", "", "", "enabled")
    odd = stage.client(await stage.hub.device_connection_string("a+b"))
    return await raised(
        {
            "handlers beside calls": lambda: setattr(client, "on_message_received", print),
            "calls beside handlers": lambda: module.receive_message_on_input("in"),
            "data without a form": lambda: client.send_message({"a": 1}),
            "two properties of one name": lambda: client.send_message(twice),
            "largest message": lambda: client.send_message(b"x" * (262144 - 33)),
            "too large": lambda: client.send_message(b"x" * (262144 - 32)),
            "too large for an output": lambda: module.send_message_to_output("x" * 262144, "out"),
            "report that is refused": lambda: client.patch_twin_reported_properties({"a": "x" * 50_000}),
            "report that is no JSON": lambda: client.patch_twin_reported_properties({"a": b"bytes"}),
            "response that is no JSON": lambda: client.send_method_response(MethodResponse("1", 200, {1, 2})),
            "id with a wildcard": lambda: odd.send_message("x"),
        }
    )


async def errors_of_connections(stage: Stage) -> Any:
    lonely = stage.client(auto_connect=False)
    closed = stage.client()
    await done(closed.shutdown())
    calls: dict[str, Callable[[], Any]] = {
        "not connected": lambda: lonely.send_message("x"),
        "shut down": closed.connect,
        "no such host": stage.client(f"HostName=nothing.invalid;DeviceId=d;SharedAccessKey={KEY}").connect,
        "another name": stage.client(f"HostName=hub.example;DeviceId=d;SharedAccessKey={KEY}").connect,
        "another CA": stage.client(server_verification_cert=await stage.hub.another_ca()).connect,
    }
    errors = await raised(calls)
    # Not 1: to the official package it means that the hub knows MQTT 3.1, which it tries then.
    for code in range(2, 6):
        await stage.hub.refuse_connects(stage.device, code)
        errors[f"return code {code}"] = await error(stage.client().connect)
        await stage.hub.clear_faults()
    await stage.hub.withhold_pubacks(stage.device)
    client = stage.client()
    sending = stage.begin(client.send_message, "not acknowledged")
    await stage.hub.wait_for_telemetry(stage.device)
    await done(client.disconnect())
    await stage.hub.clear_faults()
    return {**errors, "disconnected meanwhile": await error(lambda: sending)}


async def errors_of_uploads(stage: Stage) -> Any:
    client = stage.client()
    stranger = stage.client(f"HostName=localhost;DeviceId=nobody;SharedAccessKey={KEY}")
    errors = await raised(
        {
            "unknown upload": lambda: client.notify_blob_upload_status("nothing", True, 200, ""),
            "name that is empty": lambda: client.get_storage_info_for_blob(""),
            "name that is no JSON": lambda: client.get_storage_info_for_blob(b"a"),
            "status that is no JSON": lambda: client.notify_blob_upload_status("nothing", True, 200, b""),
            "unknown device": lambda: stranger.get_storage_info_for_blob("a"),
        }
    )
    for _ in range(10):
        await done(client.get_storage_info_for_blob("a"))
    return {**errors, **await raised({"eleventh upload": lambda: client.get_storage_info_for_blob("a")})}
