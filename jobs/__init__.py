"""The packs that ship with opsconsole."""
