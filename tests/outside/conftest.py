"""These tests are of another project; `tests/authoring/test_outside_pack.py` runs them as that project would."""

collect_ignore_glob = ["*"]
