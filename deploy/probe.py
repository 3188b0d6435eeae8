#!/opt/opsconsole/bin/python -I
"""Exits with 0 if a route of opsconsole's HTTP API answers with 200: `opsconsole-probe /readyz`.

For health checks of containers. It sends the secret in CRON_SECRET, or in the file that CRON_SECRET_FILE names.
PROBE_URL replaces the address.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

ADDRESS = "http://127.0.0.1:8080"
SECONDS = 5


def main() -> int:
    """The exit code; prints what the route answers if it is not ready."""
    path = sys.argv[1] if len(sys.argv) > 1 else "/healthz"
    request = Request(os.environ.get("PROBE_URL", ADDRESS) + path, headers=_authorization())
    try:
        with urlopen(request, timeout=SECONDS):
            return 0
    except HTTPError as error:
        print(_message(error.read()) or error, file=sys.stderr)
    except OSError as error:
        print(error, file=sys.stderr)
    return 1


def _authorization() -> dict[str, str]:
    file = os.environ.get("CRON_SECRET_FILE")
    secret = Path(file).read_text().strip() if file else os.environ.get("CRON_SECRET", "")
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
