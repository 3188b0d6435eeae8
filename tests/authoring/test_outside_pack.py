"""External packs: follows the tutorial page step by step, and loads its pack in both ways."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from opsconsole.authoring import catalog
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.authoring.run import Run, RunState, Selection
from opsconsole.core import configuration, installed_packs
from opsconsole.core.errors import BadSettings, Exit
from opsconsole.leader.pack_checks import PackChecks
from opsconsole.rules import finding_text
from tests.conftest import Installing
from tests.http.client import served
from tests.installation import Installation
from tests.soak import others_in_soak
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests" / "outside" / "acme-billing"
PAGE = (ROOT / "docs" / "adding-a-job.md").read_text(encoding="utf-8")
JOB = "billing.daily_statements"
DAY = "2026-03-08"


# --- the page -----------------------------------------------------------------------------------------------------

BLOCK = re.compile(
    r"(?:^`(?P<file>[\w./]+)`:\n\n|(?P<add>Add to) `opsconsole\.toml`:\n\n)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
VARYING = r"\d+\\ ms,\\ \d+/s"
"""The duration of a run and its rate, which differ from those on the page."""


def test_the_page_shows_the_current_files() -> None:
    shown = {block["file"]: block["text"] for block in BLOCK.finditer(PAGE) if block["file"]}

    outdated = {path: shown[path] for path in shown if (PROJECT / path).read_text(encoding="utf-8") != shown[path]}
    files = {str(path.relative_to(PROJECT)) for path in PROJECT.rglob("*") if path.suffix in (".py", ".toml")}
    assert outdated == {}
    assert files - set(shown) == {"acme/__init__.py"}, "an empty file, created by a command on the page"


@pytest.mark.soak
def test_following_the_page_works(tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, options in (("python", ""), ("opsconsole", "-P -m opsconsole")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {options} "$@"\n')
        (commands / name).chmod(0o755)
    folder = tmp_path / "acme-billing"
    folder.mkdir()
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{commands}:{os.environ['PATH']}"}
    typed = 0

    for block in BLOCK.finditer(PAGE):
        if block["file"]:
            (folder / block["file"]).write_text(block["text"])
        elif block["add"]:
            with (folder / "opsconsole.toml").open("a") as file:
                file.write("\n" + block["text"])
        elif block["kind"] == "console":
            for line, output in _typed(block["text"]):
                typed += 1
                if line.startswith("export "):
                    for setting in line.removeprefix("export ").split():
                        name, _, value = setting.partition("=")
                        surroundings[name] = value.replace("$PWD", str(folder))
                    continue
                done = _ran(["sh", "-c", line], folder, surroundings)
                assert done.returncode in (0, 3), f"{line}\n{done.stdout}\n{done.stderr}"
                for words in output:
                    pattern = re.sub(VARYING, r"[\\d.]+ m?s, [\\d.]+k?/s", re.escape(words))
                    assert re.search(pattern, done.stdout), f"{line}\n{done.stdout}\nis not\n{words}"

    assert typed > 10


def _typed(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def _ran(command: list[str], folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


# --- the pack, configured and installed, in real processes --------------------------------------------------------


@pytest.fixture
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the project is installed into, as pip does it."""
    place = tmp_path_factory.mktemp("installed")
    # The build writes files into the project.
    shutil.copytree(PROJECT, place / "project", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "install"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run([*pip, *offline, "--target", str(place / "site"), str(place / "project")], check=True)
    return place / "site"


@dataclass(frozen=True)
class Shell:
    """Runs opsconsole's commands in a folder."""

    folder: Path
    environ: dict[str, str]

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        return _ran([sys.executable, "-P", "-m", "opsconsole", *words], self.folder, self.environ)


@pytest.mark.parametrize(
    ("way", "executor"),
    others_in_soak(
        ("installed", "processes"), ("installed", "inline"), ("configured", "processes"), ("configured", "inline")
    ),
)
def test_a_job_from_outside_runs_in_a_real_process(
    way: str,
    executor: str,
    site: Path,
    tmp_path: Path,
    redis_url: str,
    installing: Installing,
    on_the_path: None,
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="acme.billing",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": executor, "OPSCONSOLE_ENGINE__WORKERS": "1"},
    )
    charge(place, "asha", 1250)
    folder = tmp_path / "acme"
    if way == "configured":
        shutil.copytree(PROJECT, folder)
    else:
        folder.mkdir()
        (folder / "opsconsole.toml").write_text('[billing]\ncurrency = "EUR"\n')
    modules = f"{site}:{ROOT}" if way == "installed" else str(ROOT)
    environ = {**os.environ, **place.environ, "PYTHONPATH": modules}
    del environ["OPSCONSOLE_JOBS__PACKS"]
    shell = Shell(folder, environ)

    listed = shell.type("jobs", "--json")
    ran = shell.type("run", JOB, "--date", DAY, "--wait", "--json")

    assert JOB in [job["job"] for job in json.loads(listed.stdout)], listed.stderr
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads(ran.stdout)
    assert (result["state"], result["ok"], result["metrics"]["charges"]) == ("succeeded", 1, 1)
    assert statements(place) == [("asha", DAY, 1, 1250)]


# --- what the job does, on both databases -------------------------------------------------------------------------


@pytest.fixture
def place(database_url: str, redis_url: str, installing: Installing, on_the_path: None) -> Installation:
    """An installation with the pack from outside, whose jobs run in this process."""
    return installing(
        database_url=database_url,
        redis_url=redis_url,
        packs="acme.billing",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def charge(place: Installation, customer: str, amount_minor: int, currency: str = "EUR") -> None:
    """Charges a customer, who may be a new one, at noon."""
    with place.data.writing() as db:
        db.execute(text("INSERT INTO customers VALUES (:id, :id) ON CONFLICT DO NOTHING"), {"id": customer})
        many = db.execute(text("SELECT count(*) FROM charges")).scalar_one()
        db.execute(
            text("INSERT INTO charges VALUES (:id, :customer, :amount, :currency, '2026-03-08 12:00:00.000000')"),
            {"id": f"charge-{many}", "customer": customer, "amount": amount_minor, "currency": currency},
        )


def statements(place: Installation) -> list[tuple[Any, ...]]:
    query = "SELECT customer_id, day, charges, amount_minor FROM statements ORDER BY customer_id"
    with place.data.reading() as db:
        return [tuple(row) for row in db.execute(text(query))]


def events(place: Installation) -> list[tuple[Any, ...]]:
    with place.data.reading() as db:
        return [tuple(row) for row in db.execute(text("SELECT name, key FROM events ORDER BY id"))]


def cached(url: str) -> dict[bytes, Any]:
    with redis.Redis.from_url(url) as client:
        return {key: json.loads(client.get(key) or b"") for key in client.scan_iter("billing:*")}


def test_a_run_writes_a_row_an_event_and_a_key_for_each_customer_without_a_failure(
    place: Installation, redis_url: str
) -> None:
    for customer, amount, currency in (("asha", 1250, "EUR"), ("asha", 399, "EUR"), ("chen", 5000, "USD")):
        charge(place, customer, amount, currency)

    night = place.run(JOB, DAY)

    assert (night.state, night.counts.ok, night.counts.failed) == (RunState.PARTIAL, 1, 1)
    assert night.kinds == {"foreign_currency": 1}
    assert statements(place) == [("asha", DAY, 2, 1649)]
    assert events(place) == [("StatementWritten", f"asha:{DAY}")]
    assert cached(redis_url) == {
        f"billing:statement:{DAY}:asha".encode(): {"charges": 2, "amount_minor": 1649, "currency": "EUR"}
    }


def test_a_second_run_changes_nothing_and_a_late_charge_changes_only_its_customer(
    place: Installation, redis_url: str
) -> None:
    charge(place, "asha", 1250)
    charge(place, "ben", 700)
    place.run(JOB, DAY)
    once = statements(place), events(place), cached(redis_url)

    place.run(JOB, DAY)
    twice = statements(place), events(place), cached(redis_url)
    charge(place, "ben", 1)
    repaired = _stale(place)

    assert twice == once
    assert (repaired.counts.planned, repaired.counts.ok) == (1, 1)
    assert statements(place) == [("asha", DAY, 1, 1250), ("ben", DAY, 2, 701)]


def _stale(place: Installation) -> Run:
    return place.ended_run(place.service.commands.trigger(JOB, DAY, only=Selection.STALE))


def test_a_statement_is_served_with_and_without_the_cache(place: Installation, redis_url: str) -> None:
    charge(place, "asha", 1250)
    charge(place, "asha", 399)
    place.run(JOB, DAY)

    with served(place) as wire:
        kept = wire.get(f"/billing/statement/asha/{DAY}")
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        recomputed = wire.get(f"/billing/statement/asha/{DAY}")
        unknown = wire.get(f"/billing/statement/dana/{DAY}")

    assert kept.body == recomputed.body == b'{"charges":2,"amount_minor":1649,"currency":"EUR"}'
    assert kept.body.decode() in PAGE
    assert (unknown.status, unknown.code) == (404, "not_found")


def test_the_panel_shows_the_newest_day(place: Installation) -> None:
    def shown() -> Any:
        panel, *_own = place.service.queries.panels()
        return panel.content

    before = shown()
    charge(place, "asha", 123456)
    place.run(JOB, DAY)

    assert before.message == "no statements yet; run billing.daily_statements"
    assert shown().facts == (("day", DAY), ("statements", "1"), ("amount", "1,234.56 EUR"))


def test_the_check_finds_charges_in_another_currency(place: Installation) -> None:
    def found() -> list[str]:
        checks = PackChecks(place.catalog, lambda: tools, lambda _days: (), now=place.service.now)
        checks.read()
        return [f"{finding.subject} {finding_text.sentence(finding, finding.since)}" for finding in checks.findings()]

    tools = Resources(place.settings.data_url.reveal(), place.environ["REDIS_URL"])
    charge(place, "asha", 1250)
    calm = found()
    charge(place, "chen", 5000, "USD")
    charge(place, "chen", 5000, "USD")

    assert (calm, found()) == ([], ["billing.currency reports: 2 charges are not in EUR"])
    tools.close()


# --- which of the installed packs are loaded ----------------------------------------------------------------------

PACK = """
from opsconsole import Job, Pack

def no_items(scope):
    return ()

def rest(ctx, batch):
    pass

pack = Pack({name!r}, jobs=(Job({name!r} + ".rest", no_items, rest, cron="0 0 * * *"),))
"""

Distributing = Callable[..., Path]


@pytest.fixture
def distributing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distributing:
    """Installs a distribution that names packs: `entry points`, and the source of its one module."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def install(name: str, module: str, source: str, **packs: str) -> Path:
        about = folder / f"{name}-2.1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.1\n")
        lines = "".join(f"{pack} = {path}\n" for pack, path in packs.items())
        (about / "entry_points.txt").write_text(f"[opsconsole.packs]\n{lines}")
        (folder / f"{module}.py").write_text(source)
        # Another test may have imported a module of that name.
        monkeypatch.delitem(sys.modules, module, raising=False)
        return folder

    return install


def load(**environ: str) -> Catalog:
    """The catalog with `tests.packs.berlin` as the configured pack, unless `environ` has another."""
    variables = {"OPSCONSOLE_JOBS__PACKS": "tests.packs.berlin", **environ}
    read = configuration.load(environ=variables, search=False)
    return catalog.load(read.packs, read.overrides, read.options)


def names(loaded: Catalog) -> list[str]:
    return [pack.name for pack in loaded.packs]


def problems(**environ: str) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        load(**environ)
    return refused.value.problems


def test_an_installed_pack_is_loaded_beside_the_configured_ones(distributing: Distributing) -> None:
    distributing("acme-tea", "acme_tea", PACK.format(name="tea"), tea="acme_tea")

    assert names(load()) == ["berlin", "tea"]


def test_a_pack_may_be_an_attribute_and_require_extras(distributing: Distributing) -> None:
    source = PACK.format(name="tea").replace("pack =", "leaves =")
    distributing("acme-tea", "acme_tea", source, tea="acme_tea:leaves [hot]")

    assert names(load()) == ["berlin", "tea"]
    assert names(load(OPSCONSOLE_JOBS__PACKS="acme_tea:leaves")) == ["tea"]


def test_a_pack_with_several_paths_is_loaded_once(distributing: Distributing) -> None:
    distributing("acme-tea", "acme_tea", PACK.format(name="tea"), tea="acme_tea:pack")

    assert names(load(OPSCONSOLE_JOBS__PACKS="acme_tea")) == ["tea"]


def test_a_configured_pack_replaces_an_installed_one_of_the_same_name(distributing: Distributing) -> None:
    folder = distributing("acme-tea", "acme_tea", PACK.format(name="tea"), tea="acme_tea")
    (folder / "trial").mkdir()
    (folder / "trial" / "tea.py").write_text(PACK.format(name="tea").replace(".rest", ".try"))

    assert [job.name for job in load(OPSCONSOLE_JOBS__PACKS="trial.tea")] == ["tea.try"]


def test_installed_packs_can_be_disabled(distributing: Distributing, tmp_path: Path) -> None:
    distributing("acme-tea", "acme_tea", PACK.format(name="tea"), tea="acme_tea")
    file = tmp_path / "opsconsole.toml"
    file.write_text('[jobs]\npacks = ["tests.packs.berlin"]\nentry_points = false\n')

    assert configuration.load(file, environ={}).packs == ("tests.packs.berlin",)
    assert names(load(OPSCONSOLE_JOBS__ENTRY_POINTS="false")) == ["berlin"]
    assert configuration.load_embedded(tmp_path, name="demo").packs == installed_packs.DEFAULT_PACKS
    assert problems(OPSCONSOLE_JOBS__ENTRY_POINTS="some") == ["jobs.entry_points must be true or false, not 'some'"]


def test_an_installed_pack_has_a_section_and_its_jobs_can_be_changed(
    distributing: Distributing, tmp_path: Path
) -> None:
    source = PACK.format(name="tea").replace("),))", "),), settings=Tea)")
    shape = "import msgspec\nclass Tea(msgspec.Struct):\n    cups: int = 1\n"
    distributing("acme-tea", "acme_tea", shape + source, tea="acme_tea")
    file = tmp_path / "opsconsole.toml"
    file.write_text('[tea]\ncups = 3\n[jobs."tea.rest"]\ncron = "0 5 * * *"\n')

    read = configuration.load(file, environ={})
    loaded = catalog.load(read.packs, read.overrides, read.options)

    rest = loaded.find("tea.rest")
    assert (rest.cron, loaded.options(rest)) == ("0 5 * * *", {"cups": 3})


def test_a_section_of_no_pack_is_refused(distributing: Distributing) -> None:
    distributing("acme-tea", "acme_tea", PACK.format(name="tea"), leaves="acme_tea")

    assert problems(OPSCONSOLE_LEAVES__CUPS="3") == ["[leaves] is not the section of a pack; the packs are berlin, tea"]


@pytest.mark.parametrize(
    ("source", "path", "why"),
    [
        ("import nowhere_to_be_found", "acme_tea", "cannot be imported: No module named 'nowhere_to_be_found'"),
        ("1 / 0", "acme_tea", "cannot be imported: ZeroDivisionError: division by zero"),
        ("pack = 3", "acme_tea", "does not define `pack`"),
        ("", "acme_tea:leaves", "does not define `leaves`"),
        ("", "acme tea", "cannot be imported: No module named 'acme tea'"),
    ],
)
def test_a_broken_pack_is_reported_with_its_distribution(
    distributing: Distributing, source: str, path: str, why: str
) -> None:
    distributing("acme-tea", "acme_tea", source, tea=path)

    assert problems() == [f"acme-tea 2.1 (without its packs: jobs.entry_points = false): {path} {why}"]


def test_two_distributions_with_packs_of_one_name_are_refused(distributing: Distributing) -> None:
    distributing("acme-tea", "acme_tea", PACK.format(name="tea"), tea="acme_tea")
    distributing("other-tea", "other_tea", PACK.format(name="tea"), tea="other_tea")

    first, *_ = problems()

    assert first == (
        "other-tea 2.1 (without its packs: jobs.entry_points = false): other_tea has the same name, tea, as acme_tea"
    )


def test_nothing_starts_with_a_broken_pack(distributing: Distributing, tmp_path: Path) -> None:
    folder = distributing("acme-tea", "acme_tea", "1 / 0", tea="acme_tea")
    environ = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "DATABASE_URL": f"sqlite:///{tmp_path / 'ops.db'}"}

    refused = Shell(tmp_path, {**environ, "REDIS_URL": "unix:///nowhere"}).type("jobs")

    assert refused.returncode == Exit.CONFIGURATION
    (line,) = refused.stderr.splitlines()
    assert line.startswith("opsconsole: acme-tea 2.1 ")


def test_help_and_next_do_not_search_for_installed_packs(tmp_path: Path) -> None:
    script = """
import sys
from opsconsole.cli import main
sys.stdout = open("/dev/null", "w")
for words in (["--help"], ["next", "0 0 * * *"]):
    sys.argv = ["opsconsole", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, words
print("importlib.metadata" in sys.modules, file=sys.__stdout__)
"""
    done = _ran([sys.executable, "-c", script], tmp_path, {**os.environ, "PYTHONPATH": str(ROOT)})

    assert (done.stdout.strip(), done.stderr) == ("False", "")
