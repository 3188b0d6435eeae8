"""Sends messages through Apprise, which is imported when the first one is sent."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.settings import Channel
from opsconsole.core.text import safe
from opsconsole.rules.alerts import AlertEvent
from opsconsole.rules.findings import Severity

if TYPE_CHECKING:
    from apprise import AppriseAsset

MAX_REASON = 200
SHORTEST_PART = 4
"""Characters of a part of a URL that is removed from what Apprise reports."""
_MENTION = re.compile(r"(?<=@)(?=(?:everyone|here|channel|all)\b)|(?<=<)(?=[!@#&])", re.IGNORECASE)


class NotDelivered(OpsconsoleError):
    """A channel did not accept a message; the sentence is the reason, without any part of the channel's URL."""

    exit_code = Exit.FAILED

    def __init__(self, channel: Channel, reason: str) -> None:
        super().__init__(safe(_without_parts(channel.url.reveal(), reason), MAX_REASON))


def url_problem(channel: Channel) -> str | None:
    """What is wrong with a channel's URL; None if Apprise can use it. Connects to nothing."""
    import apprise  # takes half a second

    _quiet()
    try:
        usable = apprise.Apprise.instantiate(channel.url.reveal(), asset=_asset(), suppress_exceptions=True) is not None
    except Exception:  # noqa: BLE001 - of a plugin, about a URL that it did not expect
        usable = False
    return None if usable else f"notify.{channel.name}.url is not a URL that Apprise can use; see its list of services"


def send(channel: Channel, uid: str, title: str, body: str, severity: Severity, event: AlertEvent) -> None:
    """Sends a message; its last line has the `uid`. Raises NotDelivered."""
    import apprise

    _quiet()
    try:
        service = apprise.Apprise.instantiate(channel.url.reveal(), asset=_asset(), suppress_exceptions=True)
        if service is None:
            raise NotDelivered(channel, "its URL is not one that Apprise can use; run `opsconsole check`")
        sender = apprise.Apprise(asset=_asset())
        sender.add(service)
        result = sender.notify(
            title=_without_mentions(title),
            body=_without_mentions(f"{body}\nid: {uid}"),
            notify_type=apprise.NotifyType(_type(severity, event)),
            body_format=apprise.NotifyFormat.TEXT,
        )
    except NotDelivered:
        raise
    except Exception as error:  # noqa: BLE001 - of a plugin
        raise NotDelivered(channel, f"{type(error).__name__}: {error}") from None
    if not result:
        reasons = dict.fromkeys(str(entry.message) for entry in result.logs())
        raise NotDelivered(channel, "; ".join(reasons) or "it was not accepted")


def _asset() -> AppriseAsset:
    from apprise import AppriseAsset

    # Without a time limit of its own Apprise calls the service in this thread, which the caller limits.
    return AppriseAsset(app_id="opsconsole", app_desc="opsconsole", service_timeout=0)


def _quiet() -> None:
    """Keeps what Apprise logs out of the program's log: its reasons are part of the result, and have secrets."""
    logging.getLogger("apprise").propagate = False


def _type(severity: Severity, event: AlertEvent) -> str:
    if event is AlertEvent.RESOLVED:
        return "success"
    return "failure" if severity is Severity.CRITICAL else "warning"


def _without_mentions(text: str) -> str:
    """The text with a space in what a chat service would take as a mention of people."""
    return _MENTION.sub(" ", text)


def _without_parts(url: str, text: str) -> str:
    """The text with `***` for every part of a URL."""
    parts = {form for part in re.split(r"[/:@?&=,;#+]", url.partition("://")[2]) for form in (part, unquote(part))}
    for part in sorted((part for part in parts if len(part) >= SHORTEST_PART), key=len, reverse=True):
        text = text.replace(part, "***")
    return text
