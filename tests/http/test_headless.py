"""`opsconsole headless --http` as a process: the address it listens on, invalid options, and shutdown."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from opsconsole.authoring.run import RunState
from tests.http.client import HttpClient
from tests.http.conftest import SECRET, Starting
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2026-01-19"
TCP_LISTEN = "0A"


def listening_sockets(pid: int) -> list[str]:
    """The addresses and ports that a process listens on, in the kernel's notation."""
    own = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if file.exists()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == TCP_LISTEN and f"socket:[{fields[9]}]" in own:
                found.append(fields[1])
    return found


def test_a_client_starts_a_run_and_the_process_shuts_down_cleanly(place: Installation, headless: Starting) -> None:
    counting.put(place.data, {"asha": "fine", "ben": "fine"})
    process = headless(place, "--http", "127.0.0.1:0", CRON_SECRET=SECRET)
    client = process.client()
    eventually(lambda: client.get("/readyz").status == 200, "it is ready")

    response = client.request("POST", "/api/cron/run/daily-count", {"date": DAY})
    ended = place.service.commands.wait_for_run(response.json["run"]["id"], PATIENCE_SECONDS)

    assert response.status == 202
    assert ended is not None
    assert ended.state is RunState.SUCCEEDED
    assert listening_sockets(process.process.pid) == [f"0100007F:{client.host_and_port[1]:04X}"]
    assert HttpClient(client.address, "wrong").get("/readyz").status == 401
    connection = client.connection()
    connection.request("GET", "/slow/0.7", headers={"Authorization": f"Bearer {SECRET}"})
    assert client.get("/healthz").status == 200
    process.process.send_signal(signal.SIGTERM)
    assert connection.getresponse().status == 200, "active requests are completed"
    connection.close()
    assert process.process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM
    log = process.log.read_text()
    assert SECRET not in log
    assert "Traceback" not in log
    assert all(json.loads(line)["message"] for line in log.splitlines())
    assert place.service.queries.leader() is None


def test_http_is_off_by_default_and_can_be_enabled_in_the_configuration(
    place: Installation, headless: Starting, tmp_path: Path
) -> None:
    sock = tmp_path / "ops.sock"
    config = tmp_path / "opsconsole.toml"
    config.write_text(f'[http]\nbind = "unix:{sock}"\n[jobs]\npacks = ["tests.packs.counting"]\n')
    without_http = headless(place)
    with_http = headless(place, config=config)
    client = with_http.client()

    assert client.get("/readyz").json["success"] in (True, False)
    assert client.get("/packed").status == 404
    assert with_http.has_logged("http: open to every user of this machine; set CRON_SECRET")
    eventually(lambda: without_http.has_logged("leading") or with_http.has_logged("leading"), "one of them is leading")
    assert (listening_sockets(without_http.process.pid), listening_sockets(with_http.process.pid)) == ([], [])
    assert without_http.address() is None

    config.write_text(config.read_text().replace("tests.packs.counting", "tests.packs.routes"))
    with_http.process.send_signal(signal.SIGHUP)
    eventually(lambda: with_http.has_logged("the configuration was reloaded"), "the configuration is reloaded")
    assert client.get("/packed").status == 200

    config.write_text(config.read_text().replace("ops.sock", "other.sock"))
    with_http.process.send_signal(signal.SIGHUP)
    eventually(lambda: with_http.has_logged("HTTP address needs a restart"), "the new address is reported")
    assert client.get("/packed").status == 200
    with_http.process.terminate()
    assert with_http.process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert not sock.exists()


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "message"),
    [
        (("--http", "0.0.0.0:0"), {}, 78, "HTTP on http://0.0.0.0:0 would be open to other machines: set CRON_SECRET"),
        (("--http", "here"), {}, 2, "'here' is not an address; write it as 127.0.0.1:8080"),
        ((), {"OPSCONSOLE_HTTP__BIND": "here"}, 78, "http.bind: 'here' is not an address; write it as 127.0.0.1:8080"),
        ((), {"OPSCONSOLE_HTTP__BIND": "0.0.0.0:0"}, 78, "would be open to other machines"),
        (("--http", "127.0.0.1:{taken}"), {}, 78, "address already in use"),
        (
            ("--http", "127.0.0.1:0"),
            {"CRON_SECRET": "ge heim"},
            78,
            "CRON_SECRET has characters that HTTP headers cannot",
        ),
        (
            ("--http", "127.0.0.1:0"),
            {"OPSCONSOLE_JOBS__PACKS": "tests.packs.clashing"},
            78,
            "/healthz is already in use",
        ),
    ],
)
def test_an_address_that_cannot_be_used_ends_the_process_with_one_message(
    place: Installation,
    headless: Starting,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    code: int,
    message: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        process = headless(place, *(argument.format(taken=taken) for argument in arguments), **environ)
        assert process.process.wait(timeout=PATIENCE_SECONDS) == code

    output = process.log.read_text()
    assert message in output
    assert all(line.startswith("opsconsole: ") for line in output.splitlines())
    assert environ.get("CRON_SECRET", SECRET) not in output
    assert place.service.queries.leader() is None


@pytest.mark.parametrize("option", ["--read-only", "--observe"])
def test_a_process_that_must_not_lead_serves_the_api_and_never_leads(
    place: Installation, headless: Starting, option: str
) -> None:
    counting.put(place.data, {"asha": "fine"})
    process = headless(place, "--http", "127.0.0.1:0", options=(option,), CRON_SECRET=SECRET)
    client = process.client()

    assert client.get("/things/fine").status == 200
    assert client.get("/readyz").status == 503
    eventually(lambda: client.get("/garbage").json["objects"] < 50_000, "it has ended its loading")
    response = client.request("POST", "/api/cron/run/daily-count", {"date": DAY})

    assert response.status == (403 if option == "--read-only" else 503)
    assert place.service.queries.leader() is None
    process.process.terminate()
    assert process.process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert not process.has_logged("leading with token")
