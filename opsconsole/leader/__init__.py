"""What only the leader does: the lease, the schedule, the runs, the background tasks."""
