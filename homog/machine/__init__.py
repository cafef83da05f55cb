"""Processes, devices, signals and files."""
