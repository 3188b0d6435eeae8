"""The panels of packs, each read separately: one that fails does not hide the others."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import Panel, PanelContent
from opsconsole.core.database import reason
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.text import safe
from opsconsole.service.snapshot import PanelView

MAX_TEXT_LENGTH = 200


def view(pack: str, panel: Panel, context: ExtensionContext) -> PanelView:
    """The panel's current content, with all texts safe to show."""
    try:
        content = panel.read(context)
    except OpsconsoleError as error:
        return _failed(pack, panel, error.sentence)
    except SQLAlchemyError as error:
        return _failed(pack, panel, f"the panel's data cannot be read: {reason(error)}")
    except Exception as error:  # noqa: BLE001 - a pack may raise anything
        return _failed(pack, panel, f"the pack raised {type(error).__name__}: {_safe(error)}")
    return PanelView(
        pack,
        panel.title,
        PanelContent(
            tuple((_safe(name), _safe(value)) for name, value in content.facts),
            tuple(map(_safe, content.columns)),
            tuple(tuple(map(_safe, row)) for row in content.rows),
            _safe(content.message),
        ),
    )


def _failed(pack: str, panel: Panel, message: str) -> PanelView:
    return PanelView(pack, panel.title, PanelContent(message=message), failed=True)


def _safe(value: object) -> str:
    return safe(value, MAX_TEXT_LENGTH)
