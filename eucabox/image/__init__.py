"""What an image is made of: bundles, disks, the cache, the tiny guest; never who may use it."""
