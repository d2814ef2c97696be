"""A loss of power under a real eucabox, on real ext4, XFS and Btrfs: `make test-power`.

A disk is recorded: `fuse` is a FUSE file system of one file, on which the kernel's loop driver
makes a block device, and it notes each write and each flush in their order. `clients` put,
overwrite, copy, tag and delete objects and versions, upload in parts, and change settings of
buckets, accounts, users, keys, policies, groups and instances of a eucabox whose data lie there;
`world` keeps at which moment each was asked and answered. Then, for each cut, `cuts` makes the
disk as it may be after the power went at that record, the kernel mounts it and takes back what its
journal has, a eucabox starts on it with another boot id, and `checks` reads everything.

What a disk has after a cut: all that was written before its last flush; of each later write all,
nothing, or some of its sectors of 4 KiB, as the seed decides, in any order. The file systems need
no model: they are the kernel's own. ext4 puts a folder's entries and the attributes of files on
the disk in the order in which they were made, XFS nearly so; Btrfs logs a file or a folder by
itself, and so comes next to what POSIX promises, which is nothing but what an fsync was for. Cuts
are at any record, just after an answer, just before a flush for which much waits, and in the first
start of all, after which the next one has to come up.

What must hold with `commit`: whatever was answered before the cut is there, whole; what was asked
and not answered is there or not, whole; what was never asked is not. With `relaxed`: the same, but
of objects only for what was answered 75 seconds before; a key that was written later may be
absent.

No order of the store's own is taken for granted, so any other order is judged as well. To judge
another checkout: `python -m tests.power --tree /path/to/it`. A cut that lost something leaves its
disk in /var/tmp, as it was before it was mounted: `losetup --sector-size 4096`, then mount.
"""
