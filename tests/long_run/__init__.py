"""One eucabox under mixed load for hours: its memory, descriptors, threads and files stay flat."""
