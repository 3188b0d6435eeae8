"""Full screens, one module each."""
