"""Each job as such jobs usually are: the ORM, and for each user a set of queries, a commit and a Redis command."""
