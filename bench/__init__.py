"""Measurements as ratios beside a peer or a limit in one run; nothing here passes or fails."""
