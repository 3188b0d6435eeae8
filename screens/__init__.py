"""The terminal console. Importing this package loads nothing; `screens.app` loads Textual."""
