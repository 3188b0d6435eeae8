"""What every layer stands on: errors, clock, text, times, settings, databases."""
