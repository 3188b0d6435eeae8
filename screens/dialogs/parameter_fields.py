"""The fields of a dialog for the parameters of a job. No Textual in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from opsconsole.authoring.parameters import Parameter
from screens.widgets.lines import Line, Piece, left, line, text
from screens.widgets.text_field import ChoiceField, TextField

VALUE_LENGTH = 500
NAME_CELLS = 20
VALUE_CELLS = 16


class ParameterFields:
    """A field for each parameter. Empty fields mean the defaults."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self.fields = [
            ChoiceField(each.choices, 40) if each.choices else TextField(VALUE_LENGTH) for each in parameters
        ]

    @property
    def given(self) -> dict[str, str]:
        """The parameters that have a value."""
        values = {each.name: _value(field) for each, field in zip(self._parameters, self.fields, strict=True)}
        return {name: value for name, value in values.items() if value}

    def lines(self, active: TextField, next_key: str) -> list[Line]:
        """A line for each field, and one about the field under the cursor; without one, which key leads there."""
        if not self._parameters:
            return []
        shown = [
            self._line(each, field, is_active=field is active)
            for each, field in zip(self._parameters, self.fields, strict=True)
        ]
        about = next((each for each, field in zip(self._parameters, self.fields, strict=True) if field is active), None)
        hint = (
            f"{next_key} goes to the parameters" if about is None else f"{about.help or about.name}: {about.expected}"
        )
        return [*shown, line("  ", text(hint, "quiet", 200))]

    def _line(self, parameter: Parameter, field: TextField, *, is_active: bool) -> Line:
        name = left(text(parameter.name, limit=NAME_CELLS).text, min(NAME_CELLS, self._name_cells) + 1)
        value = field.chosen if isinstance(field, ChoiceField) else None
        pieces = (
            (Piece("> ", "key"), text(value, "strong", 40)) if value else field.pieces(VALUE_CELLS, is_active=is_active)
        )
        default = text(f"  default {_shown(parameter.default)}", "quiet", 60)
        return line(Piece("▸ " if is_active else "  ", "mark"), name, *pieces, default)

    @property
    def _name_cells(self) -> int:
        return max(len(each.name) for each in self._parameters)


def _value(field: TextField) -> str:
    return (field.chosen or "") if isinstance(field, ChoiceField) else field.value.strip()


def _shown(default: Any) -> str:
    return default if isinstance(default, str) and default else msgspec.json.encode(default).decode()
