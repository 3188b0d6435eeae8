"""What opsconsole brings along so that it runs with nothing else installed or configured."""
