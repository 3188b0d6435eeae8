"""The panels of packs, each read separately: one that fails or hangs does not hide the others."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from itertools import islice

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import Panel, PanelContent
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.humanize import duration
from opsconsole.core.supervision import describe
from opsconsole.core.text import safe
from opsconsole.core.time_limit import Call, Calls
from opsconsole.service.snapshot import PanelView

MAX_TEXT_LENGTH = 200
MAX_ROWS, MAX_COLUMNS, MAX_FACTS = 2000, 50, 100
READ_SECONDS = 5.0
"""How long all panels together are waited for. One that takes longer is shown the next time, if it is read by then."""


class PanelReader:
    """Reads panels in threads of their own, at most one per panel: the code of a pack may hang."""

    def __init__(self) -> None:
        self._calls: Calls[PanelView] = Calls("panel")

    def read(self, panels: Iterable[tuple[str, Panel, ExtensionContext]]) -> tuple[PanelView, ...]:
        """The current content of these panels (pack, panel, context), with all texts safe to show."""
        deadline = time.monotonic() + READ_SECONDS
        started = []
        for number, (pack, panel, context) in enumerate(panels):
            key = pack, number
            started.append((key, panel, self._calls.start(key, partial(view, pack, panel, context))))
        return tuple(self._finish(*each, deadline) for each in started)

    def _finish(self, key: tuple[str, int], panel: Panel, call: Call[PanelView], deadline: float) -> PanelView:
        result = self._calls.finish(key, call, deadline)
        if result is not None:
            return result[0]
        return _failed(key[0], panel, f"the panel has not been read after {duration(round(call.seconds))}")


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
