"""The one front door for every interface: queries, commands, backfills, snapshots."""
