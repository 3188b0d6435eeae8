"""The catalog of loaded packs and jobs, validated at start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from datetime import timedelta
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from typing import Any

import msgspec

from opsconsole.authoring import definition, parameters
from opsconsole.authoring.changed_schedule import ChangedSchedule
from opsconsole.authoring.extensions import CONFIGURATION, Check
from opsconsole.authoring.job import Job, Limits, Overlap
from opsconsole.authoring.pack import Pack
from opsconsole.authoring.run import NO_PARAMS
from opsconsole.cache.families import Family, clashes
from opsconsole.calendar.cron import Cron
from opsconsole.core.bounds import duration_problem, name_problem, shown
from opsconsole.core.bundle import hidden_by
from opsconsole.core.errors import BadSettings, OpsconsoleError, UnknownJob
from opsconsole.core.installed_packs import installed_packs
from opsconsole.core.sections import section
from opsconsole.core.settings import CompressOver, JobOverride
from opsconsole.core.text import safe
from opsconsole.core.times import LONGEST


class Catalog:
    """All loaded jobs, ordered by name."""

    def __init__(self, packs: tuple[Pack, ...], jobs: Mapping[str, Job], options: Mapping[str, Mapping[str, Any]]):
        self.packs = packs
        self._base = dict(sorted(jobs.items()))
        self._jobs = dict(self._base)
        self.changed: Mapping[str, ChangedSchedule] = {}
        """The schedules that operators changed, by job; another object after each change."""
        self._names = {alias: job.name for job in self for alias in (job.name, *job.aliases)}
        self._crons = {job.name: Cron(job.cron, job.tz) for job in self if job.cron is not None}
        self._descriptions: dict[str, str] = {}
        self._options = options

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    def find(self, name: str) -> Job:
        """The job with that name or alias. Raises UnknownJob, which suggests similar names."""
        full_name = self._names.get(name)
        if full_name is None:
            raise UnknownJob(name, list(self._jobs), similar=get_close_matches(name, self._names, n=3))
        return self._jobs[full_name]

    def cron(self, job: Job) -> Cron | None:
        """The job's schedule; None for a manual job, which runs only when an operator starts it."""
        return self._crons.get(job.name)

    def describe_schedule(self, job: Job) -> str:
        """The job's schedule in words, such as "At 23:50"; "manual" without one. It is marked if an operator changed
        it.
        """
        if job.name not in self._descriptions:
            cron = self.cron(job)
            mark = " (changed)" if job.name in self.changed else ""
            self._descriptions[job.name] = f"{cron.describe()}{mark}" if cron is not None else "manual"
        return self._descriptions[job.name]

    def base(self, name: str) -> Job:
        """The job as code and configuration define it. Raises UnknownJob."""
        return self._base[self.find(name).name]

    def apply(self, changed: Mapping[str, ChangedSchedule]) -> bool:
        """Applies the schedules that operators changed, in place: every part of the process has the same catalog. False
        when nothing differs. A schedule that cannot be read, or is of a removed job, is left out.
        """
        if changed == self.changed:
            return False
        jobs, crons = dict(self._base), {}
        for name, job in self._base.items():
            if (change := changed.get(name)) is not None:
                with suppress(OpsconsoleError):
                    crons[name] = Cron(change.cron, change.tz)
                    jobs[name] = replace(job, cron=change.cron, tz=change.tz)
            if name not in crons and job.cron is not None:
                crons[name] = Cron(job.cron, job.tz)
        self._jobs, self._crons, self._descriptions, self.changed = jobs, crons, {}, dict(changed)
        return True

    @property
    def families(self) -> tuple[Family, ...]:
        """The cache families of all packs."""
        return tuple(family for pack in self.packs for family in pack.families)

    def options(self, of: Job | Pack, params: Mapping[str, Any] = NO_PARAMS) -> Mapping[str, Any]:
        """The settings of a pack; or of a job's pack, with the parameters of a run. Raises BadParameter."""
        if isinstance(of, Pack):
            return self._options.get(of.name, {})
        return {**self._options.get(of.pack, {}), **parameters.effective(of, params)}

    def notes(self) -> tuple[tuple[str, str], ...]:
        """The settings that keep jobs from working in this process, as its packs say it: (pack, sentence)."""
        return tuple((pack.name, safe(note)) for pack in self.packs for note in _notes(pack, self.options(pack)))


def load(
    packs: tuple[str, ...],
    overrides: Mapping[str, JobOverride],
    options: Mapping[str, Mapping[str, Any]],
    compress_over: CompressOver = None,
) -> Catalog:
    """Imports the packs and validates their jobs. A path is a module with a `pack`, or `module:attribute`; a pack with
    several paths is loaded once.

    Raises BadSettings with all problems.
    """
    problems: list[str] = []
    found: dict[str, Pack] = {}
    for path in packs:
        try:
            pack = _imported(path)
        except NoPack as error:
            problems.append(f"{_named_by(path)} {error.sentence}")
            continue
        if any(pack is other for other in found.values()):
            continue
        for before in (before for before, other in found.items() if other.name == pack.name):
            problems.append(f"{_named_by(path)} has the same name, {pack.name}, as {before}")
        found[path] = pack
    loaded = list(found.values())
    if not problems:
        names = ", ".join(sorted(pack.name for pack in loaded))
        unknown = options.keys() - {pack.name for pack in loaded}
        problems += [f"[{name}] is not the section of a pack; the packs are {names}" for name in sorted(unknown)]
    jobs: dict[str, Job] = {}
    taken: dict[str, str] = {}
    for pack in loaded:
        for job in _jobs_of(pack, problems):
            changed = _overridden(job, overrides.get(job.name), problems)
            problems += [f"{job.name}: {line}" for line in definition.problems(changed)]
            problems += _parameter_problems(pack, changed)
            aliases = () if definition.names_problem(job.aliases) else job.aliases
            for name in (job.name, *aliases):
                if name in taken:
                    problems.append(f"{job.name}: the name {name} is taken by {taken[name]}")
                taken[name] = job.name
            jobs[job.name] = changed
        problems += _check_problems(pack)
    problems += [f'[jobs."{name}"]: there is no such job' for name in overrides if name not in jobs]
    if all(definition.names_problem(job.after) is None for job in jobs.values()):
        problems += _after_problems(jobs)
    problems += clashes(family for pack in loaded for family in pack.families)
    problems += _filling_problems(loaded, jobs)
    loaded = [_compressing(pack, compress_over) for pack in loaded]
    problems += _compression_problems(loaded, compress_over)
    settled = {pack.name: _options(pack, options.get(pack.name, {}), problems) for pack in loaded}
    if problems:
        raise BadSettings(problems)
    return Catalog(tuple(loaded), jobs, settled)


def _compressing(pack: Pack, over: CompressOver) -> Pack:
    """The pack with the configured limits of its families."""
    limits = {family.name: over.get(family.name) if isinstance(over, dict) else over for family in pack.families}
    families = (
        family if limits[family.name] is None else replace(family, compress_over=limits[family.name])
        for family in pack.families
    )
    return replace(pack, families=tuple(families))


def _filling_problems(packs: list[Pack], jobs: Mapping[str, Job]) -> Iterator[str]:
    for pack in packs:
        for family in pack.families:
            own = [name for name in family.filled_by if name.partition(".")[0] == pack.name]
            yield from (f"family {family.name}: there is no job {name}" for name in own if name not in jobs)


def _compression_problems(packs: list[Pack], over: CompressOver) -> Iterator[str]:
    names = [family.name for pack in packs for family in pack.families]
    by_family = over if isinstance(over, dict) else {}
    for name in [name for name in by_family if name not in names]:
        close = get_close_matches(name, names, n=1)
        yield f"cache.compress_over: there is no cache family {name}" + (f"; did you mean {close[0]}?" if close else "")
    for limit in by_family.values() if isinstance(over, dict) else () if over is None else (over,):
        if limit < 0:
            yield f"cache.compress_over must be a number of bytes, 0 or more, not {limit}"


class NoPack(OpsconsoleError):
    """A path that does not lead to a pack. The message follows the path."""


def _imported(path: str) -> Pack:
    """The pack at a path. Raises NoPack."""
    module, _, attribute = path.partition(":")
    attribute = attribute or "pack"
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        hiding = hidden_by(module.partition(".")[0])
        hint = f"; {hiding} hides the package of the same name that comes with opsconsole, rename one" if hiding else ""
        raise NoPack(f"cannot be imported: {error}{hint}") from error
    except (Exception, SystemExit) as error:  # a pack can raise anything on import
        raise NoPack(f"cannot be imported: {type(error).__name__}: {safe(error, 200)}") from error
    pack = getattr(found, attribute, None)
    if not isinstance(pack, Pack):
        raise NoPack(f"does not define `{attribute}`")
    return pack


def _named_by(path: str) -> str:
    """Where a path comes from: the configuration, or an installed distribution and how to disable it."""
    source = next((pack for pack in installed_packs() if pack.path == path), None)
    if source is None:
        return f"jobs.packs: {path}"
    return f"{source.distribution} (without its packs: jobs.entry_points = false): {path}"


def _options(pack: Pack, given: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """A pack's section of the configuration, with defaults."""
    if pack.settings is None:
        problems += [f"{pack.name}.{key} is not a setting; [{pack.name}] has no settings" for key in given]
        return {}
    return msgspec.structs.asdict(section(pack.name, pack.settings, given, problems))


def _jobs_of(pack: Pack, problems: list[str]) -> Iterator[Job]:
    """The jobs of a pack that have a name."""
    if not isinstance(pack.jobs, tuple):
        problems.append(f"{pack.name}: jobs must be a tuple of jobs, not {shown(pack.jobs)}")
        return
    for job in pack.jobs:
        if not isinstance(job, Job):
            problems.append(f"{pack.name}: jobs must be a tuple of jobs, not of {shown(job)}")
        elif problem := name_problem(job.name):
            problems.append(f"{pack.name}: the name of a job {problem}")
        else:
            before, dot, after = job.name.partition(".")
            if not (before and dot and after):
                problems.append(f"{job.name}: a job's name must be its pack's name, a dot, and its own name")
            yield job


def _parameter_problems(pack: Pack, job: Job) -> Iterator[str]:
    if (problem := parameters.definition_problem(job.params)) if job.params is not None else None:
        yield f"{job.name}: params {problem}"
    elif pack.settings is not None:
        own = {field.name for field in msgspec.structs.fields(pack.settings)}
        for each in parameters.declared(job):
            if each.name in own:
                yield f"{job.name}: the parameter {each.name} has the name of a setting of [{pack.name}]; rename it"


def _check_problems(pack: Pack) -> Iterator[str]:
    """What is wrong with the checks of a pack."""
    names = {CONFIGURATION}
    given: Any = pack.checks
    for check in given if isinstance(given, tuple) else (given,):
        if not isinstance(check, Check):
            yield f"{pack.name}: checks must be a tuple of checks, not of {shown(check)}"
        elif problem := name_problem(check.name):
            yield f"{pack.name}: the name of a check {problem}"
        elif check.after and (problem := duration_problem(check.after)):
            yield f"{pack.name}: after of the check {check.name} {problem}"
        elif check.name in names:
            yield f"{pack.name}: the name {check.name} of a check is taken"
        else:
            names.add(check.name)


def _notes(pack: Pack, options: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return pack.notes(options) if pack.notes is not None else ()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a pack can raise anything
        return (f"the pack {pack.name} cannot say what it lacks: {type(error).__name__}: {error}",)


_LIMITS = tuple(field.name for field in fields(Limits))


def _overridden(job: Job, override: JobOverride | None, problems: list[str]) -> Job:
    if override is None:
        return job
    values: dict[str, Any] = {
        name: value for name in override.__struct_fields__ if (value := getattr(override, name)) is not None
    }
    for name in ("batch_timeout", "timeout", "after_wait", "jitter", "max_age", "longest", "start_within"):
        seconds = values.get(name, 0.0)
        if abs(seconds) <= LONGEST.total_seconds():
            values |= {name: timedelta(seconds=seconds)} if name in values else {}
        else:
            problems.append(f"{job.name}: {name} must be a number of seconds up to 10 years, not {seconds:g}")
            del values[name]
    if "overlap" in values:
        values["overlap"] = Overlap(values["overlap"])
    limits = {name: values.pop(name) for name in _LIMITS if name in values}
    limits |= {name: None for name, value in limits.items() if value is False}
    if limits and isinstance(job.limits, Limits):
        values["limits"] = replace(job.limits, **limits)
    return replace(job, **values)


def _after_problems(jobs: Mapping[str, Job]) -> Iterator[str]:
    """Problems with `after` of all jobs."""
    for job in jobs.values():
        for name in job.after:
            named = next((each.name for each in jobs.values() if name in each.aliases), None)
            if name == job.name:
                yield f"{job.name}: it cannot run after itself"
            elif named is not None:
                yield f"{job.name}: it runs after {name}, an alias; use {named}"
            elif name not in jobs:
                close = get_close_matches(name, jobs, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                yield f"{job.name}: it runs after {name}, but there is no such job{hint}"
    try:
        TopologicalSorter({job.name: set(job.after) - {job.name} for job in jobs.values()}).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        yield f"{circle[0]}: it would wait for itself, as {' after '.join(circle)}"
