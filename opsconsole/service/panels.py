"""What packs show of themselves, each panel read on its own: one that fails hides no other."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import Panel, PanelContent
from opsconsole.core.database import reason
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.text import safe
from opsconsole.service.snapshot import PanelView

LONGEST = 200
"""So much of a text from data is shown."""


def view(pack: str, panel: Panel, serving: ExtensionContext) -> PanelView:
    """A panel as it is now, with all texts safe to show."""
    try:
        shown = panel.read(serving)
    except OpsconsoleError as error:
        return PanelView(pack, panel.title, PanelContent(message=error.sentence), troubled=True)
    except SQLAlchemyError as error:
        return PanelView(
            pack, panel.title, PanelContent(message=f"its data cannot be read: {reason(error)}"), troubled=True
        )
    except Exception as error:  # noqa: BLE001 - a pack raises what it likes
        told = f"its pack failed: {type(error).__name__}: {safe(error, LONGEST)}"
        return PanelView(pack, panel.title, PanelContent(message=told), troubled=True)
    return PanelView(
        pack,
        panel.title,
        PanelContent(
            tuple((safe(name, LONGEST), safe(value, LONGEST)) for name, value in shown.facts),
            tuple(safe(name, LONGEST) for name in shown.columns),
            tuple(tuple(safe(cell, LONGEST) for cell in row) for row in shown.rows),
            safe(shown.message, LONGEST),
        ),
    )
