"""What libvirt holds of ours: a connection, the guests, their launches and their ends."""
