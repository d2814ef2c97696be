"""A real Xen host, emulated: its dom0 with the deb, and paravirtual guests through the API."""
