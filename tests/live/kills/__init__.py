"""A real eucabox killed again and again under clients; what it acknowledged is looked for after."""
