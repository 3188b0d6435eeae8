"""What the leader and its workers must have in common: the program, the packs, and the job settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.settings import Settings
from opsconsole.core.version import VERSION
from opsconsole.worker.celery.messages import LeaderRecord

LENGTH = 12
"""Characters of a digest."""


def leading(settings: Settings, catalog: Catalog, token: int) -> LeaderRecord:
    """The record that a leader announces. A worker compares it with its own, ignoring the token."""
    return LeaderRecord(token, settings.host, VERSION, code_of(settings), settings_of(settings, catalog))


def code_of(settings: Settings) -> str:
    """A digest of the source of opsconsole and of the packs."""
    digest = sha256()
    for top in sorted({"opsconsole", *(path.partition(":")[0].partition(".")[0] for path in settings.packs)}):
        for name, file in _sources(top):
            digest.update(f"{name}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:LENGTH]


def _sources(top: str) -> Iterator[tuple[str, Path]]:
    """The files of a package or of a single module, with names that do not depend on where they are."""
    module = sys.modules.get(top)
    for folder in sorted({Path(folder).resolve() for folder in getattr(module, "__path__", ())}):
        for file in sorted(folder.rglob("*.py")):
            yield str(file.relative_to(folder)), file
    if not hasattr(module, "__path__") and (path := getattr(module, "__file__", None)):
        yield top, Path(path)


def settings_of(settings: Settings, catalog: Catalog) -> str:
    """A digest of the jobs and of the settings that affect a worker. Schedules do not."""
    jobs = sorted((job.name, job.batch_timeout.total_seconds()) for job in catalog)
    facts = (jobs, settings.options, settings.compress_over)
    return sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:LENGTH]


def problem(own: LeaderRecord, leader: LeaderRecord) -> str | None:
    """Why a worker may not work for a leader, one sentence; None when it may."""
    who = f"the leader on {leader.host}"
    if own.version != leader.version:
        return f"{who} runs opsconsole {leader.version}, and this is {own.version}: install the same version"
    if own.code != leader.code:
        return f"the code of {who} differs from the code here: install the same opsconsole and packs"
    if own.settings != leader.settings:
        return f"{who} has other jobs or other job settings: use the same configuration"
    return None
