"""The panels of packs, each read separately: one that fails or hangs does not hide the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from itertools import islice

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import Panel, PanelContent
from opsconsole.core.database import reason
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.humanize import duration
from opsconsole.core.supervision import describe
from opsconsole.core.text import safe
from opsconsole.service.snapshot import PanelView

MAX_TEXT_LENGTH = 200
MAX_ROWS, MAX_COLUMNS, MAX_FACTS = 2000, 50, 100
READ_SECONDS = 5.0
"""How long all panels together are waited for. One that takes longer is shown the next time, if it is read by then."""


class PanelReader:
    """Reads panels in threads of their own, at most one per panel: the code of a pack may hang."""

    def __init__(self) -> None:
        self._reading: dict[tuple[str, int], _Reading] = {}
        self._lock = threading.Lock()

    def read(self, panels: Iterable[tuple[str, Panel, ExtensionContext]]) -> tuple[PanelView, ...]:
        """The current content of these panels (pack, panel, context), with all texts safe to show."""
        deadline = time.monotonic() + READ_SECONDS
        started = {(each[0], number): self._start((each[0], number), *each) for number, each in enumerate(panels)}
        return tuple(self._finish(key, reading, deadline) for key, reading in started.items())

    def _start(self, key: tuple[str, int], pack: str, panel: Panel, context: ExtensionContext) -> _Reading:
        with self._lock:
            if key not in self._reading:
                self._reading[key] = _Reading(pack, panel, context)
            return self._reading[key]

    def _finish(self, key: tuple[str, int], reading: _Reading, deadline: float) -> PanelView:
        view = reading.result(deadline)
        if reading.is_over:
            with self._lock:
                if self._reading.get(key) is reading:
                    del self._reading[key]
        return view


class _Reading:
    """One panel that is being read."""

    def __init__(self, pack: str, panel: Panel, context: ExtensionContext) -> None:
        self._pack, self._panel, self._context = pack, panel, context
        self._started = time.monotonic()
        self._view: PanelView | None = None
        self._over = threading.Event()
        threading.Thread(target=self._read, name="panel", daemon=True).start()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def result(self, deadline: float) -> PanelView:
        self._over.wait(max(0.0, deadline - time.monotonic()))
        if self._view is not None:
            return self._view
        waited = duration(round(time.monotonic() - self._started))
        return _failed(self._pack, self._panel, f"the panel has not been read after {waited}")

    def _read(self) -> None:
        try:
            self._view = view(self._pack, self._panel, self._context)
        finally:
            self._over.set()


def view(pack: str, panel: Panel, context: ExtensionContext) -> PanelView:
    """The panel's current content, with all texts safe to show, and no more rows than can be shown."""
    try:
        return _shown(pack, panel, panel.read(context))
    except OpsconsoleError as error:
        return _failed(pack, panel, _safe(error.sentence))
    except SQLAlchemyError as error:
        return _failed(pack, panel, f"the panel's data cannot be read: {reason(error)}")
    except BaseException as error:  # noqa: BLE001 - a pack may raise anything
        return _failed(pack, panel, f"the pack raised {describe(error)[0]}")


def _shown(pack: str, panel: Panel, content: PanelContent) -> PanelView:
    rows = [tuple(map(_safe, islice(row, MAX_COLUMNS))) for row in islice(content.rows, MAX_ROWS + 1)]
    message = _safe(content.message)
    if len(rows) > MAX_ROWS:
        del rows[MAX_ROWS:]
        note = f"only the first {MAX_ROWS:,} rows are shown"
        message = f"{message}; {note}" if message else note
    return PanelView(
        pack,
        _safe(panel.title),
        PanelContent(
            tuple((_safe(name), _safe(value)) for name, value in islice(content.facts, MAX_FACTS)),
            tuple(map(_safe, islice(content.columns, MAX_COLUMNS))),
            tuple(rows),
            message,
        ),
    )


def _failed(pack: str, panel: Panel, message: str) -> PanelView:
    return PanelView(pack, _safe(panel.title), PanelContent(message=message), failed=True)


def _safe(value: object) -> str:
    return safe(value, MAX_TEXT_LENGTH)
