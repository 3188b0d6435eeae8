"""The store's migrations; imported only to migrate."""
