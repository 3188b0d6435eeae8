"""A server of the Model Context Protocol: programs that talk to language models read from it, and act if they may."""
