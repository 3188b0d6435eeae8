"""Redis as a cache: declared families of keys, written in pipelines. Names load what they need when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsconsole.cache.families import BadKey, CacheRequest, Family
    from opsconsole.cache.figures import CacheDay
    from opsconsole.cache.rankings import ranking_stamp, swap_ranking

_HOME_OF = {
    "BadKey": "opsconsole.cache.families",
    "CacheDay": "opsconsole.cache.figures",
    "CacheRequest": "opsconsole.cache.families",
    "Family": "opsconsole.cache.families",
    "ranking_stamp": "opsconsole.cache.rankings",
    "swap_ranking": "opsconsole.cache.rankings",
}

__all__ = ["BadKey", "CacheDay", "CacheRequest", "Family", "ranking_stamp", "swap_ranking"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
