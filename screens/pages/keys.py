"""The keys of a page as people read them, and the commands that the palette offers on it."""

from __future__ import annotations

from functools import partial

from screens import actions, alert_actions
from screens.dialogs.palette import PaletteCommand
from screens.keymap import readable
from screens.pages.page import Page
from screens.pages.wall import WallScreen
from screens.panels import alerts, pauses, questions, why

_TEXTUAL_ACTIONS = ("screen.copy", "app.focus")
_CURSOR_ACTIONS = ("move", "panel", "scroll")


def keys_of(page: Page) -> list[tuple[str, str]]:
    """The keys that are active on a page, grouped by description."""
    keys: dict[str, list[str]] = {}
    for key, active in page.active_bindings.items():
        binding = active.binding
        if binding.description and not binding.action.startswith(_TEXTUAL_ACTIONS):
            keys.setdefault(binding.description, []).append(readable(key))
    return [(" ".join(names), description) for description, names in keys.items()]


def commands_of(page: Page) -> list[PaletteCommand]:
    """The actions of a page, then those of each live run, job, open alert, silence and pause."""
    host, snapshot = page.host, page.host.snapshot
    commands = [
        PaletteCommand(description, keys, partial(page.run_action, action))
        for keys, description in keys_of(page)
        if (action := _action(page, description)) is not None
    ]
    for progress in snapshot.live:
        cancel = partial(actions.cancel, host, progress.run)
        commands.append(PaletteCommand(f"cancel {questions.run_name(progress.run)}", "", cancel))
    for card in snapshot.jobs:
        commands.append(PaletteCommand(f"trigger {card.name}", "", partial(actions.trigger, host, card.name)))
        explain = partial(actions.why, host, why.of_job(page.view(), card.name))
        commands.append(PaletteCommand(f"explain {card.name}", "", explain))
        commands.append(PaletteCommand(f"pause {card.name}", "", partial(actions.pause, host, card.name)))
        newest = page.view().newest_run(card.name)
        if newest is not None:
            open_run = partial(host.open_run, newest.id)
            commands.append(PaletteCommand(f"open newest run of {card.name}", "", open_run))
    for alert in snapshot.alerts:
        if alert.alert.is_open:
            name = alerts.name(alert)
            commands.append(PaletteCommand(f"acknowledge {name}", "", partial(alert_actions.acknowledge, host, alert)))
            commands.append(PaletteCommand(f"silence {name}", "", partial(alert_actions.silence, host, alert)))
    for target in dict.fromkeys(silence.target for silence in snapshot.silences):
        end = partial(alert_actions.end_silence, host, target)
        commands.append(PaletteCommand(f"end the silence of {target}", "", end))
    for target in dict.fromkeys(pause.target for pause in snapshot.pauses):
        resume = partial(actions.resume_only, host, target)
        commands.append(PaletteCommand(f"resume {pauses.target_name(target)}", "", resume))
    for theme in sorted(host.themes):
        commands.append(PaletteCommand(f"theme: {theme}", "", partial(host.choose_theme, theme)))
    commands.append(PaletteCommand("write up all open alerts", "", partial(alert_actions.report, host)))
    commands.append(PaletteCommand("write a handover", "", partial(alert_actions.hand_over, host)))
    commands.append(PaletteCommand("display for a wall", "", lambda: host.open_page(WallScreen(host))))
    commands.append(PaletteCommand("pause all jobs", "", partial(actions.pause, host, pauses.ALL)))
    if "asterisk" not in page.active_bindings:
        commands.append(PaletteCommand("try a schedule", "", partial(actions.try_schedule, host)))
    return commands


def _action(page: Page, description: str) -> str | None:
    """The action with this description; None for one that only moves the cursor."""
    for active in page.active_bindings.values():
        binding = active.binding
        if binding.description == description and not binding.action.startswith(_CURSOR_ACTIONS):
            namespace = "app." if active.node is page.app else ""
            return f"{namespace}{binding.action.removeprefix('app.')}"
    return None
