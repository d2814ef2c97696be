"""The engine behind `bucket.py`: keys, files, attributes, index; never a protocol or an account.

On the disk, under the folder of all buckets:

    .eucabox/state          whether the index and the journal can be trusted
    .eucabox/index.db       the listing index; if it is deleted, the next start rebuilds it
    .eucabox/journal.N      keys whose files may be newer than the index
    .eucabox/new, gone      buckets that are being made and deleted; emptied at every start
    .eucabox/access/        access log records that wait for delivery
    .eucabox/lock           the process that has the store open
    .eucabox/master-key     a fingerprint of the master key of encrypted objects
    NAME/a/b/c.txt          the object a/b/c.txt of the bucket NAME, byte for byte
    NAME/.eucabox/          reserved; in the bucket's folder, so that it is moved and copied along
        bucket.json         owner, creation, ACL, settings
        mark                the generation, by which a restored folder or index is detected
        objects/hh/HASH     an object whose key no path can hold; its key is in HASH.key
        attributes/hh/HASH.SIZE-TIME   attributes that did not fit into the extended attribute
        versions/hh/HASH/VERSION   a noncurrent version; VERSION.marker is a delete marker
        uploads/ID/         upload.json and a file for each part
        temporary/          files that are being written; emptied at every start
"""
