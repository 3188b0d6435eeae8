"""The HTTP API for other programs: health checks, triggers, and the routes of packs."""
