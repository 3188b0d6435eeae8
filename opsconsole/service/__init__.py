"""The service that every interface calls: queries, commands, backfills, snapshots."""
