"""Pages: full screens, one module each."""
