"""`make bench-console`: what the console costs on a real terminal."""
