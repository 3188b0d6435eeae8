"""Tests of another project, run by `tests/authoring/test_outside_pack.py`."""

collect_ignore_glob = ["*"]
