"""The protocols of clients: requests become actions with arguments, results become XML."""
