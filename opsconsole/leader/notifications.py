"""Sends the notifications of the outbox: at least once, and without holding up anything else."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from opsconsole.core.clock import Clock
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.problems import Work
from opsconsole.core.settings import Channel
from opsconsole.core.supervision import Loop, Supervisor, describe
from opsconsole.core.time_limit import TimedOut, TimeLimit
from opsconsole.leader import channels
from opsconsole.rules.notifications import Notification
from opsconsole.store import Store, notifications

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
SEND_SECONDS = 20.0
"""How long a channel may take for a message. Services have time limits of their own, which a slow answer can evade."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=15)
"""The wait after a failed attempt; it doubles with each further one."""
JITTER = 0.25
GIVE_UP_AFTER = timedelta(hours=24)
LEAST_ATTEMPTS = 10
"""Before that, time has passed because a clock was set, or because nobody was leading."""
DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class _Leader:
    store: Store
    token: int
    now: Clock
    may_start_work: Callable[[], bool]


class Notifier:
    """The channels of a leadership, each with a thread of its own, so that one that hangs delays no other."""

    def __init__(
        self,
        store: Store,
        configured: tuple[Channel, ...],
        token: int,
        *,
        supervisor: Supervisor,
        may_start_work: Callable[[], bool],
        now: Clock,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self._leader = _Leader(store, token, now, may_start_work)
        self._outlets = [Outlet(self._leader, channel, send_seconds) for channel in configured]
        supervisor.watch(*(outlet.loop for outlet in self._outlets))
        self._dropped_others = False

    def start(self) -> None:
        """Starts with what earlier leaders have not sent."""
        for outlet in self._outlets:
            outlet.loop.start()

    def wake(self) -> None:
        """Sends what has become due now."""
        for outlet in self._outlets:
            outlet.loop.wake()

    def drop_others(self) -> None:
        """Drops, once, what waits for channels that are no longer configured."""
        if self._dropped_others:
            return
        names = [outlet.channel.name for outlet in self._outlets]
        with self._leader.store.fenced(self._leader.token) as db:
            dropped = notifications.drop_others(db, names)
        self._dropped_others = True
        if dropped:
            log.warning("%s notifications were dropped: their channel is no longer configured", dropped)

    def stop(self) -> None:
        """Stops; waits a moment for what is being sent, and leaves the rest to the next leader."""
        for outlet in self._outlets:
            outlet.loop.request_stop()
        end = time.monotonic() + DRAIN_SECONDS
        for outlet in self._outlets:
            outlet.loop.stop(max(0.0, end - time.monotonic()))


class Outlet:
    """Claims the due notifications of a channel, sends them, and marks them."""

    def __init__(self, leader: _Leader, channel: Channel, send_seconds: float) -> None:
        self.channel = channel
        self._leader = leader
        self._limit = TimeLimit(f"notify {channel.name}", send_seconds)
        self._unmarked: list[Notification] = []
        self._failure: str | None = None
        self.loop = Loop(f"{Work.NOTIFICATIONS}_{channel.name}", self._step, seconds=POLL_SECONDS, now=leader.now)

    def _step(self) -> None:
        while self._leader.may_start_work():
            self.loop.repeated.progress()
            self._mark()
            with self._leader.store.reading() as db:
                found = notifications.next_due(db, self.channel.name, self._leader.now())
            if found is None or self.loop.is_stopping:
                return
            self._deliver(found)

    def _mark(self) -> None:
        """Marks what was sent; if the store fails then, it is marked before anything else is sent."""
        for each in tuple(self._unmarked):
            with self._leader.store.fenced(self._leader.token) as db:
                notifications.mark_sent(db, each, self._leader.now())
            self._unmarked.remove(each)

    def _deliver(self, found: Notification) -> None:
        store, token, now = self._leader.store, self._leader.token, self._leader.now()
        if now - found.created_at > GIVE_UP_AFTER and found.attempts >= LEAST_ATTEMPTS:
            with store.fenced(token) as db:
                notifications.give_up(db, found, found.error or "it was not delivered in time")
            log.error("notification %s could not be delivered to %s within a day", found.uid, self.channel.name)
            return
        with store.fenced(token) as db:
            if not notifications.claim(db, found, now + wait_after(found.attempts + 1)):
                notifications.give_up(db, found, "its row cannot be read")
                return
        reach(Point.NOTIFICATION_CLAIMED)
        failure = self._send(found)
        if failure is None:
            reach(Point.NOTIFICATION_SENT)
            self._unmarked.append(found)
            self._mark()
        else:
            with store.fenced(token) as db:
                notifications.record_failure(db, found, failure)
        self._log(failure)

    def _send(self, found: Notification) -> str | None:
        """Why it was not delivered; None when it was."""
        try:
            self._limit.call(
                lambda: channels.send(self.channel, found.uid, found.title, found.body, found.severity, found.event)
            )
        except TimedOut as error:
            return str(error)
        except OpsconsoleError as error:
            return error.sentence
        except BaseException as error:  # noqa: BLE001 - foreign code; it is a reason, and recorded
            return describe(error)[0]
        return None

    def _log(self, failure: str | None) -> None:
        """Logs each kind of failure once, and that the channel works again."""
        if failure is not None and failure != self._failure:
            log.warning("channel %s does not deliver: %s", self.channel.name, failure)
        elif failure is None and self._failure is not None:
            log.info("channel %s delivers again", self.channel.name)
        self._failure = failure


def wait_after(attempt: int) -> timedelta:
    """The wait after a failed attempt, the first of which is 1; channels that fail together are not tried together."""
    doublings: int = 2 ** min(attempt - 1, 20)
    return min(LONGEST_WAIT, FIRST_WAIT * doublings) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
