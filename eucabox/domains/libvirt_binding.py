"""libvirt's Python binding, or None on a host without it, where buckets and accounts serve."""

try:
    import libvirt
except ImportError:
    libvirt = None

__all__ = ["libvirt"]
