"""Billing: daily statements of what customers were charged."""

from __future__ import annotations

import msgspec

from acme.billing.daily_statements import STATEMENT, Statement, daily_statements
from acme.billing.extensions import StatementRequest, currency, newest_day, statement
from acme.billing.tables import metadata
from opsconsole import Pack
from opsconsole.extensions import Check, Panel, Route


class Billing(msgspec.Struct, frozen=True):
    """The `[billing]` section of the configuration. All charges must be in this currency."""

    currency: str = "EUR"


pack = Pack(
    "billing",
    jobs=(daily_statements,),
    families=(STATEMENT,),
    metadata=metadata,
    settings=Billing,
    routes=(
        Route(
            "GET",
            "/billing/statement/{customer}/{day}",
            statement,
            fields=StatementRequest,
            answers={200: Statement},
        ),
    ),
    panels=(Panel("Billing", newest_day),),
    checks=(Check("currency", currency),),
)
