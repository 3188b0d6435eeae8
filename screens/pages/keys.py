"""The keys of a page as people read them, and the commands that the palette offers on it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from screens import actions, alert_actions, command_lines
from screens.dialogs.palette import PaletteCommand
from screens.keymap import readable
from screens.pages.page import CHANGES, MAXIMISE, Page
from screens.pages.wall import WallScreen
from screens.panels import alerts, pauses, questions, why

_TEXTUAL_ACTIONS = ("screen.copy", "app.focus")
_CURSOR_ACTIONS = ("move", "panel", "scroll")
"""Those that only move the cursor are not in the palette."""


class Action(NamedTuple):
    """What keys of a page do: its id, its words, the keys as people read them, and Textual's action."""

    id: str
    words: str
    keys: str
    action: str


def actions_of(page: Page) -> list[Action]:
    """The actions of the keys that are active on a page, and that its row allows."""
    found: dict[str, Action] = {}
    refused = page.refused()
    for key, active in page.active_bindings.items():
        binding = active.binding
        if not binding.description or binding.action.startswith(_TEXTUAL_ACTIONS) or binding.id in refused:
            continue
        namespace = "app." if active.node is page.app else ""
        action = f"{namespace}{binding.action.removeprefix('app.')}"
        known = found.setdefault(binding.description, Action(binding.id or "", binding.description, "", action))
        found[binding.description] = known._replace(keys=f"{known.keys} {readable(key)}".strip())
    return list(found.values())


def keys_of(page: Page) -> list[tuple[str, str]]:
    """The keys that are active on a page, each with what it does."""
    return [(action.keys, action.words) for action in actions_of(page)]


def commands_of(page: Page) -> list[PaletteCommand]:
    """The actions of a page, then those of each live run, job, open alert, silence and pause, and the themes. A viewer
    gets those that change nothing. Quitting comes last: enter runs the first one.
    """
    lines = {line.action: line for line in (*page.command_lines(), *command_lines.PAGES)}
    commands = [
        PaletteCommand(each.words, each.keys, partial(page.run_action, each.action), lines.get(each.id))
        for each in actions_of(page)
        if not each.action.startswith(_CURSOR_ACTIONS)
    ]
    commands += _of_snapshot(page)
    host = page.host
    pause = partial(actions.pause, host, pauses.ALL)
    commands.append(PaletteCommand("pause all jobs", "", pause, command_lines.pause(pauses.ALL)))
    report, hand_over = partial(alert_actions.report, host), partial(alert_actions.hand_over, host)
    commands.append(PaletteCommand("write up all open alerts", "", report, command_lines.report()))
    commands.append(PaletteCommand("write a handover", "", hand_over, command_lines.HANDOVER))
    commands.append(PaletteCommand("wall display", "", lambda: host.open_page(WallScreen(host))))
    if "asterisk" not in page.active_bindings:
        commands.append(PaletteCommand("try a schedule", "", partial(actions.try_schedule, host)))
    for theme in sorted(host.themes):
        commands.append(PaletteCommand(f"theme: {theme}", "", partial(host.choose_theme, theme)))
    if host.service.read_only:
        commands = [each for each in commands if each.command is None or each.command.action not in CHANGES]
    return sorted(commands, key=lambda command: (command.name == "quit", command.name == MAXIMISE))


def _of_snapshot(page: Page) -> Iterator[PaletteCommand]:
    host, snapshot, view = page.host, page.host.snapshot, page.view()
    for progress in snapshot.live:
        run = progress.run
        cancel = partial(actions.cancel, host, run)
        yield PaletteCommand(f"cancel {questions.run_name(run)}", "", cancel, command_lines.cancel(run.id))
    for card in snapshot.jobs:
        name = card.name
        question = why.of_job(view, name)
        trigger, pause = partial(actions.trigger, host, name), partial(actions.pause, host, name)
        yield PaletteCommand(f"trigger {name}", "", trigger, command_lines.trigger(name))
        yield PaletteCommand(
            f"explain {name}", "", partial(actions.why, host, question), command_lines.why(name, question.at)
        )
        schedule = partial(actions.schedule, host, card)
        yield PaletteCommand(f"schedule {name}", "", schedule, command_lines.schedule(name, card.cron or "", card.tz))
        yield PaletteCommand(f"pause {name}", "", pause, command_lines.pause(name))
        newest = view.newest_run(name)
        if newest is not None:
            open_run = partial(host.open_run, newest.id)
            yield PaletteCommand(f"open newest run of {name}", "", open_run, command_lines.show_run(newest.id))
    for alert in snapshot.alerts:
        if alert.alert.is_open:
            number, name = alert.alert.id, alerts.name(alert)
            acknowledge = partial(alert_actions.acknowledge, host, alert)
            silence = partial(alert_actions.silence, host, alert)
            yield PaletteCommand(f"acknowledge {name}", "", acknowledge, command_lines.acknowledge(number))
            yield PaletteCommand(f"silence {name}", "", silence, command_lines.silence(str(number)))
    for target in dict.fromkeys(silence.target for silence in snapshot.silences):
        end = partial(alert_actions.end_silence, host, target)
        yield PaletteCommand(f"end the silence of {target}", "", end, command_lines.unsilence(target))
    for target in dict.fromkeys(pause.target for pause in snapshot.pauses):
        resume = partial(actions.resume_only, host, target)
        yield PaletteCommand(f"resume {pauses.target_name(target)}", "", resume, command_lines.resume(target))
