"""The packages: installed, used, upgraded and removed in distributions that really boot."""
