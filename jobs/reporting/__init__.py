"""Financial reports: daily reports, daily snapshots of balances, and monthly summaries."""

from __future__ import annotations

from jobs.common import metadata
from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.panels import reports_panel
from jobs.reporting.sample import add_reporting
from opsconsole import Pack

pack = Pack(
    "reporting",
    jobs=(daily_report, daily_snapshot, monthly_summary),
    metadata=metadata,
    panels=(reports_panel,),
    sample=add_reporting,
    sample_days=40,
)
