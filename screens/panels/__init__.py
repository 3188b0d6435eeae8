"""What stands in every row of the screens: pure functions from plain values to lines, with no Textual in them."""
