"""The console: pages for people at an address of their own, on the same verbs as the APIs."""
