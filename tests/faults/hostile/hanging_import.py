"""A module that hangs while it is imported."""

import time

time.sleep(86_400)
