"""Long lists: a block of rows at a time, of which a page keeps one, and where the others start."""

from __future__ import annotations

from typing import Generic, TypeVar

Place = TypeVar("Place")


class Blocks(Generic[Place]):
    """Where each block down to the current one starts, None for the first, and how many rows are before it."""

    def __init__(self) -> None:
        self._starts: list[tuple[Place | None, int]] = [(None, 0)]

    @property
    def start(self) -> Place | None:
        """Where the current block starts."""
        return self._starts[-1][0]

    @property
    def before(self) -> int:
        """The rows before it."""
        return self._starts[-1][1]

    def forward(self, to: Place, rows: int) -> None:
        """Continues with the block that starts at `to`; `rows` is the length of the current one."""
        self._starts.append((to, self.before + rows))

    def back(self) -> bool:
        """Goes back to the block before; False at the first one."""
        if len(self._starts) == 1:
            return False
        self._starts.pop()
        return True

    def reset(self) -> None:
        """Goes back to the first block."""
        del self._starts[1:]
