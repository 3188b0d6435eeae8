"""`opsconsole headless --http`, as a process of its own: what it listens on, what it refuses to, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from opsconsole.authoring.run import RunState
from tests.http.client import Wire
from tests.http.conftest import SECRET, Starting
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2026-01-19"
LISTENS = "0A"


def listens(pid: int) -> list[str]:
    """The addresses and ports on which a process listens, as the kernel writes them."""
    own = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if file.exists()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and f"socket:[{fields[9]}]" in own:
                found.append(fields[1])
    return found


def test_a_program_starts_a_run_that_the_process_carries_out_and_its_end_is_in_order(
    place: Installation, headless: Starting
) -> None:
    counting.put(place.data, {"asha": "fine", "ben": "fine"})
    one = headless(place, "--http", "127.0.0.1:0", CRON_SECRET=SECRET)
    wire = one.wire()
    eventually(lambda: wire.get("/readyz").status == 200, "it is ready")

    heard = wire.ask("POST", "/api/cron/run/daily-count", {"date": DAY})
    ended = place.service.commands.wait_for_run(heard.json["run"]["id"], PATIENCE_SECONDS)

    assert heard.status == 202
    assert ended is not None
    assert ended.state is RunState.SUCCEEDED
    assert listens(one.process.pid) == [f"0100007F:{wire.place[1]:04X}"]
    assert Wire(wire.address, "wrong").get("/readyz").status == 401
    asking = wire.connection()
    asking.request("GET", "/dawdled/0.7", headers={"Authorization": f"Bearer {SECRET}"})
    assert wire.get("/healthz").status == 200
    one.process.send_signal(signal.SIGTERM)
    assert asking.getresponse().status == 200, "what was asked before is answered"
    asking.close()
    assert one.process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM
    log = one.log.read_text()
    assert SECRET not in log
    assert "Traceback" not in log
    assert all(json.loads(line)["message"] for line in log.splitlines())
    assert place.service.queries.leader() is None


def test_nothing_is_listened_on_unless_it_is_asked_for_and_the_configuration_may_ask(
    place: Installation, headless: Starting, tmp_path: Path
) -> None:
    sock = tmp_path / "ops.sock"
    config = tmp_path / "opsconsole.toml"
    config.write_text(f'[http]\nbind = "unix:{sock}"\n[jobs]\npacks = ["tests.packs.counting"]\n')
    quiet = headless(place)
    asked = headless(place, config=config)
    wire = asked.wire()

    assert wire.get("/readyz").json["success"] in (True, False)
    assert wire.get("/packed").status == 404
    assert asked.says("http is open to everybody on this machine; set CRON_SECRET")
    eventually(lambda: quiet.says("leading") or asked.says("leading"), "one of them leads")
    assert (listens(quiet.process.pid), listens(asked.process.pid)) == ([], [])
    assert quiet.address() is None

    config.write_text(config.read_text().replace("tests.packs.counting", "tests.packs.routes"))
    asked.process.send_signal(signal.SIGHUP)
    eventually(lambda: asked.says("the configuration was reloaded"), "it is read")
    assert wire.get("/packed").status == 200

    config.write_text(config.read_text().replace("ops.sock", "other.sock"))
    asked.process.send_signal(signal.SIGHUP)
    eventually(lambda: asked.says("HTTP address needs a restart"), "it is not taken over")
    assert wire.get("/packed").status == 200
    asked.process.terminate()
    assert asked.process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert not sock.exists()


@pytest.mark.parametrize(
    ("words", "environ", "code", "says"),
    [
        (("--http", "0.0.0.0:0"), {}, 78, "HTTP on http://0.0.0.0:0 would be open to other machines: set CRON_SECRET"),
        (("--http", "here"), {}, 2, "'here' is no address; write it as 127.0.0.1:8080"),
        ((), {"OPSCONSOLE_HTTP__BIND": "here"}, 78, "http.bind: 'here' is no address; write it as 127.0.0.1:8080"),
        ((), {"OPSCONSOLE_HTTP__BIND": "0.0.0.0:0"}, 78, "would be open to other machines"),
        (("--http", "127.0.0.1:{taken}"), {}, 78, "address already in use"),
        (("--http", "127.0.0.1:0"), {"CRON_SECRET": "ge heim"}, 78, "CRON_SECRET has letters that no HTTP header can"),
        (("--http", "127.0.0.1:0"), {"OPSCONSOLE_JOBS__PACKS": "tests.packs.clashing"}, 78, "/healthz is taken"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence_before_anything_starts(
    place: Installation, headless: Starting, words: tuple[str, ...], environ: dict[str, str], code: int, says: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        one = headless(place, *(word.format(taken=taken) for word in words), **environ)
        assert one.process.wait(timeout=PATIENCE_SECONDS) == code

    told = one.log.read_text()
    assert says in told
    assert all(line.startswith("opsconsole: ") for line in told.splitlines())
    assert environ.get("CRON_SECRET", SECRET) not in told
    assert place.service.queries.leader() is None
