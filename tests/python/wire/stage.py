"""What a scenario has at hand: a sort of client, the recorder, and the hub's part."""

from __future__ import annotations

import base64
import hashlib
import hmac
import queue
import time
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

from any_client import SECONDS, Sort, elsewhere
from wire.broker import BackEnd
from wire.packets import Packet
from wire.recorder import Recorder

HOST, KEY = "localhost", "Zm9vYmFy"


class Stage:
    """The stage of one scenario. Its device has the scenario's name."""

    def __init__(self, name: str, sort: Sort, folder: Path, recorder: Recorder, back: BackEnd) -> None:
        self.sort, self.folder, self.recorder, self.back = sort, folder, recorder, back
        self._arrivals: queue.Queue[Any] = queue.Queue()
        self.device = name
        self.told: list[Packet] = []

    @property
    def ids(self) -> list[str]:
        return [self.device, "mod1"] if self.sort.module else [self.device]

    @property
    def path(self) -> str:
        return "devices/" + "/modules/".join(self.ids)

    def client(self, host: str = HOST, gateway: str = "", device: str = "", **options: Any) -> Any:
        """A client with a key."""
        self.device = device or self.device
        ids = ";".join(f"{kind}Id={value}" for kind, value in zip(("Device", "Module"), self.ids))
        text = f"HostName={host};{ids};SharedAccessKey={KEY}" + (f";GatewayHostName={gateway}" if gateway else "")
        return self.sort.from_connection_string(text, **options)

    def token(self, seconds: int) -> str:
        """A token for the client that lives so long."""
        resource, expiry = quote(f"{HOST}/{self.path}", safe=""), str(int(time.time()) + seconds)
        return f"SharedAccessSignature sr={resource}&sig={signature(resource, expiry)}&se={expiry}"

    def message_topic(self, properties: str) -> str:
        """Where a message to the client is published: from the cloud, or on an input."""
        return f"{self.path}/{'inputs/in%201' if self.sort.module else 'messages/devicebound'}/{properties}"

    def tell(self, **values: Any) -> None:
        """Put at the end of the record what the program got."""
        self.told.append({"packet": "to the program", **values})

    def arrive(self, item: Any) -> None:
        """A handler, which may run in any thread: the item is the next `arrival`."""
        self._arrivals.put(item)

    async def arrival(self) -> Any:
        """What a handler was given next."""
        return await elsewhere(self._arrivals.get, True, SECONDS)

    async def wait(self, wanted: Callable[[Packet], bool], count: int = 1) -> None:
        """Wait until the client has sent so many packets of this sort."""
        await elsewhere(self.recorder.wait_for, wanted, count)

    async def seen(self, kind: str, count: int = 1, **fields: Any) -> None:
        """Wait until the client has sent so many packets of this kind, with these fields."""
        await self.wait(lambda packet: packet["packet"] == kind and fields.items() <= packet.items(), count)


def subscribed_to(topic: str) -> Callable[[Packet], bool]:
    return lambda packet: packet.get("filters") == [[topic, 1]]


def twin_read(packet: Packet) -> bool:
    topic: str = packet.get("topic", "")
    return topic.startswith("$iothub/twin/GET/")


def signature(resource: str, expiry: str) -> str:
    """That of a token, as it stands in it."""
    digest = hmac.digest(base64.b64decode(KEY), f"{resource}\n{expiry}".encode(), hashlib.sha256)
    return quote(base64.b64encode(digest), safe="")
