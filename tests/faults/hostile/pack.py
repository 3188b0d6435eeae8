"""The hostile pack: odd jobs, routes and panels. What one of them does must stay with its run, response or panel."""

from __future__ import annotations

from opsconsole import Pack
from tests.faults.hostile import databases, exceptions, populations, processes, surroundings, values
from tests.faults.hostile.cases import PACK
from tests.faults.hostile.extensions import PANELS, ROUTES

CASES = (
    *values.cases,
    *populations.cases,
    *exceptions.cases,
    *processes.cases,
    *surroundings.cases,
    *databases.cases,
)

pack = Pack(
    PACK,
    jobs=tuple(case.job for case in CASES),
    families=(databases.VALUES,),
    metadata=databases.metadata,
    routes=tuple(odd.route for odd in ROUTES),
    panels=PANELS,
)
