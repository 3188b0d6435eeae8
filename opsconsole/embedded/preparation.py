"""Prepares the demo in a thread, so that its console opens at once and shows the progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from opsconsole.core.supervision import describe, log_failure
from opsconsole.embedded.demo import opening_job, prepared
from opsconsole.embedded.demo_thread import DemoThread
from opsconsole.service.snapshot import Preparation

if TYPE_CHECKING:
    from opsconsole.service.service import Service


class Stopped(Exception):
    """The console was closed before the demo was ready."""


class Preparing(DemoThread):
    """Prepares the demo, starts the run that is visible at once, and leads until the end of the block."""

    def __init__(self, service: Service, users: int, *, slow_job: str | None = None) -> None:
        super().__init__("demo")
        self._service, self._users, self._slow_job = service, users, slow_job

    def __enter__(self) -> Self:
        self._report(0.0, "starting")
        return super().__enter__()

    def _run(self) -> None:
        try:
            with prepared(self._service, self._users, slow_job=self._slow_job, report=self._report):
                if (opening := opening_job(self._service)) is not None:
                    self._service.commands.trigger(opening)
                self._service.preparation = None
                self._stopping.wait()
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - the top of a thread; the console shows what is wrong
            log_failure("preparing the demo", error)
            self._service.preparation = Preparation(0.0, "", problem=describe(error)[0])

    def _report(self, share: float, step: str) -> None:
        if self._stopping.is_set():
            raise Stopped
        self._service.preparation = Preparation(share, step)
