"""Pure functions from values to the lines of a panel. No Textual in them."""
