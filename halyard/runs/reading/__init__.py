"""Runs as they are read by those who watch: cheap on long ones, and safe while they are being written."""
