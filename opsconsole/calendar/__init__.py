"""Schedules in time: cron expressions, clock changes, windows."""
