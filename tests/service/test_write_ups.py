"""What operators hand to others: an incident, and what the next shift has to know."""

from __future__ import annotations

from dataclasses import replace

from opsconsole.service import write_ups
from opsconsole.service.snapshot import Outage
from tests.screens import past_alerts, samples

EVIL = "![x](http://x) <script> `rm` [@click=q] \x1b[2J\nnext"


def test_an_incident_has_the_state_of_each_alert_and_one_timeline() -> None:
    page = past_alerts.PAGES[0]

    text = write_ups.incident([page], "production", samples.NOW)

    lines = text.splitlines()
    assert lines[0] == "# Incident: `the data database`"
    assert lines[2] == "Written 2026-01-19 18:20:07 UTC, environment production."
    assert "## `the data database` is unreachable: connection refused at db.internal:5432" in lines
    assert any(line.startswith("- runbook: docs/runbook.md#") for line in lines)
    timeline = lines[lines.index("## Timeline") + 2 :]
    assert timeline == sorted(timeline)
    assert any("sent to" in line for line in timeline)


def test_several_alerts_are_one_incident() -> None:
    text = write_ups.incident(past_alerts.PAGES, "", samples.NOW)

    assert text.startswith("# Incident: `the data database` and ")
    assert text.count("\n## ") == len(past_alerts.PAGES) + 1
    assert "acknowledged by" in text


def test_without_alerts_there_is_no_incident() -> None:
    assert write_ups.incident([], "demo", samples.NOW).startswith("# No incident\n\nNo alert is open.")


def test_nothing_in_a_text_is_markup() -> None:
    page = past_alerts.PAGES[0]
    alert = replace(page.card.alert, subject=EVIL, message=EVIL, evidence={"items": [EVIL], "numbers": {EVIL: 1}})

    text = write_ups.incident([replace(page, card=replace(page.card, alert=alert))], EVIL, samples.NOW)

    assert "\x1b" not in text
    assert text.startswith("# Incident: `![x](http://x) <script> 'rm' [@click=q] \\x1b[2J\\x0anext`")
    assert "environment !\\[x\\](http://x) \\<script\\> \\`rm\\`" in text
    assert "\nnext" not in text


def test_a_handover_names_what_fires_runs_is_paused_and_comes_next() -> None:
    snapshot = replace(past_alerts.SOME, pauses=samples.PAUSED.pauses, live=samples.PAUSED.live)

    text = write_ups.handover(snapshot, samples.NOW)

    assert "Leader: asha on web1/4711" in text
    assert "- **critical** `the data database` is unreachable" in text
    assert "acknowledged by ben" in text
    assert "- run 4812 `attempts.cache_day` 2026-01-19: running, 6,150 of 10,000, 1 failed, for 2 min" in text
    assert "waits for attempts.cache_day" in text
    assert "- `game.life_regen` until 2026-01-19 23:00:00 UTC by ben" in text
    assert "(in 9 min 53 s) `game.life_regen`" in text


def test_the_next_runs_of_troubled_jobs_come_first() -> None:
    jobs = (
        *(samples.card(f"game.job{n}", n) for n in range(9)),
        samples.card("game.far", 60 * 13),
        samples.card("game.broken", 300, last=samples.partial(7)),
    )

    found = write_ups.next_runs(replace(samples.BUSY, jobs=jobs), samples.NOW)

    assert [card.name for card in found] == ["game.broken", *(f"game.job{n}" for n in range(5))]


def test_a_quiet_handover_says_so() -> None:
    text = write_ups.handover(replace(samples.EMPTY, leader=None), samples.NOW)

    assert "## Firing (0)\n\n- nothing" in text
    assert "Leader: none: no run starts" in text
    outage = replace(samples.EMPTY, store_outage=Outage(samples.ago(minutes=2), "locked"))
    assert "all below is older" in write_ups.handover(outage, samples.NOW)
