"""What is wrong, judged from plain values."""
