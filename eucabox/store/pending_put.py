"""An object that was received whole, and has no name yet."""

from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.buckets import translate_disk_errors
from eucabox.store.objects import Objects
from eucabox.store.temp_file import TempFile
from eucabox.store.types import Object
from eucabox.store.write_specs import WritePreconditions


class PendingPut:
    """An object whose content the kernel may be writing; `commit` must end it."""

    def __init__(
        self,
        objects: Objects,
        folder: BucketFolder,
        temp_file: TempFile,
        new: Object,
        conditions: WritePreconditions,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._temp_file = temp_file
        self._new = new
        self._conditions = conditions

    @translate_disk_errors
    def commit(self) -> Object:
        """Make it the object of its key. Raises PreconditionFailed, and NoSuchKey where there
        is nothing to match."""
        with self._temp_file:
            return self._objects.commit(self._folder, self._temp_file, self._new, self._conditions)
