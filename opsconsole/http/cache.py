"""The cache over HTTP: families of keys, counting and clearing them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from opsconsole.authoring.extensions import Answer
from opsconsole.cache.filters import ClearFilter
from opsconsole.http.operations import AnyOperation, Call, Number, Sent, done, get, post
from opsconsole.http.responses import HttpError
from opsconsole.rules.actions import Verb
from opsconsole.service.cache_documents import FamilyDocument, family_document

COUNT_SECONDS = 10.0
"""Counting stops after this time, and the rest is estimated."""
MAX_KEYS = 2**31 - 1

Id = Annotated[str, Meta(min_length=1, max_length=200)]


class FamiliesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the keys are counted, which scans all keys of the server."""

    count: bool = False


class FamiliesAnswer(Answer, frozen=True, kw_only=True):
    """The declared families of cache keys, by name."""

    families: tuple[FamilyDocument, ...]


class KeysRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys: those that match every field that is given."""

    user: Id | None = None
    subject: Id | None = None
    family: Id | None = None
    date: Id | None = None

    @property
    def conditions(self) -> ClearFilter:
        """The fields as a filter. Raises HttpError without any."""
        if not (self.user or self.subject or self.family or self.date):
            raise HttpError(400, "missing", "give at least one of user, subject, family and date", "user")
        return ClearFilter(self.user, self.subject, self.family, self.date)


class ClearRequest(KeysRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which keys are cleared, and how many of them were counted before."""

    counted: Annotated[int, Meta(ge=0, le=MAX_KEYS, description="`keys` as /api/cache/count has counted them")]


class KeysAnswer(Answer, frozen=True, kw_only=True):
    """How many keys match, by family, with some of them. Families in `skipped` have no such id in their keys."""

    keys: int
    families: dict[str, int]
    samples: tuple[str, ...]
    skipped: tuple[str, ...]


class CancelClearingRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which clearing stops, by the number of its command; the newest one by default."""

    command: Number | None = None


class ClearedAnswer(Answer, frozen=True, kw_only=True):
    """How many keys were cleared, by family."""

    command: int
    cleared: int
    families: dict[str, int]


def list_families(call: Call, request: FamiliesRequest) -> FamiliesAnswer:
    """The declared families of cache keys."""
    cache = call.service.cache
    usage = cache.usage(COUNT_SECONDS) if request.count else None
    families = sorted(cache.families(), key=lambda family: family.name)
    return FamiliesAnswer(families=tuple(family_document(family, usage) for family in families))


def count_keys(call: Call, request: KeysRequest) -> KeysAnswer:
    """Counts the keys that a request to clear them would remove. Removes nothing."""
    counted = [*call.service.cache.count_keys(request.conditions)][-1]
    return KeysAnswer(
        keys=counted.total,
        families={name: keys for name, keys in counted.found.items() if keys},
        samples=tuple(counted.samples),
        skipped=tuple(counted.skipped_families),
    )


def clear_keys(call: Call, request: ClearRequest) -> Sent:
    """Clears cached keys, unless many more match than were counted."""
    command = call.commands.clear_cache(request.conditions, counted=request.counted)
    return Sent(
        command,
        lambda outcome: ClearedAnswer(
            command=command,
            cleared=outcome.facts["cleared"],
            families={name: keys for name, keys in outcome.facts["families"].items() if keys},
        ),
    )


def cancel_clearing(call: Call, request: CancelClearingRequest) -> Sent:
    """Stops a clearing. What it has cleared stays cleared. 409 when no clearing is running, or the
    command is not one.
    """
    return done(call.commands.cancel_clearing(request.command))


OPERATIONS: tuple[AnyOperation, ...] = (
    get(
        "/api/cache/families",
        "List the families of cache keys",
        FamiliesRequest,
        FamiliesAnswer,
        list_families,
        slow=True,
    ),
    get("/api/cache/count", "Count cached keys", KeysRequest, KeysAnswer, count_keys, slow=True),
    post(
        Verb.CLEAR,
        "/api/cache/families/clear",
        "Clear cached keys that were counted",
        ClearRequest,
        clear_keys,
        answer=ClearedAnswer,
    ),
    post(
        Verb.CANCEL_CLEARING,
        "/api/cache/cancel",
        "Cancel a clearing of the cache",
        CancelClearingRequest,
        cancel_clearing,
    ),
)
