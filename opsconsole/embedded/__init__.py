"""The embedded Redis, sample data and the demo: opsconsole without other installed or configured services."""
