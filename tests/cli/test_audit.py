"""`audit` and its subcommands."""

from __future__ import annotations

from sqlalchemy import delete, text, update

from opsconsole.rules.audit import AuditProblem
from opsconsole.store.tables import audit
from tests.cli.conftest import RunCli
from tests.installation import Installation

LINES = ["[count] 3 items in 1 batches", "[count] \x1b[2Jwiped", "[count] succeeded"]


def test_audit_lists_requests_and_outcomes(cli: RunCli, installation: Installation) -> None:
    assert cli("audit").out == "the audit trail is empty\n"
    cli("pause", "clockwork", "--for", "1h", "--note", "why not")
    cli("resume", "all")

    result, newest = cli("audit"), cli("audit", "-n", "1", "--json").json

    rows = [line.split() for line in result.out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["4", "3", "2", "1"]
    assert '"note":"why not"' in result.out
    (entry,) = newest
    assert (entry["action"], entry["target"], entry["outcome"], entry["origin"]) == (
        "resume",
        "all",
        "refused",
        "local",
    )
    assert entry["after"]["message"] == "there is no pause of all jobs; paused now: clockwork"


def test_audit_lists_the_rows_that_match(cli: RunCli, installation: Installation) -> None:
    cli("pause", "clockwork", "--for", "1h")
    cli("resume", "all")

    refused, paused = (
        cli("audit", "--filter", "refused", "--json").json,
        cli("audit", "--filter", "pause", "--json").json,
    )

    assert [row["action"] for row in refused] == ["resume"]
    assert [row["outcome"] for row in paused] == ["done", "requested"]
    assert cli("audit", "--filter", "CLOCK since 2h before 1h").out == "no row matches\n"
    assert cli("audit", "--filter", "by").code == 2
    older = installation.service.audit.find("", limit=9, before=3)
    assert [row.id for row in older] == [2, 1]


def test_verification_continues_where_it_ended(cli: RunCli, installation: Installation) -> None:
    trail = installation.service.audit
    assert [step.rows for step in trail.verify_steps()] == [0]
    cli("pause", "clockwork")
    *_, first = trail.verify_steps()
    cli("resume", "clockwork")

    *_, second = trail.verify_steps(first)

    assert (first.rows, second.rows, second.problem) == (2, 4, None)
    assert second.seal == trail.seal()
    with installation.store.writing() as db:
        db.execute(text("DROP TRIGGER ops_audit_no_update"))
        db.execute(update(audit).where(audit.c.id == 3).values(who="mallory"))
    *_, unnoticed = trail.verify_steps(second)
    *_, found = trail.verify_steps(first)
    assert (unnoticed.problem, found.problem, found.broken) == (None, AuditProblem.ROW_CHANGED, 3)


def test_an_intact_audit_trail_is_verified(cli: RunCli) -> None:
    cli("pause", "clockwork")

    result, facts = cli("audit", "verify"), cli("audit", "verify", "--json").json

    assert result.code == 0
    proven = f"verified 2 rows: they are consistent with each other; the last seal is {facts['seal']}\n"
    assert result.out.startswith(proven)
    assert "does not show whether rows were removed from the end" in result.out
    assert (facts["ok"], facts["rows"], facts["problem"], facts["broken"]) == (True, 2, None, None)


def test_verify_reports_the_first_changed_row(cli: RunCli, installation: Installation) -> None:
    cli("pause", "clockwork")
    cli("resume", "clockwork")
    with installation.store.writing() as db:
        db.execute(text("DROP TRIGGER ops_audit_no_update"))
        db.execute(update(audit).where(audit.c.id == 3).values(who="mallory"))

    result = cli("audit", "verify")

    assert result.code == 1
    assert result.out == "row 3 was changed after it was written; 2 rows before it are valid\n"
    facts = cli("audit", "verify", "--json").json
    assert (facts["problem"], facts["broken"]) == ("row_changed", 3)


def test_a_seal_kept_elsewhere_shows_that_rows_were_removed_or_rewritten(
    cli: RunCli, installation: Installation
) -> None:
    assert cli("audit", "seal").out == "the audit trail is empty\n"
    cli("pause", "clockwork")
    cli("resume", "clockwork")
    seal = cli("audit", "seal").out.strip()

    kept = cli("audit", "verify", "--seal", seal)
    with installation.store.writing() as db:
        db.execute(text("DROP TRIGGER ops_audit_no_delete"))
        db.execute(delete(audit).where(audit.c.id == 4))
    cut, unanchored = cli("audit", "verify", "--seal", seal), cli("audit", "verify")
    cli("pause", "all")
    rewritten = cli("audit", "verify", "--seal", seal, "--json")

    assert seal.startswith("4:")
    assert (kept.code, kept.out) == (0, "verified 4 rows: unchanged up to row 4, consistent up to row 4\n")
    assert (cut.code, cut.out) == (1, "row 4 of this seal is missing: rows were removed from the end\n")
    assert unanchored.code == 0, "the rows that are left are consistent"
    assert (rewritten.code, rewritten.json["problem"]) == (1, "anchor_changed")


def test_a_text_that_is_no_seal_is_refused(cli: RunCli) -> None:
    refused = cli("audit", "verify", "--seal", "41:zz")

    assert refused.code == 2
    assert "'41:zz' is not a seal" in refused.err
