"""Dialogs above a page."""
