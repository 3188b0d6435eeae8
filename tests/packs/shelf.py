"""A pack without jobs: three cache families, one without a TTL."""

from __future__ import annotations

from datetime import timedelta

from opsconsole import Pack
from opsconsole.cache import Family

DAY = Family("shelf.day", "shelf:day:{date}:{user}", timedelta(hours=2), of=("user",), computed_from=("books",))
LEVEL = Family("shelf.level", "shelf:level:{user}:{subject}", timedelta(hours=1), of=("user", "subject"))
BOARD = Family("shelf.board", "shelf:board:{board}", None)

pack = Pack("shelf", jobs=(), families=(DAY, LEVEL, BOARD))
