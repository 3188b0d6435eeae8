"""A pack for tests that cannot be imported while the file named by FRAGILE exists."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import MetaData

from opsconsole import DAY, Job, Pack
from tests.packs.hostile import names, nothing

if Path(os.environ.get("FRAGILE", "/nowhere")).exists():
    raise ImportError("the file exists")

pack = Pack(
    "fragile", jobs=(Job("fragile.harmless", names, nothing, cron="30 0 29 2 *", covers=DAY),), metadata=MetaData()
)
