"""How lines, symbols and styles are drawn."""
