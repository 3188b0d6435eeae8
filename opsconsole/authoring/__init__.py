"""What job authors write and receive, and the values that travel."""
