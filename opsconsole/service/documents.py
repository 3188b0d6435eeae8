"""The base of the JSON documents of the command line, HTTP and other interfaces."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""A time in ISO 8601, in UTC and to the second."""


class Document(Struct, frozen=True, kw_only=True):
    """A JSON document. Its fields are the schema that the HTTP API publishes."""
