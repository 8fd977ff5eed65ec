"""Faults against a real server: kills, power cuts, damaged files, failing disks. crash.py runs them."""
