"""The packs of jobs that come with opsconsole."""
