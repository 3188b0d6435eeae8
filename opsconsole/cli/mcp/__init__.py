"""A server of the Model Context Protocol, through which assistants read and, if allowed, act."""
