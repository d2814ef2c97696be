"""What stands behind `bucket.py`: keys, files, attributes, index; never a protocol or an account.

On the disk, under the folder of all buckets:

    .eucabox/state          who has the store open, and whether the index can be believed
    .eucabox/index.db       the listing index; delete it and the next start makes a new one
    .eucabox/journal.N      keys whose files may be newer than the index
    .eucabox/new, gone      buckets being made and being removed; emptied at every start
    .eucabox/access/        records of requests that wait for their delivery as access logs
    .eucabox/lock           the process that has the store open
    .eucabox/master-key     the mark of the master key that encrypted objects were written with
    NAME/a/b/c.txt          the object a/b/c.txt of the bucket NAME, byte for byte
    NAME/.eucabox/          hidden, inside the bucket so that it moves and is copied with it
        bucket.json         owner, creation, ACL, settings
        mark                tells whether the listing index is of this folder as it is
        objects/hh/HASH     an object whose key no path can hold; HASH.key has the key
        attributes/hh/HASH.SIZE-TIME   attributes that did not fit into the extended attribute
        versions/hh/HASH/STAMP     a version that is not current, STAMP.marker a delete marker
        uploads/ID/         upload.json and a file for each part
        temporary/          files being written; emptied at every start
"""
