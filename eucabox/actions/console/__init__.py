"""The verbs of the console alone: no wire protocol reaches them."""
