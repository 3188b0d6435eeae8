"""Each job as a typical program: the ORM, and per user a set of queries, a commit and a Redis command."""
