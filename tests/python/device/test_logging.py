"""What a client writes into the log: enough to know what its connection does, and never a secret."""

from __future__ import annotations

import logging
import queue
import random
import re
from logging.handlers import QueueHandler
from typing import TYPE_CHECKING, Any

import pytest
from azure.iot.device.exceptions import CredentialError
from ferrohub.device.auth.sastoken import RenewableSasToken
from ferrohub.device.auth.signing_mechanism import SymmetricKeySigningMechanism
from log_without_secrets import SECRETS
from sorts_of_clients import SECONDS, Sort

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferrohub import LocalHub

STATES = "azure.iot.device.iothub.abstract_clients"


@pytest.fixture
def client(sort: Sort) -> Iterator[Any]:
    client = sort.cls.create_from_connection_string(sort.connection_string, connection_retry_interval=1)
    yield client
    sort.run(client.shutdown())


def wait_for_states(client: Any, sort: Sort, *, losses: int) -> None:
    """Connect, lose the connection so often, disconnect; return when all of it has been told."""
    told: queue.Queue[None] = queue.Queue()
    client.on_connection_state_change = lambda: told.put(None)
    sort.run(client.connect())
    told.get(timeout=SECONDS)
    for _ in range(losses):
        sort.back.hub.faults.drop()
        told.get(timeout=SECONDS)
        told.get(timeout=SECONDS)
    sort.run(client.disconnect())
    told.get(timeout=SECONDS)


def test_a_loss_is_one_warning_with_its_reason_and_when_it_connects_again(
    sort: Sort, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wait_for_states(client, sort, losses=1)
    name = sort.path.replace("/modules/", "/")
    lines = [(record.levelname, record.message) for record in caplog.records if record.name == STATES]
    assert lines[0] == ("INFO", f"Connection State - Connected ({name})")
    level, line = lines[1]
    assert level == "WARNING"
    begin = f"Connection State - Disconnected ({name}): Lost connection to IoTHub: the hub closed the connection; "
    assert re.fullmatch(re.escape(begin) + r"connecting again in \d+\.\d s", line)
    assert lines[2:] == [lines[0], ("INFO", f"Connection State - Disconnected ({name})")]
    assert not any(record.exc_info for record in caplog.records)


def test_connect_is_in_the_log_in_the_official_words(sort: Sort, client: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sort.run(client.connect())
    name = sort.path.replace("/modules/", "/")
    lines = [record.message for record in caplog.records if record.name.endswith("sync_clients")]
    assert lines == [f"Connecting to Hub... ({name})", f"Successfully connected to Hub ({name})"]


def test_attempts_that_fail_are_told_at_info_and_the_last_one_as_a_warning(
    sort: Sort, hub: LocalHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = sort.cls.create_from_connection_string(sort.connection_string, connection_retry_interval=1)
    errors: queue.Queue[Exception] = queue.Queue()
    client.on_background_exception = errors.put
    sort.run(client.connect())
    with hub.faults.refuse_connects(code=3):
        hub.faults.drop()
        for _ in ("lost", "refused", "refused"):
            errors.get(timeout=SECONDS)
        hub.faults.refuse_connects(code=2)  # an identifier that is not taken will never be
        while "not connecting again" not in caplog.text:
            errors.get(timeout=SECONDS)
    sort.run(client.shutdown())
    lines = [(record.levelname, record.message) for record in caplog.records if "Could not connect" in record.message]
    assert len(lines) >= 2
    assert all(level == "INFO" and "; connecting again in " in line for level, line in lines)
    (last,) = [record for record in caplog.records if record.message.endswith("; not connecting again")]
    assert last.levelname == "WARNING"


def test_a_client_without_handlers_writes_its_lines_too(sort: Sort, client: Any, hub: LocalHub) -> None:
    lines: queue.Queue[Any] = queue.Queue()
    handler = QueueHandler(lines)
    # The client of the test before may still have something to say.
    handler.addFilter(lambda record: f"({'/'.join(sort.ids)})" in record.getMessage())
    logging.getLogger(STATES).addHandler(handler)
    try:
        sort.run(client.connect())
        hub.faults.drop()
        levels = [lines.get(timeout=SECONDS).levelname for _ in ("connected", "lost", "connected again")]
    finally:
        logging.getLogger(STATES).removeHandler(handler)
    assert levels == ["INFO", "WARNING", "INFO"]


def test_no_text_of_any_level_holds_a_secret(
    sort: Sort, client: Any, hub: LocalHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [repr(client), str(client)]
    wait_for_states(client, sort, losses=2)
    with hub.faults.reject_tokens(), pytest.raises(CredentialError) as refused:
        sort.run(client.connect())
    resource = f"{sort.back.host_name}/devices/{sort.path}"
    token = str(RenewableSasToken(resource, SymmetricKeySigningMechanism(sort.key)))
    other = sort.cls.create_from_sastoken(token)
    with hub.faults.reject_tokens(), pytest.raises(CredentialError) as refused_token:
        sort.run(other.update_sastoken(token))
    with pytest.raises(ValueError, match="Invalid SasToken provided") as broken:
        sort.cls.create_from_sastoken(token.replace("&se=", "&es="))
    sort.run(other.shutdown())
    for caught in (refused.value, refused_token.value, broken.value):
        error: BaseException | None = caught
        while error is not None:
            texts += [str(error), repr(error)]
            error = error.__cause__ or error.__context__
    assert len(caplog.records) > 5
    for text in [*texts, caplog.text]:
        assert sort.key not in text
        assert not SECRETS.search(text), text


def test_the_counters_add_up_through_faults(sort: Sort, client: Any, hub: LocalHub) -> None:
    chance = random.Random(20250612)  # noqa: S311 - a seed makes the test the same each time
    sort.run(client.connect())
    accepted = failed = 0
    for number in range(40):
        count = chance.randrange(1, 150)
        fault = chance.choice([hub.faults.withhold_pubacks, hub.faults.duplicate_pubacks, None])
        on = fault() if fault else None
        if number % 3 == 0:
            hub.faults.drop()
        outcomes = sort.run(client.send_messages(["x"] * count, timeout=chance.choice([0.02, 0.1])))
        if on:
            on.clear()
        accepted += count
        failed += sum(outcome is not None for outcome in outcomes)
        seen = client.statistics
        assert seen["acknowledged"] + seen["failed"] + seen["queued"] + seen["in_flight"] == accepted
        assert seen["acknowledged"] + seen["in_flight"] <= seen["sent"] <= accepted
    hub.faults.drop()  # what was never acknowledged is given up
    sort.run(client.send_message("last"))
    seen = client.statistics
    assert (seen["queued"], seen["in_flight"]) == (0, 0)
    assert seen["acknowledged"] == accepted - failed + 1
    assert seen["failed"] == failed
